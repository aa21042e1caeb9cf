package exports

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/merge"
)

// bring stores the file of a window, unless this is a dry run, and reports its sources. result
// is what write makes of files, and of former, the stored file that it replaces; it is complete once
// write has returned.
func (d *adoption) bring(
	ctx context.Context, w *adoptWork, in bulk.Bringing, former []archive.MergedFile, files []adoptFile,
	result *merge.Result, write func(context.Context, io.Writer) error,
) error {
	in.Sync, in.Bulk, in.Window, in.Seen, in.Request, in.Load = d.sync.ID, d.bulk, w.window, w.chunk, d.request, write
	for _, f := range files {
		in.Bytes += f.Bytes
	}
	if d.in.DryRun {
		if err := write(ctx, io.Discard); err != nil {
			return err
		}
		d.sources(w, files, *result)
		return nil
	}
	in.From = func() ([]archive.MergedFile, int) { return mergedFrom(former, d.from.Folder, files, *result) }
	file, kept, err := d.engine.engine.BringIn(ctx, in)
	if err != nil {
		return err
	}
	d.sources(w, files, *result)
	w.result.File, w.result.Former, w.result.Rows = file.Name, kept, file.Rows
	return nil
}

// mergedFrom returns the first of the files that a merge is made of, and how many others there
// are.
func mergedFrom(
	from []archive.MergedFile, folder string, files []adoptFile, result merge.Result,
) ([]archive.MergedFile, int) {
	for i, f := range files {
		from = append(from, archive.MergedFile{Folder: folder, Name: f.Name, SHA256: f.SHA256, Rows: result.Sources[i].Kept})
	}
	n := min(len(from), archive.MostMerged)
	return from[:n:n], len(from) - n
}

// sources reports the files that a window was made of, or was compared with.
func (d *adoption) sources(w *adoptWork, files []adoptFile, result merge.Result) {
	w.result.Rows, w.result.Collapsed = result.Rows, result.Collapsed
	w.result.Sources = make([]AdoptedSource, 0, len(files))
	for i, f := range files {
		taken := result.Sources[i]
		w.result.Sources = append(w.result.Sources, AdoptedSource{File: f.Name, Rows: taken.Inside, Gave: taken.Kept})
		f.report.Used += taken.Inside
		f.report.Left = f.Rows - f.report.Used
		f.report.Untimed = taken.Untimed
	}
}

// entryOf returns the entry of the manifest for the file of a stored chunk.
func (d *adoption) entryOf(ctx context.Context, c ledger.Attempt) (f archive.File, err error) {
	record, err := d.engine.o.Ledger.FileOf(ctx, c.Bulk, c.Number)
	if err == nil {
		err = json.Unmarshal(record.Detail, &f)
	}
	return f, err
}

// count adds a window to the totals.
func (d *adoption) count(w *adoptWork) {
	t, r := &d.out.Totals, w.result
	switch r.Outcome {
	case AdoptTaken, AdoptMerged:
		t.Rows += r.Rows
		if w.chunk == nil && (d.first.IsZero() || w.window.Start.Before(d.first)) {
			d.first = w.window.Start
		}
	case AdoptExtended:
		t.Added += r.Added
	}
	t.Collapsed += r.Collapsed
	d.out.Windows = append(d.out.Windows, r)
}

// result completes the report, and writes the manifest of the sync if anything was brought in.
func (d *adoption) result(ctx context.Context) (AdoptResult, error) {
	out := &d.out
	slices.SortFunc(out.Windows, func(a, b AdoptedWindow) int { return strings.Compare(utcOf(a.Start), utcOf(b.Start)) })
	for _, w := range out.Windows {
		*map[AdoptOutcome]*int{
			AdoptTaken: &out.Totals.Taken, AdoptMerged: &out.Totals.Merged, AdoptExtended: &out.Totals.Extended,
			AdoptEqual: &out.Totals.Equal, AdoptLeft: &out.Totals.Left,
		}[w.Outcome]++
	}
	for _, f := range out.Files {
		out.Totals.LeftRows += f.Left
	}
	t := out.Totals
	if t.Taken+t.Merged+t.Extended > 0 && !d.in.DryRun {
		if err := d.engine.engine.PublishManifest(ctx, d.bulk); err != nil {
			return *out, err
		}
		d.engine.forgetFiles(d.bulk.ID)
	}
	if !d.first.IsZero() && d.first.Before(d.sync.Anchor) {
		out.From = d.stamp(d.first)
	}
	out.Summary = d.summary()
	if t.Taken+t.Merged > 0 && !d.in.DryRun {
		out.Next = "The sync exports what is still missing when it looks next; `sync run " + d.sync.Name + "` does so now."
	}
	return *out, nil
}

// summary says in sentences what became of the older export.
func (d *adoption) summary() string {
	t := d.out.Totals
	lead := fmt.Sprintf("The sync %s got", d.sync.Name)
	if d.in.DryRun {
		lead = fmt.Sprintf("Nothing was changed. The sync %s would get", d.sync.Name)
	}
	text := lead + " no new window."
	if n := t.Taken + t.Merged; n > 0 {
		text = fmt.Sprintf("%s %s of %s: %d with the file as it is, %d gathered from files of other windows.", lead,
			Counted(int(t.Rows), "row"), Counted(n, "window"), t.Taken, t.Merged)
	}
	stored := t.Equal + t.Extended
	if stored > 0 {
		text = sentences(text, fmt.Sprintf("Of %s stored before, %d had all the rows already, and %s.",
			Counted(stored, "window"), t.Equal, addedText(t)))
	}
	if t.Collapsed > 0 {
		text = sentences(text, fmt.Sprintf("%s collapsed: several files have them, and each counts as often as in the "+
			"file that has it most often.", wasWere(t.Collapsed, "row")))
	}
	if t.Left > 0 {
		stay := " stay as they were."
		if t.Left == 1 {
			stay = " stays as it was."
		}
		text = sentences(text, Counted(t.Left, "window")+stay)
	}
	if t.LeftRows > 0 {
		text = sentences(text, fmt.Sprintf("%s of the older export stay behind.", Counted(int(t.LeftRows), "row")))
	}
	switch {
	case d.out.From != "" && d.in.DryRun:
		text = sentences(text, fmt.Sprintf("It would begin at %s, earlier than now.", d.out.From))
	case d.out.From != "":
		text = sentences(text, fmt.Sprintf("It begins at %s now.", d.out.From))
	}
	return text
}

func addedText(t AdoptTotals) string {
	if t.Extended == 0 {
		return "none lacked rows"
	}
	return fmt.Sprintf("%d got %s that they lacked", t.Extended, Counted(int(t.Added), "row"))
}

func wasWere(n int64, thing string) string { return Counted(int(n), thing) + wereText(int(n)) }

func wereText(n int) string {
	if n == 1 {
		return " was"
	}
	return " were"
}

// utcOf returns a time of a result in UTC, so that texts sort as instants.
func utcOf(stamp string) string {
	t, _ := time.Parse(time.RFC3339, stamp)
	return Stamp(t)
}
