//go:build unix

package command

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/delta"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/sandbox"
)

// outside names a program that polls the Delta table of a folder as well; see
// TestLandingKillLoop.
var outside = flag.String("outside", "", "an outside reader: it gets a folder, and prints a JSON line a poll")

// landingLoop is a sync whose rows land as Parquet files, a Delta table and their copies.
type landingLoop struct {
	t        *testing.T
	program  string
	api      string
	dir      string
	store    *store
	database string        // of the destination
	ahead    time.Duration // of the sandbox's clock
}

// TestLandingKillLoop keeps an hourly sync up to date, each window first before its rows have
// settled and then again, by processes that are killed at any time, while readers poll the Delta
// tables of the folder and of the bucket, and a table of PostgreSQL: each sees whole files, of
// windows that never vanish. At the end all tables have the rows of the exported files.
func TestLandingKillLoop(t *testing.T) {
	t.Parallel()
	l := &landingLoop{t: t, program: build(t), dir: t.TempDir(), store: newStore(t), database: database(t)}
	l.api = fullstory(t, sandbox.Config{Now: time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC), Density: 2000}).URL
	l.run("sync", "add", "visits", "--segment", "everyone", "--every", "hour", "--lag", "0h",
		"--from", "2026-11-10T06:00:00Z", "--table", "delta", "--into", l.database)
	l.run("sync", "run", "visits")
	ctx, stop := context.WithCancel(t.Context())
	readers := l.readers()
	ended := make(chan struct{}, len(readers)+1)
	rows := &loadedTable{t: t, address: l.database}
	go func() { rows.poll(ctx); ended <- struct{}{} }()
	for _, r := range readers {
		go func() { r.poll(ctx); ended <- struct{}{} }()
	}
	watched := l.watchOutside(ctx)
	random, killed := randomSource(t), 0
	for range *kills {
		l.moveOn(time.Duration(1+random.IntN(3)) * time.Hour)
		if l.killed(random) {
			killed++
		}
	}
	l.moveOn(30 * time.Hour)
	l.run("sync", "run", "visits")
	stop()
	for range len(readers) + 1 {
		<-ended
	}
	l.checkTables(readers)
	rows.check(readers[0].rows)
	polls := watched()
	if t.Logf("%d kills; %d polls of the folder saw %d changes, %d of the bucket %d, %d of the database %d; "+
		"%d by an outside reader", killed, readers[0].polls.Load(), readers[0].steps, readers[1].polls.Load(),
		readers[1].steps, rows.polls, rows.steps, polls); killed == 0 {
		t.Error("no process was killed before its end")
	}
}

// command returns a command of the program.
func (l *landingLoop) command(args ...string) *exec.Cmd {
	c := exec.Command(l.program, append(args, "--dir", l.dir, "--api-url", l.api, "--log-level", "warn")...)
	c.Env = append(append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect), l.store.env...)
	return c
}

func (l *landingLoop) run(args ...string) {
	l.t.Helper()
	if out, err := l.command(args...).CombinedOutput(); err != nil {
		l.t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

func (l *landingLoop) moveOn(by time.Duration) {
	l.t.Helper()
	l.ahead += by
	moveClock(l.t, l.api, l.ahead)
}

// killed runs the sync in a process that is killed at a random instant, and reports whether that
// came before its end.
func (l *landingLoop) killed(random *rand.Rand) bool {
	l.t.Helper()
	c := l.command("sync", "run", "visits")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	kill := time.AfterFunc(time.Duration(random.IntN(4000))*time.Millisecond, func() { _ = c.Process.Kill() })
	defer kill.Stop()
	err := c.Wait()
	if err != nil && !strings.Contains(err.Error(), "killed") {
		l.t.Errorf("sync run: %v\n%s", err, out.String())
	}
	return err != nil
}

// landed is a Delta table that is polled.
type landed struct {
	t     *testing.T
	name  string
	open  func(ctx context.Context) (*delta.Table, error)
	read  func(ctx context.Context, path string) ([]byte, error)
	polls atomic.Int64
	steps int // polls that saw another version of the table
	seen  plan.Windows
	rows  map[string]int64 // by window; of the last poll
}

// readers returns readers of the tables of the folder and of the bucket.
func (l *landingLoop) readers() []*landed {
	l.t.Helper()
	folder := filepath.Join(l.dir, "visits", "parquet")
	env := map[string]string{}
	for _, line := range l.store.env {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	m, err := mirror.Open(mirror.Options{
		URL: env["FULLSTORY_EXPORT_MIRROR"], Endpoint: env["FULLSTORY_EXPORT_MIRROR_ENDPOINT"], Region: "us-east-1",
		Getenv: func(name string) string { return env[name] },
	})
	if err != nil {
		l.t.Fatal(err)
	}
	openFolder := func(ctx context.Context) (*delta.Table, error) {
		root, err := os.OpenRoot(folder)
		if err != nil {
			return nil, err
		}
		defer root.Close()
		return delta.Open(ctx, delta.Folder(root))
	}
	return []*landed{
		{t: l.t, name: "folder", open: openFolder, read: func(_ context.Context, path string) ([]byte, error) {
			return os.ReadFile(filepath.Join(folder, path))
		}},
		{t: l.t, name: "bucket", open: func(ctx context.Context) (*delta.Table, error) {
			return delta.Open(ctx, delta.Bucket(m, "visits/parquet"))
		}, read: func(ctx context.Context, path string) ([]byte, error) {
			content, _, err := l.store.get(ctx, "visits/parquet/"+path)
			return content, err
		}},
	}
}

func (d *landed) poll(ctx context.Context) {
	for ctx.Err() == nil {
		if err := d.once(ctx); err != nil && ctx.Err() == nil {
			d.t.Errorf("%s: %v", d.name, err)
			return
		}
		d.polls.Add(1)
	}
}

// once reads the whole table: its files are whole, their windows do not overlap, and none of those
// that were seen before is missing.
func (d *landed) once(ctx context.Context) error {
	table, err := d.open(ctx)
	if err != nil {
		return err
	}
	var windows []plan.Range
	before := d.rows
	d.rows = map[string]int64{}
	for path, f := range table.Snapshot().Files() {
		raw, err := d.read(ctx, path)
		if err != nil {
			return err
		}
		p, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		var stats struct{ NumRecords int64 }
		if err := json.Unmarshal([]byte(f.Stats), &stats); err != nil || stats.NumRecords != p.NumRows() {
			return fmt.Errorf("%s has %d rows, and the log says %s", path, p.NumRows(), f.Stats)
		}
		tag := f.Tags[delta.WindowTag]
		start, end, _ := strings.Cut(tag, "/")
		windows = append(windows, archive.File{Start: start, End: end}.Window())
		d.rows[tag] = p.NumRows()
	}
	now := plan.NewWindows(windows...)
	if missing := d.seen.Without(now); len(missing) > 0 {
		return fmt.Errorf("windows were there and are missing: %v", missing)
	}
	if total := sumOf(windows); total != sumOf(now) {
		return fmt.Errorf("windows overlap: %v", windows)
	}
	d.seen = now
	if before != nil && !maps.Equal(before, d.rows) {
		d.steps++
	}
	return nil
}

func sumOf(ranges []plan.Range) (total time.Duration) {
	for _, r := range ranges {
		total += r.End.Sub(r.Start)
	}
	return total
}

// checkFiles returns the exported files, which verify finds in order. Each window was exported once,
// and once more if its rows have settled since.
func (l *landingLoop) checkFiles() []archive.File {
	l.t.Helper()
	l.run("verify", filepath.Join(l.dir, "visits"))
	replaced := 0
	checked, err := archive.Check(l.t.Context(), filepath.Join(l.dir, "visits"), nil)
	if err != nil || len(checked.Faults) > 0 {
		l.t.Fatalf("%v, %v", checked.Faults, err)
	}
	for _, f := range checked.Manifest.Files {
		if f.Settled != nil {
			replaced++
		}
	}
	if replaced == 0 {
		l.t.Error("no window was exported again")
	}
	creates, windows := accepted(l.t, l.api)
	if files := len(checked.Manifest.Files); windows != files || creates != files+replaced {
		l.t.Errorf("Fullstory accepted %d exports of %d windows, want %d of %d", creates, windows, files+replaced, files)
	}
	return checked.Manifest.Files
}

// checkTables compares the tables with the exported files.
func (l *landingLoop) checkTables(readers []*landed) {
	l.t.Helper()
	files := l.checkFiles()
	for _, d := range readers {
		if err := d.once(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
		if len(d.rows) != len(files) || len(d.rows) < 20 {
			l.t.Errorf("the table of the %s has %d windows of %d", d.name, len(d.rows), len(files))
		}
		for _, f := range files {
			if got := d.rows[f.Start+"/"+f.End]; got != f.Rows {
				l.t.Errorf("%s: %s has %d rows, and its file %d", d.name, f.Name, got, f.Rows)
			}
		}
		if d.steps == 0 {
			l.t.Errorf("the table of the %s did not change while it was polled", d.name)
		}
	}
}

// watchOutside starts the outside reader, if there is one. The function that it returns ends it, and
// returns how often it polled; a line that has an error fails the test.
func (l *landingLoop) watchOutside(ctx context.Context) (polls func() int) {
	l.t.Helper()
	if *outside == "" {
		return func() int { return 0 }
	}
	words := append(strings.Fields(*outside), filepath.Join(l.dir, "visits", "parquet"))
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	lines := make(chan []string, 1)
	go func() {
		raw, _ := io.ReadAll(out)
		_ = c.Wait()
		lines <- strings.Split(strings.TrimSpace(string(raw)), "\n")
	}()
	return func() int {
		all, before := <-lines, int64(0)
		for _, line := range slices.Compact(slices.Clone(all)) {
			var poll struct{ Rows int64 }
			// Rows are only ever added: windows, and rows of windows that settle.
			if err := json.Unmarshal([]byte(line), &poll); err != nil || poll.Rows == 0 || poll.Rows < before {
				l.t.Errorf("the outside reader: %s, after %d rows", line, before)
			}
			before = poll.Rows
		}
		return len(all)
	}
}
