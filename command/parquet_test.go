//go:build unix

package command

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/sandbox"
)

// parquetStatus is what a bulk export with Parquet files answers.
type parquetStatus struct {
	bulkStatus
	Provisional int
	Parquet     *struct {
		Folder, State string
		Files         int
		Rows          int64
	}
}

// checkParquet checks that each exported file of a folder has a Parquet file of its content,
// and that no other file is there. It returns the rows of all.
func checkParquet(t *testing.T, folder string) (rows int64) {
	t.Helper()
	checked, err := archive.Check(t.Context(), folder, nil)
	if err != nil || len(checked.Faults) > 0 {
		t.Fatalf("the exported files: %v, %v", checked.Faults, err)
	}
	want, got := map[string]string{}, map[string]string{}
	for _, f := range checked.Manifest.Files {
		base, _, _ := strings.Cut(f.Name, ".")
		want[base+".parquet"] = f.SHA256
	}
	days, err := os.ReadDir(filepath.Join(folder, "parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for _, day := range days {
		if !strings.HasPrefix(day.Name(), "day=") {
			continue
		}
		files, err := os.ReadDir(filepath.Join(folder, "parquet", day.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range files {
			sum, n := parquetSource(t, filepath.Join(folder, "parquet", day.Name(), entry.Name()))
			got[entry.Name()], rows = sum, rows+n
		}
	}
	if !maps.Equal(want, got) || len(want) == 0 {
		t.Errorf("the Parquet files are of %v, want %v", got, want)
	}
	return rows
}

// parquetSource returns the sha256 of the file that a Parquet file was made of, and its rows.
func parquetSource(t *testing.T, path string) (sum string, rows int64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has the mode %v", path, info.Mode())
	}
	f, err := parquet.OpenFile(file, info.Size())
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return "", 0
	}
	sum, _ = f.Lookup("fullstory.source_sha256")
	return sum, f.NumRows()
}

// awaitParquet waits with get_bulk_export until the Parquet files are in a state.
func (c *conversation) awaitParquet(id, state string) (s parquetStatus) {
	c.t.Helper()
	for end := time.Now().Add(patience); ; {
		s = parquetStatus{}
		c.call("get_bulk_export", map[string]any{"bulk_id": id, "wait_seconds": 20}, &s)
		if s.Parquet != nil && s.Parquet.State == state && s.State != "running" {
			return s
		}
		if time.Now().After(end) {
			c.t.Fatalf("no %s Parquet files after %v: %+v", state, patience, s)
		}
	}
}

// TestParquetOfBulk has a model ask for Parquet files: at the start, of an export like that
// one, and of one that has ended.
func TestParquetOfBulk(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-01", "2026-09-04"}, "name": "days",
		"parquet": true,
	}
	var started struct{ Summary, Next, Folder string }
	c.call("start_bulk_export", with(request, map[string]any{"dry_run": true}), &started)
	if want := "Parquet files are made of them, in parquet/ of `folder`"; !strings.Contains(started.Summary, want) {
		t.Errorf("a dry run lacks %q: %s", want, started.Summary)
	}
	c.call("start_bulk_export", request, &started)
	if want := "Parquet files are made of them"; !strings.Contains(started.Summary, want) {
		t.Errorf("the start lacks %q: %s", want, started.Summary)
	}
	s := c.awaitParquet("days", "made")
	if s.State != "complete" || s.Parquet.Files != 3 || s.Parquet.Folder != filepath.Join(s.Folder, "parquet") ||
		s.Parquet.Rows != s.Rows || !strings.Contains(s.Summary, "Its folder parquet has 3 Parquet files with ") {
		t.Errorf("it is %+v, %+v", s, s.Parquet)
	}
	if rows := checkParquet(t, s.Folder); rows != s.Rows {
		t.Errorf("%d rows in Parquet, want %d", rows, s.Rows)
	}

	c.call("start_bulk_export", map[string]any{
		"like_bulk_id": "days", "name": "more", "time_range": window{"2026-09-08", "2026-09-10"},
	}, &started)
	checkParquet(t, c.awaitParquet("more", "made").Folder)

	later := map[string]any{"like_bulk_id": "days", "name": "none", "time_range": "2026-09-20", "parquet": false}
	c.call("start_bulk_export", later, &started)
	s = parquetStatus{}
	for s.State != "complete" {
		c.call("get_bulk_export", map[string]any{"bulk_id": "none", "wait_seconds": 20}, &s)
	}
	if s.Parquet != nil || strings.Contains(s.Summary+started.Summary, "Parquet") {
		t.Errorf("without Parquet: %+v after %+v", s, started)
	}
	later["parquet"] = true
	c.call("start_bulk_export", with(later, map[string]any{"dry_run": true}), &started)
	if want := "Without `dry_run`, Parquet files are made"; !strings.Contains(started.Summary, want) {
		t.Errorf("a dry run of what exists lacks %q: %s", want, started.Summary)
	}
	c.call("start_bulk_export", later, &started)
	checkParquet(t, c.awaitParquet("none", "made").Folder)
	var listed struct{ Bulks []parquetStatus }
	c.call("list_bulk_exports", map[string]any{}, &listed)
	if len(listed.Bulks) != 3 || listed.Bulks[0].Parquet == nil {
		t.Errorf("listed %+v", listed)
	}
}

// TestParquetSurvivesKills kills servers that make the Parquet files of a bulk export: at
// random times, and while a file is being written. The last one completes them.
func TestParquetSurvivesKills(t *testing.T) {
	t.Parallel()
	program := build(t)
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			place := ""
			if kind == "postgres" {
				place = database(t)
			}
			w := newWorld(t, program, "--density", "8000", "--op-time", "100ms")
			dir := t.TempDir()
			serve := func() (*served, *httpSession) {
				c := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--dir", dir, "--api-url", w.url,
					"--log-level", "warn")
				c.Env = append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect, "FULLSTORY_EXPORT_DATABASE="+place)
				s := serveCommandLine(t, c)
				h, err := s.open(t.Context(), newHTTPClient(t))
				if err != nil {
					t.Fatal(err)
				}
				return s, h
			}
			killedAmid := killWhileConverting(t, dir, serve)
			_, h := serve()
			s := awaitMade(t, h)
			rows := checkParquet(t, filepath.Join(dir, "day"))
			if s.Rows != rows || s.Parquet.Files != 6 || s.State != "complete" {
				t.Errorf("%d rows in the files of %+v, %+v", rows, s, s.Parquet)
			}
			if killedAmid == 0 {
				t.Error("no kill came while a Parquet file was being written")
			}
		})
	}
}

// killWhileConverting starts a bulk export in a server and kills that, and those that follow
// it. It returns how many kills left a Parquet file unfinished.
func killWhileConverting(t *testing.T, dir string, serve func() (*served, *httpSession)) (amid int) {
	t.Helper()
	random, most := randomSource(t), 2
	if *full {
		most = 5
	}
	for n := range most {
		s, h := serve()
		if n == 0 {
			err := callTool(t.Context(), h, "start_bulk_export", map[string]any{
				"segment_id": "everyone", "type": "TYPE_EVENT", "name": "day", "chunk": "PT4H",
				"time_range": window{"2026-09-01", "2026-09-02"}, "parquet": true,
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
		}
		if n == 0 {
			time.Sleep(time.Duration(200+random.IntN(1500)) * time.Millisecond)
		} else {
			awaitPart(t, dir)
			time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
		}
		if err := s.process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-s.ended
		if len(unfinishedParquet(dir)) > 0 {
			amid++
		}
	}
	return amid
}

// unfinishedParquet returns the Parquet files of the bulk export day that are being written.
func unfinishedParquet(dir string) []string {
	parts, _ := filepath.Glob(filepath.Join(dir, "day", "parquet", "*", ".*.part"))
	return parts
}

// awaitPart waits until a Parquet file is being written that was not before.
func awaitPart(t *testing.T, dir string) {
	t.Helper()
	before := unfinishedParquet(dir)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		now := unfinishedParquet(dir)
		if len(now) > 0 && !slices.Equal(now, before) {
			return
		}
		if len(now) == 0 {
			before = nil // this process has removed what was left
		}
	}
	t.Errorf("no Parquet file was written within %v", patience)
}

// awaitMade waits until the Parquet files of the bulk export day are made.
func awaitMade(t *testing.T, h *httpSession) (s parquetStatus) {
	t.Helper()
	for end := time.Now().Add(patience); s.Parquet == nil || s.Parquet.State != "made"; {
		s = parquetStatus{}
		err := callTool(t.Context(), h, "get_bulk_export", map[string]any{"bulk_id": "day", "wait_seconds": 20}, &s)
		if err != nil || time.Now().After(end) {
			t.Fatalf("not made after %v: %+v, %v", patience, s, err)
		}
	}
	return s
}

// convertCopies removes the files of the bulk export day from all disks, and has Parquet files
// made of it.
func convertCopies(t *testing.T, ctx context.Context, dirs []string, h *httpSession) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.RemoveAll(filepath.Join(dir, "day")); err != nil {
			t.Fatal(err)
		}
	}
	err := callTool(ctx, h, "start_bulk_export", map[string]any{"like_bulk_id": "day", "parquet": true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := awaitMade(t, h)
	found := 0
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "day", "parquet", "*", "*.parquet"))
		if err != nil {
			t.Fatal(err)
		}
		found += len(files)
		if exported, _ := filepath.Glob(filepath.Join(dir, "day", "*.gz")); len(exported) > 0 {
			t.Errorf("%q were exported again", exported)
		}
	}
	if found != 4 || s.Parquet.Files != 4 || s.Parquet.Rows != s.Rows || len(s.Problems) > 0 {
		t.Errorf("%d Parquet files, want 4: %+v, %+v", found, s, s.Parquet)
	}
}
