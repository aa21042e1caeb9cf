package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

// storedFile is a file of the archive, with what was asked for and the window
// it covers.
type storedFile struct {
	folder, operationID string
	request             client.ExportRequest
	file                archive.File
	window              plan.Range
}

// stored returns the files of this account whose windows are closed.
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
		var request client.ExportRequest
		if m.Account != id || json.Unmarshal(m.Request, &request) != nil {
			continue
		}
		for _, f := range m.Files {
			window := plan.Range{Start: parseInstant(f.Start), End: parseInstant(f.End)}
			if !window.Start.IsZero() && !window.End.IsZero() {
				files = append(files, storedFile{folder, m.OperationID, request, f, window})
			}
		}
	}
	return files, nil
}

// addMirrored adds the manifests of bulk exports whose files are in the mirror
// alone, as the ledger has them.
func (a *Account) addMirrored(ctx context.Context, manifests map[string]archive.Manifest) error {
	if a.Mirror == nil || !a.HasLedger() {
		return nil
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	bulks, err := engine.List(ctx, "", 0, mostMirrored)
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

// mostMirrored is how many bulk exports that are not on this disk are looked
// through for what is stored, the newest first.
const mostMirrored = 100

// sameRows tells whether two requests give the same rows of a window. A type
// that is not known is TYPE_EVENT.
func sameRows(a, b client.ExportRequest) bool {
	kind := func(r client.ExportRequest) [3]string {
		w := r.Wire()
		scope := client.ScopeEvents
		if w.EventDetails != nil {
			scope = w.EventDetails.Scope
		}
		return [3]string{r.SegmentID, string(cmp.Or(w.Type, client.TypeEvent)), string(scope)}
	}
	return kind(a) == kind(b)
}

// everything stands for all exports of the same rows, as missing_from.
const everything = "*"

// named returns the files that missing_from means: those of a folder, of an
// operation, or with everything those of the same rows with all columns.
func named(files []storedFile, name string, request client.ExportRequest) []storedFile {
	return slices.DeleteFunc(slices.Clone(files), func(f storedFile) bool {
		if name == everything {
			return !sameRows(f.request, request) || len(f.request.Fields) > 0
		}
		return f.folder != name && f.operationID != name && f.file.OperationID != name
	})
}

// coverage returns the windows whose rows are stored for good, and those that
// were exported before they had settled.
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

// samples are the measurements that files of the same rows are.
func samples(files []storedFile, request client.ExportRequest) []plan.Sample {
	var measured []plan.Sample
	for _, f := range files {
		if !sameRows(f.request, request) {
			continue
		}
		measured = append(measured, plan.Sample{
			Range: f.window, Rows: f.file.Rows, Bytes: f.file.Bytes,
			ByHour: f.file.RowsByHour, FirstHour: parseInstant(f.file.FirstEvent).Truncate(time.Hour),
			ExportedAt: f.file.ExportedAt, Took: time.Duration(f.file.ExportSeconds * float64(time.Second)),
		})
	}
	slices.SortStableFunc(measured, func(a, b plan.Sample) int { return cmp.Compare(a.Start.Unix(), b.Start.Unix()) })
	return measured
}
