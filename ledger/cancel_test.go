package ledger

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// testCancels lets an attempt reuse an operation while this program begins to cancel it: of both,
// the second gets ErrConflict. It repeats the race.
func testCancels(t *testing.T, l *Ledger, _ string) {
	const account = "a-cancels"
	bulk := day(t, l, account, 100)
	reused := 0
	for n := range int64(100) {
		o := Operation{Account: account, ID: NewID("op"), Bulk: bulk, Fingerprint: "f", CreatedAt: noon}
		put(t, l, o)
		a, err := l.Attempt(t.Context(), bulk, n)
		if err != nil {
			t.Fatal(err)
		}
		a.State, a.Operation = ChunkRunning, o.ID
		var reuse, claim error
		var both sync.WaitGroup
		both.Go(func() {
			reuse = l.Write(t.Context(), func(t *Tx) error {
				if err := t.Reuse(account, o.ID); err != nil {
					return err
				}
				return t.SaveAttempt(a, ChunkPlanned)
			})
		})
		both.Go(func() {
			claim = l.Write(t.Context(), func(t *Tx) error { return t.ClaimCancel(o, noon.Add(time.Minute)) })
		})
		both.Wait()
		second, first := reuse, claim
		if reuse == nil {
			second, first = claim, reuse
			reused++
		}
		if first != nil || !errors.Is(second, ErrConflict) {
			t.Fatalf("reuse: %v; claim: %v", reuse, claim)
		}
		got, err := l.Operation(t.Context(), account, o.ID)
		if err != nil || (got.Cancels > 0) != (claim == nil) {
			t.Fatalf("after reuse: %v and claim: %v it is %+v, %v", reuse, claim, got, err)
		}
		if claim != nil {
			continue
		}
		again := l.Write(t.Context(), func(t *Tx) error { return t.ClaimCancel(o, noon) })
		if !errors.Is(again, ErrConflict) {
			t.Errorf("a second try from the same reading: %v", again)
		}
	}
	t.Logf("%d of 100 were reused", reused)
}
