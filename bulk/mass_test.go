package bulk

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/ledger"
)

// TestMassUpdates compares the statements that change all chunks of a bulk export at once
// with Next, chunk by chunk.
func TestMassUpdates(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			l, err := ledger.Open(t.Context(), place)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for event, update := range map[Kind]func(*ledger.Tx, string) error{
				Cancel:    func(t *ledger.Tx, bulk string) error { return t.CancelAttempts(bulk) },
				Retry:     func(t *ledger.Tx, bulk string) error { _, err := t.RetryFailed(bulk, time.Time{}); return err },
				Interrupt: func(t *ledger.Tx, bulk string) error { return t.TakeOver("account of " + bulk) },
			} {
				compareMass(t, l, random, event, update)
			}
		})
	}
}

// compareMass runs update on a bulk export with chunks in all states, and compares each
// chunk with what Next makes of the event.
func compareMass(
	t *testing.T, l *ledger.Ledger, random *rand.Rand, event Kind, update func(*ledger.Tx, string) error,
) {
	t.Helper()
	id := ledger.NewID("bulk")
	var before []ledger.Attempt
	for i := range 60 {
		a := randomAttempt(random, id, int64(i))
		a.State = allStates[i%len(allStates)]
		before = append(before, a)
	}
	b := ledger.Bulk{ID: id, Account: "account of " + id, Name: id, Request: []byte("{}"), State: ledger.BulkRunning}
	err := l.Write(t.Context(), func(t *ledger.Tx) error {
		if err := t.AddBulk(b); err != nil {
			return err
		}
		if err := t.AddAttempts(before); err != nil {
			return err
		}
		for _, a := range before { // planned chunks as well may have values in every field
			if err := t.SaveAttempt(a, a.State); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = l.Write(t.Context(), func(t *ledger.Tx) error { return update(t, id) })
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range before {
		want, _ := Next(Attempt{Attempt: a}, Event{Kind: event}, time.Now())
		got, err := l.Attempt(t.Context(), id, a.Number)
		if diff := cmp.Diff(want.Attempt, got); diff != "" || err != nil {
			t.Errorf("%s of a chunk that is %s: %v\n%s", event, a.State, err, diff)
		}
	}
}

// randomAttempt returns an attempt with random values in every field that a transition
// may leave set.
func randomAttempt(random *rand.Rand, bulk string, number int64) ledger.Attempt {
	at := func() time.Time {
		if random.IntN(2) == 0 {
			return time.Time{}
		}
		return day.Add(time.Duration(random.IntN(1e6)) * time.Second)
	}
	text := func() string { return []string{"", "x", "because"}[random.IntN(3)] }
	a := ledger.Attempt{
		Bulk: bulk, Number: number, Account: "account of " + bulk, Start: day, End: day.Add(time.Hour),
		Operation: text(), SearchExport: text(), IntentAt: at(), CreatedAt: at(), FinishedAt: at(), ExpiresAt: at(),
		Creates: random.IntN(6), Tries: random.IntN(6), FailingSince: at(), Damaged: random.IntN(2),
		SearchedAt: at(), WatchedSince: at(), NextAt: at(), Reason: text(), Damage: text(),
		StoredAt: at(), Rows: 7, Bytes: 70, Provisional: random.IntN(2) == 0,
	}
	if random.IntN(2) == 0 {
		a.Failure = []byte(`{"op":"x"}`)
	}
	if random.IntN(2) == 0 {
		a.Candidates = []ledger.Candidate{{Operation: "op", CreatedAt: day, Verdict: ledger.Empty}}
	}
	return a
}

// places returns the place of a new ledger for each kind of database: "sqlite", and
// "postgres" if there is a server.
func places(t *testing.T) map[string]string {
	t.Helper()
	places := map[string]string{"sqlite": filepath.Join(t.TempDir(), "ledger.db")}
	address := os.Getenv("FULLSTORY_EXPORT_TEST_POSTGRES")
	if address == "" {
		return places
	}
	server, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("bench_%d", time.Now().UnixNano())
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
