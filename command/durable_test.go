//go:build unix

package command

import (
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How long the durable tests are. The defaults are for every test run; those of
// the continuous integration are larger.
var (
	chunks = flag.Int("chunks", 60, "hours exported while the process is killed")
	kills  = flag.Int("kills", 5, "least number of kills; three times as many at most")
	pace   = flag.Bool("pace", false, "measure how long 500 exports of two seconds take")
	memory = flag.Int("memory", 0, "hours of the bulk export whose memory is measured")
	seed   = flag.Uint64("kill-seed", 0, "seed of the moments of the kills; 0: drawn")
)

const postgresVariable = "FULLSTORY_EXPORT_TEST_POSTGRES"

func randomSource(t *testing.T) *rand.Rand {
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	t.Logf("-kill-seed %d", n)
	return rand.New(rand.NewPCG(n, n))
}

// TestKillLoop kills the program at random moments, many of them while an export
// is being created: the simulated Fullstory answers creates late.
func TestKillLoop(t *testing.T) {
	program := build(t)
	for _, kind := range []string{"sqlite", "postgres", "hostile"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			options := []string{"--density", "600", "--op-time", "200ms", "--slots", "50", "--rate", "200", "--burst", "400"}
			if kind == "hostile" {
				options = append(options, "--profile", "hostile")
			}
			j := &job{dir: t.TempDir(), hours: *chunks}
			switch kind {
			case "postgres":
				j.database = database(t)
			case "hostile":
				j.hours /= 3 // each takes longer
			}
			j.world = newWorld(t, program, options...)
			if kind != "hostile" {
				j.faults(`{"create_delay":"150ms"}`)
			}
			began := time.Now()
			killed := j.killUntilDone(randomSource(t), 3**kills, func() {})
			b := j.books()
			t.Logf("%d kills in %v, %d exports accepted of %d windows, %.2f requests a chunk", killed, time.Since(began).Round(time.Second), b.CreatesAccepted, b.Windows, float64(b.Requests)/float64(j.hours))
			if killed < *kills {
				t.Errorf("%d kills, want %d at least: take more -chunks", killed, *kills)
			}
			j.check(kind == "hostile")
			if kind != "hostile" && (b.Windows != j.hours || b.CreatesAccepted > j.hours+j.emptyFound()) {
				t.Errorf("Fullstory accepted %d exports of %d windows, want %d of each, and %d that were found empty", b.CreatesAccepted, b.Windows, j.hours, j.emptyFound())
			}
			if kind != "postgres" {
				j.integrity()
			}
		})
	}
}

// integrity checks the ledger's file.
func (j *job) integrity() {
	j.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(j.dir, ".state", "ledger.db"))
	if err != nil {
		j.t.Fatal(err)
	}
	defer db.Close()
	var says string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&says); err != nil || says != "ok" {
		j.t.Errorf("the ledger is %q, %v", says, err)
	}
}

// TestTakeover kills the process that works while another one looks on, on one
// folder: that goes on within seconds.
func TestTakeover(t *testing.T) {
	t.Parallel()
	j := &job{dir: t.TempDir(), hours: 60}
	j.world = newWorld(t, build(t), "--density", "60", "--op-time", "200ms")
	j.faults(`{"create_delay":"100ms"}`)
	first := j.start()
	j.awaitStored(3, 20*time.Second)
	second := j.start()
	j.awaitStored(8, 20*time.Second)
	first.Process.Kill()
	first.Wait()
	killed := time.Now()
	j.awaitStored(j.stored()+1, 5*time.Second)
	t.Logf("taken over in %v", time.Since(killed).Round(10*time.Millisecond))
	if err := second.Wait(); err != nil {
		t.Errorf("the second: %v\n%s", err, lastLines(j.said.String(), 20))
	}
	if n := j.stored(); n != j.hours {
		t.Errorf("%d files, want %d", n, j.hours)
	}
}

// TestReplicas lets three processes share one PostgreSQL and one folder. The one
// that leads is killed for good; the one that leads then is stopped for longer
// than any lease, and goes on.
func TestReplicas(t *testing.T) {
	t.Parallel()
	j := &job{dir: t.TempDir(), hours: max(*chunks, 150), database: database(t)}
	j.world = newWorld(t, build(t), "--density", "600", "--op-time", "200ms", "--slots", "10", "--rate", "20", "--burst", "40")
	j.faults(`{"create_delay":"150ms"}`)
	replicas := map[int]*exec.Cmd{}
	for range 3 {
		c := j.start()
		replicas[c.Process.Pid] = c
	}
	j.awaitStored(5, 30*time.Second)
	dead := replicas[j.leader()]
	dead.Process.Kill()
	dead.Wait()
	delete(replicas, dead.Process.Pid)
	j.awaitStored(j.stored()+5, 30*time.Second)
	stopped := replicas[j.leader()]
	stopped.Process.Signal(syscall.SIGSTOP)
	began := time.Now()
	j.awaitStored(j.stored()+5, 30*time.Second)
	t.Logf("taken over from a process that hangs in %v", time.Since(began).Round(time.Second))
	time.AfterFunc(25*time.Second-time.Since(began), func() { stopped.Process.Signal(syscall.SIGCONT) })
	for pid, c := range replicas {
		if err := c.Wait(); err != nil {
			t.Errorf("replica %d: %v\n%s", pid, err, lastLines(j.said.String(), 20))
		}
	}
	b := j.books()
	t.Logf("%d exports accepted of %d windows, %d cancelled, %d at most ran, %d of %d requests refused", b.CreatesAccepted, b.Windows, b.Cancels, b.RunningMax, b.Refused429, b.Requests)
	if b.Windows != j.hours || b.CreatesAccepted > j.hours+b.Cancels+j.emptyFound() {
		t.Errorf("Fullstory accepted %d exports of %d windows, want %d of each", b.CreatesAccepted, b.Windows, j.hours)
	}
	if b.Refused429 > b.Requests/20 {
		t.Errorf("%d of %d requests were refused with 429: the replicas do not share a pace", b.Refused429, b.Requests)
	}
	j.check(false)
}

// leader returns the process that leads, by the ledger.
func (j *job) leader() (pid int) {
	j.t.Helper()
	db, err := sql.Open("pgx", j.database)
	if err != nil {
		j.t.Fatal(err)
	}
	defer db.Close()
	var holder string
	if err := db.QueryRow("SELECT holder FROM leaders").Scan(&holder); err != nil {
		j.t.Fatal(err)
	}
	if _, err := fmt.Sscanf(holder, "process-%d-", &pid); err != nil {
		j.t.Fatalf("%q: %v", holder, err)
	}
	return pid
}

func (j *job) stored() int {
	files, _ := filepath.Glob(filepath.Join(j.dir, "september", "*.gz"))
	return len(files)
}

// awaitStored waits until so many files are there.
func (j *job) awaitStored(n int, limit time.Duration) {
	j.t.Helper()
	for end := time.Now().Add(limit); j.stored() < min(n, j.hours); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			j.t.Fatalf("%d files after %v, want %d\n%s", j.stored(), limit, n, lastLines(j.said.String(), 20))
		}
	}
}

// TestPace exports 500 windows of two seconds each through ten slots, which the
// program does not know of: 100 s at best.
func TestPace(t *testing.T) {
	if !*pace {
		t.Skip("takes two minutes; run with -pace")
	}
	j := &job{dir: t.TempDir(), hours: 500}
	j.world = newWorld(t, build(t), "--density", "600", "--op-time", "2s", "--slots", "10", "--rate", "20", "--burst", "40")
	began := time.Now()
	j.finish()
	took, b := time.Since(began), j.books()
	t.Logf("%v, %.3f of the ideal 100 s; %.2f requests a chunk; %d refused", took, took.Seconds()/100, float64(b.Requests)/500, b.Refused429)
	if took > 115*time.Second || b.Requests > 1500 || b.CreatesAccepted != 500 {
		t.Errorf("%v and %d requests for %d exports; want 115s and 1500 at most for 500", took, b.Requests, b.CreatesAccepted)
	}
}

// TestMemory reads the most memory that a bulk export of many chunks took.
func TestMemory(t *testing.T) {
	if *memory == 0 {
		t.Skip("takes eight minutes; run with -memory 10000 -timeout 20m")
	}
	j := &job{dir: t.TempDir(), hours: *memory}
	j.world = newWorld(t, build(t), "--density", "10", "--op-time", "200ms", "--slots", "60", "--rate", "500", "--burst", "1000", "--now", "2028-01-01T00:00:00Z")
	c := j.start()
	most := 0
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case err := <-ended:
			t.Logf("%d chunks, %d kB at most", j.stored(), most)
			if err != nil || most == 0 || most > 150_000 || j.stored() != j.hours {
				t.Errorf("%v; %d files; want at most 150000 kB\n%s", err, j.stored(), lastLines(j.said.String(), 20))
			}
			return
		case <-time.After(200 * time.Millisecond):
			most = max(most, residentMost(c.Process.Pid))
		}
	}
}

// residentMost returns the most memory that a process had, in kB, as Linux
// tells it; 0 elsewhere.
func residentMost(pid int) (kB int) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Sscan(rest, &kB)
		}
	}
	return kB
}

// TestInterrupt stops `run` as a person does: it says how to go on, and the same
// command does.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	j := &job{dir: t.TempDir(), hours: 40}
	j.world = newWorld(t, build(t), "--density", "600", "--op-time", "500ms")
	c := j.start()
	j.awaitStored(3, 20*time.Second)
	c.Process.Signal(os.Interrupt)
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on 10 s after it was interrupted")
	}
	if code := c.ProcessState.ExitCode(); code != 3 || !strings.Contains(j.said.String(), "The same command goes on from here") {
		t.Errorf("interrupted it ends with %d and says:\n%s", code, j.said.String())
	}
	j.finish()
	if b := j.books(); b.CreatesAccepted > j.hours+j.emptyFound() {
		t.Errorf("%d exports were accepted, want %d", b.CreatesAccepted, j.hours)
	}
	j.check(false)
}
