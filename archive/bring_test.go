package archive

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/rows"
)

var (
	from  = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	until = from.AddDate(0, 0, 1)
)

// rowsOf returns n rows, one a second from the start of the window.
func rowsOf(n int) string {
	var b strings.Builder
	for i := range n {
		at := from.Add(time.Duration(i) * time.Second).Format(time.RFC3339Nano)
		fmt.Fprintf(&b, `{"UserId":%d,"EventStart":"%s","EventType":"click","Text":"%x"}`+"\n",
			9007199254740993+i, at, sha256.Sum256(fmt.Append(nil, i)))
	}
	return b.String()
}

func zip(t testing.TB, plain string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB) *Archive {
	t.Helper()
	a, err := Open(filepath.Join(t.TempDir(), "exports"))
	if err != nil {
		t.Fatal(err)
	}
	a.reserve = 0
	return a
}

// wanted returns a file of the events of a day.
func wanted() Wanted {
	rules := rows.Rules{Format: rows.NDJSON, TimeColumn: "EventStart", Start: from, End: until}
	return Wanted{
		Folder: OperationFolder("op="), Name: FileName(from, until, ".ndjson.gz"), OperationID: "op=", Rules: rules,
	}
}

// whole returns a Load of an object with this content, which continues a part of the
// same object.
func whole(content []byte) Load {
	return func(_ context.Context, p *Part) (Loaded, error) { return Loaded{}, send(p, content, len(content)) }
}

// send stores the first n bytes of content in p, or those that p lacks.
func send(p *Part, content []byte, n int) error {
	size, etag, length := p.Has()
	if size > 0 && (etag != tag(content) || length != int64(len(content))) {
		if err := p.Reset(); err != nil {
			return err
		}
		size = 0
	}
	if size == 0 {
		if err := p.Begin(tag(content), int64(len(content))); err != nil {
			return err
		}
	}
	if err := p.Reserve(int64(len(content)) - size); err != nil {
		return err
	}
	_, err := p.Write(content[size:n])
	return err
}

// tag returns the ETag of an object with this content.
func tag(content []byte) string { return `"` + sumOf(content) + `"` }

// errCut is the error of a connection that breaks.
var errCut = errors.New("the connection broke")

// unused is a Load that fails the test.
func unused(t *testing.T) Load {
	return func(context.Context, *Part) (Loaded, error) {
		t.Error("the file was loaded")
		return Loaded{}, errCut
	}
}

// leftovers lists the files in the folder of w except the manifest, its lock and the
// profiles.
func leftovers(t *testing.T, a *Archive, w Wanted) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(a.Dir(), w.Folder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != ManifestName && e.Name() != ".lock" && e.Name() != profilesFolder {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestBring(t *testing.T) {
	content, empty := zip(t, rowsOf(2000)), zip(t, "")
	file := File{
		Name: "20261001T000000Z_20261002T000000Z.ndjson.gz", OperationID: "op=",
		Start: "2026-10-01T00:00:00Z", End: "2026-10-02T00:00:00Z",
	}
	withRows, without := file, file
	withRows.Bytes, withRows.SHA256, withRows.Rows = int64(len(content)), sumOf(content), 2000
	withRows.FirstEvent, withRows.LastEvent = "2026-10-01T00:00:00Z", "2026-10-01T00:33:19Z"
	withRows.Columns = []string{"UserId", "EventStart", "EventType", "Text"}
	withRows.RowsByHour, withRows.Filled = rows.Counts{2000}, "0f"
	without.Bytes, without.SHA256, without.Columns = int64(len(empty)), sumOf(empty), []string{}
	for _, test := range []struct {
		name    string
		content []byte
		want    File
	}{{"rows", content, withRows}, {"no rows", empty, without}} {
		t.Run(test.name, func(t *testing.T) {
			a, w := open(t), wanted()
			got, superseded, err := a.BringOnce(t.Context(), w, whole(test.content))
			if err != nil || superseded != "" {
				t.Fatalf("%q, %v", superseded, err)
			}
			want := test.want
			want.ColumnsSHA256, want.ExportedAt = columnsSum(want.Columns), got.ExportedAt
			want.Profile = ".profile/" + want.Name + ".json"
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			checkBrought(t, a, w, got)
			if again, _, err := a.BringOnce(t.Context(), w, unused(t)); err != nil || again.SHA256 != got.SHA256 {
				t.Errorf("brought once more: %+v, %v", again, err)
			}
		})
	}
}

// checkBrought checks that the folder has the file, its manifest and nothing else.
func checkBrought(t *testing.T, a *Archive, w Wanted, got File) {
	t.Helper()
	if left := leftovers(t, a, w); len(left) != 1 || left[0] != got.Name {
		t.Errorf("the folder has %q", left)
	}
	path := a.Path(w.Folder, got.Name)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != got.Bytes {
		t.Errorf("the file is %v, %v", info, err)
	}
	if on, err := os.ReadFile(path); err != nil || sumOf(on) != got.SHA256 {
		t.Errorf("the file on disk is another one: %v", err)
	}
	m, err := a.Manifest(w.Folder)
	if err != nil || len(m.Files) != 1 || m.Files[0].SHA256 != got.SHA256 || m.OperationID != w.OperationID {
		t.Errorf("the manifest is %+v, %v", m, err)
	}
}

func TestBringUnsound(t *testing.T) {
	content := zip(t, rowsOf(2000))
	flipped := bytes.Clone(content)
	flipped[len(flipped)-6] ^= 1
	row := func(stamp string) []byte { return zip(t, rowsOf(3)+`{"EventStart":"`+stamp+`"}`+"\n") }
	for _, test := range []struct {
		name    string
		content []byte
		says    string
	}{
		{"gzip cut off", content[:len(content)-20], "cut off"},
		{"gzip without its trailer", content[:len(content)-8], "cut off"},
		{"wrong checksum", flipped, "checksum"},
		{"garbage at the end", append(bytes.Clone(content), "garbage, and more of it"...),
			"not gzip follows the end of the gzip data: 23 B"},
		{"HTML", []byte("<!DOCTYPE html><p>Sign in, secret</p>"), "an HTML page"},
		{"XML error with 200", []byte("<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>"), "an XML page"},
		{"not packed", []byte(rowsOf(3)), "plain JSON"},
		{"broken row", zip(t, rowsOf(3)+"{\"a\":}\n"), "row 4 is not valid JSON"},
		{"row cut off", zip(t, rowsOf(3)+"{\"a\":1"), "ends inside a row"},
		{"an array", zip(t, "[]"), "row 1 is not a JSON object"},
		{"two rows a line", zip(t, "{} {}\n"), "row 1 is followed by"},
		{"a row on two lines", zip(t, "{\n}\n"), "spread over several lines"},
		{"before the window", row("2026-09-30T23:59:59.999Z"), "outside the window"},
		{"at the end of the window", row("2026-10-02T00:00:00Z"),
			"row 4 has the EventStart 2026-10-02T00:00:00Z, outside the window"},
		{"no time", row("soon"), "which is not a time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, w := open(t), wanted()
			_, _, err := a.BringOnce(t.Context(), w, whole(test.content))
			var content *rows.Error
			if !errors.As(err, &content) || !strings.Contains(err.Error(), test.says) ||
				strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want: … %s", err, test.says)
			}
			if left := leftovers(t, a, w); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestLoadFails checks that bytes are kept only if they can be continued.
func TestLoadFails(t *testing.T) {
	content := zip(t, rowsOf(5000))
	for name, test := range map[string]struct {
		etag string
		left int
	}{"strong ETag": {`"a"`, 2}, "none": {"", 0}} {
		a, w := open(t), wanted()
		_, _, err := a.BringOnce(t.Context(), w, func(_ context.Context, p *Part) (Loaded, error) {
			if err := p.Begin(test.etag, int64(len(content))); err != nil {
				return Loaded{}, err
			}
			if _, err := p.Write(content[:40_000]); err != nil {
				return Loaded{}, err
			}
			return Loaded{}, errCut
		})
		if left := leftovers(t, a, w); err != errCut || len(left) != test.left {
			t.Errorf("%s: got %v, and the folder holds %q", name, err, left)
		}
	}
}

// TestResumeAfterCrash cancels a load and resumes it as another process would.
func TestResumeAfterCrash(t *testing.T) {
	content := zip(t, rowsOf(5000))
	a, w := open(t), wanted()
	ctx, crash := context.WithCancel(t.Context())
	_, _, err := a.BringOnce(ctx, w, func(ctx context.Context, p *Part) (Loaded, error) {
		if err := send(p, content, 40_000); err != nil {
			return Loaded{}, err
		}
		crash()
		return Loaded{}, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if left := leftovers(t, a, w); len(left) != 2 {
		t.Fatalf("the folder holds %q, want the part and its note", left)
	}
	again, err := Open(a.Dir())
	if err != nil {
		t.Fatal(err)
	}
	again.reserve = 0
	got, _, err := again.BringOnce(t.Context(), w, func(ctx context.Context, p *Part) (Loaded, error) {
		if size, etag, length := p.Has(); size != 40_000 || etag != tag(content) || length != int64(len(content)) {
			t.Errorf("the part has %d bytes of %d of %s", size, length, etag)
		}
		return whole(content)(ctx, p)
	})
	if err != nil || got.Rows != 5000 || got.SHA256 != sumOf(content) {
		t.Errorf("got %d rows, %v", got.Rows, err)
	}
}

// TestObjectChanges loads another object after a part of the first was stored.
func TestObjectChanges(t *testing.T) {
	before, content := zip(t, rowsOf(2000)), zip(t, rowsOf(1500))
	a, w := open(t), wanted()
	_, _, err := a.BringOnce(t.Context(), w, func(_ context.Context, p *Part) (Loaded, error) {
		return Loaded{}, errors.Join(send(p, before, len(before)/2), errCut)
	})
	if !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	if got, _, err := a.BringOnce(t.Context(), w, whole(content)); err != nil || got.Rows != 1500 {
		t.Errorf("got %d rows, %v", got.Rows, err)
	}
}

// TestEmptyObject brings a file that has 0 bytes according to the store.
func TestEmptyObject(t *testing.T) {
	a, w := open(t), wanted()
	_, _, err := a.BringOnce(t.Context(), w, whole(nil))
	if wrong, ok := errors.AsType[*rows.Error](err); !ok || wrong.Kind != rows.KindGzip {
		t.Errorf("0 bytes, unconfirmed: %v", err)
	}
	got, _, err := a.BringOnce(t.Context(), w, func(_ context.Context, p *Part) (Loaded, error) {
		return Loaded{Empty: true}, p.Begin("", 0)
	})
	if err != nil || !got.Warnings.EmptyObject || got.Rows != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	holds(t, a, w, w.Name, nil)
	folder := a.Path(w.Folder, "")
	c, err := Check(t.Context(), folder, nil)
	if err != nil || len(c.Faults) > 0 || c.Files != 1 || !c.Warnings.EmptyObject {
		t.Errorf("verify: %+v, %v", c, err)
	}
	if d, err := a.Compare(t.Context(), w.Folder, w.Name, got); err != nil || d != (Difference{}) {
		t.Errorf("compared: %+v, %v", d, err)
	}
	err = a.UpdateManifest(t.Context(), w.Folder, func(m *Manifest) error {
		m.Files[0].Warnings = rows.Warnings{}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Check(t.Context(), folder, nil); err != nil || len(c.Faults) != 1 {
		t.Errorf("verify of an empty file that the manifest does not know as such: %+v, %v", c, err)
	}
}

// TestCheckMayReject has Check reject a file by the name that the store gave it.
func TestCheckMayReject(t *testing.T) {
	a, w, foreign := open(t), wanted(), errors.New("another segment")
	w.Check = func(f File, attachment string) error {
		if f.Rows != 3 || attachment != "x.json.gz" {
			t.Errorf("checked %+v, %q", f, attachment)
		}
		return foreign
	}
	content := zip(t, rowsOf(3))
	_, _, err := a.BringOnce(t.Context(), w, func(_ context.Context, p *Part) (Loaded, error) {
		return Loaded{Attachment: "x.json.gz"}, send(p, content, len(content))
	})
	if left := leftovers(t, a, w); err != foreign || len(left) > 0 {
		t.Errorf("got %v, and the folder holds %q", err, left)
	}
}

func TestDifferentFileStays(t *testing.T) {
	a, w := open(t), wanted()
	path := filepath.Join(a.Dir(), w.Folder, w.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := a.BringOnce(t.Context(), w, whole(zip(t, rowsOf(3))))
	var conflict *ConflictError
	if on, _ := os.ReadFile(path); !errors.As(err, &conflict) || string(on) != "mine" {
		t.Errorf("got %v, and the file is %q", err, on)
	}
}

func TestNoSpace(t *testing.T) {
	a := open(t)
	a.reserve = 1 << 60
	var disk *DiskError
	_, _, err := a.BringOnce(t.Context(), wanted(), whole(zip(t, rowsOf(2000))))
	if !errors.As(err, &disk) || disk.Need == 0 || disk.Keep == 0 || !strings.Contains(err.Error(), "free") {
		t.Errorf("got %v", err)
	}
}

// TestTwoProcesses brings the same file in two archives on one folder: the second gets a
// *BusyError while the first loads, does not disturb it, and finds its file afterwards.
func TestTwoProcesses(t *testing.T) {
	content := zip(t, rowsOf(2000))
	started, release := make(chan struct{}), make(chan struct{})
	first := open(t)
	second, err := Open(first.Dir())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, _, err := first.BringOnce(t.Context(), wanted(), func(ctx context.Context, p *Part) (Loaded, error) {
			close(started)
			<-release
			return whole(content)(ctx, p)
		})
		ended <- err
	}()
	<-started
	var busy *BusyError
	if _, _, err := second.BringOnce(t.Context(), wanted(), unused(t)); !errors.As(err, &busy) {
		t.Errorf("while another brings it: got %v", err)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got, _, err := second.BringOnce(t.Context(), wanted(), unused(t)); err != nil || got.Rows != 2000 {
		t.Errorf("afterwards: got %+v, %v", got, err)
	}
}
