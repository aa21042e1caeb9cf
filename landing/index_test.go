package landing

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestIndex shows that a conversion believes its index while size and time of a file are those
// noted, looks into the file otherwise, and does without an index that is damaged.
func TestIndex(t *testing.T) {
	t.Parallel()
	b := newBulk(t, `{"format":"FORMAT_NDJSON"}`)
	f := b.put("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", `{"PageUrl":"/","EventStart":"2026-10-01T01:00:00Z"}`+"\n")
	if r := b.convert(); r.Converted != 1 {
		t.Fatalf("first: %+v", r)
	}
	made := filepath.Join(b.Path("bulk", Folder), "day=2026-10-01", FileName(f))
	before := file(t, made)
	info, err := os.Stat(made)
	if err != nil {
		t.Fatal(err)
	}
	put := func(content []byte, at time.Time) {
		t.Helper()
		if err := os.WriteFile(made, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(made, at, at); err != nil {
			t.Fatal(err)
		}
	}
	put(make([]byte, len(before)), info.ModTime())
	if r := b.convert(); r.Kept != 1 || r.Rows != 1 {
		t.Errorf("a file with the size and the time of the index was opened: %+v", r)
	}
	put(make([]byte, len(before)), info.ModTime().Add(time.Second))
	if r := b.convert(); r.Converted != 1 || !bytes.Equal(file(t, made), before) {
		t.Errorf("a file with another time was not made again: %+v", r)
	}
	for _, content := range []string{"", "{", `{"mapping":"0"}`, `{"mapping":"` + mapping + `","files":{"` +
		"day=2026-10-01/" + FileName(f) + `":{"source":"x"}}}`} {
		if err := os.WriteFile(filepath.Join(b.Path("bulk", Folder), indexName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := b.convert(); r.Kept != 1 || r.Rows != 1 {
			t.Errorf("with the index %q: %+v", content, r)
		}
	}
	b.m.Files = nil
	b.write()
	b.convert()
	if x := file(t, filepath.Join(b.Path("bulk", Folder), indexName)); bytes.Contains(x, []byte("PageUrl")) {
		t.Errorf("the index of no files is %s", x)
	}
}

// BenchmarkKept converts a folder in which everything is made: with its index, and without, as
// after an index was lost.
func BenchmarkKept(b *testing.B) {
	bulk := newBulk(b, `{"format":"FORMAT_NDJSON"}`)
	from := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for i := range 500 {
		start := from.Add(time.Duration(i) * time.Hour)
		bulk.put(start.Format(time.RFC3339), start.Add(time.Hour).Format(time.RFC3339),
			fmt.Sprintf(`{"PageUrl":"/%d","EventStart":%q}`+"\n", i, start.Format(time.RFC3339)))
	}
	bulk.convert()
	for _, indexed := range []bool{true, false} {
		b.Run(fmt.Sprintf("indexed=%t", indexed), func(b *testing.B) {
			for b.Loop() {
				if !indexed {
					_ = os.Remove(filepath.Join(bulk.Path("bulk", Folder), indexName))
				}
				if r := bulk.convert(); r.Kept != 500 {
					b.Fatalf("%+v", r)
				}
			}
		})
	}
}

func file(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
