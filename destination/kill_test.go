//go:build unix

package destination

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The variables of the child of TestKilled.
const (
	killedTable = "DESTINATION_TEST_TABLE"
	killedFiles = "DESTINATION_TEST_FILES"
)

// TestKilledChild loads files for TestKilled, which kills it.
func TestKilledChild(t *testing.T) {
	table := os.Getenv(killedTable)
	if table == "" {
		t.Skip("it is a child of TestKilled")
	}
	d := opened(t, address(t))
	fmt.Println("connected")
	files := strings.Split(os.Getenv(killedFiles), "\n")
	if _, err := d.Update(t.Context(), table, filesAt(files...), func(Loaded) { fmt.Println("loaded") }); err != nil {
		t.Fatal(err)
	}
}

const (
	killedDays = 5
	killedRows = 3_000 // of a window
)

// TestKilled kills loads of changed files with SIGKILL, again and again, while another session
// reads: at every time the rows of each window are those of one version of its file, whole.
func TestKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 3))
	s, f := newServer(t), newFolder(t, t.TempDir())
	version := 0
	change := func() []string {
		version++
		for day := 1; day <= killedDays; day++ {
			row := fmt.Sprintf(`{"UserId":%d,"evt_version_int":%d,"PageUrl":"/%d"}`+"\n", day, version, day)
			f.put(day, strings.Repeat(row, killedRows))
		}
		return f.convert()
	}
	d := opened(t, address(t))
	d.update(t, s.table(), change())
	ctx, cancel := context.WithCancel(t.Context())
	polled := make(chan int)
	go func() { polled <- poll(ctx, t, s.table()) }()
	between, within := 0, 0
	for range 15 {
		files := change()
		child := exec.Command(os.Args[0], "-test.run", "^TestKilledChild$")
		child.Env = append(os.Environ(), killedTable+"="+s.table(), killedFiles+"="+strings.Join(files, "\n"))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 1 + random.IntN(killedDays) {
			lines.Scan()
		}
		time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond) // the instant of the kill, after an event
		busy := s.number("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'COPY%" +
			s.schema + "%'")
		_ = child.Process.Kill()
		_ = child.Wait()
		within += min(busy, 1)
		counts, _ := checkWindows(t.Context(), t, s.Conn, s.table())
		if n := counts[version]; n > 0 && n < killedDays {
			between++
		}
	}
	if r := d.update(t, s.table(), f.convert()); r.Rows != killedDays*killedRows {
		t.Errorf("at the end %+v", r)
	}
	if counts, _ := checkWindows(t.Context(), t, s.Conn, s.table()); counts[version] != killedDays {
		t.Errorf("at the end windows by version are %v, want %d of version %d", counts, killedDays, version)
	}
	cancel()
	polls := <-polled
	t.Logf("%d kills while rows were sent, %d between windows, %d polls that saw a window change", within, between, polls)
	if within == 0 || between == 0 || polls == 0 {
		t.Error("the kills or polls came at no interesting time")
	}
}

// poll reads a table until ctx ends, and returns how many reads saw other versions than the one
// before.
func poll(ctx context.Context, t *testing.T, table string) (changes int) {
	conn, err := pgx.Connect(context.Background(), address(t))
	if err != nil {
		t.Error(err)
		return 0
	}
	defer conn.Close(context.Background())
	before := ""
	for ctx.Err() == nil && !stopPolling.Load() {
		counts, err := checkWindows(ctx, t, conn, table)
		if err != nil {
			break
		}
		if now := fmt.Sprint(counts); now != before {
			before = now
			changes++
		}
	}
	return changes - 1
}

// stopPolling ends poll after a failure, of which one is enough.
var stopPolling atomic.Bool

// checkWindows fails unless each window is whole and of one version.
// It returns how many windows have each version.
func checkWindows(ctx context.Context, t *testing.T, conn *pgx.Conn, table string) (map[int]int, error) {
	rows, err := conn.Query(ctx, `SELECT count(*), min(evt_version_int), max(evt_version_int), min(userid), max(userid)
		FROM `+table+" GROUP BY _window")
	counts := map[int]int{}
	windows := 0
	if err == nil {
		var n, first, last, one, other int
		_, err = pgx.ForEachRow(rows, []any{&n, &first, &last, &one, &other}, func() error {
			windows++
			if counts[first]++; n != killedRows || first != last || one != other {
				stopPolling.Store(true)
				t.Errorf("a window has %d rows of the versions %d to %d", n, first, last)
			}
			return nil
		})
	}
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return nil, err
	}
	if windows != killedDays {
		stopPolling.Store(true)
		t.Errorf("%d windows, want %d", windows, killedDays)
	}
	return counts, nil
}
