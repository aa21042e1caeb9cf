package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// postgresVariable names the environment variable with the address of a
// PostgreSQL that tests may make databases in.
const postgresVariable = "FULLSTORY_EXPORT_TEST_POSTGRES"

// places returns a fresh ledger's place on every kind of database.
func places(t testing.TB) map[string]string {
	t.Helper()
	places := map[string]string{"sqlite": filepath.Join(t.TempDir(), "ledger.db")}
	address := os.Getenv(postgresVariable)
	if address == "" {
		t.Logf("PostgreSQL is skipped: set %s to the address of a server where databases may be made, such as the one that .ci/postgres FOLDER starts", postgresVariable)
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

func open(t testing.TB, place string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestContract holds every kind of database to the same promises.
func TestContract(t *testing.T) {
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			for name, test := range map[string]func(*testing.T, *Ledger, string){
				"Audit": testAudit, "Sessions": testSessions, "Secrets": testSecrets, "Bulks": testBulks, "Chunks": testChunks, "Splits": testSplits, "Exports": testExports, "Files": testFiles,
				"Accounts": testAccounts, "Leads": testLeads, "Atomic": testAtomic, "Races": testRaces,
			} {
				t.Run(name, func(t *testing.T) { test(t, open(t, place), place) })
			}
			again := open(t, place)
			if _, err := again.Bulk(t.Context(), "a-bulks", "september"); err != nil {
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
	b := Bulk{ID: NewID("bulk"), Account: "a-bulks", Name: "september", Fingerprint: "f", Request: []byte(`{"a":1}`), Chunk: "day", MaxInFlight: 3, Settle: true, State: BulkRunning, CreatedAt: noon}
	write(t, l, func(t *Tx) error { return t.AddBulk(b) })
	same := b
	same.ID = NewID("bulk")
	if err := l.Write(ctx, func(t *Tx) error { return t.AddBulk(same) }); !errors.Is(err, ErrMoved) {
		t.Errorf("a second bulk of one name: %v", err)
	}
	other := same
	other.Account = "b-bulks"
	write(t, l, func(t *Tx) error { return t.AddBulk(other) })
	for _, by := range []string{b.ID, b.Name} {
		got, err := l.Bulk(ctx, b.Account, by)
		if err != nil || got.ID != b.ID || string(got.Request) != `{"a":1}` || !got.Settle || !got.CreatedAt.Equal(noon) || !got.FinishedAt.IsZero() || got.MaxInFlight != 3 {
			t.Errorf("by %s: %+v, %v", by, got, err)
		}
	}
	if _, err := l.Bulk(ctx, "b-bulks", b.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("the bulk of another account is told: %v", err)
	}
	write(t, l, func(t *Tx) error { return t.MoveBulk(b.ID, BulkRunning, BulkPaused, "because", time.Time{}) })
	if err := l.Write(ctx, func(t *Tx) error { return t.MoveBulk(b.ID, BulkRunning, BulkComplete, "", noon) }); !errors.Is(err, ErrMoved) {
		t.Errorf("a paused bulk was completed: %v", err)
	}
	for began, want := range map[time.Time]error{time.Now().Add(-time.Hour): ErrMoved, time.Now().Add(time.Second): nil} {
		write(t, l, func(t *Tx) error { return t.MoveBulk(b.ID, BulkPaused, BulkRunning, "", time.Time{}) })
		if err := l.Write(ctx, func(t *Tx) error { return t.PauseBulk(b.ID, "because", began) }); !errors.Is(err, want) {
			t.Errorf("paused for what began at %v, before it was set running or after: %v, want %v", began, err, want)
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

// day returns n chunks of an hour of a new bulk export.
func day(t testing.TB, l *Ledger, account string, n int) (bulk string) {
	t.Helper()
	b := Bulk{ID: NewID("bulk"), Account: account, Name: NewID("n"), Request: []byte("{}"), State: BulkRunning, CreatedAt: noon}
	var chunks []Chunk
	for i := range n {
		start := noon.Add(time.Duration(i) * time.Hour)
		chunks = append(chunks, Chunk{Bulk: b.ID, Number: int64(i), Start: start, End: start.Add(time.Hour), State: ChunkPlanned})
	}
	write(t, l, func(t *Tx) error {
		if err := t.AddBulk(b); err != nil {
			return err
		}
		return t.AddChunks(chunks)
	})
	return b.ID
}

func testChunks(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	bulk := day(t, l, "a", 1203)
	count, err := l.Count(ctx, bulk)
	if err != nil || count.By[ChunkPlanned] != 1203 || count.All() != 1203 {
		t.Fatalf("counted %+v, %v", count, err)
	}
	if left, err := l.Left(ctx, bulk); !left || err != nil {
		t.Errorf("nothing is left of 1203 chunks: %v", err)
	}
	due, err := l.Due(ctx, bulk, ChunkPlanned, noon, 2)
	if err != nil || len(due) != 2 || due[0].Number != 0 || due[1].Number != 1 {
		t.Fatalf("due: %+v, %v", due, err)
	}
	c := due[0]
	c.State, c.Export, c.Rows, c.Bytes, c.StoredAt, c.Provisional = ChunkStored, "x", 7, 70, noon, true
	write(t, l, func(t *Tx) error { return t.SaveChunk(c, ChunkPlanned) })
	if err := l.Write(ctx, func(t *Tx) error { return t.SaveChunk(c, ChunkPlanned) }); !errors.Is(err, ErrMoved) {
		t.Errorf("the same change twice: %v", err)
	}
	got, err := l.Chunk(ctx, bulk, 0)
	if err != nil || got != c {
		t.Errorf("read %+v, %v; want %+v", got, err, c)
	}
	later := due[1]
	later.NextAt = noon.Add(time.Minute)
	write(t, l, func(t *Tx) error { return t.SaveChunk(later, ChunkPlanned) })
	for at, want := range map[time.Time]int64{noon: 2, noon.Add(time.Minute): 1, noon.Add(-24 * time.Hour): 1} {
		if due, err := l.Due(ctx, bulk, ChunkPlanned, at, 1); err != nil || len(due) != 1 || due[0].Number != want {
			t.Errorf("due at %v: %+v, %v; want number %d (a clock set back must not hold work up)", at, due, err, want)
		}
	}
	count, err = l.Count(ctx, bulk)
	if err != nil || count.Rows != 7 || count.Bytes != 70 || count.Provisional != 1 || count.By[ChunkStored] != 1 {
		t.Errorf("counted %+v, %v", count, err)
	}
	for settled, want := range map[time.Time]int{noon: 0, c.End: 1, {}: 1} {
		if early, err := l.Unsettled(ctx, bulk, settled, 10); err != nil || len(early) != want {
			t.Errorf("unsettled until %v: %+v, %v", settled, early, err)
		}
	}
	if recent, err := l.Recent(ctx, bulk, 5); err != nil || len(recent) != 1 || !recent[0].Equal(noon) {
		t.Errorf("recent: %v, %v", recent, err)
	}
	page, err := l.Chunks(ctx, bulk, 1, 2, ChunkPlanned, ChunkStored)
	if err != nil || len(page) != 2 || page[0].Number != 1 {
		t.Errorf("page: %+v, %v", page, err)
	}
	write(t, l, func(t *Tx) error {
		_, err := t.MoveChunks(bulk, ChunkCancelled, ChunkPlanned, ChunkReady)
		return err
	})
	if left, err := l.Left(ctx, bulk); left || err != nil {
		t.Errorf("something is left of a cancelled bulk: %v", err)
	}
	if count, _ := l.Count(ctx, bulk); count.By[ChunkCancelled] != 1202 {
		t.Errorf("cancelled: %+v", count)
	}
}

func testSplits(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	bulk := day(t, l, "a", 2)
	c, err := l.Chunk(ctx, bulk, 1)
	if err != nil {
		t.Fatal(err)
	}
	write(t, l, func(t *Tx) error {
		last, err := t.LastNumber(bulk)
		if err != nil {
			return err
		}
		middle := c.Start.Add(30 * time.Minute)
		halves := []Chunk{
			{Bulk: bulk, Number: last + 1, Start: c.Start, End: middle, State: ChunkPlanned},
			{Bulk: bulk, Number: last + 2, Start: middle, End: c.End, State: ChunkFailed, Attempts: 3},
		}
		c.State = ChunkSplit
		if err := t.SaveChunk(c, ChunkPlanned); err != nil {
			return err
		}
		return t.AddChunks(halves)
	})
	count, err := l.Count(ctx, bulk)
	if err != nil || count.All() != 3 || count.By[ChunkPlanned] != 2 {
		t.Errorf("a split chunk counts as its halves: %+v, %v", count, err)
	}
	if chunks, err := l.Chunks(ctx, bulk, 0, 10); err != nil || len(chunks) != 3 || chunks[1].Number != 2 {
		t.Errorf("chunks: %+v, %v", chunks, err)
	}
	write(t, l, func(t *Tx) error {
		n, err := t.ForgiveChunks(bulk)
		if n != 1 {
			return fmt.Errorf("%d were forgiven, want 1", n)
		}
		return err
	})
	if c, err := l.Chunk(ctx, bulk, 3); err != nil || c.State != ChunkPlanned || c.Attempts != 0 {
		t.Errorf("forgiven: %+v, %v", c, err)
	}
}

func testExports(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	e := Export{ID: NewID("export"), Account: "a-exports", Fingerprint: "f", Request: []byte(`{}`), State: ExportCreating, AskedAt: noon, IntentAt: noon}
	write(t, l, func(t *Tx) error { return t.AddExport(e) })
	if _, err := l.Reusable(ctx, e.Account, "f", noon); !errors.Is(err, ErrUnknown) {
		t.Errorf("an intent is reused: %v", err)
	}
	if _, err := l.ByOperation(ctx, e.Account, ""); !errors.Is(err, ErrUnknown) {
		t.Errorf("an export without operation is found by none: %v", err)
	}
	e.State, e.Operation, e.CreatedAt = ExportRunning, "op=1", noon
	write(t, l, func(t *Tx) error { return t.SaveExport(e, ExportCreating) })
	if err := l.Write(ctx, func(t *Tx) error { return t.SaveExport(e, ExportCreating) }); !errors.Is(err, ErrMoved) {
		t.Errorf("the same change twice: %v", err)
	}
	if got, err := l.ByOperation(ctx, e.Account, "op=1"); err != nil || got.ID != e.ID || got.State != ExportRunning {
		t.Errorf("by operation: %+v, %v", got, err)
	}
	if _, err := l.ByOperation(ctx, "b", "op=1"); !errors.Is(err, ErrUnknown) {
		t.Errorf("another account sees the operation: %v", err)
	}
	e.State, e.SearchExport, e.FinishedAt, e.ExpiresAt = ExportCompleted, "s", noon.Add(time.Minute), noon.Add(time.Hour)
	write(t, l, func(t *Tx) error { return t.SaveExport(e, ExportRunning) })
	for good, want := range map[time.Time]bool{noon: true, noon.Add(time.Hour): false} {
		if _, err := l.Reusable(ctx, e.Account, "f", good); (err == nil) != want {
			t.Errorf("reusable until %v: %v", good, err)
		}
	}
	if took, err := l.Durations(ctx, e.Account, 5); err != nil || len(took) != 1 || took[0] != time.Minute {
		t.Errorf("durations: %v, %v", took, err)
	}
	if got, err := l.Exports(ctx, e.Account, ExportCompleted, 5); err != nil || len(got) != 1 || !got[0].ExpiresAt.Equal(e.ExpiresAt) {
		t.Errorf("completed: %+v, %v", got, err)
	}
	e.ID, e.State, e.Operation, e.Bulk = NewID("export"), ExportRunning, "op=2", "bulk"
	write(t, l, func(t *Tx) error { return t.AddExport(e) })
	if shared, err := l.Shared(ctx, e.Account, "op=2"); shared || err != nil {
		t.Errorf("an operation of one export is shared: %v", err)
	}
	again := e
	again.ID, again.Bulk = NewID("export"), ""
	write(t, l, func(t *Tx) error { return t.AddExport(again) })
	if shared, err := l.Shared(ctx, e.Account, "op=2"); !shared || err != nil {
		t.Errorf("an operation of two exports is not shared: %v", err)
	}
	again.State = ExportCancelled
	write(t, l, func(t *Tx) error { return t.SaveExport(again, ExportRunning) })
	if n, err := l.InFlight(ctx, e.Account); err != nil || len(n) != 1 || n["bulk"] != 1 {
		t.Errorf("in flight: %v, %v", n, err)
	}
}

func testFiles(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	f := File{Account: "a", Folder: "september", Name: "n", Bulk: "bulk", Number: 4, Detail: []byte(`{"rows":1}`)}
	write(t, l, func(t *Tx) error { return t.PutFile(f) })
	f.Detail = []byte(`{"rows":2}`)
	write(t, l, func(t *Tx) error { return t.PutFile(f) })
	var seen []string
	if err := l.Files(ctx, "bulk", func(f File) error { seen = append(seen, string(f.Detail)); return nil }); err != nil || len(seen) != 1 || seen[0] != `{"rows":2}` {
		t.Errorf("files: %v, %v", seen, err)
	}
	if got, err := l.FileOf(ctx, "bulk", 4); err != nil || got.Name != "n" {
		t.Errorf("file of the chunk: %+v, %v", got, err)
	}
	if _, err := l.FileOf(ctx, "bulk", 5); !errors.Is(err, ErrUnknown) {
		t.Errorf("file of another chunk: %v", err)
	}
}

func testAccounts(t *testing.T, l *Ledger, _ string) {
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
	if w, err := l.Window(ctx, "new"); w != "" || err != nil {
		t.Errorf("window of a new account: %q, %v", w, err)
	}
	if err := l.SaveWindow(ctx, "new", "{}"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := l.ExchangeBucket(ctx, "new", func(now time.Time, bucket string) string {
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
	l.ExchangeBucket(ctx, "new", func(_ time.Time, bucket string) string {
		if len(bucket) != 20 {
			t.Errorf("20 exchanges left %q", bucket)
		}
		return ""
	})
	if w, err := l.Window(ctx, "new"); w != "{}" || err != nil {
		t.Errorf("window: %q, %v", w, err)
	}
}

func testLeads(t *testing.T, l *Ledger, place string) {
	ctx := t.Context()
	other := open(t, place)
	lead, err := l.Lead(ctx, "a-leads")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Lead(ctx, "a-leads"); !errors.Is(err, ErrLed) {
		t.Fatalf("two lead one account: %v", err)
	}
	if another, err := other.Lead(ctx, "b-leads"); err != nil {
		t.Errorf("another account: %v", err)
	} else if err := another.Release(); err != nil {
		t.Error(err)
	}
	if second, err := l.Lead(ctx, "c-leads"); err != nil {
		t.Errorf("a second account: %v", err)
	} else if err := second.Release(); err != nil {
		t.Error(err)
	}
	if err := lead.Renew(ctx); err != nil {
		t.Error(err)
	}
	write(t, l, func(t *Tx) error { return t.Holds(lead) })
	if err := lead.Release(); err != nil {
		t.Fatal(err)
	}
	next, err := other.Lead(ctx, "a-leads")
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	defer next.Release()
	if _, leased := lead.Until(); !leased {
		return
	}
	if err := l.Write(ctx, func(t *Tx) error { return t.Holds(lead) }); !errors.Is(err, ErrLed) {
		t.Errorf("who lost the lead may still write: %v", err)
	}
	if err := lead.Renew(ctx); !errors.Is(err, ErrLed) {
		t.Errorf("who lost the lead renews it: %v", err)
	}
	// Of a holder that died the connection is gone, and of one that hangs the
	// lease ends.
	next.letGo()
	if third, err := l.Lead(ctx, "a-leads"); err != nil {
		t.Errorf("a dead process still leads: %v", err)
	} else {
		defer third.Release()
	}
	if err := next.Renew(ctx); !errors.Is(err, ErrLed) {
		t.Errorf("who was taken for dead leads on: %v", err)
	}
	if _, err := l.write.ExecContext(ctx, "UPDATE leaders SET until_at = 1 WHERE account = 'a-leads'"); err != nil {
		t.Fatal(err)
	}
	if err := next.Renew(ctx); err != nil {
		t.Errorf("an expired lease is not taken: %v", err)
	}
}

func testAtomic(t *testing.T, l *Ledger, _ string) {
	bulk := day(t, l, "a", 1)
	c, _ := l.Chunk(t.Context(), bulk, 0)
	c.State = ChunkFailed
	err := l.Write(t.Context(), func(t *Tx) error {
		if err := t.SaveChunk(c, ChunkPlanned); err != nil {
			return err
		}
		return errors.New("no")
	})
	if err == nil || err.Error() != "no" {
		t.Errorf("the error of a change came back as %v", err)
	}
	if c, _ := l.Chunk(t.Context(), bulk, 0); c.State != ChunkPlanned {
		t.Errorf("a change that failed was written: %+v", c)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Write(cancelled, func(*Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled write: %v", err)
	}
}

// testRaces lets many try the same transition: one makes it.
func testRaces(t *testing.T, l *Ledger, place string) {
	bulk := day(t, l, "a", 1)
	other := open(t, place)
	var mu sync.Mutex
	won := 0
	var all sync.WaitGroup
	for i := range 10 {
		from := []*Ledger{l, other}[i%2]
		all.Go(func() {
			c, err := from.Chunk(t.Context(), bulk, 0)
			if err != nil {
				t.Error(err)
				return
			}
			c.State = ChunkCreating
			err = from.Write(t.Context(), func(t *Tx) error { return t.SaveChunk(c, ChunkPlanned) })
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, ErrMoved) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d made the transition, want 1", won)
	}
}

// testSecrets has several processes ask at once for a secret that nobody has
// given a value yet.
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
	since, err := l.SessionsSince(ctx, time.Time{}, func(string, string) { t.Error("something is told from the beginning") })
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
	told := map[string]string{}
	next, err := l.SessionsSince(ctx, since, func(id, note string) { told[id] = note })
	if err != nil || len(told) != 1 || told["s1"] != "xxxxxxxx" || next.Before(since) {
		t.Errorf("told %v, %v", told, err)
	}
	_, err = l.SessionsSince(ctx, next.Add(time.Hour), func(id, note string) { t.Errorf("%s is told again after an hour", id) })
	if err != nil {
		t.Error(err)
	}
}
