package exports

import (
	"context"
	"fmt"
	"slices"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
)

// adoptWork is a window of the sync that the older export covers, at least in part.
type adoptWork struct {
	window ledger.SyncWindow
	chunk  *ledger.Attempt // nil: the sync has none there
	files  []adoptFile     // with rows of the window, perhaps
	whole  bool            // these cover it
	result AdoptedWindow
}

func (w adoptWork) span() plan.Range { return plan.Range{Start: w.window.Start, End: w.window.End} }

// mostChunks bounds the chunks of a sync that are read.
const mostChunks = 1_000_000

// plan returns the windows to work on, in their order, and reports the parts of the older
// export that lie in none.
func (d *adoption) plan(ctx context.Context) (work []*adoptWork, err error) {
	recorded, err := d.engine.o.Ledger.SyncWindows(ctx, d.bulk.ID)
	if err != nil {
		return nil, err
	}
	chunks, err := d.engine.o.Ledger.Chunks(ctx, d.bulk.ID, 0, mostChunks, "")
	if err != nil {
		return nil, err
	}
	lacking, anchor := d.terms.Lacking(d.covered, recorded, d.now)
	for i, c := range chunks {
		work = append(work, &adoptWork{window: ledger.SyncWindow{Start: c.Start, End: c.End}, chunk: &chunks[i]})
	}
	for _, w := range lacking {
		work = append(work, &adoptWork{window: w})
	}
	slices.SortFunc(work, func(a, b *adoptWork) int { return a.window.Start.Compare(b.window.Start) })
	d.match(work)
	work = slices.DeleteFunc(work, func(w *adoptWork) bool { return len(w.files) == 0 })
	d.reportOthers(work, anchor)
	return work, d.confirm(work, recorded)
}

// match notes for each window the files that overlap it. Both are in order of their start.
func (d *adoption) match(work []*adoptWork) {
	longest := time.Duration(0)
	for _, f := range d.files {
		longest = max(longest, f.window.End.Sub(f.window.Start))
	}
	for _, w := range work {
		first, _ := slices.BinarySearchFunc(d.files, w.window.Start.Add(-longest), func(f adoptFile, at time.Time) int {
			return f.window.Start.Compare(at)
		})
		for _, f := range d.files[first:] {
			if !f.window.Start.Before(w.window.End) {
				break
			}
			if f.overlaps(w.span()) {
				w.files = append(w.files, f)
			}
		}
		w.whole = covers(w.files, w.span())
	}
}

// covers reports whether files cover a window.
func covers(files []adoptFile, w plan.Range) bool {
	ranges := make([]plan.Range, len(files))
	for i, f := range files {
		ranges[i] = f.window
	}
	return len(plan.NewWindows(w).Without(plan.NewWindows(ranges...))) == 0
}

// reportOthers reports what the older export covers outside the windows.
func (d *adoption) reportOthers(work []*adoptWork, anchor time.Time) {
	ranges := make([]plan.Range, len(work))
	for i, w := range work {
		ranges[i] = w.span()
	}
	for _, r := range d.covered.Without(plan.NewWindows(ranges...)) {
		reason := "The sync has no window there yet: it adds one " + d.sync.Lag.String() + " after its end."
		if r.Start.Before(anchor) {
			reason = "It is only a part of a window before the first one of the sync."
		}
		d.out.Windows = append(d.out.Windows, AdoptedWindow{
			Start: d.stamp(r.Start), End: d.stamp(r.End), Outcome: AdoptLeft, Reason: reason, Sources: []AdoptedSource{},
		})
	}
}

func (d *adoption) stamp(t time.Time) string { return StampIn(t, zoneOf(d.request)) }

// confirm fails if the anchor would move so far back that many windows between are exported,
// unless that is confirmed.
func (d *adoption) confirm(work []*adoptWork, recorded []ledger.SyncWindow) error {
	moved, brought := d.sync, slices.Clone(recorded)
	for _, w := range work {
		if w.chunk != nil || !w.whole {
			continue
		}
		if w.window.Start.Before(moved.Anchor) {
			moved.Anchor = w.window.Start
		}
		brought = append(brought, w.window)
	}
	if moved.Anchor.Equal(d.sync.Anchor) || moved.CatchUp == ledger.CatchUpLatest {
		return nil
	}
	moved.CoveredTo = time.Time{}
	_, n, err := missingWindows(moved, brought, d.now)
	if err != nil || n <= d.most || d.in.Confirmed {
		return err
	}
	text := fmt.Sprintf("The sync would begin at %s, and %d windows between would be exported.", d.stamp(moved.Anchor), n)
	if d.in.DryRun {
		d.warn("%s That needs --yes.", text)
		return nil
	}
	return rejected("%s Add --yes to confirm that.", text)
}
