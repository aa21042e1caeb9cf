package exports

import (
	"context"
	"fmt"
	"testing"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

type callerKey struct{}

// as returns a context of a call by a caller.
func as(ctx context.Context, caller string) context.Context {
	return context.WithValue(ctx, callerKey{}, caller)
}

// withCallers has the ledger know the callers of contexts that as returns.
func withCallers(o *bulk.Options) {
	o.Ledger.CallerOf = func(ctx context.Context) string {
		name, _ := ctx.Value(callerKey{}).(string)
		return name
	}
}

// TestBulkWorkIsSharedByCaller has a greedy caller start six bulk exports and then
// anna one: she has half of the exports that run at once.
func TestBulkWorkIsSharedByCaller(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{}, withCallers)
	ctx := t.Context()
	start := func(caller string, day int) ledger.Bulk {
		o := order(40)
		o.Name = fmt.Sprint(caller, day)
		shift := time.Duration(day) * 24 * time.Hour // otherwise the exports are reused
		for i := range o.Windows {
			o.Windows[i].Start, o.Windows[i].End = o.Windows[i].Start.Add(shift), o.Windows[i].End.Add(shift)
		}
		b, _, err := l.engine.Start(as(ctx, caller), o)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	greedy := map[string]bool{}
	for i := range 6 {
		greedy[start("greedy", 2*i+2).ID] = true
	}
	hers := start("anna", 0)
	l.run()
	l.await(hers.ID, "stored in part", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 8 })
	his := 0
	for id := range greedy {
		n, err := l.ledger.Count(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		his += n.By[ledger.ChunkStored]
	}
	if his > 20 {
		t.Errorf("the greedy caller has %d chunks stored, and anna 8", his)
	}
}
