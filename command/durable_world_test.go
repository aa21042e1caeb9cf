//go:build unix

package command

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/sandbox"
)

// world is a sandbox in a separate process, which survives kills of the program.
type world struct {
	t       *testing.T
	program string
	url     string
}

func newWorld(t *testing.T, program string, args ...string) *world {
	t.Helper()
	c := exec.Command(program, append([]string{
		"sandbox", "--addr", "127.0.0.1:0", "--now", "2026-10-20T00:00:00Z", "--state", t.TempDir(),
	}, args...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, out)
	return &world{t, program, strings.TrimSpace(strings.TrimPrefix(line, "Simulated Fullstory at "))}
}

// faults sets the faults of the sandbox.
func (w *world) faults(body string) {
	w.t.Helper()
	r, err := http.Post(w.url+"/sandbox/faults", "application/json", strings.NewReader(body))
	if err != nil || r.StatusCode/100 != 2 {
		w.t.Fatalf("faults: %v, %v", r, err)
	}
	r.Body.Close()
}

// books are the counts of the sandbox.
type books struct {
	Requests        int `json:"requests"`
	CreatesAccepted int `json:"creates_accepted"`
	Windows         int `json:"windows"`
	Cancels         int `json:"cancels"`
	Downloads       int `json:"downloads"`
	Throttled       int `json:"refused_429"`
	RunningMax      int `json:"running_max"`
}

func (w *world) books() (b books) {
	w.t.Helper()
	r, err := http.Get(w.url + "/sandbox/stats")
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		w.t.Fatal(err)
	}
	return b
}

// job is one bulk export by `run`, of the first hours of September.
type job struct {
	*world
	dir, database string
	hours         int
	stderr        buffer
	density       string   // of the sandbox; "": fewRows
	chunk         string   // "": hour
	flags         []string // additional
	env           []string // additional
	// killWhen returns a channel that says when to kill a process that was just
	// started; ctx ends with the process. nil: 0.2 to 2 seconds after the start.
	killWhen func(ctx context.Context) <-chan time.Time
}

var september = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

// start starts `run`. The process is killed when the test ends.
func (j *job) start() *exec.Cmd {
	j.t.Helper()
	end := september.Add(time.Duration(j.hours) * time.Hour).Format(time.RFC3339)
	c := exec.Command(j.program, "run", "--segment", "everyone", "--from", september.Format(time.RFC3339), "--to", end,
		"--chunk", cmp.Or(j.chunk, "hour"), "--name", "september", "--dir", j.dir, "--json", "--yes")
	c.Args = append(c.Args, j.flags...)
	c.Env = append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect, "FULLSTORY_API_URL="+j.url,
		"FULLSTORY_EXPORT_DATABASE="+j.database)
	c.Env = append(c.Env, j.env...)
	c.Stderr = &j.stderr
	if err := c.Start(); err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() { c.Process.Kill() })
	return c
}

// emptyFound returns how many candidate operations of interrupted creates had an empty
// file, according to the audit log. An empty file proves nothing, so the window is
// exported once more. Some hours of a night have no rows.
func (j *job) emptyFound() int {
	j.t.Helper()
	c := exec.Command(j.program, "audit", "--dir", j.dir)
	c.Env = append(os.Environ(), "FULLSTORY_EXPORT_DATABASE="+j.database)
	out, err := c.Output()
	if err != nil || len(out) == 0 {
		j.t.Fatalf("audit: %d bytes, %v", len(out), err)
	}
	return strings.Count(string(out), "it is empty, which proves nothing")
}

// finish runs the job, which must succeed.
func (j *job) finish() {
	j.t.Helper()
	if err := j.start().Wait(); err != nil {
		j.t.Fatalf("run: %v\n%s", err, lastLines(j.stderr.String(), 20))
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// killUntilDone starts the program and kills it at random times, at most `most`
// times, until it completes. It calls before ahead of each start, and returns the
// number of kills.
func (j *job) killUntilDone(random *rand.Rand, most int, before func()) (killed int) {
	j.t.Helper()
	for {
		before()
		c := j.start()
		running, stop := context.WithCancel(j.t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Wait(); stop() }()
		var kill <-chan time.Time
		if killed < most {
			kill = time.After(200*time.Millisecond + time.Duration(random.Int64N(int64(1800*time.Millisecond))))
			if j.killWhen != nil {
				kill = j.killWhen(running)
			}
		}
		select {
		case err := <-ended:
			if err != nil {
				j.t.Fatalf("run: %v after %d kills\n%s", err, killed, lastLines(j.stderr.String(), 20))
			}
			return killed
		case <-kill:
			c.Process.Kill()
			<-ended
			killed++
		}
	}
}

// check verifies the folder and compares its rows with one export of the whole
// range. With halved, chunks may have been cut, so that there are more files.
func (j *job) check(halved bool) {
	t := j.t
	t.Helper()
	folder := filepath.Join(j.dir, "september")
	checked, err := archive.Check(t.Context(), folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range checked.Faults {
		t.Errorf("%s %s", f.Name, f.Problem)
	}
	if parts, _ := filepath.Glob(filepath.Join(folder, "*.part*")); len(parts) > 0 {
		t.Errorf("partial files are left: %q", parts)
	}
	if n := len(checked.Manifest.Files); n != j.hours && !halved {
		t.Errorf("%d files, want %d", n, j.hours)
	}
	if c := checked.Manifest.Coverage; len(c.Missing) > 0 || len(c.Settled) != 1 {
		t.Errorf("the manifest covers %v, missing %v", c.Settled, c.Missing)
	}
	// How many more times each row is stored than it is in the reference.
	surplus := map[rowSum]int{}
	for _, f := range checked.Manifest.Files {
		for row := range rowsOf(t, filepath.Join(folder, f.Name)) {
			surplus[row]++
		}
	}
	reference := j.reference()
	want := int64(0)
	for row := range rowsOf(t, reference.Path) {
		surplus[row]--
		want++
	}
	if want != reference.Rows || want == 0 {
		t.Errorf("the reference has %d rows, and its result says %d", want, reference.Rows)
	}
	wrong := 0
	for _, n := range surplus {
		if n != 0 {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d different rows are stored more or fewer times than in one export of the whole range, which has %d rows",
			wrong, want)
	}
}

// reference exports the whole range at once from another sandbox with the same
// data.
func (j *job) reference() downloaded {
	t := j.t
	t.Helper()
	other := newWorld(t, j.program, "--density", cmp.Or(j.density, fewRows), "--op-time", "10ms")
	env, args := remoteKey(t, other.url, sandbox.KeyArchitect)
	end := september.Add(time.Duration(j.hours) * time.Hour).Format(time.RFC3339)
	return converse(t, env, args...).store(map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{september.Format(time.RFC3339), end},
	})
}

// rowSum is the checksum of a row. Files may have millions of rows, so it is short
// and has no pointers.
type rowSum [16]byte

// rowsOf returns the checksums of the rows of a file, in order.
func rowsOf(t *testing.T, path string) iter.Seq[rowSum] {
	t.Helper()
	return func(yield func(rowSum) bool) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		unpacked, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(unpacked)
		for lines.Buffer(nil, 64<<20); lines.Scan(); {
			sum := sha256.Sum256(lines.Bytes())
			if !yield(rowSum(sum[:len(rowSum{})])) {
				return
			}
		}
		if lines.Err() != nil {
			t.Fatal(lines.Err())
		}
	}
}

// database returns a fresh PostgreSQL database, or skips the test.
func database(t *testing.T) string {
	t.Helper()
	address := os.Getenv(postgresVariable)
	if address == "" {
		t.Skipf("set %s to the address of a server where databases may be made, such as the one that .ci/postgres FOLDER "+
			"starts", postgresVariable)
	}
	server, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("run_%d", time.Now().UnixNano())
	if _, err := server.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		server.Close()
	})
	return strings.Replace(address, "/postgres?", "/"+name+"?", 1)
}
