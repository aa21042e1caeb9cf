//go:build unix

package command

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
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

// world is a simulated Fullstory of its own process, which survives that of the
// program.
type world struct {
	t       *testing.T
	program string
	url     string
}

func newWorld(t *testing.T, program string, args ...string) *world {
	t.Helper()
	c := exec.Command(program, append([]string{"sandbox", "--addr", "127.0.0.1:0", "--now", "2026-10-20T00:00:00Z", "--state", t.TempDir()}, args...)...)
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

// faults sets what goes wrong.
func (w *world) faults(body string) {
	w.t.Helper()
	r, err := http.Post(w.url+"/sandbox/faults", "application/json", strings.NewReader(body))
	if err != nil || r.StatusCode/100 != 2 {
		w.t.Fatalf("faults: %v, %v", r, err)
	}
	r.Body.Close()
}

// books are what the simulated Fullstory counts.
type books struct {
	Requests        int `json:"requests"`
	CreatesAccepted int `json:"creates_accepted"`
	Windows         int `json:"windows"`
	Cancels         int `json:"cancels"`
	Refused429      int `json:"refused_429"`
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

// job is one bulk export of the command line: so many hours from September on.
type job struct {
	*world
	dir, database string
	hours         int
	said          buffer
	density       string   // of the world; "": 600
	chunk         string   // "": hour
	env           []string // besides
}

var september = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

// start starts the program as `run`.
func (j *job) start() *exec.Cmd {
	j.t.Helper()
	end := september.Add(time.Duration(j.hours) * time.Hour).Format(time.RFC3339)
	c := exec.Command(j.program, "run", "--segment", "everyone", "--from", september.Format(time.RFC3339), "--to", end, "--chunk", cmp.Or(j.chunk, "hour"), "--name", "september", "--dir", j.dir, "--json")
	c.Env = append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect, "FULLSTORY_API_URL="+j.url, "FULLSTORY_EXPORT_DATABASE="+j.database)
	c.Env = append(c.Env, j.env...)
	c.Stderr = &j.said
	if err := c.Start(); err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() { c.Process.Kill() })
	return c
}

// emptyFound returns how often the operation of a create that was cut off was
// found and had an empty file. That proves nothing, so that the window is
// exported once more; a few hours of a night have no rows.
func (j *job) emptyFound() int {
	return strings.Count(j.said.String(), "it is empty, which proves nothing")
}

// finish runs the job to its end.
func (j *job) finish() {
	j.t.Helper()
	if err := j.start().Wait(); err != nil {
		j.t.Fatalf("run: %v\n%s", err, lastLines(j.said.String(), 20))
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// killUntilDone kills the program again and again, at most so often, until it
// has come to its end. before is called before each start.
func (j *job) killUntilDone(random *rand.Rand, most int, before func()) (killed int) {
	j.t.Helper()
	for {
		before()
		c := j.start()
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		var kill <-chan time.Time
		if killed < most {
			kill = time.After(200*time.Millisecond + time.Duration(random.Int64N(int64(1800*time.Millisecond))))
		}
		select {
		case err := <-ended:
			if err != nil {
				j.t.Fatalf("run: %v after %d kills\n%s", err, killed, lastLines(j.said.String(), 20))
			}
			return killed
		case <-kill:
			c.Process.Kill()
			<-ended
			killed++
		}
	}
}

// check compares what is stored with an export of the same range in one piece,
// which Fullstory was asked for by nobody else.
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
		t.Errorf("parts are left: %q", parts)
	}
	if n := len(checked.Manifest.Files); n != j.hours && !halved {
		t.Errorf("%d files, want %d", n, j.hours)
	}
	if c := checked.Manifest.Coverage; len(c.Missing) > 0 || len(c.Settled) != 1 {
		t.Errorf("covered are %v, missing %v", c.Settled, c.Missing)
	}
	counts := map[string]int{}
	for _, f := range checked.Manifest.Files {
		for _, row := range rowsOf(t, filepath.Join(folder, f.Name)) {
			counts[row]++
		}
	}
	want := j.reference()
	if len(want) != len(counts) {
		t.Errorf("%d different rows, want %d", len(counts), len(want))
	}
	wrong := 0
	for row, n := range counts {
		if n != want[row] {
			wrong++
		}
	}
	if wrong > 0 || len(want) == 0 {
		t.Errorf("%d of %d rows are there another number of times than in one export of the whole", wrong, len(want))
	}
}

// reference exports the whole range in one piece from another sandbox of the
// same world.
func (j *job) reference() map[string]int {
	t := j.t
	t.Helper()
	other := newWorld(t, j.program, "--density", cmp.Or(j.density, "600"), "--op-time", "10ms")
	env, args := remoteKey(t, other.url, sandbox.KeyArchitect)
	end := september.Add(time.Duration(j.hours) * time.Hour).Format(time.RFC3339)
	_, d := converse(t, env, args...).export(map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{september.Format(time.RFC3339), end}})
	counts := map[string]int{}
	for _, row := range rowsOf(t, d.Path) {
		counts[row]++
	}
	return counts
}

// rowsOf returns a checksum of each row of a file.
func rowsOf(t *testing.T, path string) (rows []string) {
	t.Helper()
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
		rows = append(rows, hex.EncodeToString(sum[:]))
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return rows
}

// database returns a fresh PostgreSQL database, or skips the test.
func database(t *testing.T) string {
	t.Helper()
	address := os.Getenv(postgresVariable)
	if address == "" {
		t.Skipf("set %s to the address of a server where databases may be made, such as the one that .ci/postgres FOLDER starts", postgresVariable)
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
