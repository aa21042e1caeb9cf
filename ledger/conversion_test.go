package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testConversions(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	one, other, never := day(t, l, "a-conversions", 1), day(t, l, "a-conversions", 1), day(t, l, "a-conversions", 1)
	write(t, l, func(t *Tx) error {
		return errors.Join(t.RequestConversion(Bulk{ID: one, Account: "a-conversions"}, DeltaTable),
			t.RequestConversion(Bulk{ID: other, Account: "a-conversions"}, NoTable), t.RenewConversion(never))
	})
	if _, err := l.Conversion(ctx, never); !errors.Is(err, ErrNotFound) {
		t.Errorf("one that nobody requested: %v", err)
	}
	due := func(want ...string) []Conversion {
		t.Helper()
		found, err := l.Conversions(ctx, "a-conversions", 3)
		var bulks []string
		for _, c := range found {
			bulks = append(bulks, c.Bulk)
		}
		if diff := cmp.Diff(want, bulks); diff != "" || err != nil {
			t.Errorf("due: %v\n%s", err, diff)
		}
		return found
	}
	write(t, l, func(t *Tx) error { return t.MoveBulk(other, BulkRunning, BulkCancelled, "", noon) })
	c := due(one)[0]
	if !c.Due() || c.Tries != 0 || c.Reason != "" {
		t.Errorf("at first: %+v", c)
	}
	failed := c
	failed.Files, failed.Rows, failed.Loaded, failed.Tries = 2, 70, 1, 2
	failed.NextAt, failed.Reason = noon, "because"
	if err := l.SaveConversion(ctx, failed); err != nil {
		t.Fatal(err)
	}
	got, err := l.Conversion(ctx, one)
	if diff := cmp.Diff(failed, got); diff != "" || err != nil {
		t.Errorf("saved: %v\n%s", err, diff)
	}
	due(one)
	failed.Tries = 3
	if err := l.SaveConversion(ctx, failed); err != nil {
		t.Fatal(err)
	}
	due()
	write(t, l, func(t *Tx) error { return t.RenewConversion(one) })
	c = due(one)[0]
	if c.Tries != 0 || !c.NextAt.IsZero() || c.Reason != "" || c.Files != 2 || c.Wanted != failed.Wanted+1 {
		t.Errorf("renewed: %+v", c)
	}
	made := c
	made.Made = c.Wanted
	if err := l.SaveConversion(ctx, made); err != nil {
		t.Fatal(err)
	}
	due()
	write(t, l, func(t *Tx) error { return t.RequestConversion(Bulk{ID: one, Account: "a-conversions"}, DeltaTable) })
	made.NextAt = time.Time{}
	if err := l.SaveConversion(ctx, made); err != nil { // a conversion that began before the request
		t.Fatal(err)
	}
	if c = due(one)[0]; c.Made != made.Made || c.Wanted != made.Wanted+1 {
		t.Errorf("requested anew: %+v", c)
	}
}
