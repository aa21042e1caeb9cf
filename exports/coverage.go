package exports

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/rows"
)

// storedFile is a stored file with its request and the window that it covers.
type storedFile struct {
	folder, operationID string
	request             client.ExportRequest
	file                archive.File
	window              plan.Range
}

// stored returns the files of this account that the manifests list and whose windows have
// both ends. They may be gone; see present.
func (a *Account) stored(ctx context.Context) ([]storedFile, error) {
	id, err := a.ID(ctx)
	if err != nil {
		return nil, err
	}
	manifests := maps.Collect(a.Archive.Manifests())
	if err := a.addMirrored(ctx, manifests); err != nil {
		return nil, err
	}
	var files []storedFile
	for folder, m := range manifests {
		if m.Account == id {
			files = append(files, filesOf(folder, m)...)
		}
	}
	return files, nil
}

// addMirrored adds the manifests of bulk exports whose files are only in the mirror. It
// takes them from the ledger, because reading the mirror takes a request for each.
func (a *Account) addMirrored(ctx context.Context, manifests map[string]archive.Manifest) error {
	if a.Mirror == nil || !a.HasLedger() {
		return nil
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	bulks, err := engine.List(ctx, "", 0, maxMirrored)
	if err != nil {
		return err
	}
	for _, b := range bulks {
		if _, ok := manifests[b.Name]; !ok {
			if manifests[b.Name], err = engine.Manifest(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxMirrored is how many bulk exports, newest first, are searched for files that are
// only in the mirror.
const maxMirrored = 100

// sameRows reports whether two requests give the same rows of a window. An empty type
// counts as TYPE_EVENT, an empty scope as SCOPE_EVENTS.
func sameRows(a, b client.ExportRequest) bool {
	kind := func(r client.ExportRequest) [3]string {
		of, scope := r.TypeAndScope()
		return [3]string{
			r.SegmentID, string(cmp.Or(of, client.TypeEvent)), string(cmp.Or(scope, client.ScopeEvents)),
		}
	}
	return kind(a) == kind(b)
}

// everything is the missing_from that selects all exports of the same rows.
const everything = "*"

// selectFiles returns the files that missing_from selects: those of the folder or the
// operation of that name. everything selects those of the same rows with all columns.
func selectFiles(files []storedFile, name string, request client.ExportRequest) []storedFile {
	return slices.DeleteFunc(slices.Clone(files), func(f storedFile) bool {
		if name == everything {
			return !sameRows(f.request, request) || len(f.request.Fields) > 0
		}
		return f.folder != name && f.operationID != name && f.file.OperationID != name
	})
}

// coverage returns the windows whose stored rows are settled, and those that were
// exported before their rows had settled. The two do not overlap.
func coverage(files []storedFile) (settled, provisional plan.Windows) {
	var final, early []plan.Range
	for _, f := range files {
		if f.file.ExportedAt.Before(f.window.End.Add(preflight.Settled)) {
			early = append(early, f.window)
		} else {
			final = append(final, f.window)
		}
	}
	settled = plan.NewWindows(final...)
	return settled, plan.NewWindows(early...).Without(settled)
}

// samples returns the stored files of the same rows as measurements of volume, oldest
// first. It leaves out files whose windows had not ended when they were exported, and
// exports without any row: those show a mistake in the request or a time before the
// first data, not a volume. An hour without rows in an export that has others counts.
func samples(files []storedFile, request client.ExportRequest, now time.Time) []plan.Sample {
	total := map[string]int64{} // rows by folder
	for _, f := range files {
		total[f.folder] += f.file.Rows
	}
	var measured []plan.Sample
	for _, f := range files {
		if !sameRows(f.request, request) || total[f.folder] == 0 || !f.over(now) {
			continue
		}
		first, _, _ := rows.ParseTime(f.file.FirstEvent)
		measured = append(measured, plan.Sample{
			Range: f.window, Rows: f.file.Rows, Bytes: f.file.Bytes,
			ByHour: f.file.RowsByHour, FirstHour: first.Truncate(time.Hour),
			ExportedAt: f.file.ExportedAt, Took: time.Duration(f.file.ExportSeconds * float64(time.Second)),
		})
	}
	slices.SortStableFunc(measured, func(a, b plan.Sample) int { return cmp.Compare(a.Start.Unix(), b.Start.Unix()) })
	return measured
}

// over reports whether the window of f had ended when f was exported, and none of its
// rows is later than that. Without a time of export, or with one after now, now is used.
func (f storedFile) over(now time.Time) bool {
	exported := f.file.ExportedAt
	if exported.IsZero() || exported.After(now) {
		exported = now
	}
	last, _, _ := rows.ParseTime(f.file.LastEvent)
	return !f.window.End.After(exported) && !last.After(exported)
}
