package archive

import (
	"context"
	"fmt"
	"os"
	"time"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/rows"
)

// Outdated reports whether Upgrade would add to a manifest: it is of version 1, or lists
// files and has no schema of them.
func (m Manifest) Outdated() bool {
	return m.Version < wholeVersion || m.Schema == nil && len(m.Files)+len(m.Pages) > 0
}

// current returns the entry of a file in a manifest of the current version, which got
// agrees with.
func (f File) current(got rows.Summary) File {
	f.Rows, f.Columns, f.ColumnsSHA256 = got.Rows, got.Columns, columnsSum(got.Columns)
	if f.Columns == nil {
		f.Columns = []string{}
	}
	got.Warnings.EmptyObject = f.Warnings.EmptyObject
	f.Warnings, f.NotChecked = got.Warnings, got.NotChecked
	if got.FirstText != "" { // the request is known, and with it the column of times
		f.FirstEvent, f.LastEvent, f.RowsByHour = got.FirstText, got.LastText, got.ByHour
	}
	return f
}

// Upgrade is CheckEach. If every file agrees with the manifest, it writes the manifest
// again in the current version, with what the files say; program is the version of this
// program. It changes nothing else. A bulk export that runs may replace the manifest later.
func Upgrade(
	ctx context.Context, path, program string, progress func(done, all int), fault func(Fault),
) (c Checked, upgraded bool, err error) {
	entries := map[string]File{}
	faults := 0
	c, err = checkEach(ctx, path, progress, func(f Fault) { faults++; fault(f) }, func(f File) { entries[f.Name] = f })
	if err != nil || faults > 0 {
		return c, false, err
	}
	root, err := local.OpenFolder(path)
	if err != nil {
		return c, false, fmt.Errorf("%s cannot be opened: %w", local.Shown(path), reason(err))
	}
	defer root.Close()
	unlock, err := lock(ctx, root, ".lock")
	if err != nil {
		return c, false, err
	}
	defer unlock()
	if err := upgradeIn(ctx, root, program, entries); err != nil {
		return c, false, err
	}
	return c, true, nil
}

// upgradeIn replaces the entries of the manifest in root. One that changed since it was
// checked stays.
func upgradeIn(ctx context.Context, root *os.Root, program string, entries map[string]File) error {
	m, err := readWithin(ctx, root, budget{left: decodedSize, more: decodedPages - decodedSize})
	if err != nil {
		return err
	}
	for i, f := range m.Files {
		if e, ok := entries[f.Name]; ok && e.SHA256 == f.SHA256 {
			m.Files[i] = e
		}
	}
	m.Program, m.WrittenAt = program, time.Now().UTC().Truncate(time.Second)
	return writeManifest(root, m.sharingColumns())
}
