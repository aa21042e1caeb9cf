package mirror

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"
	"time"

	"fullstory-export-mcp/archive"
)

// storing answers requests for one object as a store does, and counts those for its content.
type storing struct {
	object   []byte
	sum      string // that Put noted
	requests int
	ignores  bool // ranges
}

func (s *storing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/bucket/prefix/folder/name.gz" {
		return rejectionOf(r, http.StatusNotFound, "NoSuchKey", "nothing"), nil
	}
	if s.ignores {
		r.Header.Del("Range")
	}
	if r.Method == http.MethodGet {
		s.requests++
	}
	w := httptest.NewRecorder()
	w.Header().Set("X-Amz-Meta-Sha256", s.sum)
	w.Header().Set("ETag", `"x"`)
	http.ServeContent(w, r, "", time.Unix(1_790_000_000, 0), bytes.NewReader(s.object))
	return w.Result(), nil
}

// TestOpener reads a copy from any place, with one request for each.
func TestOpener(t *testing.T) {
	b, sum := content(5, 100_000)
	s := &storing{object: b, sum: sum}
	m, _ := openMirror(t, fakeOptions(s))
	f := archive.File{Name: "name.gz", Bytes: int64(len(b)), SHA256: sum}
	o, err := m.Opener(t.Context(), "folder")(f)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if s.requests != 0 {
		t.Errorf("%d requests before a byte is read", s.requests)
	}
	for _, at := range []int64{0, 99_999, 500} {
		s.requests = 0
		if _, err := o.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, b[at:]) || s.requests != 1 {
			t.Errorf("from %d: %d bytes, %v, with %d requests", at, len(got), err, s.requests)
		}
	}
	o.Seek(0, io.SeekStart)
	if err := iotest.TestReader(o, b); err != nil {
		t.Error(err)
	}
	s.ignores = true
	o.Seek(500, io.SeekStart)
	if _, err := o.Read(make([]byte, 1)); !errors.Is(err, archive.ErrChanged) {
		t.Errorf("a store that ignores ranges: %v", err)
	}
}

// TestOpenerRejects opens copies that are missing, or are not those that were made.
func TestOpenerRejects(t *testing.T) {
	b, sum := content(6, 1000)
	m, _ := openMirror(t, fakeOptions(&storing{object: b, sum: sum}))
	open := m.Opener(t.Context(), "folder")
	for want, f := range map[error]archive.File{
		ErrMissing:         {Name: "other.gz", Bytes: 1000, SHA256: sum},
		archive.ErrChanged: {Name: "name.gz", Bytes: 999, SHA256: sum},
	} {
		if _, err := open(f); !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", f, err, want)
		}
	}
	other := archive.File{Name: "name.gz", Bytes: 1000, SHA256: sumOf(b[1:])}
	if _, err := open(other); !errors.Is(err, archive.ErrChanged) {
		t.Errorf("another checksum: %v", err)
	}
	if _, err := open(archive.File{Name: "../name.gz", Bytes: 1000, SHA256: sum}); err == nil {
		t.Error("a name outside of the folder was opened")
	}
}
