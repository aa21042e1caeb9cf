package exports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/merge"
	"fullstory-export-mcp/rows"
)

const (
	// adoptTries bounds how often a window is read again because another process changed it,
	// or fetches a file of it, and adoptPause is the time between.
	adoptTries = 20
	adoptPause = 500 * time.Millisecond
)

// errUntimed reports rows that belong to no window, because they have no time.
var errUntimed = errors.New("rows without a time")

// carryOut works on the windows. Those before the anchor of the sync come first, the last of
// them first, so that the anchor moves back only over windows that are stored.
func (d *adoption) carryOut(ctx context.Context, work []*adoptWork) error {
	order := slices.Clone(work)
	before := slices.IndexFunc(order, func(w *adoptWork) bool { return !w.window.Start.Before(d.sync.Anchor) })
	if before < 0 {
		before = len(order)
	}
	slices.Reverse(order[:before])
	for done, w := range order {
		if d.in.Working != nil {
			d.in.Working(done, len(order))
		}
		err := d.cutFor(ctx, order[done:])
		if err == nil {
			err = d.one(ctx, w)
		}
		if err != nil {
			return fmt.Errorf("the window from %s on: %w", d.stamp(w.window.Start), err)
		}
		d.count(w)
		for _, f := range w.files {
			delete(d.cuts, cutKey{f.Name, w.window.Start.UnixNano()})
		}
	}
	return nil
}

// one works on a window until nobody else changes it meanwhile.
func (d *adoption) one(ctx context.Context, w *adoptWork) error {
	for try := 1; ; try++ {
		w.result = AdoptedWindow{Start: d.stamp(w.window.Start), End: d.stamp(w.window.End), Sources: []AdoptedSource{}}
		err := d.window(ctx, w)
		var busy *archive.BusyError
		if changed := errors.Is(err, ledger.ErrConflict); !changed && !errors.As(err, &busy) {
			return err
		}
		if try == adoptTries {
			w.left("Another process works on it. Run this again later.")
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(adoptPause):
		}
		if err := d.readAgain(ctx, w); err != nil {
			return err
		}
	}
}

// readAgain reads the chunk of a window anew.
func (d *adoption) readAgain(ctx context.Context, w *adoptWork) error {
	now, err := d.engine.o.Ledger.Sync(ctx, d.sync.Account, d.sync.ID)
	if err != nil || now.Bulk != d.bulk.ID {
		return rejected("The sync %s was changed or removed meanwhile. What was brought in before stays.", d.sync.Name)
	}
	chunks, err := d.engine.o.Ledger.Chunks(ctx, d.bulk.ID, 0, mostChunks, "")
	w.chunk = nil
	for i, c := range chunks {
		if c.Start.Equal(w.window.Start) && c.End.Equal(w.window.End) {
			w.chunk = &chunks[i]
		}
	}
	return err
}

func (w *adoptWork) left(format string, args ...any) {
	w.result.Outcome, w.result.Reason = AdoptLeft, fmt.Sprintf(format, args...)
}

// window brings in what the older export has of a window. It fails with ledger.ErrConflict or
// an *archive.BusyError if another process works on it.
func (d *adoption) window(ctx context.Context, w *adoptWork) error {
	c := w.chunk
	settled := slices.DeleteFunc(slices.Clone(w.files), func(f adoptFile) bool {
		return f.ExportedAt.Before(w.window.End.Add(bulk.Settled))
	})
	switch {
	case c != nil && c.State == ledger.ChunkStored:
		return d.stored(ctx, w, settled)
	case c != nil && c.State != ledger.ChunkFailed && (c.State != ledger.ChunkPlanned || !c.StoredAt.IsZero()):
		w.left("The sync exports it at present (%s). Run this again once it is stored.", c.State)
	case !w.whole:
		w.left("The older export has only a part of it, so the sync exports it.")
	case covers(settled, w.span()):
		return d.gather(ctx, w, settled)
	default:
		return d.gather(ctx, w, w.files)
	}
	return nil
}

// gather stores a window that has no file, or one that its rows replace, from files of the
// older export.
func (d *adoption) gather(ctx context.Context, w *adoptWork, files []adoptFile) error {
	if whole := exact(w, files); whole != nil {
		return d.take(ctx, w, *whole)
	}
	m := d.merge(w, files)
	if m.TimeColumn == "" {
		w.left("Its rows have no time, so they cannot be divided among windows; the sync exports it.")
		return nil
	}
	var result merge.Result
	load := func(ctx context.Context, to io.Writer) (err error) {
		if result, err = m.Write(ctx, to); err == nil && untimedRows(result) > 0 {
			err = errUntimed
		}
		return err
	}
	w.result.Outcome = AdoptMerged
	in := bulk.Bringing{ExportedAt: exportedAt(w, files)}
	err := d.bring(ctx, w, in, nil, files, &result, load)
	if errors.Is(err, errUntimed) {
		w.result.Sources = []AdoptedSource{}
		w.left("%s of its files have no time, so it is not known which window they belong to; the sync exports it.",
			Counted(int(untimedRows(result)), "row"))
		return nil
	}
	return err
}

// exact returns the file that has the rows of a window and no others, if it is the only one.
func exact(w *adoptWork, files []adoptFile) *adoptFile {
	if len(files) == 1 && sameSpan(files[0], w) {
		return &files[0]
	}
	return nil
}

func sameSpan(f adoptFile, w *adoptWork) bool {
	return f.window.Start.Equal(w.window.Start) && f.window.End.Equal(w.window.End)
}

// take stores a window from a file of just that window, as it is.
func (d *adoption) take(ctx context.Context, w *adoptWork, f adoptFile) error {
	w.result.Outcome = AdoptTaken
	took := time.Duration(f.ExportSeconds * float64(time.Second))
	in := bulk.Bringing{
		OperationID: f.OperationID, ExportedAt: exportedAt(w, []adoptFile{f}), Took: took, Empty: f.Bytes == 0,
	}
	result := merge.Result{Sources: []merge.Taken{{Inside: f.Rows, Kept: f.Rows}}, Rows: f.Rows}
	return d.bring(ctx, w, in, nil, []adoptFile{f}, &result, func(ctx context.Context, to io.Writer) error {
		content, err := d.content(f)
		if err != nil {
			return err
		}
		defer content.Close()
		_, err = io.Copy(to, content)
		return err
	})
}

// stored compares a stored window with files of the older export, and adds the rows that it
// lacks. Rows that had settled count more than rows that had not: Fullstory may have changed
// these since, so each would be there twice.
func (d *adoption) stored(ctx context.Context, w *adoptWork, settled []adoptFile) error {
	c := w.chunk
	switch {
	case c.Provisional && covers(settled, w.span()):
		return d.gather(ctx, w, settled) // in place of the provisional one
	case c.Provisional:
		w.left("Its rows had not settled when it was exported, so the sync exports it once more.")
		return nil
	case len(settled) == 0:
		w.left("The older export is from before its rows had settled; the stored file is newer.")
		return nil
	}
	entry, err := d.entryOf(ctx, *c)
	if err != nil {
		return err
	}
	content, err := d.engine.o.Archive.OpenRecorded(d.bulk.Name, entry)
	if errors.Is(err, fs.ErrNotExist) {
		w.left("Its stored file is missing or damaged; `retry %s` exports it again.", d.sync.Name)
		return nil
	} else if err != nil {
		return err
	}
	content.Close()
	m := d.merge(w, settled)
	first := merge.Source{Name: entry.Name, Whole: true, Open: func() (io.ReadCloser, error) {
		return d.engine.o.Archive.OpenRecorded(d.bulk.Name, entry)
	}}
	if entry.Bytes == 0 {
		first.Open = nil
	}
	m.Sources, m.Apart = slices.Insert(m.Sources, 0, first), false
	return d.extend(ctx, w, m, entry, settled)
}

// extend replaces the file of a stored window by one that has the missing rows too: the stored
// ones first, then the added ones.
func (d *adoption) extend(
	ctx context.Context, w *adoptWork, m *merge.Merge, entry archive.File, files []adoptFile,
) error {
	result, err := m.Decide(ctx)
	if err != nil {
		return err
	}
	added := result.Rows - result.Sources[0].Inside
	before := AdoptedSource{
		File: entry.Name, Stored: true, Rows: result.Sources[0].Inside, Gave: result.Sources[0].Kept,
	}
	rest := result
	rest.Sources = result.Sources[1:]
	switch {
	case added == 0:
		w.result.Outcome = AdoptEqual
		d.sources(w, files, rest)
	case d.request.Type == client.TypeIndividual:
		d.sources(w, files, rest)
		w.left("%s differ from the stored ones. What is known of people changes, so the stored file stays.",
			Counted(int(added), "row"))
	default:
		w.result.Outcome = AdoptExtended
		in := bulk.Bringing{ExportedAt: entry.ExportedAt, Bytes: entry.Bytes}
		former := []archive.MergedFile{{
			Folder: d.bulk.Name, Name: entry.Name, SHA256: entry.SHA256, Rows: result.Sources[0].Kept,
		}}
		write := func(ctx context.Context, to io.Writer) error {
			_, err := m.Write(ctx, to)
			return err
		}
		if err := d.bring(ctx, w, in, former, files, &rest, write); err != nil {
			return err
		}
		w.result.Added = added
	}
	w.result.Rows, w.result.Collapsed = result.Rows, result.Collapsed
	if w.result.Outcome != AdoptExtended {
		w.result.Rows = result.Sources[0].Inside
	}
	w.result.Sources = slices.Insert(w.result.Sources, 0, before)
	return nil
}

// merge returns the merge of a window from files of the older export.
func (d *adoption) merge(w *adoptWork, files []adoptFile) *merge.Merge {
	r := rows.RulesOf(string(d.request.Type), string(d.request.Format), d.request.Fields)
	m := &merge.Merge{Format: string(d.request.Format), TimeColumn: r.TimeColumn, Start: w.window.Start, End: w.window.End}
	if !r.Timed() {
		m.TimeColumn = ""
	}
	for _, f := range files {
		s := merge.Source{Name: f.Name, Whole: sameSpan(f, w)}
		s.Open = func() (io.ReadCloser, error) { return d.content(f) }
		if f.Bytes == 0 {
			s.Open = nil
		}
		if part, ok := d.cuts[cutKey{f.Name, w.window.Start.UnixNano()}]; ok {
			s = part
		}
		m.Sources = append(m.Sources, s)
	}
	// Each file was verified to have rows of its own window alone.
	m.Apart = !slices.ContainsFunc(files[min(1, len(files)):], func(f adoptFile) bool {
		return slices.ContainsFunc(files, func(o adoptFile) bool { return o.Name != f.Name && o.overlaps(f.window) })
	})
	return m
}

// content opens a file of the older export. Its content is compared with its checksum again.
func (d *adoption) content(f adoptFile) (io.ReadCloser, error) {
	content, err := d.from.Archive.Opener(d.from.Folder)(f.File)
	if err != nil {
		return nil, err
	}
	return archive.Verified(content, f.File), nil
}

// exportedAt returns when the earliest of files was exported.
func exportedAt(w *adoptWork, files []adoptFile) time.Time {
	at := files[0].ExportedAt
	for _, f := range files[1:] {
		if f.ExportedAt.Before(at) {
			at = f.ExportedAt
		}
	}
	if at.IsZero() { // not known: its rows count as not settled
		at = w.window.End
	}
	return at
}

func untimedRows(r merge.Result) (n int64) {
	for _, s := range r.Sources {
		n += s.Untimed
	}
	return n
}
