package exports

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// failed adds a bulk export of two chunks that has failed.
func (l *lab) failed(ctx context.Context, name string) {
	l.t.Helper()
	o := order(2)
	o.Name = name
	b, _, err := l.engine.Start(ctx, o)
	if err != nil {
		l.t.Fatal(err)
	}
	err = l.ledger.Write(ctx, func(tx *ledger.Tx) error {
		for number := range int64(2) {
			a, err := tx.Attempt(b.ID, number)
			if err != nil {
				return err
			}
			a.State = ledger.ChunkFailed
			if err := tx.SaveAttempt(a, ledger.ChunkPlanned); err != nil {
				return err
			}
		}
		return tx.MoveBulk(b.ID, ledger.BulkRunning, ledger.BulkFailed, "", time.Now())
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// TestQuota starts, creates and retries exports of an account that has as much open as it
// may: each is rejected with what is open, and leaves nothing behind.
func TestQuota(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{}, withCallers)
	l.engine.quota = ledger.Quota{Exports: 3, Chunks: 1000, Own: 0.34}
	greedy := as(t.Context(), "greedy")
	start := func(name string, hours int) (ledger.Bulk, bool, error) {
		o := order(hours)
		o.Name = name
		return l.engine.Start(greedy, o)
	}
	l.failed(greedy, "ended")
	for i := range 3 {
		if _, _, err := start(fmt.Sprint("open", i), 2); err != nil {
			t.Fatal(err)
		}
	}
	rejected := func(what string, err error) {
		t.Helper()
		x := Explain(err)
		if _, full := errors.AsType[*ledger.QuotaError](err); !full || x.Kind != Quota ||
			!strings.Contains(x.ForModel(), "4 exports open") {
			t.Errorf("%s is answered %v", what, err)
		}
	}
	_, _, err := start("one more", 2)
	rejected("one more bulk export", err)
	_, err = l.engine.Create(greedy, Single{Request: order(1).Request}, true)
	rejected("a single export", err)
	_, err = l.engine.Control(greedy, "ended", RetryFailed)
	rejected("a retry of one that has ended", err)
	if _, reused, err := start("open0", 2); err != nil || !reused {
		t.Errorf("one that exists: %t, %v", reused, err)
	}
	bulks, err := l.engine.List(t.Context(), "", 0, 100)
	s, failed := l.engine.Status(t.Context(), "ended")
	if len(bulks) != 4 || errors.Join(err, failed) != nil || s.Counts.By[ledger.ChunkFailed] != 2 {
		t.Errorf("rejected exports left something behind: %d bulk exports, %+v, %v", len(bulks), s, err)
	}
	if _, _, err := l.engine.Start(as(t.Context(), "anna"), order(1)); err != nil {
		t.Errorf("another caller: %v", err)
	}
	for i := range 3 {
		if _, err := l.engine.Control(greedy, fmt.Sprint("open", i), Cancel); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.engine.Control(greedy, "ended", RetryFailed); err != nil {
		t.Errorf("a retry once there is room: %v", err)
	}
	if _, _, err := start("large", 1001); err == nil || !strings.Contains(Explain(err).ForTerminal(), "1004 chunks open") {
		t.Errorf("a bulk export with too many chunks: %v", err)
	}
}
