package mirror

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/profile"
)

// pagedManifest returns the manifest of n files that has pages, because names of columns
// have 10 MB in all.
func pagedManifest(n int) archive.Manifest {
	m := archive.Manifest{BulkID: "bulk_x", Columns: []string{"EventStart"}, Files: []archive.File{}}
	for i := range n {
		columns := make([]string, 1000)
		for c := range columns {
			columns[c] = fmt.Sprintf("%d_%d_%s", i, c, strings.Repeat("x", 10<<10/n))
		}
		m.Files = append(m.Files, archive.File{
			Name: fmt.Sprintf("%d.ndjson.gz", i), Columns: columns, ColumnsSHA256: fmt.Sprintf("%064x", i),
		})
	}
	return m
}

// TestManifestInPages copies a manifest with pages, and then another one: the copy can be
// read, and the pages of the first are removed.
func TestManifestInPages(t *testing.T) {
	m, _ := openMirror(t, options(t))
	a, err := archive.Open(filepath.Join(t.TempDir(), "exports"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Manifest(t.Context(), "x"); !errors.Is(err, ErrMissing) {
		t.Errorf("without a copy: %v", err)
	}
	for _, n := range []int{40, 50} {
		if err := a.WriteManifest(t.Context(), "x", pagedManifest(n)); err != nil {
			t.Fatal(err)
		}
		if err := m.CopyManifest(t.Context(), a, "x"); err != nil {
			t.Fatal(err)
		}
		got, err := m.Manifest(t.Context(), "x")
		if err != nil || len(got.Files) != n || got.BulkID != "bulk_x" {
			t.Errorf("the copy has %d files, want %d, %v", len(got.Files), n, err)
		}
		want := 0
		if err := a.EachManifestFile("x", func(string, []byte) error { want++; return nil }); err != nil {
			t.Fatal(err)
		}
		listed, err := m.List(t.Context(), "x")
		if err != nil || len(listed) != want || want < 3 {
			t.Errorf("the mirror has %d objects, want %d, %v", len(listed), want, err)
		}
	}
}

// TestProfileIsCopied brings a file with its profile, which is copied with it, also when
// the file is stored already.
func TestProfileIsCopied(t *testing.T) {
	m, _ := openMirror(t, options(t))
	a, err := archive.Open(filepath.Join(t.TempDir(), "exports"))
	if err != nil {
		t.Fatal(err)
	}
	w := archive.Wanted{Folder: "x", Name: "all.ndjson.gz", OperationID: "op=", Copy: m.Copy("x")}
	var content bytes.Buffer
	z := gzip.NewWriter(&content)
	z.Write([]byte(`{"EventType":"click"}`))
	z.Close()
	load := func(_ context.Context, p *archive.Part) (archive.Loaded, error) {
		_, err := p.Write(content.Bytes())
		return archive.Loaded{}, err
	}
	file, _, err := a.BringOnce(t.Context(), w, load)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := m.Profile(t.Context(), "x", file); err != nil || p.Rows != 1 || p.Events[0].Type != "click" {
		t.Errorf("got %+v, %v", p, err)
	}
	other := file
	other.SHA256 = strings.Repeat("0", 64)
	if _, err := m.Profile(t.Context(), "x", other); !errors.Is(err, profile.ErrStale) {
		t.Errorf("of another file: %v", err)
	}
	other.Name = "other.gz"
	if _, err := m.Profile(t.Context(), "x", other); !errors.Is(err, ErrMissing) {
		t.Errorf("without a copy: %v", err)
	}
	if _, err := (*Mirror)(nil).Profile(t.Context(), "x", file); !errors.Is(err, ErrMissing) {
		t.Errorf("without a mirror: %v", err)
	}
}
