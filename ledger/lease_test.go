//go:build unix

package ledger

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fleet is a set of replicas that work for the same accounts. It records which replica
// has the lease of which account.
type fleet struct {
	t        testing.TB
	place    string
	accounts []string

	mu      sync.Mutex
	holder  map[string]int // replica by account
	ended   int            // stints that have ended
	changed chan struct{}  // receives after a change of holder
	members map[int]func() // replica to the function that ends it
	next    int            // number of the last replica
}

func newFleet(t testing.TB, accounts int) *fleet {
	t.Helper()
	c := &fleet{
		t: t, place: places(t)["postgres"],
		holder: map[string]int{}, changed: make(chan struct{}, 1), members: map[int]func(){},
	}
	if c.place == "" {
		t.Skip("this test needs PostgreSQL")
	}
	for i := range accounts {
		c.accounts = append(c.accounts, fmt.Sprintf("account-%03d", i))
	}
	t.Cleanup(func() {
		for n := range c.members {
			c.leave(n)
		}
	})
	return c
}

// join adds a replica and returns its number.
func (c *fleet) join() (n int) {
	c.t.Helper()
	l, err := Open(c.t.Context(), c.place)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var leading sync.WaitGroup
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	n = c.next
	for _, account := range c.accounts {
		leading.Go(func() {
			l.Lead(ctx, account, func(ctx context.Context, lease *Lease) { c.work(ctx, n, account, lease) })
		})
	}
	c.members[n] = func() {
		cancel()
		leading.Wait()
		l.Close()
	}
	return n
}

// leave shuts a replica down.
func (c *fleet) leave(n int) {
	c.mu.Lock()
	end := c.members[n]
	delete(c.members, n)
	c.mu.Unlock()
	end()
}

// work is the work of replica n for an account. It fails the test if another replica
// works for the account at the same time, or if the lease has expired.
func (c *fleet) work(ctx context.Context, n int, account string, lease *Lease) {
	c.mu.Lock()
	if other, taken := c.holder[account]; taken {
		c.t.Errorf("replica %d works for %s, and so does %d", n, account, other)
	}
	c.holder[account] = n
	c.mu.Unlock()
	signal(map[chan struct{}]bool{c.changed: true})
	for tick := time.NewTicker(100 * time.Millisecond); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-tick.C:
			if until, ends := lease.ExpiresAt(); !ends || !until.After(time.Now()) {
				c.t.Errorf("replica %d works for %s after the end of its lease", n, account)
			}
			continue
		}
		tick.Stop()
	}
	c.mu.Lock()
	delete(c.holder, account)
	c.ended++
	c.mu.Unlock()
	signal(map[chan struct{}]bool{c.changed: true})
}

// even reports whether every account has a replica, and the replicas differ by at most
// one account or so.
func (c *fleet) even() (even bool, spread map[int]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	spread = map[int]int{}
	for n := range c.members {
		spread[n] = 0
	}
	for _, n := range c.holder {
		spread[n]++
	}
	fair := float64(len(c.accounts)) / float64(len(c.members))
	for _, n := range spread {
		if d := float64(n) - fair; d > 1.5 || d < -1.5 {
			return false, spread
		}
	}
	return len(c.holder) == len(c.accounts) && len(spread) == len(c.members), spread
}

// awaitEven waits until the leases are spread evenly.
func (c *fleet) awaitEven(what string) {
	c.t.Helper()
	c.await(what, func() bool {
		even, _ := c.even()
		return even
	})
}

// await waits until done reports true. It fails after twice soon.
func (c *fleet) await(what string, done func() bool) {
	c.t.Helper()
	began := time.Now()
	end := time.After(2 * soon)
	for !done() {
		select {
		case <-c.changed:
		case <-end:
			_, spread := c.even()
			c.t.Fatalf("%s: spread %v after %v", what, spread, time.Since(began))
		}
	}
	_, spread := c.even()
	c.t.Logf("%s: spread %v after %v", what, spread, time.Since(began).Round(10*time.Millisecond))
}

// stints returns how many stints have ended.
func (c *fleet) stints() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// TestLeasesSpread has replicas join and leave, and breaks the connection of one.
func TestLeasesSpread(t *testing.T) {
	c := newFleet(t, 100)
	first := c.join()
	c.awaitEven("one replica")
	c.join()
	c.join()
	c.awaitEven("three replicas")
	c.join()
	c.awaitEven("a fourth has joined")
	c.leave(first)
	c.awaitEven("the first has left")
	admin := administrator(t, c.place)
	var pid int
	const any = `SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
		WHERE locktype = 'advisory' AND granted AND datname = current_database() ORDER BY random() LIMIT 1`
	if err := admin.QueryRow(any).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	before := c.stints()
	if _, err := admin.Exec("SELECT pg_terminate_backend($1)", pid); err != nil {
		t.Fatal(err)
	}
	c.await("work ends with its connection", func() bool { return c.stints() > before })
	c.awaitEven("one has lost its connection")
}

// administrator opens a connection of its own to the database of a ledger.
func administrator(t testing.TB, place string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", place)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// TestLeasesChurn has replicas join and leave at random: two never work for one account
// at the same time, and none works beyond its lease.
func TestLeasesChurn(t *testing.T) {
	c := newFleet(t, 30)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var members []int
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if len(members) < 2 || len(members) < 5 && random.IntN(2) == 0 {
			members = append(members, c.join())
		} else {
			i := random.IntN(len(members))
			c.leave(members[i])
			members = append(members[:i], members[i+1:]...)
		}
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
	}
	c.awaitEven("in the end")
}

// TestLeasesAtRest measures the load that three idle replicas with 100 accounts put on
// the database.
func TestLeasesAtRest(t *testing.T) {
	c := newFleet(t, 100)
	for range 3 {
		c.join()
	}
	c.awaitEven("three replicas")
	admin := administrator(t, c.place)
	const count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
	var before, after, connections int
	// PostgreSQL counts the statements of an idle connection up to ten seconds late, so
	// those of the start must pass first.
	time.Sleep(11 * time.Second)
	began := time.Now()
	if err := admin.QueryRow(count).Scan(&before); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	if err := admin.QueryRow(count).Scan(&after); err != nil {
		t.Fatal(err)
	}
	const others = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
	if err := admin.QueryRow(others).Scan(&connections); err != nil {
		t.Fatal(err)
	}
	rate := float64(after-before) / time.Since(began).Seconds()
	t.Logf("100 accounts, 3 replicas at rest: %.1f transactions/s, %d connections", rate, connections)
	if rate > 10 {
		t.Errorf("%.1f transactions/s at rest, want at most 10", rate)
	}
	if connections > 12 {
		t.Errorf("%d connections at rest, want at most 12", connections)
	}
}

// replicaVariable names the environment variable that makes the test program a replica.
// Its value is the place of the ledger.
const replicaVariable = "LEDGER_TEST_REPLICA"

// TestReplicaProcess is not a test, but a replica that works for ten accounts until it
// is killed. It prints "+" and the account for each lease that it gets, and "-" and
// the account for each that it loses.
func TestReplicaProcess(t *testing.T) {
	place := os.Getenv(replicaVariable)
	if place == "" {
		t.Skip("other tests run this as a process")
	}
	l := open(t, place)
	var mu sync.Mutex
	var leading sync.WaitGroup
	for i := range 10 {
		leading.Go(func() {
			account := fmt.Sprintf("account-%03d", i)
			say := func(text string) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Println(text)
			}
			l.Lead(context.Background(), account, func(ctx context.Context, _ *Lease) {
				say("+" + account)
				<-ctx.Done()
				say("-" + account)
			})
		})
	}
	leading.Wait()
}

// replica starts a process that runs TestReplicaProcess, and returns the process and
// the lines that it prints.
func replica(t *testing.T, place string) (*os.Process, <-chan string) {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestReplicaProcess$")
	c.Env = append(os.Environ(), replicaVariable+"="+place)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	lines := make(chan string, 1000)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return c.Process, lines
}

// lines waits for n lines that begin with sign.
func lines(t *testing.T, what string, from <-chan string, sign string, n int) {
	t.Helper()
	for n > 0 {
		if strings.HasPrefix(receive(t, what, from), sign) {
			n--
		}
	}
}

// TestLeasesOfTheDead kills one replica, and suspends another for longer than its leases
// last.
func TestLeasesOfTheDead(t *testing.T) {
	c := newFleet(t, 0)
	killed, first := replica(t, c.place)
	lines(t, "the first", first, "+", 10)
	_, second := replica(t, c.place)
	lines(t, "the second gets its share", second, "+", 5)
	began := time.Now()
	if err := killed.Kill(); err != nil {
		t.Fatal(err)
	}
	lines(t, "the second, after the first was killed", second, "+", 5)
	took := time.Since(began)
	t.Logf("the leases of a process that was killed were taken in %v", took.Round(10*time.Millisecond))
	if took > leaseLife/2 {
		t.Errorf("the leases of a process that was killed were taken in %v", took)
	}

	stopped, third := replica(t, c.place)
	lines(t, "the third gets its share", third, "+", 5)
	lines(t, "the second gives it", second, "-", 5)
	began = time.Now()
	if err := stopped.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	lines(t, "the second, after the third was stopped", second, "+", 5)
	took = time.Since(began)
	t.Logf("the leases of a process that hangs were taken in %v", took.Round(10*time.Millisecond))
	if took < leaseLife-beatPause-beatTime || took > leaseLife+2*beatPause {
		t.Errorf("the leases of a process that hangs were taken in %v, want about %v", took, leaseLife)
	}
	if err := stopped.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	lines(t, "the third finds out", third, "-", 5)
	lines(t, "the third gets its share again", third, "+", 5)
}

// raced reports whether the test program was built with the race detector.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// cpu returns the processor time that this process has used.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestSQLiteAtRest measures the processor time of an idle leaseholder, an idle candidate
// and three subscriptions.
func TestSQLiteAtRest(t *testing.T) {
	place := places(t)["sqlite"]
	l, other := open(t, place), open(t, place)
	here, _ := lead(t, l, "a")
	receive(t, "the first candidate", here)
	lead(t, other, "a")
	for _, ledger := range []*Ledger{l, l, other} {
		_, stop := ledger.Changes("a")
		defer stop()
	}
	if raced() {
		t.Skip("the race detector uses more processor time than the limit")
	}
	// What costs at rest costs each time; a busy machine makes some measurements too large.
	share := 1.0
	for try := 0; try < 15 && share > 0.002; try++ {
		began, before := time.Now(), cpu(t)
		time.Sleep(2 * time.Second)
		share = min(share, float64(cpu(t)-before)/float64(time.Since(began)))
	}
	t.Logf("SQLite at rest, two processes in one: %.3f %% of a core", 100*share)
	if share > 0.002 {
		t.Errorf("%.3f %% of a core at rest, want less than 0.1 %% for each of two processes", 100*share)
	}
}

// TestReconnect breaks the connection that listens: work ends with ErrNotLeader, changes
// are signalled after the next connection, and the lease is taken anew.
func TestReconnect(t *testing.T) {
	place := places(t)["postgres"]
	if place == "" {
		t.Skip("this test needs PostgreSQL")
	}
	l := open(t, place)
	changes, stop := l.Changes("a")
	defer stop()
	receive(t, "at first", changes)
	stints, _ := lead(t, l, "a")
	first := receive(t, "the first stint", stints)
	admin := administrator(t, place)
	if _, err := admin.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	receive(t, "work ends with the connection", first.ctx.Done())
	if cause := context.Cause(first.ctx); !errors.Is(cause, ErrNotLeader) {
		t.Errorf("work ended because of %v", cause)
	}
	receive(t, "after the loss of the connection", changes)
	second := receive(t, "the second stint", stints)
	write(t, l, func(t *Tx) error { return t.Holds(second.lease) })
	if err := l.LeadError("a"); err != nil {
		t.Errorf("the leaseholder has an error: %v", err)
	}
}

// TestLed asks whether a process works for an account, before, while and after one does.
func TestLed(t *testing.T) {
	for name, place := range places(t) {
		t.Run(name, func(t *testing.T) {
			l, other := open(t, place), open(t, place)
			led := func(want bool, when string) {
				t.Helper()
				for end := time.Now().Add(soon + leaseLife); ; time.Sleep(20 * time.Millisecond) {
					got, err := other.Led(t.Context(), "a")
					if err != nil {
						t.Fatal(err)
					}
					if got == want {
						return
					} else if time.Now().After(end) {
						t.Fatalf("%s: led %v, want %v", when, got, want)
					}
				}
			}
			led(false, "before")
			ctx, stop := context.WithCancel(t.Context())
			var ended sync.WaitGroup
			ended.Go(func() { l.Lead(ctx, "a", func(ctx context.Context, _ *Lease) { <-ctx.Done() }) })
			led(true, "meanwhile")
			stop()
			ended.Wait()
			led(false, "afterwards")
		})
	}
}

// TestLeadError reports why a candidate cannot get a lease.
func TestLeadError(t *testing.T) {
	all := places(t)
	await := func(l *Ledger, says string) {
		t.Helper()
		lead(t, l, "a")
		for end := time.Now().Add(soon); ; time.Sleep(20 * time.Millisecond) {
			var failed *Error
			if err := l.LeadError("a"); errors.As(err, &failed) && strings.Contains(failed.Message, says) {
				return
			} else if time.Now().After(end) {
				t.Fatalf("%s: %v, want a message with %q", l.Place(), err, says)
			}
		}
	}
	l := open(t, all["sqlite"])
	lock := fmt.Sprintf("%s.worker-%016x", l.place, hashed("a"))
	if err := os.Symlink(filepath.Join(filepath.Dir(lock), "missing", "file"), lock); err != nil {
		t.Fatal(err)
	}
	await(l, "cannot be used")
	if all["postgres"] == "" {
		return
	}
	address, err := url.Parse(all["postgres"])
	if err != nil {
		t.Fatal(err)
	}
	l = open(t, all["postgres"])
	server := administrator(t, os.Getenv(postgresVariable))
	if _, err := server.Exec("ALTER DATABASE " + address.Path[1:] + " ALLOW_CONNECTIONS false"); err != nil {
		t.Fatal(err)
	}
	await(l, "cannot be reached")
}
