package landing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
)

// bulk is a folder of an archive that tests change.
type bulk struct {
	*archive.Archive
	t testing.TB
	m archive.Manifest
}

func newBulk(t testing.TB, request string) *bulk {
	t.Helper()
	a, err := archive.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &bulk{a, t, archive.Manifest{BulkID: "b", Request: json.RawMessage(request)}}
}

// put stores a file of a window, in place of any that it has.
func (b *bulk) put(start, end, plain string) archive.File {
	b.t.Helper()
	packed := zipped(b.t, plain)
	sum := sha256.Sum256(packed)
	from, _ := time.Parse(time.RFC3339, start)
	to, _ := time.Parse(time.RFC3339, end)
	f := archive.File{
		Name: archive.FileName(from, to, ".ndjson.gz"), Start: start, End: end, Bytes: int64(len(packed)),
		SHA256: hex.EncodeToString(sum[:]), Columns: columnsIn(b.t, packed),
	}
	b.m.Files = append(slices.DeleteFunc(b.m.Files, func(o archive.File) bool { return o.Name == f.Name }), f)
	b.write()
	if err := os.WriteFile(b.Path("bulk", f.Name), packed, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return f
}

func (b *bulk) write() {
	b.t.Helper()
	if err := b.WriteManifest(b.t.Context(), "bulk", b.m); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bulk) convert() Result {
	b.t.Helper()
	r, err := Convert(b.t.Context(), b.Archive, "bulk", Options{}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// files returns the files below the folder of Parquet, without the lock.
func (b *bulk) files() (files []string) {
	b.t.Helper()
	top := b.Path("bulk", Folder)
	err := filepath.WalkDir(top, func(path string, e os.DirEntry, err error) error {
		if name, _ := filepath.Rel(top, path); err == nil && !e.IsDir() && name != ".lock" && name != indexName {
			files = append(files, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return files
}

// rows returns the rows of a Parquet file.
func (b *bulk) rows(file string) []map[string]any {
	b.t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.Path("bulk", Folder), filepath.FromSlash(file)))
	if err != nil {
		b.t.Fatal(err)
	}
	return parquetRows(b.t, raw)
}

// grow converts a folder whose files may lack columns.
func (b *bulk) grow() Result {
	b.t.Helper()
	r, err := ConvertFiles(b.t.Context(), b.Archive, "bulk", Source{
		Manifest: func() (archive.Manifest, error) { return b.Manifest("bulk") }, Open: b.Opener("bulk"), Grow: true,
	}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

const (
	first  = "day=2026-10-01/20261001T000000Z_20261002T000000Z.parquet"
	second = "day=2026-10-02/20261002T000000Z_20261003T000000Z.parquet"
)

// twoDays stores two windows.
func twoDays(t *testing.T) *bulk {
	b := newBulk(t, `{"format":"FORMAT_NDJSON"}`)
	b.put("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", `{"UserId":9007199254740993,"evt_a_int":1}`)
	b.put("2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z", `{"UserId":2}`+"\n"+`{"UserId":3}`)
	return b
}

// is fails unless a conversion made, kept and removed that many files, with problems of
// that many.
func (r Result) is(t *testing.T, what string, made, kept, removed, problems int) {
	t.Helper()
	if r.Converted != made || r.Kept != kept || r.Removed != removed || len(r.Problems) != problems {
		t.Errorf("%s: %+v; want %d made, %d kept, %d removed, %d problems", what, r, made, kept, removed, problems)
	}
}

// TestConvert converts a folder again and again while its files change.
func TestConvert(t *testing.T) {
	t.Parallel()
	b := twoDays(t)
	r := b.convert()
	if r.is(t, "new", 2, 0, 0, 0); r.Rows != 3 || r.Columns != 3 || r.Bytes == 0 {
		t.Errorf("converted %+v", r)
	}
	if got := b.files(); !slices.Equal(got, []string{first, second}) {
		t.Errorf("files %v", got)
	}
	if got := b.rows(first); got[0]["UserId"] != int64(9007199254740993) || got[0]["evt_a_int"] != int64(1) {
		t.Errorf("rows %v", got)
	}
	again := b.convert()
	if again.is(t, "nothing new", 0, 2, 0, 0); again.Rows != r.Rows || again.Bytes != r.Bytes {
		t.Errorf("%+v became %+v", r, again)
	}
	b.put("2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z", `{"UserId":4}`)
	b.convert().is(t, "a source was replaced", 1, 1, 0, 0)
	if got := b.rows(second); len(got) != 1 || got[0]["UserId"] != int64(4) {
		t.Errorf("rows %v", got)
	}
	b.put("2026-10-03T00:00:00Z", "2026-10-04T00:00:00Z", `{"UserId":5,"evt_b_str":"x"}`)
	b.convert().is(t, "a new column", 3, 0, 0, 0)
	b.m.Files = b.m.Files[:2]
	b.write()
	b.convert().is(t, "a column and a file less", 2, 0, 1, 0)
	if got := b.files(); !slices.Equal(got, []string{first, second}) {
		t.Errorf("files %v", got)
	}
	if _, err := os.Stat(filepath.Join(b.Path("bulk", Folder), "day=2026-10-03")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder is left: %v", err)
	}
}

// TestConvertDamage converts a folder whose files others have changed.
func TestConvertDamage(t *testing.T) {
	t.Parallel()
	b := twoDays(t)
	b.convert()
	top := b.Path("bulk", Folder)
	write := func(path, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(top, first), "PAR1 no Parquet PAR1")
	write(filepath.Join(top, "day=2026-10-01", "other.parquet"), "of another window")
	write(filepath.Join(top, "day=2026-10-01", "mine.txt"), "not ours")
	write(filepath.Join(top, "day=2026-10-02", ".a.parquet.part"), "left by a killed process")
	b.convert().is(t, "damaged Parquet", 1, 1, 1, 0)
	if got := b.files(); !slices.Equal(got, []string{first, "day=2026-10-01/mine.txt", second}) {
		t.Errorf("files %v", got)
	}
	sources := []string{b.Path("bulk", b.m.Files[0].Name), b.Path("bulk", b.m.Files[1].Name)}
	whole, err := os.ReadFile(sources[1])
	if err != nil || os.Remove(sources[0]) != nil {
		t.Fatal(err)
	}
	b.convert().is(t, "a missing source whose Parquet is there", 0, 2, 0, 0)
	b.m.Files[1].Columns = []string{"UserId", "more"}
	b.write()
	b.convert().is(t, "a missing source and another column", 1, 0, 0, 1)
	if got := b.rows(first); len(got) != 1 {
		t.Errorf("the rows of a missing source are %v", got)
	}
	b.m.Files[1].SHA256 = strings.Repeat("0", 64)
	b.write()
	r := b.convert()
	r.is(t, "a changed source", 0, 0, 1, 2)
	if want := "differs from the manifest: run verify to see how"; r.Problems[1].Text != want {
		t.Errorf("problem %q, want %q", r.Problems[1].Text, want)
	}
	write(sources[1], string(whole[:len(whole)-4]))
	if r = b.convert(); r.Problems[0].Text != "is missing" || len(r.Problems) != 2 {
		t.Errorf("problems %v", r.Problems)
	}
}

// TestConvertEnds stops when the context ends and continues with the next call.
func TestConvertEnds(t *testing.T) {
	t.Parallel()
	b := twoDays(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Convert(ctx, b.Archive, "bulk", Options{}, func(p Progress) {
		if p.Files == 1 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || r.Converted != 1 {
		t.Errorf("%v, %+v", err, r)
	}
	if got := b.files(); !slices.Equal(got, []string{first}) {
		t.Errorf("files %v", got)
	}
	b.convert().is(t, "the rest", 1, 1, 0, 0)
	if _, err := Convert(t.Context(), b.Archive, "other", Options{}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

// TestProgress counts every byte once.
func TestProgress(t *testing.T) {
	t.Parallel()
	b := twoDays(t)
	var last Progress
	_, err := Convert(t.Context(), b.Archive, "bulk", Options{}, func(p Progress) {
		if p.Bytes < last.Bytes || p.Files < last.Files {
			t.Errorf("%+v came after %+v", p, last)
		}
		last = p
	})
	all := b.m.Files[0].Bytes + b.m.Files[1].Bytes
	if want := (Progress{2, 2, all, all, 2}); err != nil || last != want {
		t.Errorf("%v, %+v, want %+v", err, last, want)
	}
}

// TestTarget puts a window in the day of its start in the zone of the request.
func TestTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, name, start, want string }{
		{"", "20261001T000000Z_20261002T000000Z.csv.gz", "2026-10-01T00:00:00Z",
			"day=2026-10-01/20261001T000000Z_20261002T000000Z.parquet"},
		{"Europe/Berlin", "20260930T220000Z_20261001T220000Z.ndjson.gz", "2026-09-30T22:00:00Z",
			"day=2026-10-01/20260930T220000Z_20261001T220000Z.parquet"},
		{"no zone", "all.json.gz", "", "day=__HIVE_DEFAULT_PARTITION__/all.parquet"},
	} {
		zone := request{Timezone: c.zone}.zone()
		got := (&conversion{zone: zone}).target(archive.File{Name: c.name, Start: c.start})
		if got != c.want {
			t.Errorf("%s in %q: %s, want %s", c.name, c.zone, got, c.want)
		}
	}
}

// TestEmptyFiles converts files without rows, of which one has no bytes.
func TestEmptyFiles(t *testing.T) {
	t.Parallel()
	b := newBulk(t, `{"format":"FORMAT_NDJSON"}`)
	b.put("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", "")
	f := b.put("2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z", "")
	b.put("2026-10-03T00:00:00Z", "2026-10-04T00:00:00Z", `{"EventStart":"2026-10-03T01:00:00Z"}`)
	none := sha256.Sum256(nil)
	b.m.Files[1].Bytes, b.m.Files[1].SHA256 = 0, hex.EncodeToString(none[:])
	b.m.Files[1].Warnings.EmptyObject = true
	b.write()
	if err := os.WriteFile(b.Path("bulk", f.Name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := b.convert()
	if r.is(t, "empty files", 3, 0, 0, 0); r.Rows != 1 || r.Columns != 2 {
		t.Errorf("converted %+v", r)
	}
	for _, file := range []string{first, second} {
		if got := b.rows(file); len(got) != 0 {
			t.Errorf("%s has %v", file, got)
		}
	}
}

// TestGrow converts a folder that grows: a file that brings another column leaves the others as
// they are, unless a name has another meaning then.
func TestGrow(t *testing.T) {
	t.Parallel()
	b := twoDays(t)
	b.grow().is(t, "new", 2, 0, 0, 0)
	third := b.put("2026-10-03T00:00:00Z", "2026-10-04T00:00:00Z", `{"UserId":4,"evt_b_int":7,"evt_c.d_int":1}`)
	r := b.grow()
	if r.is(t, "another column", 1, 2, 0, 0); r.Rows != 4 {
		t.Errorf("converted %+v", r)
	}
	if got := b.rows("day=2026-10-03/" + FileName(third)); got[0]["evt_b_int"] != int64(7) {
		t.Errorf("rows %v", got)
	}
	if _, there := b.rows(first)[0]["evt_b_int"]; there {
		t.Error("the first file has the column of the third")
	}
	b.grow().is(t, "nothing new", 0, 3, 0, 0)
	b.put("2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z", `{"UserId":9}`)
	b.grow().is(t, "a source was replaced", 1, 2, 0, 0)
	// Its name needs no change, so it takes the column of evt_c.d_int, which the third file has.
	b.put("2026-10-04T00:00:00Z", "2026-10-05T00:00:00Z", `{"evt_c__d_int":2}`)
	b.grow().is(t, "a name has another meaning", 3, 1, 0, 0)
	b.convert().is(t, "all columns in all files", 1, 3, 0, 0)
	b.grow().is(t, "after that", 0, 4, 0, 0)
}

func (b *bulk) manifest() (archive.Manifest, error) { return b.Manifest("bulk") }
