//go:build unix

package command

import (
	"cmp"
	"flag"
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

var figuresRounds = flag.Int("figures", 0,
	"number of rounds in which speed is compared with a bare server of the library; 0: measure no figures")

// figures are measurements, in order.
type figures struct {
	t    *testing.T
	rows []string
}

// add adds a figure with its aim. It fails the test if the figure does not pass.
func (f *figures) add(what, aim string, found float64, unit string, passes bool) {
	f.t.Helper()
	measured := strconv.FormatFloat(found, 'g', 3, 64) + unit
	f.t.Logf("%s: %s (aim: %s)", what, measured, aim)
	f.rows = append(f.rows, strings.Join([]string{what, aim, measured}, "\t"))
	if !passes {
		f.t.Errorf("%s: %s is too far from the aim, %s", what, measured, aim)
	}
}

// TestFigures measures all figures in turn, and prints a table.
func TestFigures(t *testing.T) {
	if *figuresRounds == 0 {
		t.Skip("takes some minutes; run with -figures ROUNDS")
	}
	var rows []string
	t.Run("speed", func(t *testing.T) { rows = append(rows, measureSpeed(t, *figuresRounds).rows...) })
	t.Run("verify", func(t *testing.T) { rows = append(rows, measureCheck(t).rows...) })
	t.Run("SQLite", func(t *testing.T) { rows = append(rows, measureSQLite(t).rows...) })
	t.Run("accounts", func(t *testing.T) {
		rows = append(rows, measureAccounts(t, cmp.Or(*accountsCount, 100), 50, time.Minute).rows...)
	})
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "figure\taim\tmeasured")
	for _, row := range rows {
		fmt.Fprintln(w, row)
	}
	w.Flush()
	t.Logf("\n%s", table.String())
}

var checkSpeed = regexp.MustCompile(`BenchmarkCheck/cores=(\d+)\S*\s.* ([0-9.]+) MB/s`)

// measureCheck compares the verification of a folder by all cores with one core.
func measureCheck(t *testing.T) (all figures) {
	t.Helper()
	all.t = t
	args := []string{"test", "../archive", "-run", "^$", "-bench", "^BenchmarkCheck$", "-benchtime", "3s", "-count", "3"}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("the benchmark of archive: %v\n%s", err, out)
	}
	speeds := map[string][]float64{}
	for _, found := range checkSpeed.FindAllStringSubmatch(string(out), -1) {
		speed, err := strconv.ParseFloat(found[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		speeds[found[1]] = append(speeds[found[1]], speed)
	}
	cores := runtime.GOMAXPROCS(0)
	one, many := median(speeds["1"]), median(speeds[strconv.Itoa(cores)])
	if one == 0 || many == 0 {
		t.Fatalf("the benchmark of archive printed\n%s", out)
	}
	t.Logf("verify: %.0f MB/s, with one core %.0f", many, one)
	ratio := many / one / float64(cores)
	all.add(fmt.Sprintf("verify with %d cores, by core, by one", cores), "at least 0.9", ratio, "", ratio >= 0.6)
	return all
}

// TestSQLiteAtRest measures the CPU time of an idle server.
func TestSQLiteAtRest(t *testing.T) {
	if *accountsCount == 0 {
		t.Skip("takes most of a minute; run with -accounts N")
	}
	measureSQLite(t)
}

// measureSQLite measures the CPU time of a server over half a minute. It has one
// account, whose bulk export is complete.
func measureSQLite(t *testing.T) (all figures) {
	t.Helper()
	all.t = t
	w := newWorld(t, build(t), "--density", "60", "--op-time", "200ms")
	s := newFleet(w, 1, "--dir", t.TempDir()).replicas[0]
	h, err := s.open(t.Context(), newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "PT12H", "name": "september",
		"time_range": window{"2026-09-01", "2026-09-03"},
	}
	if err := callTool(t.Context(), h, "start_bulk_export", request, nil); err != nil {
		t.Fatal(err)
	}
	var status bulkStatus
	for range 3 {
		err := callTool(t.Context(), h, "get_bulk_export", map[string]any{
			"bulk_id": "september", "wait_seconds": 20,
		}, &status)
		if err != nil {
			t.Fatal(err)
		}
		if status.State == "complete" {
			break
		}
	}
	if status.State != "complete" {
		t.Fatalf("the bulk export is %s", status.State)
	}
	time.Sleep(10 * time.Second) // background work of the calls has ended then
	var percents []float64
	for range 5 { // a collection of garbage falls into one of them
		before, began := s.worked(), time.Now()
		time.Sleep(6 * time.Second)
		percents = append(percents, 100*(s.worked()-before).Seconds()/time.Since(began).Seconds())
	}
	percent := median(percents)
	// It is time, not a ratio, and a shared machine may be half as fast as another.
	all.add("CPU of a server on SQLite at rest, of a core", "under 0.1 %", percent, " %", percent < 0.2)
	return all
}

// worked returns the CPU time of the program, user and system, in nanoseconds: a tick of
// /proc is a third of what the program may use in half a minute. It needs Linux.
func (s *served) worked() time.Duration {
	s.t.Helper()
	const scheduled = 2                                   // CPUCLOCK_SCHED of the kernel
	clock := int32(^s.process.Process.Pid<<3 | scheduled) // as clock_getcpuclockid(3) makes it
	var used unix.Timespec
	if err := unix.ClockGettime(clock, &used); err != nil {
		s.t.Skipf("the CPU time of another process is read on Linux only: %v", err)
	}
	return time.Duration(used.Nano())
}
