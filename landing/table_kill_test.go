//go:build unix

package landing

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/delta"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
)

// killedTable names the archive that the child of TestKilledTable converts, and storeVariable the
// S3 store of tests; see .ci/s3.
const (
	killedTable   = "LANDING_TEST_KILLED_TABLE"
	storeVariable = "FULLSTORY_EXPORT_TEST_S3"
	// prefixVariable names the folder in the store.
	prefixVariable = "LANDING_TEST_PREFIX"
)

// testMirror returns the mirror of a folder in the store of tests, nil if there is none.
func testMirror(t *testing.T, prefix string) *mirror.Mirror {
	t.Helper()
	address := os.Getenv(storeVariable)
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	keys := map[string]string{"AWS_ACCESS_KEY_ID": u.User.Username(), "AWS_SECRET_ACCESS_KEY": secret}
	m, err := mirror.Open(mirror.Options{
		URL: "s3:/" + u.Path + "/" + prefix, Endpoint: "http://" + u.Host, Region: "us-east-1",
		Getenv: func(name string) string { return keys[name] },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var tableKills = flag.Int("table-kills", 12, "conversions that TestKilledTable kills")

// tableSource is what TestKilledTable converts.
func (b *bulk) tableSource(m *mirror.Mirror) Source {
	s := Source{Manifest: b.manifest, Open: b.Opener("bulk"), Options: Options{Delta: true}}
	if m != nil {
		s.Copies, s.CopiedTable = m, delta.Bucket(m, "bulk/"+Folder)
	}
	return s
}

// TestKilledTableChild converts a folder for TestKilledTable, which kills it.
func TestKilledTableChild(t *testing.T) {
	dir := os.Getenv(killedTable)
	if dir == "" {
		t.Skip("it is a child of TestKilledTable")
	}
	a, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	source := (&bulk{a, t, archive.Manifest{}}).tableSource(testMirror(t, os.Getenv(prefixVariable)))
	if _, err := ConvertFiles(t.Context(), a, "bulk", source, func(Progress) { fmt.Println("progress") }); err != nil {
		t.Fatal(err)
	}
}

// TestKilledTable kills a conversion of changed files with SIGKILL, again and again, while readers
// poll the Delta tables of the folder and of the bucket: each window has its rows of the version
// before or of the next one, all of them, and never goes back; at the end all are of the last. One
// window is stored as a whole and in halves by turns.
func TestKilledTable(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 3))
	prefix := fmt.Sprintf("landing-%d", seed)
	m := testMirror(t, prefix)
	b := newBulk(t, `{"format":"FORMAT_NDJSON"}`)
	version := 0
	change := func() { version++; b.changeAll(version) }
	change()
	if _, err := ConvertFiles(t.Context(), b.Archive, "bulk", b.tableSource(m), nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	readers := []*tableReader{{name: "folder", b: b, open: func(ctx context.Context) (*delta.Table, error) {
		root, err := os.OpenRoot(b.parquet())
		if err != nil {
			return nil, err
		}
		defer root.Close()
		return delta.Open(ctx, delta.Folder(root))
	}, read: func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(b.parquet(), path)) }}}
	if m != nil {
		readers = append(readers, &tableReader{name: "bucket", b: b, open: func(ctx context.Context) (*delta.Table, error) {
			return delta.Open(ctx, delta.Bucket(m, "bulk/"+Folder))
		}, read: func(path string) ([]byte, error) {
			return m.Get(context.WithoutCancel(ctx), "bulk/"+Folder+"/"+path, 1<<20)
		}})
	}
	ended := make(chan struct{}, len(readers))
	for _, r := range readers {
		go func() { r.poll(ctx); ended <- struct{}{} }()
	}
	unfinished := 0
	for range *tableKills {
		change()
		if b.convertKilled(random, prefix) {
			unfinished++
		}
	}
	if _, err := ConvertFiles(t.Context(), b.Archive, "bulk", b.tableSource(m), nil); err != nil {
		t.Error(err)
	}
	stop()
	for _, r := range readers {
		<-ended
		r.once(t.Context())
		if slices.ContainsFunc(slices.Collect(maps.Values(r.seen)), func(v int64) bool { return v != int64(version) }) {
			t.Errorf("at the end the %s has the versions %v, want %d", r.name, r.seen, version)
		}
		if t.Logf("%s: %d polls saw %d versions, %d kills", r.name, r.polls.Load(), r.steps+1, unfinished); r.steps == 0 {
			t.Error("no poll saw another version")
		}
	}
	if unfinished == 0 {
		t.Error("no kill came before the end of a conversion")
	}
}

// tableRows are the rows of a day in TestKilledTable.
const tableRows = 600

// changeAll stores the next version of each file. In odd versions the third day is in halves.
func (b *bulk) changeAll(version int) {
	b.t.Helper()
	b.m.Files = nil
	row := func(start string) string {
		return fmt.Sprintf(`{"EventStart":"%s","evt_version_int":%d}`+"\n", start, version)
	}
	for day := 1; day <= 6; day++ {
		start, middle, end := fmt.Sprintf("2026-10-%02dT00:00:00Z", day), fmt.Sprintf("2026-10-%02dT12:00:00Z", day),
			fmt.Sprintf("2026-10-%02dT00:00:00Z", day+1)
		if day == 3 && version%2 == 1 {
			b.put(start, middle, strings.Repeat(row(start), tableRows/2))
			b.put(middle, end, strings.Repeat(row(middle), tableRows/2))
			continue
		}
		b.put(start, end, strings.Repeat(row(start), tableRows))
	}
}

// convertKilled converts in a process that is killed at a random instant, and reports whether that
// came before its end.
func (b *bulk) convertKilled(random *rand.Rand, prefix string) (killed bool) {
	b.t.Helper()
	child := exec.Command(os.Args[0], "-test.run", "^TestKilledTableChild$")
	child.Env = append(os.Environ(), killedTable+"="+b.Dir(), prefixVariable+"="+prefix)
	out, err := child.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		b.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range random.IntN(26) {
		lines.Scan()
	}
	// The commit comes after the last line, so the kill comes at a random instant after one.
	kill := time.AfterFunc(time.Duration(random.IntN(40))*time.Millisecond, func() { _ = child.Process.Kill() })
	defer kill.Stop()
	for lines.Scan() {
	}
	return child.Wait() != nil
}

// tableReader polls a Delta table.
type tableReader struct {
	name  string
	b     *bulk
	open  func(ctx context.Context) (*delta.Table, error)
	read  func(path string) ([]byte, error)
	polls atomic.Int64
	seen  map[string]int64 // version of the rows of each day
	steps int              // how often a poll saw another version of a day
}

func (r *tableReader) poll(ctx context.Context) {
	for ctx.Err() == nil && r.once(ctx) {
		r.polls.Add(1)
	}
}

// once reads the whole table and checks it. It returns false if it cannot be read.
func (r *tableReader) once(ctx context.Context) bool {
	table, err := r.open(ctx)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		r.b.t.Errorf("%s: %v", r.name, err)
		return false
	}
	rows, versions, covered := map[string]int{}, map[string]int64{}, []plan.Range(nil)
	for path, f := range table.Snapshot().Files() {
		raw, err := r.read(path)
		if err != nil {
			r.b.t.Errorf("%s: %v", r.name, err)
			return false
		}
		start, end, _ := strings.Cut(f.Tags[delta.WindowTag], "/")
		covered = append(covered, archive.File{Start: start, End: end}.Window())
		day := start[:len("2026-10-01")]
		for _, row := range parquetRows(r.b.t, raw) {
			version := row["evt_version_int"].(int64)
			if old, known := versions[day]; known && old != version {
				r.b.t.Errorf("%s: %s has rows of the versions %d and %d", r.name, day, old, version)
				return false
			}
			versions[day] = version
			rows[day]++
		}
	}
	if whole := plan.NewWindows(covered...); len(whole) != 1 || len(rows) != 6 {
		r.b.t.Errorf("%s: the windows are %v", r.name, whole)
	}
	for day, n := range rows {
		if n != tableRows || versions[day] < r.seen[day] {
			r.b.t.Errorf("%s: %s has %d rows of version %d, after version %d", r.name, day, n, versions[day], r.seen[day])
		}
	}
	if r.seen != nil && !maps.Equal(r.seen, versions) {
		r.steps++
	}
	r.seen = versions
	return true
}
