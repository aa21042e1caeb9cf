package ledger

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// added adds an export with chunks in a transaction, as package exports does.
func added(t *testing.T, l *Ledger, b Bulk, chunks int, q Quota) error {
	return l.Write(t.Context(), func(t *Tx) error {
		b.ID = NewID("bulk")
		b.Name, b.State, b.CreatedAt = b.ID, BulkRunning, noon
		attempts := make([]Attempt, chunks)
		for i := range attempts {
			attempts[i] = Attempt{Bulk: b.ID, Number: int64(i), Account: b.Account, State: ChunkPlanned}
		}
		return errors.Join(t.AddBulk(b), t.Admit(b, chunks, q), t.AddAttempts(attempts))
	})
}

// testQuota adds more than the quota of an account at the same time, in two processes.
func testQuota(t *testing.T, l *Ledger, place string) {
	other := open(t, place)
	q := Quota{Exports: 5, Chunks: 100, Own: 0.2}
	var admitted atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			b := Bulk{Account: "a-quota", AskedBy: "greedy", Single: i%3 == 0}
			err := added(t, []*Ledger{l, other}[i%2], b, 1, q)
			if e, full := errors.AsType[*QuotaError](err); err == nil {
				admitted.Add(1)
			} else if !full || e.Open.Exports() != 6 || e.Open.Chunks != 5 || e.More != 1 {
				t.Errorf("one too many: %v", err)
			}
		})
	}
	all.Wait()
	if admitted.Load() != 5 {
		t.Errorf("%d exports are open, of 5 at most", admitted.Load())
	}
	for i, caller := range []string{"anna", "anna", "bert"} { // a fifth of the quota is one export
		if err := added(t, l, Bulk{Account: "a-quota", AskedBy: caller}, 1, q); (err != nil) != (i == 1) {
			t.Errorf("%d: an export of %s beside a greedy caller: %v", i, caller, err)
		}
	}
	if err := added(t, l, Bulk{Account: "b-quota"}, 1, q); err != nil {
		t.Errorf("another account: %v", err)
	}
	chunksOfQuota(t, l, q)
}

// chunksOfQuota does the same with chunks, of which some are finished.
func chunksOfQuota(t *testing.T, l *Ledger, q Quota) {
	b := Bulk{Account: "c-quota", AskedBy: "greedy"}
	for i, chunks := range []int{60, 40, 1} {
		if err := added(t, l, b, chunks, q); (err != nil) != (i == 2) {
			t.Errorf("%d more chunks: %v", chunks, err)
		}
	}
	if err := added(t, l, Bulk{Account: "c-quota", AskedBy: "anna"}, 20, q); err != nil {
		t.Errorf("chunks of another caller: %v", err)
	}
	bulks, err := l.Bulks(t.Context(), "c-quota", "", 0, 10)
	if err != nil || len(bulks) != 3 {
		t.Fatal(bulks, err)
	}
	for _, b := range bulks {
		chunks, err := l.Chunks(t.Context(), b.ID, 0, 100, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range chunks[:len(chunks)/2] {
			a.State = ChunkStored
			write(t, l, func(t *Tx) error { return t.SaveAttempt(a, ChunkPlanned) })
		}
	}
	for i, chunks := range []int{41, 40, 1} { // 60 are open
		if err := added(t, l, b, chunks, q); (err != nil) != (i != 1) {
			t.Errorf("%d more chunks, when others are stored: %v", chunks, err)
		}
	}
	write(t, l, func(t *Tx) error { return t.MoveBulk(bulks[0].ID, BulkRunning, BulkCancelled, "", noon) })
	if err := added(t, l, b, 1, q); err != nil {
		t.Errorf("after one was cancelled: %v", err)
	}
}
