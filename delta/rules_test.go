package delta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestConflicts commits from two tables that have read the same version.
func TestConflicts(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		one := create(t, s)
		commit(t, one, Change{Add: []File{window(1, 0), window(2, 0)}})
		two, err := Open(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		commit(t, one, Change{Add: []File{window(1, 1)}, Remove: []string{window(1, 0).Path}})
		again := window(1, 2)
		again.Path = window(1, 1).Path
		for name, c := range map[string]Change{
			"the same file replaced":   {Add: []File{window(1, 2)}, Remove: []string{window(1, 0).Path}},
			"a second file of it":      {Add: []File{window(2, 5)}},
			"a path that is active":    {Add: []File{again}},
			"a file that is not there": {Remove: []string{"day=2026-10-01/other.parquet"}},
		} {
			if _, err := two.Commit(t.Context(), c); !errors.Is(err, ErrConflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// What does not conflict is committed after the version of the other.
		got := commit(t, two, Change{Add: []File{window(2, 1), window(3, 0)}, Remove: []string{window(2, 0).Path}})
		if got.Version != 3 || got.Len() != 3 {
			t.Errorf("version %d with %d files", got.Version, got.Len())
		}
		seen, err := one.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, seen, got)
		if f, ok := seen.Window("2"); !ok || f.Tags["generation"] != "1" || f.Path != window(2, 1).Path {
			t.Errorf("window 2 has %v", f)
		}
		for _, c := range []Change{{Add: []File{window(3, 0)}}, {Remove: []string{window(1, 0).Path}}} {
			if got := commit(t, two, c); got.Version != 3 {
				t.Errorf("a change that is there made version %d", got.Version)
			}
		}
		comeBack(t, two)
		checkProtocol(t, s)
	})
}

// comeBack adds a file again that was removed: it is not expired then.
func comeBack(t *testing.T, table *Table) {
	t.Helper()
	back := commit(t, table, Change{Add: []File{window(1, 0)}, Remove: []string{window(1, 1).Path}})
	expired := back.Expired(time.Now().Add(time.Hour))
	if f, ok := back.Window("1"); !ok || f.Path != window(1, 0).Path || slices.Contains(expired, f.Path) {
		t.Errorf("window 1 has %v, expired are %q", f, expired)
	}
}

// TestInvalid has changes that no table takes.
func TestInvalid(t *testing.T) {
	s, _ := newFolder(t)
	table := create(t, s)
	file := func(change func(*File)) Change {
		f := window(1, 0)
		change(&f)
		return Change{Add: []File{f}}
	}
	long := strings.Repeat("x", mostTagBytes+1)
	for name, c := range map[string]Change{
		"nothing":       {},
		"added twice":   {Add: []File{window(1, 0), window(1, 0)}},
		"window twice":  {Add: []File{window(1, 0), window(1, 1)}},
		"both":          {Add: []File{window(1, 0)}, Remove: []string{window(1, 0).Path}},
		"removed twice": {Remove: []string{"a", "a"}},
		"above":         file(func(f *File) { f.Path = "../a.parquet" }),
		"absolute":      file(func(f *File) { f.Path = "/a.parquet" }),
		"other host":    file(func(f *File) { f.Path = "s3://bucket/a.parquet" }),
		"Windows":       file(func(f *File) { f.Path = `C:\a.parquet` }),
		"a drive":       file(func(f *File) { f.Path = "C:/a.parquet" }),
		"the log":       file(func(f *File) { f.Path = "_delta_log/a.parquet" }),
		"no path":       file(func(f *File) { f.Path = "" }),
		"a line":        file(func(f *File) { f.Path = "a\nb" }),
		"not UTF-8":     file(func(f *File) { f.Path = "a\xff" }),
		"negative":      file(func(f *File) { f.Size = -1 }),
		"long tag":      file(func(f *File) { f.Tags = map[string]string{"a": long} }),
		"statistics":    file(func(f *File) { f.Stats = strings.Repeat("x", mostStats+1) }),
	} {
		if _, err := table.Commit(t.Context(), c); !errors.Is(err, ErrChange) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, schema := range map[string]Schema{
		"another type":    {{Name: "id", Type: String}},
		"a list":          {{Name: "id", Type: Long, List: true}},
		"another case":    {{Name: "ID", Type: Long}},
		"new partition":   {{Name: "zone", Type: String, Partition: true}},
		"twice":           {{Name: "new", Type: Long}, {Name: "New", Type: Long}},
		"a comma":         {{Name: "a,b", Type: Long}},
		"unknown type":    {{Name: "new", Type: "decimal(3,1)"}},
		"a date in files": {{Name: "new", Type: Date}},
	} {
		_, err := table.Commit(t.Context(), Change{Add: []File{window(1, 0)}, Schema: schema})
		if !errors.Is(err, ErrSchema) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := table.Snapshot(); s.Version != 0 || s.Len() != 0 {
		t.Errorf("rejected changes made version %d", s.Version)
	}
}

// TestGrowth adds columns, from two tables at once.
func TestGrowth(t *testing.T) {
	s, _ := newFolder(t)
	one := create(t, s)
	two, err := Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	a, b := Column{Name: "a", Type: Long}, Column{Name: "b", Type: String, List: true}
	commit(t, one, Change{Add: []File{window(1, 0)}, Schema: Schema{a}})
	got := commit(t, two, Change{Add: []File{window(2, 0)}, Schema: Schema{columns()[2], b}})
	want := append(columns(), a, b)
	if fmt.Sprint(got.Schema) != fmt.Sprint(want) {
		t.Errorf("columns %v, want %v", got.Schema, want)
	}
	other := Change{Add: []File{window(3, 0)}, Schema: Schema{{Name: "b", Type: Long, List: true}}}
	if _, err := one.Commit(t.Context(), other); !errors.Is(err, ErrConflict) && !errors.Is(err, ErrSchema) {
		t.Errorf("a column of another type: %v", err)
	}
	checkProtocol(t, s)
}

// TestExpired removes files and asks for those that can be deleted.
func TestExpired(t *testing.T) {
	s, _ := newFolder(t)
	table := create(t, s)
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	table.now = func() time.Time { return now }
	commit(t, table, Change{Add: []File{window(1, 0), window(2, 0)}})
	for n := range 30 {
		now = now.Add(time.Hour)
		commit(t, table, Change{Add: []File{window(1, n+1)}, Remove: []string{window(1, n).Path}})
	}
	day := now.Add(-24 * time.Hour)
	expired := table.Snapshot().Expired(day)
	if len(expired) != 5 || expired[0] != window(1, 0).Path {
		t.Fatalf("expired: %q", expired)
	}
	if !checkpoint(t, table) {
		t.Fatal("no checkpoint")
	}
	checkProtocol(t, s)
	table.Deleted(expired...)
	if left := table.Snapshot().Expired(day); len(left) != 0 {
		t.Errorf("deleted files are still expired: %q", left)
	}
	for n := range checkpointEvery {
		commit(t, table, Change{Add: []File{window(10+n, 0)}})
	}
	now = now.Add(29*24*time.Hour + time.Hour) // one more is too old for checkpoints
	if !checkpoint(t, table) {
		t.Fatal("no checkpoint")
	}
	other, err := Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if left := other.Snapshot().Expired(now); len(left) != 24 {
		t.Errorf("%d of 24 removed files are left: %q", len(left), left)
	}
}

// TestCleanUp removes what is older than 30 days, and keeps every later version readable.
func TestCleanUp(t *testing.T) {
	s, dir := newFolder(t)
	table := create(t, s)
	for n := range 35 {
		commit(t, table, Change{Add: []File{window(n, 0)}})
		checkpoint(t, table) // at 10, 20 and 30
	}
	old := time.Now().Add(-31 * 24 * time.Hour)
	for version := range 25 {
		for _, name := range []string{commitName(int64(version)), checkpointName(int64(version))} {
			_ = os.Chtimes(filepath.Join(dir, LogFolder, name), old, old)
		}
	}
	for n := range 5 {
		commit(t, table, Change{Add: []File{window(100+n, 0)}})
	}
	if !checkpoint(t, table) {
		t.Fatal("no checkpoint")
	}
	var left []string
	if err := s.list(t.Context(), "", func(name string, _ time.Time) { left = append(left, name) }); err != nil {
		t.Fatal(err)
	}
	for _, name := range left {
		if version, ok := versionOf(name, commitSuffix); ok && version < 20 {
			t.Errorf("%s is left", name)
		}
	}
	if len(left) != 21+3+1 { // versions 20 to 40, checkpoints 20, 30 and 40, and the hint
		t.Errorf("%d files are left: %q", len(left), left)
	}
	other, err := Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	same(t, other.Snapshot(), table.Snapshot())
}

// TestCheckpointTwice writes a checkpoint of one version from two tables.
func TestCheckpointTwice(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		one := create(t, s)
		for n := range checkpointEvery {
			commit(t, one, Change{Add: []File{window(n, 0)}})
		}
		two := create(t, s)
		for _, table := range []*Table{one, two} {
			if !checkpoint(t, table) || checkpoint(t, table) {
				t.Error("a checkpoint was not written, or written twice")
			}
		}
		checkProtocol(t, s)
	})
}

// TestStale has a table open that was not used for so long that others have removed commits which
// it has not read: it must not commit a version that there was.
func TestStale(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		sleeper, worker := create(t, s), create(t, s)
		for n := range 25 {
			commit(t, worker, Change{Add: []File{window(n, 0)}})
			checkpoint(t, worker)
		}
		for version := range int64(15) {
			if err := s.remove(t.Context(), commitName(version)); err != nil {
				t.Fatal(err)
			}
		}
		sleeper.now = func() time.Time { return time.Now().Add(31 * 24 * time.Hour) }
		if got := commit(t, sleeper, Change{Add: []File{window(30, 0)}}); got.Version != 26 || got.Len() != 26 {
			t.Errorf("version %d with %d files", got.Version, got.Len())
		}
		sleeper.now = func() time.Time { return time.Now().Add(60 * 24 * time.Hour) }
		if got, err := sleeper.Refresh(t.Context()); err != nil || got.Version != 26 {
			t.Errorf("version %d, %v", got.Version, err)
		}
	})
}

// TestLeftovers has unfinished files: those that are old belong to killed processes.
func TestLeftovers(t *testing.T) {
	s, dir := newFolder(t)
	create(t, s)
	log := filepath.Join(dir, LogFolder)
	for name, age := range map[string]time.Duration{".old.part": time.Hour, ".new.part": 0} {
		file := filepath.Join(log, name)
		if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(file, then, then); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(log, ".*"))
	if len(left) != 1 || filepath.Base(left[0]) != ".new.part" {
		t.Errorf("left: %q", left)
	}
}

// TestPaths encodes and decodes paths.
func TestPaths(t *testing.T) {
	for p, want := range map[string]string{
		"day=2026-10-01/a_b-c.~1.parquet": "day=2026-10-01/a_b-c.~1.parquet",
		"a b%20+?#:é/x":                   "a%20b%2520%2B%3F%23%3A%C3%A9/x",
	} {
		if got := encodePath(p); got != want {
			t.Errorf("%q is encoded as %q, want %q", p, got, want)
		}
		if got, err := decodePath(want); err != nil || got != p {
			t.Errorf("%q is decoded as %q, %v", want, got, err)
		}
	}
}

// TestHostile opens logs that break the rules.
func TestHostile(t *testing.T) {
	s, dir := newFolder(t)
	table := create(t, s)
	commit(t, table, Change{Add: []File{window(1, 0)}})
	log := filepath.Join(dir, LogFolder)
	first, err := os.ReadFile(filepath.Join(log, commitName(0)))
	if err != nil {
		t.Fatal(err)
	}
	add := func(p string) string {
		return fmt.Sprintf(`{"add":{"path":%q,"partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}`, p)
	}
	change := func(old, now string) string {
		if !strings.Contains(string(first), old) {
			t.Fatalf("the first version lacks %s", old)
		}
		return strings.Replace(string(first), old, now, 1)
	}
	for name, test := range map[string]struct {
		version int
		content string
		want    error // nil: a *LogError
	}{
		"not JSON":         {1, `{"add":`, nil},
		"a long line":      {1, `{"commitInfo":{"x":"` + strings.Repeat("x", mostLine) + `"}}`, nil},
		"above":            {1, add("../x"), nil},
		"above, encoded":   {1, add("day=1/%2e%2e/%2E%2E/x"), nil},
		"absolute":         {1, add("/etc/passwd"), nil},
		"a URL":            {1, add("s3://other/x"), nil},
		"a file URL":       {1, add("file:///etc/passwd"), nil},
		"a scheme":         {1, add("abc:x/y"), nil},
		"a NUL":            {1, add("a%00b"), nil},
		"a log":            {1, add("_delta_log/00000000000000000000.json"), nil},
		"removed log":      {1, `{"remove":{"path":"_delta_log/x","deletionTimestamp":1,"dataChange":true}}`, nil},
		"a negative size":  {1, strings.Replace(add("x"), `"size":1`, `"size":-1`, 1), nil},
		"deletion vector":  {1, strings.Replace(add("x"), `"size":1`, `"size":1,"deletionVector":{"a":1}`, 1), nil},
		"bad schema":       {1, `{"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":"[]"}}`, nil},
		"no schema":        {0, `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`, nil},
		"reader features":  {1, `{"protocol":{"minReaderVersion":3,"minWriterVersion":7}}`, ErrProtocol},
		"a newer writer":   {1, `{"protocol":{"minReaderVersion":1,"minWriterVersion":4}}`, ErrProtocol},
		"append-only":      {0, change(`"configuration":{`, `"configuration":{"delta.appendOnly":"true",`), ErrProtocol},
		"an invariant":     {0, change(`\"metadata\":{}`, `\"metadata\":{\"delta.invariants\":\"x\"}`), ErrProtocol},
		"values not NULL":  {0, change(`\"nullable\":true`, `\"nullable\":false`), ErrProtocol},
		"a later version":  {3, add("x"), nil},
		"not even a table": {0, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := openWith(t, s, filepath.Join(log, commitName(int64(test.version))), test.content)
			_, damaged := errors.AsType[*LogError](err)
			if test.want == nil && !damaged || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("opened with %v", err)
			}
			if err != nil && len(err.Error()) > 800 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
	if _, err := Open(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// openWith opens a table while a file has another content, and returns the error.
func openWith(t *testing.T, s Store, file, content string) error {
	before, missing := os.ReadFile(file)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	_, result := Open(t.Context(), s)
	err := os.Remove(file)
	if err == nil && missing == nil {
		err = os.WriteFile(file, before, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestDamagedCheckpoint changes bytes of the latest checkpoint: the table is read from earlier
// files, or as it was.
func TestDamagedCheckpoint(t *testing.T) {
	s, dir := newFolder(t)
	table := create(t, s)
	for n := range 20 {
		commit(t, table, Change{Add: []File{window(n, 0)}})
		checkpoint(t, table)
	}
	file := filepath.Join(dir, LogFolder, checkpointName(20))
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rejected := 0
	for n := 0; n < len(good); n += 1 + len(good)/500 {
		bad := bytes.Clone(good)
		bad[n] ^= 0x10
		if _, err := decodeCheckpointSafely(bad); err != nil {
			rejected++
		}
	}
	if rejected == 0 {
		t.Error("no damage was noticed")
	}
	for _, content := range [][]byte{nil, []byte("PAR1"), good[:len(good)/2], good[1:]} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		other, err := Open(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		same(t, other.Snapshot(), table.Snapshot())
	}
	hint := filepath.Join(dir, LogFolder, lastCheckpointName)
	if err := os.WriteFile(hint, []byte(`{"version":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := Open(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	same(t, other.Snapshot(), table.Snapshot())
}

// decodeCheckpointSafely reads a checkpoint as readCheckpoint does.
func decodeCheckpointSafely(content []byte) (s Snapshot, err error) {
	return (&Table{store: contentStore{content: content}}).readCheckpoint(context.Background(), 1)
}

// contentStore has one content for every name.
type contentStore struct {
	Store
	content []byte
}

func (c contentStore) read(context.Context, string, int64) ([]byte, error) { return c.content, nil }
