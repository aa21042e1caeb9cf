package landing

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/delta"
)

// memory keeps copies in memory.
type memory struct {
	objects map[string][]byte
	puts    int
	fails   error // of every Put
}

func (c *memory) Address(name string) string { return "s3://bucket/" + name }

func (c *memory) Put(_ context.Context, name string, content io.ReaderAt, size int64, _ string) error {
	c.puts++
	if c.fails != nil {
		return c.fails
	}
	var b bytes.Buffer
	_, err := io.Copy(&b, io.NewSectionReader(content, 0, size))
	c.objects[name] = b.Bytes()
	return err
}

func (c *memory) Remove(_ context.Context, name string) error {
	delete(c.objects, name)
	return nil
}

func (c *memory) List(_ context.Context, folder string) (map[string]int64, error) {
	sizes := map[string]int64{}
	for name, content := range c.objects {
		if strings.HasPrefix(name, folder+"/") {
			sizes[name] = int64(len(content))
		}
	}
	return sizes, nil
}

// convertTo converts with copies.
func (b *bulk) convertTo(c *memory) (Result, error) {
	source := Source{Manifest: b.manifest, Open: b.Opener("bulk"), Copies: c}
	return ConvertFiles(b.t.Context(), b.Archive, "bulk", source, nil)
}

// same fails unless the copies are the Parquet files.
func (c *memory) same(t *testing.T, b *bulk, when string) {
	t.Helper()
	want := map[string][]byte{}
	for _, path := range b.files() {
		if strings.HasPrefix(path, delta.LogFolder) {
			continue
		}
		want["bulk/parquet/"+path] = file(t, filepath.Join(b.Path("bulk", Folder), path))
	}
	if !maps.EqualFunc(want, c.objects, bytes.Equal) {
		t.Errorf("%s: copies of %q, want %q", when, slices.Sorted(maps.Keys(c.objects)), slices.Sorted(maps.Keys(want)))
	}
}

// TestCopies keeps copies of Parquet files equal to these, also if a store failed for a while, and
// on a machine that has made none of them.
func TestCopies(t *testing.T) {
	t.Parallel()
	b := newBulk(t, `{"format":"FORMAT_NDJSON"}`)
	c := &memory{objects: map[string][]byte{"bulk/parquet/load/mine.sql": []byte("mine")}}
	convert := func(want string) Result {
		t.Helper()
		r, err := b.convertTo(c)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Fatalf("error %v, want %q", err, want)
		}
		return r
	}
	day := func(n, version string) {
		t.Helper()
		b.put("2026-10-0"+n+"T00:00:00Z", "2026-10-1"+n+"T00:00:00Z", `{"PageUrl":"/`+version+`"}`+"\n")
	}
	day("1", "a")
	day("2", "a")
	c.fails = errors.New("the store is full")
	if r := convert("the store is full"); r.Converted != 2 || c.puts != 1 {
		t.Errorf("with a store that fails: %+v, %d puts", r, c.puts)
	}
	c.fails = nil
	if r := convert(""); r.Kept != 2 || c.puts != 3 {
		t.Errorf("once it works: %+v, %d puts", r, c.puts)
	}
	delete(c.objects, "bulk/parquet/load/mine.sql")
	c.same(t, b, "once it works")
	if convert(""); c.puts != 3 {
		t.Errorf("%d puts although nothing had changed", c.puts)
	}
	day("1", "b")
	if convert(""); c.puts != 4 {
		t.Errorf("%d puts after one file had changed", c.puts)
	}
	c.same(t, b, "replaced")
	b.m.Files = b.m.Files[:1]
	b.write()
	convert("")
	c.same(t, b, "after a file was removed from the manifest")

	// Another machine has none of the files, and the manifest lacks one that has a copy.
	day("3", "a")
	convert("")
	if err := os.RemoveAll(b.Path("bulk", Folder)); err != nil {
		t.Fatal(err)
	}
	b.m.Files = b.m.Files[1:]
	b.write()
	convert("")
	c.same(t, b, "on another machine")
}

// TestRemovedBeforeAKill removes the copy of a file that a killed conversion had removed.
func TestRemovedBeforeAKill(t *testing.T) {
	t.Parallel()
	b := newBulk(t, `{"format":"FORMAT_NDJSON"}`)
	c := &memory{objects: map[string][]byte{}}
	f := b.put("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", `{"PageUrl":"/"}`+"\n")
	if _, err := b.convertTo(c); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(b.Path("bulk", Folder), "day=2026-10-01", FileName(f))); err != nil {
		t.Fatal(err)
	}
	b.m.Files = nil
	b.write()
	if _, err := b.convertTo(c); err != nil || len(c.objects) != 0 {
		t.Errorf("copies left: %q, %v", slices.Sorted(maps.Keys(c.objects)), err)
	}
}
