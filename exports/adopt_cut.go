package exports

import (
	"context"
	"errors"
	"slices"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/merge"
	"fullstory-export-mcp/plan"
)

// cutKey names the part of a file that belongs to a window.
type cutKey struct {
	file  string
	start int64 // of the window, in nanoseconds since 1970
}

// mostCut is the most bytes of parts of one file that are kept in memory, compressed. A day of
// 520,000 rows has 63 MB.
const mostCut = 128 << 20

// cutFor cuts the files of the first of the windows that are left, if they have rows of others
// too: a day that becomes 24 hours is read once and not 24 times. Files whose parts are too large
// are read for each window.
func (d *adoption) cutFor(ctx context.Context, left []*adoptWork) error {
	if d.merge(left[0], nil).TimeColumn == "" {
		return nil
	}
	for _, f := range left[0].files {
		if _, done := d.cuts[cutKey{f.Name, left[0].window.Start.UnixNano()}]; done || f.Bytes == 0 {
			continue
		}
		var windows []merge.Window
		for _, w := range left {
			if len(windows) == merge.MostParts || !f.overlaps(w.span()) {
				break
			}
			windows = append(windows, merge.Window(w.window))
		}
		if len(windows) < 2 || !needed(left[:len(windows)]) {
			continue
		}
		slices.SortFunc(windows, func(a, b merge.Window) int { return a.Start.Compare(b.Start) })
		m := d.merge(left[0], []adoptFile{f})
		parts, err := merge.Cut(ctx, m.Format, m.TimeColumn, m.Sources[0], windows, mostCut)
		if errors.Is(err, merge.ErrLarge) {
			continue
		}
		if err != nil {
			return err
		}
		for i, w := range windows {
			d.cuts[cutKey{f.Name, w.Start.UnixNano()}] = parts[i]
		}
	}
	return nil
}

// overlaps reports whether a file may have rows of a window.
func (f adoptFile) overlaps(w plan.Range) bool {
	return f.window.Start.Before(w.End) && f.window.End.After(w.Start)
}

// needed reports whether any of the windows may get rows, or be compared.
func needed(work []*adoptWork) bool {
	return slices.ContainsFunc(work, func(w *adoptWork) bool {
		return w.chunk == nil || w.chunk.State == ledger.ChunkStored || w.chunk.State == ledger.ChunkFailed || w.whole
	})
}
