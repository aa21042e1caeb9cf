package archive

import (
	"context"
	"time"
)

// Describe gives the manifest of a folder the description of its export, d, if it has
// none: the folder was removed and made again. A manifest that cannot be read is left as
// it is, because it is reported when the folder is verified.
func (a *Archive) Describe(ctx context.Context, folder string, d Manifest) error {
	if m, err := a.Manifest(folder); err != nil || m.Account != "" {
		return nil
	}
	return a.UpdateManifest(ctx, folder, func(m *Manifest) error {
		d.Version, d.Files = m.Version, m.Files
		*m = d
		return nil
	})
}

// NameFor returns the name of the file of an operation, of a window, in a folder. A file
// without a window that an earlier version stored as open_open keeps that name.
func (a *Archive) NameFor(folder, operation string, start, end time.Time, suffix string) string {
	name := FileName(start, end, suffix)
	if !start.IsZero() || !end.IsZero() {
		return name
	}
	if m, err := a.Manifest(folder); err == nil && len(m.Files) > 0 && m.Files[0].OperationID == operation {
		return m.Files[0].Name
	}
	return name
}
