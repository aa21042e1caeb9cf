//go:build unix

package command

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/sandbox"
)

var accountsCount = flag.Int("accounts", 0,
	"number of accounts that three replicas on PostgreSQL export for, 50 chunks each; 0: six accounts of five chunks")

const (
	// mostAway is the greatest factor between the leases of a replica and an even
	// share.
	mostAway = 1.5
	// spreadTime is the limit until the leases are even after a replica joins or
	// leaves. The program needs a few seconds.
	spreadTime = patience
	// mostStatements (per second) and mostConnections (at once) limit all replicas
	// together at rest.
	mostStatements  = 30
	mostConnections = 40
)

// tenants are accounts behind one API address. Each is a separate sandbox; the key
// of a request selects it.
type tenants struct {
	t      *testing.T
	worlds []*world
	url    string
	chunks int
}

func tenantName(i int) string { return fmt.Sprintf("t%03d", i) }
func tenantKey(i int) string  { return "na1.sandbox-" + tenantName(i) + "/ARCH" }

func newTenants(t *testing.T, program string, n, chunks int) *tenants {
	t.Helper()
	f := &tenants{t: t, chunks: chunks}
	served := map[string]http.Handler{}
	now := time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC)
	for i := range n {
		s, err := sandbox.New(sandbox.Config{
			Org: strings.ToUpper(tenantName(i)), Density: 60, Now: now, Rate: 200, Burst: 400,
		})
		if err != nil {
			t.Fatal(err)
		}
		own := httptest.NewServer(s) // serves the files, whose links bypass the key
		t.Cleanup(func() {
			own.Close()
			s.Close()
		})
		f.worlds = append(f.worlds, &world{t: t, program: program, url: own.URL})
		served["Basic "+tenantKey(i)] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Host = strings.TrimPrefix(own.URL, "http://")
			r.Header.Set("Authorization", "Basic "+sandbox.KeyArchitect)
			s.ServeHTTP(w, r)
		})
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		of := served[r.Header.Get("Authorization")]
		if of == nil {
			http.Error(w, "unknown key", http.StatusUnauthorized)
			return
		}
		of.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	f.url = front.URL
	return f
}

// TestAccounts runs three replicas on one PostgreSQL with many accounts, each with
// a bulk export. One replica leaves and joins meanwhile. Each window must be
// exported once, the leases be spread evenly, and the database be idle at rest.
func TestAccounts(t *testing.T) {
	if *accountsCount > 0 {
		measureAccounts(t, *accountsCount, 50, time.Minute)
		return
	}
	t.Parallel()
	measureAccounts(t, 6, 5, 3*time.Second)
}

func measureAccounts(t *testing.T, n, chunks int, rest time.Duration) (all figures) {
	t.Helper()
	place := database(t)
	all.t = t
	a := newAccountsRun(t, place, n, chunks)
	began := time.Now()
	a.startBulks()
	t.Logf("%d bulk exports of %d chunks were started in %.1f s", n, chunks, time.Since(began).Seconds())
	a.awaitSpread(3)
	a.untilStored(n * chunks / 3)
	if status, took := a.replicas[2].terminate(patience); status != 0 {
		t.Errorf("the replica ended with status %d after %v:\n%s", status, took, lastLines(a.replicas[2].stderr.String(), 20))
	}
	a.checkLog(2)
	a.awaitSpread(2)
	a.untilStored(n * chunks * 2 / 3)
	a.start(2)
	a.awaitSpread(3)
	a.untilStored(n * chunks)
	a.untilComplete()
	t.Logf("all complete after %.1f s", time.Since(began).Seconds())
	a.check()
	atMost := func(n float64) string { return fmt.Sprintf("at most %g", n) }
	all.add("leases of a replica, by an even share, worst", atMost(mostAway), a.worst, "", a.worst <= mostAway)
	all.add("PostgreSQL connections under load", "under 100", float64(a.most), "", a.most < 100)
	statements, connections := a.atRest(rest)
	all.add("PostgreSQL connections at rest", atMost(mostConnections), float64(connections), "",
		connections <= mostConnections)
	if statements >= 0 {
		all.add("PostgreSQL statements at rest", atMost(mostStatements), statements, "/s", statements <= mostStatements)
	}
	for i := range a.replicas {
		a.checkLog(i)
	}
	return all
}

// accountsRun is a fleet that exports for tenants.
type accountsRun struct {
	*fleet
	tenants  *tenants
	sessions []*httpSession
	dir      string
	ledger   *sql.DB // the database of the replicas
	server   *sql.DB // another database of the server, so that the test's own queries do not count
	name     string  // of the database of the replicas
	holders  int     // number of replicas that run
	worst    float64 // greatest factor of spread, except while leases move
	most     int     // most connections at once
}

func newAccountsRun(t *testing.T, place string, n, chunks int) *accountsRun {
	t.Helper()
	program, dir, file := build(t), t.TempDir(), filepath.Join(t.TempDir(), "callers.json")
	a := &accountsRun{tenants: newTenants(t, program, n, chunks), dir: dir}
	var env []string
	tokens := make([]string, n)
	for i := range n {
		var err error
		caller := auth.Caller{Name: "caller-" + tenantName(i), Account: tenantName(i)}
		if tokens[i], _, err = auth.NewToken(file, caller); err != nil {
			t.Fatal(err)
		}
		env = append(env, keyVariable(tenantName(i))+"="+tenantKey(i))
	}
	open := func(address string) *sql.DB {
		db, err := sql.Open("pgx", address)
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1)
		t.Cleanup(func() { db.Close() })
		return db
	}
	a.ledger, a.server = open(place), open(os.Getenv(postgresVariable))
	if err := a.ledger.QueryRow("SELECT current_database()").Scan(&a.name); err != nil {
		t.Fatal(err)
	}
	a.ledger.SetMaxIdleConns(0)
	world := &world{t: t, program: program, url: a.tenants.url}
	a.fleet = newFleetWith(world, 3, env, "--dir", dir, "--database", place, "--callers", file)
	b := &balancer{fleet: a.fleet, next: newHTTPClient(t).Transport}
	for _, token := range tokens {
		h, err := (&served{url: "http://any"}).open(t.Context(), &http.Client{Transport: bearer{token, b}})
		if err != nil {
			t.Fatal(err)
		}
		a.sessions = append(a.sessions, h)
	}
	return a
}

// startBulks starts the bulk exports of all accounts at once.
func (a *accountsRun) startBulks() {
	a.t.Helper()
	end := september.Add(time.Duration(a.tenants.chunks) * time.Hour).Format(time.RFC3339)
	args := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "hour", "name": "september",
		"time_range": window{september.Format(time.RFC3339), end},
	}
	ctx, cancel := context.WithTimeout(a.t.Context(), testLimit)
	defer cancel()
	var starts sync.WaitGroup
	for i, h := range a.sessions {
		starts.Go(func() {
			if err := callTool(ctx, h, "start_bulk_export", args, nil); err != nil {
				a.t.Errorf("%s: %v", tenantName(i), err)
			}
		})
	}
	starts.Wait()
	if a.t.Failed() {
		a.t.FailNow()
	}
}

// spread returns the greatest factor between the leases of a replica and an even
// share among n replicas.
func (a *accountsRun) spread(n int) (factor float64, text string) {
	a.t.Helper()
	rows, err := a.ledger.Query("SELECT count(*) FROM leases GROUP BY holder ORDER BY 1")
	if err != nil {
		a.t.Fatal(err)
	}
	defer rows.Close()
	var held []int
	total := 0
	for rows.Next() {
		var leases int
		if err := rows.Scan(&leases); err != nil {
			a.t.Fatal(err)
		}
		held = append(held, leases)
		total += leases
	}
	if rows.Err() != nil {
		a.t.Fatal(rows.Err())
	}
	even := float64(len(a.sessions)) / float64(n)
	for _, leases := range held {
		factor = max(factor, float64(leases)/even, even/float64(leases))
	}
	if len(held) != n || total != len(a.sessions) {
		factor = 1000 // a replica holds no lease, or an account has no replica
	}
	return factor, fmt.Sprint(held)
}

// awaitSpread waits until the leases are spread among n replicas.
func (a *accountsRun) awaitSpread(n int) {
	a.t.Helper()
	for began := time.Now(); ; {
		factor, held := a.spread(n)
		if factor <= mostAway {
			a.t.Logf("leases among %d replicas after %.1f s: %s", n, time.Since(began).Seconds(), held)
			break
		}
		if time.Since(began) > spreadTime {
			a.t.Fatalf("leases among %d replicas after %v: %s", n, spreadTime, held)
		}
		time.Sleep(100 * time.Millisecond)
	}
	a.holders = n
}

// steadySpread is spread among the present replicas. It gives leases that move just then
// two seconds to arrive.
func (a *accountsRun) steadySpread() (factor float64, held string) {
	for range 20 {
		if factor, held = a.spread(a.holders); factor <= mostAway {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return factor, held
}

// untilStored waits until a number of chunks is stored. It records the spread of
// the leases meanwhile.
func (a *accountsRun) untilStored(chunks int) {
	a.await("SELECT count(*) FROM attempts WHERE state = 'stored'", chunks)
}

// untilComplete waits until all bulk exports are complete.
func (a *accountsRun) untilComplete() {
	a.await("SELECT count(*) FROM bulks WHERE state = 'complete' AND manifest_due = 0", len(a.sessions))
}

func (a *accountsRun) await(count string, want int) {
	a.t.Helper()
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		var n int
		if err := a.ledger.QueryRow(count).Scan(&n); err != nil {
			a.t.Fatal(err)
		}
		a.most = max(a.most, a.connections())
		if factor, held := a.steadySpread(); factor > a.worst {
			a.worst = factor
			a.t.Logf("leases among %d replicas: %s", a.holders, held)
		}
		if n >= want {
			return
		}
		if time.Since(began) > 10*time.Minute {
			a.t.Fatalf("%s: %d of %d after %v", count, n, want, time.Since(began))
		}
	}
}

// connections returns the number of connections of the replicas.
func (a *accountsRun) connections() (n int) {
	a.t.Helper()
	err := a.server.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", a.name).Scan(&n)
	if err != nil {
		a.t.Fatal(err)
	}
	return n
}

// check compares the bulk exports with the creates that the sandboxes accepted.
func (a *accountsRun) check() {
	a.t.Helper()
	chunks := a.tenants.chunks
	for i, w := range a.tenants.worlds {
		var status bulkStatus
		err := callTool(a.t.Context(), a.sessions[i], "get_bulk_export", map[string]any{"bulk_id": "september"}, &status)
		if err != nil || status.State != "complete" || status.Chunks.Stored != chunks {
			a.t.Errorf("%s is %+v, %v", tenantName(i), status, err)
		}
		if b := w.books(); b.CreatesAccepted != chunks || b.Windows != chunks {
			a.t.Errorf("%s: %d exports were accepted of %d windows, want %d of each",
				tenantName(i), b.CreatesAccepted, b.Windows, chunks)
		}
		checked, err := archive.Check(a.t.Context(), filepath.Join(a.dir, tenantName(i), "september"), nil)
		if err != nil || len(checked.Faults) > 0 || len(checked.Manifest.Files) != chunks {
			a.t.Errorf("%s has %d files, %v, %v", tenantName(i), len(checked.Manifest.Files), checked.Faults, err)
		}
	}
}

// checkLog fails the test if replica i logged that the database was unavailable.
func (a *accountsRun) checkLog(i int) {
	a.t.Helper()
	said := a.replicas[i].stderr.String()
	for _, wrong := range []string{"too many clients", "connection slots", "cannot be reached", "is not available"} {
		if strings.Contains(said, wrong) {
			a.t.Errorf("the log of replica %d contains %q:\n%s", i, wrong, lastLines(said, 20))
		}
	}
}

// atRest returns the statements per second of replicas without calls and their
// connections. Statements are counted by pg_stat_statements, BEGIN and COMMIT
// included; -1 means that the extension is not available.
func (a *accountsRun) atRest(rest time.Duration) (statements float64, connections int) {
	a.t.Helper()
	if _, err := a.server.Exec("CREATE EXTENSION IF NOT EXISTS pg_stat_statements"); err != nil {
		a.t.Logf("statements are not counted: %v", err)
		return -1, a.connections()
	}
	before, err := a.statements()
	if err != nil {
		a.t.Logf("statements are not counted: %v", err)
		return -1, a.connections()
	}
	began := time.Now()
	for time.Since(began) < rest {
		connections = max(connections, a.connections())
		time.Sleep(250 * time.Millisecond)
	}
	lasted := time.Since(began).Seconds()
	after, err := a.statements()
	if err != nil {
		a.t.Fatal(err)
	}
	for text, n := range after {
		if n -= before[text]; n > 0 {
			statements += float64(n) / lasted
			a.t.Logf("%6.2f/s %.150s", float64(n)/lasted, strings.Join(strings.Fields(text), " "))
		}
	}
	return statements, connections
}

// statements returns the number of calls of each statement on the ledger's
// database.
func (a *accountsRun) statements() (map[string]int64, error) {
	rows, err := a.server.Query(`SELECT query, sum(calls) FROM pg_stat_statements
		WHERE dbid = (SELECT oid FROM pg_database WHERE datname = $1) GROUP BY query`, a.name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var text string
		var n int64
		if err := rows.Scan(&text, &n); err != nil {
			return nil, err
		}
		counts[text] = n
	}
	return counts, rows.Err()
}
