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

// TestBulkWorkIsSharedByCaller has a greedy caller start six bulk exports and then four
// others one each: the last one has as much done as the others.
func TestBulkWorkIsSharedByCaller(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{}, withCallers)
	start := func(caller string, day int) ledger.Bulk {
		o := order(40)
		o.Name = fmt.Sprint(caller, day)
		shift := time.Duration(day) * 24 * time.Hour // otherwise the exports are reused
		for i := range o.Windows {
			o.Windows[i].Start, o.Windows[i].End = o.Windows[i].Start.Add(shift), o.Windows[i].End.Add(shift)
		}
		b, _, err := l.engine.Start(as(t.Context(), caller), o)
		if err != nil {
			t.Fatal(err)
		}
		b.AskedBy = caller
		return b
	}
	var all []ledger.Bulk
	for i := range 6 {
		all = append(all, start("greedy", 2*i))
	}
	for i, caller := range []string{"anna", "bert", "carl", "dora"} {
		all = append(all, start(caller, 12+2*i))
	}
	l.run()
	l.await(all[len(all)-1].ID, "stored in part", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 4 })
	done := map[string]int{}
	for _, b := range all {
		n, err := l.ledger.Count(t.Context(), b.ID)
		if err != nil {
			t.Fatal(err)
		}
		done[b.AskedBy] += n.By[ledger.ChunkStored]
	}
	for caller, n := range done {
		if n > 10 {
			t.Errorf("%s has %d chunks stored when dora has 4: %v", caller, n, done)
		}
	}
}
