package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// postgresVariable names the environment variable with the address of a PostgreSQL
// server on which tests may create databases.
const postgresVariable = "FULLSTORY_EXPORT_TEST_POSTGRES"

// places returns the place of a new ledger for each kind of database: "sqlite", and
// "postgres" if there is a server.
func places(t testing.TB) map[string]string {
	t.Helper()
	places := map[string]string{"sqlite": filepath.Join(t.TempDir(), "ledger.db")}
	address := os.Getenv(postgresVariable)
	if address == "" {
		t.Logf("PostgreSQL is skipped: set %s to the address of a server on which databases may be created, "+
			"such as the one that .ci/postgres FOLDER starts", postgresVariable)
		return places
	}
	name := "ledger_" + strings.TrimPrefix(NewID("t"), "t_")
	server, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		server.Close()
	})
	places["postgres"] = strings.Replace(address, "/postgres?", "/"+name+"?", 1)
	return places
}

// asker is the key under which a test's context names who asks.
type asker struct{}

func open(t testing.TB, place string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	l.CallerOf = func(ctx context.Context) string {
		name, _ := ctx.Value(asker{}).(string)
		return name
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestContract runs the same tests on every kind of database.
func TestContract(t *testing.T) {
	t.Parallel()
	all := places(t)
	if place := places(t)["postgres"]; place != "" {
		all["a role without ownership"] = withoutOwnership(t, place)
	}
	for kind, place := range all {
		t.Run(kind, func(t *testing.T) {
			for name, test := range map[string]func(*testing.T, *Ledger, string){
				"Audit": testAudit, "Chain": testChain, "AuditLimit": testAuditLimit, "AuditBounds": testAuditBounds,
				"Sessions": testSessions, "Secrets": testSecrets, "Bulks": testBulks, "Quota": testQuota,
				"ManifestDue": testManifestDue,
				"Attempts":    testAttempts, "Due": testDue, "Operations": testOperations, "Orphans": testOrphans,
				"Cancels": testCancels,
				"Singles": testSingles, "Files": testFiles, "Keys": testKeys, "Quirks": testQuirks, "Limits": testLimits,
				"Leads": testLeads, "LeadReturns": testLeadReturns, "Changes": testChanges,
				"Atomic": testAtomic, "Races": testRaces, "Conversions": testConversions,
				"Syncs": testSyncs, "SyncWindows": testSyncWindows,
			} {
				t.Run(name, func(t *testing.T) { test(t, open(t, place), place) })
			}
			reopened := open(t, place)
			if _, err := reopened.Bulk(t.Context(), "a-bulks", "september"); err != nil {
				t.Errorf("after opening again: %v", err)
			}
		})
	}
}

var noon = time.Date(2026, 10, 1, 12, 0, 0, 123456000, time.UTC)

func write(t testing.TB, l *Ledger, change func(*Tx) error) {
	t.Helper()
	if err := l.Write(t.Context(), change); err != nil {
		t.Fatal(err)
	}
}

func testBulks(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	b := Bulk{
		ID: NewID("bulk"), Account: "a-bulks", Name: "september", Fingerprint: "f", Request: []byte(`{"a":1}`),
		SegmentName: "Émilie’s", Granularity: "day", MaxInFlight: 3, Settle: true, State: BulkRunning, CreatedAt: noon,
		AskedBy: "anna", Trace: "00-1-2-01", Notices: []byte(`[{"code":"x"}]`), Fetch: true, Key: "k", NextAt: noon,
	}
	write(t, l, func(t *Tx) error { return t.AddBulk(b) })
	same := b
	same.ID = NewID("bulk")
	if err := l.Write(ctx, func(t *Tx) error { return t.AddBulk(same) }); !errors.Is(err, ErrConflict) {
		t.Errorf("a second bulk of one name: %v", err)
	}
	other := same
	other.Account = "b-bulks"
	write(t, l, func(t *Tx) error { return t.AddBulk(other) })
	for _, by := range []string{b.ID, b.Name} {
		got, err := l.Bulk(ctx, b.Account, by)
		if diff := cmp.Diff(b, got); diff != "" || err != nil {
			t.Errorf("by %s: %v\n%s", by, err, diff)
		}
	}
	if _, err := l.Bulk(ctx, "b-bulks", b.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("the bulk of another account was returned: %v", err)
	}
	write(t, l, func(t *Tx) error { return t.MoveBulk(b.ID, BulkRunning, BulkPaused, "because", time.Time{}) })
	err := l.Write(ctx, func(t *Tx) error { return t.MoveBulk(b.ID, BulkRunning, BulkComplete, "", noon) })
	if !errors.Is(err, ErrConflict) {
		t.Errorf("a paused bulk was completed: %v", err)
	}
	earlier, later := time.Now().Add(-time.Hour), time.Now().Add(time.Second)
	for began, want := range map[time.Time]error{earlier: ErrConflict, later: nil} {
		write(t, l, func(t *Tx) error { return t.MoveBulk(b.ID, BulkPaused, BulkRunning, "", time.Time{}) })
		if err := l.Write(ctx, func(t *Tx) error { return t.PauseBulk(b.ID, "because", began) }); !errors.Is(err, want) {
			t.Errorf("paused for a failure that began at %v: %v, want %v", began, err, want)
		}
		if want != nil {
			write(t, l, func(t *Tx) error { return t.MoveBulk(b.ID, BulkRunning, BulkPaused, "because", time.Time{}) })
		}
	}
	paused, err := l.Bulks(ctx, "a-bulks", BulkPaused, 0, 10)
	if err != nil || len(paused) != 1 || paused[0].Reason != "because" {
		t.Errorf("paused: %+v, %v", paused, err)
	}
	if rest, err := l.Bulks(ctx, "a-bulks", "", 1, 10); err != nil || len(rest) != 0 {
		t.Errorf("beyond the last: %+v, %v", rest, err)
	}
}

// day adds a bulk export of n chunks of an hour and returns its id.
func day(t testing.TB, l *Ledger, account string, n int) (bulk string) {
	t.Helper()
	b := Bulk{
		ID: NewID("bulk"), Account: account, Name: NewID("n"), Request: []byte("{}"),
		State: BulkRunning, CreatedAt: noon, Fetch: true,
	}
	var attempts []Attempt
	for i := range n {
		start := noon.Add(time.Duration(i) * time.Hour)
		attempts = append(attempts, Attempt{
			Bulk: b.ID, Number: int64(i), Account: account, Start: start, End: start.Add(time.Hour), State: ChunkPlanned,
		})
	}
	write(t, l, func(t *Tx) error {
		if err := t.AddBulk(b); err != nil {
			return err
		}
		return t.AddAttempts(attempts)
	})
	return b.ID
}

// full returns an attempt with a value in every field.
func full(bulk, account string) Attempt {
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	return Attempt{
		Bulk: bulk, Number: 0, Account: account, Start: noon, End: noon.Add(time.Hour), State: ChunkStored,
		Operation: "op=1", SearchExport: "s",
		Candidates: []Candidate{{Operation: "op=1", CreatedAt: at(1)}, {Operation: "é\n", Verdict: Empty}},
		IntentAt:   at(2), CreatedAt: at(3), FinishedAt: at(4), ExpiresAt: at(5),
		Creates: 2, Tries: 3, FailingSince: at(6), Damaged: 1, SearchedAt: at(7), WatchedSince: at(8), NextAt: at(9),
		Reason: "because", Damage: "line 3", Failure: []byte(`{"op":"x"}`),
		Rows: 7, Bytes: 70, StoredAt: at(10), Provisional: true,
	}
}

func testAttempts(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	bulk := day(t, l, "a", 1203)
	count, err := l.Count(ctx, bulk)
	if err != nil || count.By[ChunkPlanned] != 1203 || count.All() != 1203 || count.Left() != 1203 {
		t.Fatalf("counted %+v, %v", count, err)
	}
	a := full(bulk, "a")
	write(t, l, func(t *Tx) error { return t.SaveAttempt(a, ChunkPlanned) })
	if err := l.Write(ctx, func(t *Tx) error { return t.SaveAttempt(a, ChunkPlanned) }); !errors.Is(err, ErrConflict) {
		t.Errorf("the same change twice: %v", err)
	}
	got, err := l.Attempt(ctx, bulk, 0)
	if diff := cmp.Diff(a, got); diff != "" || err != nil {
		t.Errorf("read %v: %s", err, diff)
	}
	write(t, l, func(t *Tx) error {
		got, err := t.Attempt(bulk, 0)
		if diff := cmp.Diff(a, got); diff != "" {
			return errors.New(diff)
		}
		return err
	})
	if _, err := l.Attempt(ctx, bulk, 99999); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown chunk: %v", err)
	}
	count, err = l.Count(ctx, bulk)
	if err != nil || count.Rows != 7 || count.Bytes != 70 || count.Provisional != 1 || count.By[ChunkStored] != 1 {
		t.Errorf("counted %+v, %v", count, err)
	}
	if recent, err := l.Recent(ctx, bulk, 5); err != nil || len(recent) != 1 || !recent[0].Equal(a.StoredAt) {
		t.Errorf("recent: %v, %v", recent, err)
	}
	testSplit(t, l, bulk)
	testMassUpdates(t, l, bulk)
}

func testSplit(t *testing.T, l *Ledger, bulk string) {
	ctx := t.Context()
	a, err := l.Attempt(ctx, bulk, 1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, l, func(t *Tx) error {
		last, err := t.LastNumber(bulk)
		if err != nil {
			return err
		}
		middle := a.Start.Add(30 * time.Minute)
		a.State = ChunkSplit
		if err := t.SaveAttempt(a, ChunkPlanned); err != nil {
			return err
		}
		return t.AddAttempts([]Attempt{
			{Bulk: bulk, Number: last + 1, Account: "a", Start: a.Start, End: middle, State: ChunkPlanned},
			{
				Bulk: bulk, Number: last + 2, Account: "a", Start: middle, End: a.End,
				State: ChunkFailed, Creates: 3, Reason: "because",
			},
		})
	})
	count, err := l.Count(ctx, bulk)
	if err != nil || count.All() != 1204 || count.By[ChunkFailed] != 1 {
		t.Errorf("a split chunk counts as its halves: %+v, %v", count, err)
	}
	if chunks, err := l.Chunks(ctx, bulk, 1, 2, ""); err != nil || len(chunks) != 2 || chunks[0].Number != 1203 {
		t.Errorf("chunks: %+v, %v", chunks, err)
	}
}

// testMassUpdates retries and cancels whole bulk exports; package bulk compares
// them with single transitions.
func testMassUpdates(t *testing.T, l *Ledger, bulk string) {
	ctx := t.Context()
	write(t, l, func(t *Tx) error {
		n, err := t.RetryFailed(bulk, time.Time{})
		if n != 1 {
			return fmt.Errorf("%d were retried, want 1", n)
		}
		return err
	})
	if a, err := l.Attempt(ctx, bulk, 1204); err != nil || a.State != ChunkPlanned || a.Creates != 0 || a.Reason != "" {
		t.Errorf("retried: %+v, %v", a, err)
	}
	var seen int
	if err := l.Stored(ctx, bulk, time.Time{}, func(StoredChunk) error { seen++; return nil }); err != nil || seen != 1 {
		t.Errorf("%d stored chunks were seen, want 1: %v", seen, err)
	}
	write(t, l, func(t *Tx) error { return t.CancelAttempts(bulk) })
	count, err := l.Count(ctx, bulk)
	if err != nil || count.By[ChunkCancelled] != 1203 || count.Left() != 0 || count.By[ChunkStored] != 1 {
		t.Errorf("cancelled: %+v, %v", count, err)
	}
}

func testDue(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	one, other := day(t, l, "a-due", 3), day(t, l, "a-due", 3)
	day(t, l, "b-due", 3)
	next := func(state ChunkState, at time.Time) (due []string) {
		t.Helper()
		attempts, err := l.Next(ctx, "a-due", state, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range attempts {
			due = append(due, fmt.Sprint(map[string]string{one: "one", other: "other"}[a.Bulk], a.Number))
		}
		slices.Sort(due)
		return due
	}
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	expect("at first", next(ChunkPlanned, noon), "one0", "other0")
	a, err := l.Attempt(ctx, one, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.NextAt, a.Reason = noon.Add(time.Minute), "because"
	write(t, l, func(t *Tx) error { return t.SaveAttempt(a, ChunkPlanned) })
	expect("while one waits", next(ChunkPlanned, noon), "one1", "other0")
	expect("when it is due", next(ChunkPlanned, noon.Add(time.Minute)), "one0", "other0")
	expect("after the clock was set back by a day", next(ChunkPlanned, noon.Add(-24*time.Hour)), "one0", "other0")
	if at, err := l.NextDue(ctx, "a-due", ChunkPlanned, noon); err != nil || !at.Equal(a.NextAt) {
		t.Errorf("next due at %v, %v; want %v", at, err, a.NextAt)
	}
	write(t, l, func(t *Tx) error { return t.Pace(one, 2, noon.Add(time.Hour)) })
	expect("while a bulk export must not create", next(ChunkPlanned, noon), "other0")
	write(t, l, func(t *Tx) error { return t.StartWith(one, "key") })
	if b, err := l.Bulk(ctx, "a-due", one); err != nil || b.Key != "key" || b.Rejections != 0 || !b.NextAt.IsZero() {
		t.Errorf("resumed: %+v, %v", b, err)
	}
	write(t, l, func(t *Tx) error { return t.MoveBulk(other, BulkRunning, BulkPaused, "because", time.Time{}) })
	expect("while one is paused", next(ChunkPlanned, noon), "one1")
	expect("in another state", next(ChunkReady, noon))
	a.State = ChunkDownloading
	write(t, l, func(t *Tx) error { return t.SaveAttempt(a, ChunkPlanned) })
	if left, err := l.In(ctx, "a-due", ChunkRunning, ChunkDownloading, 5); err != nil || len(left) != 1 {
		t.Errorf("being fetched: %+v, %v", left, err)
	}
	write(t, l, func(t *Tx) error { return t.TakeOver("a-due") })
	expect("after a take-over", next(ChunkReady, noon.Add(time.Hour)), "one0")
	if waiting, err := l.Retrying(ctx, one, 5); err != nil || len(waiting) != 1 || waiting[0].Reason != "because" {
		t.Errorf("waiting for a retry: %+v, %v", waiting, err)
	}
	testUnsettled(t, l, one)
	testHasWork(t, l)
}

func testHasWork(t *testing.T, l *Ledger) {
	for account, want := range map[string]bool{"a-due": true, "nobody": false} {
		if work, err := l.HasWork(t.Context(), account); err != nil || work != want {
			t.Errorf("%s has work: %v, %v", account, work, err)
		}
	}
}

func testUnsettled(t *testing.T, l *Ledger, bulk string) {
	ctx := t.Context()
	a := full(bulk, "a-due")
	a.Number, a.Start, a.End, a.Reason = 1, noon.Add(time.Hour), noon.Add(2*time.Hour), ""
	write(t, l, func(t *Tx) error { return t.SaveAttempt(a, ChunkPlanned) })
	for settled, want := range map[time.Time]int{noon: 0, a.End: 1} {
		if early, err := l.Unsettled(ctx, bulk, settled, 10); err != nil || len(early) != want {
			t.Errorf("unsettled until %v: %+v, %v", settled, early, err)
		}
	}
	if first, err := l.FirstUnsettled(ctx, bulk); err != nil || !first.Equal(a.End) {
		t.Errorf("the first unsettled ends at %v, %v", first, err)
	}
}

// put records an operation.
func put(t *testing.T, l *Ledger, o Operation) {
	t.Helper()
	write(t, l, func(t *Tx) error { return t.PutOperation(o) })
}

func testOperations(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	bulk := day(t, l, "a-operations", 1)
	o := Operation{Account: "a-operations", ID: "op=1", Bulk: bulk, Fingerprint: "f", CreatedAt: noon}
	put(t, l, o)
	if got, err := l.Operation(ctx, o.Account, "op=1"); err != nil || got.Bulk != bulk || got.Outcome != "" {
		t.Errorf("by id: %+v, %v", got, err)
	}
	for account, id := range map[string]string{"b": "op=1", o.Account: ""} {
		if _, err := l.Operation(ctx, account, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s sees the operation %q: %v", account, id, err)
		}
	}
	if _, err := l.Reusable(ctx, o.Account, "f", noon); err != nil {
		t.Errorf("a running operation is not reusable: %v", err)
	}
	write(t, l, func(t *Tx) error { return t.MarkCancelled(o.Account, "op=1") })
	o.Outcome = OperationFailed
	put(t, l, o)
	if got, err := l.Operation(ctx, o.Account, "op=1"); err != nil || got.Outcome != OperationCancelled {
		t.Errorf("a cancelled operation that failed: %+v, %v", got, err)
	}
	if _, err := l.Reusable(ctx, o.Account, "f", noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("a cancelled operation is reusable: %v", err)
	}
	o.Outcome, o.SearchExport, o.Bulk = OperationCompleted, "s", "another"
	o.FinishedAt, o.ExpiresAt = noon.Add(time.Minute), noon.Add(time.Hour)
	put(t, l, o)
	if got, err := l.Operation(ctx, o.Account, "op=1"); err != nil || got.Bulk != bulk || got.SearchExport != "s" {
		t.Errorf("the chunk of the operation has changed: %+v, %v", got, err)
	}
	for until, want := range map[time.Time]bool{noon: true, noon.Add(time.Hour): false} {
		if _, err := l.Reusable(ctx, o.Account, "f", until); (err == nil) != want {
			t.Errorf("reusable until %v: %v", until, err)
		}
	}
	if took, err := l.Durations(ctx, o.Account, 5); err != nil || len(took) != 1 || took[0] != time.Minute {
		t.Errorf("durations: %v, %v", took, err)
	}
}

func testOrphans(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	const account = "a-orphans"
	bulk := day(t, l, account, 2)
	expect := func(what string, want ...string) {
		t.Helper()
		found, err := l.Orphans(ctx, account, noon, 10)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, o := range found {
			ids = append(ids, o.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: orphans %v, want %v", what, ids, want)
		}
	}
	o := Operation{Account: account, ID: "op=1", Bulk: bulk, CreatedAt: noon}
	put(t, l, o)
	expect("no chunk waits for it", "op=1")
	a, err := l.Attempt(ctx, bulk, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.State, a.Operation = ChunkRunning, "op=1"
	write(t, l, func(t *Tx) error { return t.SaveAttempt(a, ChunkPlanned) })
	expect("a chunk waits for it")
	if n, err := l.InFlight(ctx, account); err != nil || n.All != 1 || n.byBulk[bulk] != 1 || n.byCaller[Local] != 1 {
		t.Errorf("in flight: %v, %v", n, err)
	}
	o.Outcome = OperationCompleted
	put(t, l, o)
	put(t, l, Operation{Account: account, ID: "op=2", Bulk: bulk, Cancels: 1, CancelAt: noon.Add(time.Minute)})
	expect("one has ended, and the next try for the other is not due")
}

func testSingles(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	b := Bulk{
		ID: NewID("export"), Account: "a-singles", Name: "x", Request: []byte("{}"),
		State: BulkRunning, CreatedAt: noon, Single: true,
	}
	write(t, l, func(t *Tx) error { return t.AddBulk(b) })
	if listed, err := l.Bulks(ctx, b.Account, "", 0, 10); err != nil || len(listed) != 0 {
		t.Errorf("a single export is listed: %+v, %v", listed, err)
	}
	if open, err := l.Open(ctx, b.Account); err != nil || len(open) != 0 {
		t.Errorf("a single export is finished as a bulk export: %+v, %v", open, err)
	}
	write(t, l, func(t *Tx) error { return t.RequestFile(b.ID) })
	if got, err := l.Bulk(ctx, b.Account, b.ID); err != nil || !got.Single || !got.Fetch {
		t.Errorf("after RequestFile: %+v, %v", got, err)
	}
}

func testFiles(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	f := File{Account: "a", Folder: "september", Name: "n", Bulk: "bulk", Number: 4, Detail: []byte(`{"rows":1}`)}
	write(t, l, func(t *Tx) error { return t.PutFile(f) })
	f.Detail = []byte(`{"rows":2}`)
	write(t, l, func(t *Tx) error { return t.PutFile(f) })
	var seen []string
	err := l.Files(ctx, "bulk", func(f File) error { seen = append(seen, string(f.Detail)); return nil })
	if err != nil || len(seen) != 1 || seen[0] != `{"rows":2}` {
		t.Errorf("files: %v, %v", seen, err)
	}
	if got, err := l.FileOf(ctx, "bulk", 4); err != nil || got.Name != "n" {
		t.Errorf("file of the chunk: %+v, %v", got, err)
	}
	if _, err := l.FileOf(ctx, "bulk", 5); !errors.Is(err, ErrNotFound) {
		t.Errorf("file of another chunk: %v", err)
	}
}

func testKeys(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	if a, err := l.Account(ctx, "key"); a != "" || err != nil {
		t.Errorf("an unknown key belongs to %q, %v", a, err)
	}
	for _, account := range []string{"a", "b"} {
		if err := l.Remember(ctx, "key", account); err != nil {
			t.Fatal(err)
		}
		if got, err := l.Account(ctx, "key"); got != account || err != nil {
			t.Errorf("the key belongs to %q, %v; want %q", got, err, account)
		}
	}
}

// testQuirks sets, changes and removes what was found about the API of an account.
func testQuirks(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	set := func(account, name, value string) {
		t.Helper()
		if err := l.SetQuirk(ctx, account, name, value); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want map[string]string) {
		t.Helper()
		if got, err := l.Quirks(ctx, "q-account"); err != nil || !maps.Equal(got, want) {
			t.Errorf("the quirks are %v, %v; want %v", got, err, want)
		}
	}
	check(map[string]string{})
	set("q-account", "one", "a")
	set("q-account", "one", "b")
	set("q-account", "two", "c\x00\xff")
	set("q-other", "one", "other")
	check(map[string]string{"one": "b", "two": validText("c\x00\xff")})
	set("q-account", "one", "")
	set("q-account", "none", "")
	check(map[string]string{"two": validText("c\x00\xff")})
}

// testLimits saves the concurrency limit of an account, and has goroutines change its
// shared bucket at once: no change is lost, and the limit stays.
func testLimits(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	if w, err := l.ConcurrencyLimit(ctx, "new"); w != "" || err != nil {
		t.Errorf("concurrency limit of a new account: %q, %v", w, err)
	}
	if err := l.SaveConcurrencyLimit(ctx, "new", "{}"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := l.ChangeSharedBucket(ctx, "new", func(now time.Time, bucket string) string {
				if d := time.Since(now); d < -time.Minute || d > time.Minute {
					t.Errorf("the clock of the ledger is off by %v", d)
				}
				return bucket + "x"
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if kept, err := l.SharedBucket(ctx, "new"); len(kept) != 20 || err != nil {
		t.Errorf("20 changes left %q, %v", kept, err)
	}
	if kept, err := l.SharedBucket(ctx, "other"); kept != "" || err != nil {
		t.Errorf("an account without a bucket has %q, %v", kept, err)
	}
	l.ChangeSharedBucket(ctx, "new", func(_ time.Time, bucket string) string {
		if len(bucket) != 20 {
			t.Errorf("20 changes left %q", bucket)
		}
		return ""
	})
	if w, err := l.ConcurrencyLimit(ctx, "new"); w != "{}" || err != nil {
		t.Errorf("concurrency limit: %q, %v", w, err)
	}
}

// stint is one call of work by Lead.
type stint struct {
	ctx   context.Context
	lease *Lease
}

// lead makes l a candidate for the lease of an account until stop is called. The work
// of each stint lasts as long as its context.
func lead(t testing.TB, l *Ledger, account string) (stints <-chan stint, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	all := make(chan stint, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Lead(ctx, account, func(ctx context.Context, lease *Lease) {
			all <- stint{ctx, lease}
			<-ctx.Done()
		})
	}()
	stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	return all, stop
}

// soon is how long a test waits for an event that comes within seconds.
const soon = 15 * time.Second

// receive returns the next value of a channel, and fails if none comes soon. what
// names the value in the failure.
func receive[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(soon):
		t.Fatalf("%s: nothing in %v", what, soon)
	}
	return v
}

func testLeads(t *testing.T, l *Ledger, place string) {
	other := open(t, place)
	stints, stop := lead(t, l, "a-leads")
	here := receive(t, "the first candidate", stints)
	elsewhere, _ := lead(t, other, "a-leads")
	another, stopAnother := lead(t, other, "b-leads")
	receive(t, "another account", another)
	stopAnother()
	second, stopSecond := lead(t, l, "a-leads") // this process has the lease already
	if until, ends := here.lease.ExpiresAt(); ends && time.Until(until) < leaseLife/2 {
		t.Errorf("a new lease ends in %v", time.Until(until))
	}
	write(t, l, func(t *Tx) error { return t.Holds(here.lease) })
	select {
	case <-elsewhere:
		t.Fatal("two processes have the lease of one account")
	case <-second:
		t.Fatal("one process has the lease of an account twice")
	default:
	}
	if err := l.LeadError("a-leads"); err != nil {
		t.Errorf("the leaseholder has an error: %v", err)
	}
	stopSecond()
	stop()
	if here.ctx.Err() == nil {
		t.Error("work continues after Lead has returned")
	}
	there := receive(t, "the next candidate", elsewhere)
	write(t, other, func(t *Tx) error { return t.Holds(there.lease) })
	if err := l.Write(t.Context(), func(t *Tx) error { return t.Holds(here.lease) }); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a lease is held after its release: %v", err)
	}
}

// testLeadReturns has work return before the lease is lost: Lead calls it once more.
func testLeadReturns(t *testing.T, l *Ledger, _ string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	times := 0
	l.Lead(ctx, "a-returns", func(context.Context, *Lease) {
		if times++; times == 2 {
			cancel()
		}
	})
	if times != 2 {
		t.Errorf("worked %d times, want 2", times)
	}
}

func testChanges(t *testing.T, l *Ledger, place string) {
	other := open(t, place)
	here, stopHere := l.Changes("a-changes")
	defer stopHere()
	there, stopThere := other.Changes("a-changes")
	defer stopThere()
	sessions, stopSessions := other.SessionChanges()
	defer stopSessions()
	for what, changes := range map[string]<-chan struct{}{"here": here, "there": there, "sessions": sessions} {
		receive(t, what+", at first", changes)
	}
	for range 3 {
		write(t, l, func(t *Tx) error {
			if err := t.Wake("a-changes"); err != nil {
				return err
			}
			return t.Note(Entry{Account: "a-changes", Event: Asked})
		})
		receive(t, "here", here)
		receive(t, "in another process", there)
	}
	drain(sessions) // on SQLite, a commit signals all topics in another process
	if err := l.ChangeSession(t.Context(), "a-changed-session", func(string) string { return "{}" }); err != nil {
		t.Fatal(err)
	}
	receive(t, "sessions", sessions)
	// Other tests do not expect that session.
	_, err := l.write.ExecContext(t.Context(), "DELETE FROM sessions WHERE id = $1", "a-changed-session")
	if err != nil {
		t.Fatal(err)
	}
	drain(there)
	none := errors.New("no")
	if err := l.Write(t.Context(), func(t *Tx) error {
		t.Wake("a-changes")
		return none
	}); !errors.Is(err, none) {
		t.Error(err)
	}
	write(t, l, func(t *Tx) error { return t.Wake("b-changes") })
	select {
	case <-here:
		t.Error("the work of another account is announced, or that of a transaction that failed")
	case <-time.After(100 * time.Millisecond):
	}
}

// drain drops the signal of a channel, if it has one.
func drain(changes <-chan struct{}) {
	select {
	case <-changes:
	default:
	}
}

func testAtomic(t *testing.T, l *Ledger, _ string) {
	bulk := day(t, l, "a", 1)
	c, err := l.Attempt(t.Context(), bulk, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.State = ChunkFailed
	err = l.Write(t.Context(), func(t *Tx) error {
		if err := t.SaveAttempt(c, ChunkPlanned); err != nil {
			return err
		}
		return errors.New("no")
	})
	if err == nil || err.Error() != "no" {
		t.Errorf("the error of a change came back as %v", err)
	}
	if c, _ := l.Attempt(t.Context(), bulk, 0); c.State != ChunkPlanned {
		t.Errorf("a change that failed was written: %+v", c)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Write(cancelled, func(*Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled write: %v", err)
	}
}

// testRaces has many goroutines try the same transition: one succeeds.
func testRaces(t *testing.T, l *Ledger, place string) {
	bulk := day(t, l, "a", 1)
	other := open(t, place)
	var mu sync.Mutex
	won := 0
	var all sync.WaitGroup
	for i := range 10 {
		from := []*Ledger{l, other}[i%2]
		all.Go(func() {
			c, err := from.Attempt(t.Context(), bulk, 0)
			if err != nil {
				t.Error(err)
				return
			}
			c.State = ChunkCreating
			err = from.Write(t.Context(), func(t *Tx) error { return t.SaveAttempt(c, ChunkPlanned) })
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, ErrConflict) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d made the transition, want 1", won)
	}
}

// testSecrets has several processes ask at once for a secret without a value.
func testSecrets(t *testing.T, l *Ledger, place string) {
	const processes = 8
	values := make(chan string, processes)
	var others []*Ledger
	for range processes {
		others = append(others, open(t, place))
	}
	var asking sync.WaitGroup
	for n, other := range others {
		asking.Go(func() {
			value, err := other.Secret(t.Context(), "sessions", func() string { return fmt.Sprint("value ", n) })
			if err != nil {
				t.Error(err)
			}
			values <- value
		})
	}
	asking.Wait()
	close(values)
	first := <-values
	for value := range values {
		if value != first || value == "" {
			t.Errorf("one has %q, another %q", first, value)
		}
	}
	if another, err := l.Secret(t.Context(), "another", func() string { return "x" }); err != nil || another != "x" {
		t.Errorf("another secret is %q, %v", another, err)
	}
}

func testSessions(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	if note, err := l.Session(ctx, "s1"); note != "" || err != nil {
		t.Errorf("an unknown session: %q, %v", note, err)
	}
	since, err := l.SessionsSince(ctx, time.Time{}, func(id, _ string) { t.Errorf("%s came without a start", id) })
	if err != nil || time.Since(since).Abs() > time.Minute {
		t.Fatal(since, err)
	}
	var changing sync.WaitGroup
	for range 8 {
		changing.Go(func() {
			if err := l.ChangeSession(ctx, "s1", func(note string) string { return note + "x" }); err != nil {
				t.Error(err)
			}
		})
	}
	changing.Wait()
	if note, err := l.Session(ctx, "s1"); note != "xxxxxxxx" || err != nil {
		t.Errorf("after eight changes at once: %q, %v", note, err)
	}
	notes := map[string]string{}
	next, err := l.SessionsSince(ctx, since, func(id, note string) { notes[id] = note })
	if err != nil || len(notes) != 1 || notes["s1"] != "xxxxxxxx" || next.Before(since) {
		t.Errorf("changed notes: %v, %v", notes, err)
	}
	_, err = l.SessionsSince(ctx, next.Add(time.Hour), func(id, _ string) { t.Errorf("%s came after an hour", id) })
	if err != nil {
		t.Error(err)
	}
}
