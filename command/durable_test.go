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

// Sizes of the durability tests. The defaults suit every test run; continuous
// integration uses larger ones.
var (
	chunks = flag.Int("chunks", 20, "number of hours exported while the process is killed")
	kills  = flag.Int("kills", 3, "least number of kills; at most three times as many")
	pace   = flag.Bool("pace", false, "measure how long 500 exports of two seconds take")
	memory = flag.Int("memory", 0, "hours of the bulk export whose memory is measured")
	seed   = flag.Uint64("kill-seed", 0, "seed of the times of the kills; 0: random")
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

// TestKillLoop kills the program at random times. The sandbox answers creates late,
// so that many kills happen during a create.
func TestKillLoop(t *testing.T) {
	t.Parallel()
	program := build(t)
	for _, kind := range []string{"sqlite", "postgres", "hostile"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			j := &job{dir: t.TempDir(), hours: *chunks, density: "600"}
			options := []string{
				"--density", "600", "--op-time", "200ms", "--slots", "50", "--rate", "200", "--burst", "400",
			}
			switch kind {
			case "postgres":
				j.database = database(t)
			case "hostile":
				j.hours /= 3 // a hostile sandbox is slower
				options = append(options, "--profile", "hostile")
			}
			j.world = newWorld(t, program, options...)
			if kind != "hostile" {
				j.faults(`{"create_delay":"150ms"}`)
			}
			j.killLoop()
			j.check(kind == "hostile")
			if kind != "hostile" {
				j.exportedOnce()
			}
			if kind != "postgres" {
				j.integrity()
			}
		})
	}
}

// killLoop runs the job to its end, with at least -kills kills.
func (j *job) killLoop() {
	t := j.t
	t.Helper()
	began := time.Now()
	killed := j.killUntilDone(randomSource(t), 3**kills, func() {})
	b := j.books()
	t.Logf("%d kills in %v, %d exports accepted of %d windows, %.2f requests a chunk",
		killed, time.Since(began).Round(time.Second), b.CreatesAccepted, b.Windows, float64(b.Requests)/float64(j.hours))
	if killed < *kills {
		t.Errorf("%d kills, want %d at least: take more -chunks", killed, *kills)
	}
}

// exportedOnce checks that Fullstory accepted one export of each window, and one
// more for each candidate operation that had an empty file.
func (j *job) exportedOnce() {
	j.t.Helper()
	if b := j.books(); b.Windows != j.hours || b.CreatesAccepted > j.hours+j.emptyFound() {
		j.t.Errorf("Fullstory accepted %d exports of %d windows, want %d of each, and %d that were found empty",
			b.CreatesAccepted, b.Windows, j.hours, j.emptyFound())
	}
}

// integrity runs SQLite's own check of the ledger.
func (j *job) integrity() {
	j.t.Helper()
	db, err := openLedger(j.dir)
	if err != nil {
		j.t.Fatal(err)
	}
	defer db.Close()
	var says string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&says); err != nil || says != "ok" {
		j.t.Errorf("integrity check: %q, %v", says, err)
	}
}

// TestTakeover kills the working one of two processes on one folder. The other must
// take over.
func TestTakeover(t *testing.T) {
	t.Parallel()
	j := &job{dir: t.TempDir(), hours: 30}
	j.world = newWorld(t, build(t), "--density", "60", "--op-time", "200ms")
	j.faults(`{"create_delay":"100ms"}`)
	first := j.start()
	j.awaitStored(3)
	second := j.start()
	j.awaitStored(8)
	first.Process.Kill()
	first.Wait()
	killed := time.Now()
	j.awaitStored(j.stored() + 1)
	t.Logf("taken over in %v", time.Since(killed).Round(10*time.Millisecond))
	if err := second.Wait(); err != nil {
		t.Errorf("the second process: %v\n%s", err, lastLines(j.stderr.String(), 20))
	}
	if n := j.stored(); n != j.hours {
		t.Errorf("%d files, want %d", n, j.hours)
	}
}

// TestReplicas runs three processes on one PostgreSQL and one folder. The
// leaseholder is killed; the next leaseholder is suspended for longer than a lease
// lives, and then resumed.
func TestReplicas(t *testing.T) {
	t.Parallel()
	j := &job{dir: t.TempDir(), hours: max(*chunks, 150), density: "600", database: database(t)}
	j.world = newWorld(t, build(t), "--density", "600", "--op-time", "200ms", "--slots", "10", "--rate", "20",
		"--burst", "40")
	j.faults(`{"create_delay":"150ms"}`)
	replicas := map[int]*exec.Cmd{}
	for range 3 {
		c := j.start()
		replicas[c.Process.Pid] = c
	}
	j.awaitStored(5)
	dead := replicas[j.leader()]
	dead.Process.Kill()
	dead.Wait()
	delete(replicas, dead.Process.Pid)
	j.awaitStored(j.stored() + 5)
	stopped := replicas[j.leader()]
	stopped.Process.Signal(syscall.SIGSTOP)
	began := time.Now()
	j.awaitStored(j.stored() + 5)
	t.Logf("taken over from a suspended process in %v", time.Since(began).Round(time.Second))
	time.AfterFunc(25*time.Second-time.Since(began), func() { stopped.Process.Signal(syscall.SIGCONT) })
	for pid, c := range replicas {
		if err := c.Wait(); err != nil {
			t.Errorf("replica %d: %v\n%s", pid, err, lastLines(j.stderr.String(), 20))
		}
	}
	b := j.books()
	t.Logf("%d exports accepted of %d windows, %d cancelled, at most %d ran, %d of %d requests throttled",
		b.CreatesAccepted, b.Windows, b.Cancels, b.RunningMax, b.Throttled, b.Requests)
	if b.Windows != j.hours || b.CreatesAccepted > j.hours+b.Cancels+j.emptyFound() {
		t.Errorf("Fullstory accepted %d exports of %d windows, want %d of each", b.CreatesAccepted, b.Windows, j.hours)
	}
	if b.Throttled > b.Requests/20 {
		t.Errorf("%d of %d requests were throttled: the replicas do not share a rate limit", b.Throttled, b.Requests)
	}
	j.check(false)
}

// leader returns the process id of the leaseholder, as the ledger has it.
func (j *job) leader() (pid int) {
	j.t.Helper()
	db, err := sql.Open("pgx", j.database)
	if err != nil {
		j.t.Fatal(err)
	}
	defer db.Close()
	var holder string
	if err := db.QueryRow("SELECT holder FROM leases").Scan(&holder); err != nil {
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

// awaitStored waits until a number of files is stored.
func (j *job) awaitStored(n int) {
	j.t.Helper()
	for end := time.Now().Add(patience); j.stored() < min(n, j.hours); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			j.t.Fatalf("%d files after %v, want %d\n%s", j.stored(), patience, n, lastLines(j.stderr.String(), 20))
		}
	}
}

// TestPace exports 500 windows of two seconds each through ten slots. The program
// must find that number out; 100 s is the ideal.
func TestPace(t *testing.T) {
	if !*pace {
		t.Skip("takes two minutes; run with -pace")
	}
	j := &job{dir: t.TempDir(), hours: 500}
	j.world = newWorld(t, build(t), "--density", "600", "--op-time", "2s", "--slots", "10", "--rate", "20",
		"--burst", "40")
	began := time.Now()
	j.finish()
	took, b := time.Since(began), j.books()
	t.Logf("%v, %.3f of the ideal 100 s; %.2f requests a chunk; %d throttled", took, took.Seconds()/100,
		float64(b.Requests)/500, b.Throttled)
	if took > 115*time.Second || b.Requests > 1500 || b.CreatesAccepted != 500 {
		t.Errorf("%v and %d requests for %d exports; want at most 115s and 1500 requests for 500", took, b.Requests,
			b.CreatesAccepted)
	}
}

// TestMemory measures the peak memory of a bulk export of many chunks.
func TestMemory(t *testing.T) {
	if *memory == 0 {
		t.Skip("takes eight minutes; run with -memory 10000 -timeout 20m")
	}
	j := &job{dir: t.TempDir(), hours: *memory}
	j.world = newWorld(t, build(t), "--density", "10", "--op-time", "200ms", "--slots", "60", "--rate", "500",
		"--burst", "1000", "--now", "2028-01-01T00:00:00Z")
	c := j.start()
	most := 0
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case err := <-ended:
			t.Logf("%d chunks, %d kB at most (aim: 100,000)", j.stored(), most)
			if err != nil || most == 0 || most > 180_000 || j.stored() != j.hours {
				t.Errorf("%v; %d files; want at most 180000 kB\n%s", err, j.stored(), lastLines(j.stderr.String(), 20))
			}
			return
		case <-time.After(200 * time.Millisecond):
			most = max(most, residentMost(c.Process.Pid))
		}
	}
}

// residentMost returns the peak resident memory of a process in kB. It returns 0
// on systems other than Linux.
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

// TestInterrupt interrupts `run`, which must pause the export and print how to
// resume it. The same command resumes.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	j := &job{dir: t.TempDir(), hours: 20}
	j.world = newWorld(t, build(t), "--density", fewRows, "--op-time", "500ms")
	c := j.start()
	j.awaitStored(3)
	c.Process.Signal(os.Interrupt)
	c.Process.Signal(os.Interrupt) // timeout(1) delivers each signal twice; it counts once
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("it still runs %v after it was interrupted", patience)
	}
	if code := c.ProcessState.ExitCode(); code != 3 || !strings.Contains(j.stderr.String(), "september is paused, with") ||
		!strings.Contains(j.stderr.String(), "Run the same command to resume it") || j.state() != "paused" {
		t.Errorf("interrupted: exit status %d, stderr:\n%s", code, j.stderr.String())
	}
	j.finish()
	if b := j.books(); b.CreatesAccepted > j.hours+j.emptyFound() {
		t.Errorf("%d exports were accepted, want at most %d", b.CreatesAccepted, j.hours)
	}
	j.check(false)
}
