package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/rows"
)

// ManifestName is the name of the manifest in the folder of the files it describes.
const ManifestName = "manifest.json"

// The versions of manifests that this program writes: one file, or a file with pages
// besides. It reads version 1 as well, which spelled the times of events as RFC 3339 in
// UTC and had neither columns_sha256 nor warnings. Later versions may have entries that
// were written as version 1; Upgrade writes them again.
const (
	wholeVersion = 2
	pagedVersion = 3
)

// Manifest describes the files of a folder and the request that they answer.
type Manifest struct {
	Version     int             `json:"version"`
	Program     string          `json:"program,omitempty"` // the version of the program that wrote this
	Account     string          `json:"account,omitempty"`
	Name        string          `json:"name,omitempty"`
	OperationID string          `json:"operation_id,omitempty"` // of a folder of one export
	BulkID      string          `json:"bulk_id,omitempty"`      // of a folder of a bulk export
	State       string          `json:"state,omitempty"`        // of the bulk export when this was written
	Request     json.RawMessage `json:"request,omitempty"`      // as sent; of a bulk export for its whole range
	SegmentName string          `json:"segment_name,omitempty"` // as Fullstory called it when the export was started
	Chunk       string          `json:"chunk,omitempty"`        // how the range was cut: day, PT6H or 500000 rows
	Now         time.Time       `json:"now,omitzero"`           // pinned for relative dates
	CreatedAt   time.Time       `json:"created_at,omitzero"`
	WrittenAt   time.Time       `json:"written_at,omitzero"`
	Coverage    *Coverage       `json:"coverage,omitempty"` // of the range of a bulk export
	Notices     json.RawMessage `json:"notices,omitempty"`  // about the request, given when it was started
	// Totals and Schema describe the files that were listed when the manifest was written.
	// SchemaLeftOut counts columns beyond 2000 in the schema, or beyond 256 KiB of names,
	// once for each file.
	Totals        *Totals        `json:"totals,omitempty"`
	Schema        []SchemaColumn `json:"schema,omitempty"`
	SchemaLeftOut int            `json:"schema_left_out,omitempty"`
	Columns       []string       `json:"columns,omitempty"` // of the files whose entry has none
	// Pages have the files of a manifest that would be too large for one file, and
	// ColumnPages the columns of those whose columns differ from Columns. A manifest that
	// was read has its files in Files, and no Pages.
	Pages       []Page `json:"pages,omitempty"`
	ColumnPages []Page `json:"column_pages,omitempty"`
	Files       []File `json:"files"`
}

// Coverage says which parts of a range the files of a folder cover, as half-open
// windows in order.
type Coverage struct {
	Settled     []Window `json:"settled"`     // exported when the rows had settled
	Provisional []Window `json:"provisional"` // exported before the rows had settled
	Missing     []Window `json:"missing"`
}

// Window is a half-open range of time, RFC 3339.
type Window struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// File is one verified file.
type File struct {
	Name        string `json:"name"`
	Start       string `json:"start"` // RFC 3339; empty: open
	End         string `json:"end"`   // excluded; empty: open
	OperationID string `json:"operation_id,omitempty"`
	Bytes       int64  `json:"bytes"` // as stored, compressed
	SHA256      string `json:"sha256"`
	Rows        int64  `json:"rows"`
	// FirstEvent and LastEvent are spelled as in the rows, see rows.ParseTime. They are
	// empty without rows or without the time column.
	FirstEvent string `json:"first_event,omitempty"`
	LastEvent  string `json:"last_event,omitempty"`
	// Columns are absent if they are those of the manifest. Those of a file of a page are
	// nil if they differ; the ColumnPages have them by ColumnsSHA256.
	Columns []string `json:"columns,omitzero"`
	// ColumnsSHA256 is the sha256 of the names of the columns in their order, each
	// followed by a line end. It is empty in entries of version 1.
	ColumnsSHA256 string `json:"columns_sha256,omitempty"`
	// Filled says in hex which columns have a value of their type in every row: bit i%8 of
	// byte i/8 is that of column i. It is empty where that is not known.
	Filled string `json:"filled,omitempty"`
	// Profile is the name of the profile of the file, relative to its folder; empty if none
	// was written. What it says is only used while it is that of the file.
	Profile    string        `json:"profile,omitempty"`
	Warnings   rows.Warnings `json:"warnings,omitzero"`
	NotChecked []string      `json:"not_checked,omitempty"` // what could not be verified
	ExportedAt time.Time     `json:"exported_at"`           // when Fullstory took the rows, by its clock
	// ExportSeconds is how long Fullstory worked on the export; 0 if not known.
	ExportSeconds float64 `json:"export_seconds,omitempty"`
	// RowsByHour counts the rows of each hour of UTC from that of FirstEvent to that of
	// LastEvent. It is nil without the time column, for rows over more than 400 days,
	// and in manifests of earlier versions.
	RowsByHour rows.Counts `json:"rows_by_hour,omitempty"`
	// Provisional marks a file of a bulk export that was exported before its rows had
	// settled, which they have 24 hours after its end.
	Provisional bool `json:"provisional,omitempty"`
	// Settled says how the file differs from the provisional one that it replaced.
	Settled *Difference `json:"settled,omitempty"`
	// MergedFrom are the files whose rows this one has, if it was not exported itself: at most
	// MostMerged of them. MergedLeftOut counts the others.
	MergedFrom    []MergedFile `json:"merged_from,omitempty"`
	MergedLeftOut int          `json:"merged_left_out,omitempty"`
}

// MostMerged is the most files that an entry names in MergedFrom.
const MostMerged = 50

// MergedFile is a file whose rows another one has.
type MergedFile struct {
	Folder string `json:"folder"` // the last part of its path
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Rows   int64  `json:"rows"` // that it gave
}

// Window returns the range of time that the file covers. A side is zero if it is open or
// cannot be parsed.
func (f File) Window() (w plan.Range) {
	w.Start, _, _ = rows.ParseTime(f.Start)
	w.End, _, _ = rows.ParseTime(f.End)
	return w
}

// Difference says how the rows of a file differ from those of an earlier file of the
// same window.
type Difference struct {
	Added   int64 `json:"rows_added"`
	Changed int64 `json:"rows_changed"` // same identity, different content
	Gone    int64 `json:"rows_gone"`
}

// Manifests returns the name and manifest of every folder of the archive. It skips
// folders without a manifest that can be read. An archive that does not exist yet has
// none.
func (a *Archive) Manifests() iter.Seq2[string, Manifest] {
	return func(yield func(string, Manifest) bool) {
		folders, err := local.List(a.dir)
		if err != nil {
			return
		}
		for _, f := range folders {
			if !f.IsDir() || !validName(f.Name()) {
				continue
			}
			if m, err := a.Manifest(f.Name()); err == nil && !yield(f.Name(), m) {
				return
			}
		}
	}
}

// Manifest reads the manifest of a folder. The error is fs.ErrNotExist if there is
// none.
func (a *Archive) Manifest(folder string) (Manifest, error) {
	root, err := a.folder(folder, false)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	return readManifest(root)
}

// WriteManifest writes the manifest of the folder of a bulk export. The columns of the
// last file are written once for all files that share them. It fails with a
// *ConflictError if the folder has files of another bulk export.
func (a *Archive) WriteManifest(ctx context.Context, folder string, m Manifest) error {
	m = m.sharingColumns()
	return a.locked(ctx, folder, func(root *os.Root) error {
		owner, err := ownerOf(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil && owner != m.BulkID {
			return &ConflictError{Path: filepath.Join(a.dir, folder, ManifestName)}
		}
		return writeManifest(root, m)
	})
}

// sharingColumns returns m with the columns of the last file once, for all files that
// have them.
func (m Manifest) sharingColumns() Manifest {
	m.Files = slices.Clone(m.Files)
	if m.Columns == nil && len(m.Files) > 0 {
		m.Columns = m.Files[len(m.Files)-1].Columns
	}
	for i := range m.Files {
		if slices.Equal(m.Files[i].Columns, m.Columns) {
			m.Files[i].Columns = nil
		}
	}
	return m
}

// UpdateManifest changes the manifest of a folder, and makes the folder if it is
// missing. It holds a lock while it reads, changes and writes, so updates never
// overlap, also those of other processes. A reader needs no lock: it sees the manifest
// before or after an update. If change fails, or ctx ends while another process has the
// lock, nothing is written.
func (a *Archive) UpdateManifest(ctx context.Context, folder string, change func(*Manifest) error) error {
	return a.locked(ctx, folder, func(root *os.Root) error {
		m, err := readManifest(root)
		if errors.Is(err, fs.ErrNotExist) {
			m, err = Manifest{Files: []File{}}, nil
		}
		if err != nil {
			return err
		}
		if err := change(&m); err != nil {
			return err
		}
		return writeManifest(root, m)
	})
}

// locked calls change with a folder, which it makes if it is missing. It holds the lock
// of the manifest of the folder meanwhile.
func (a *Archive) locked(ctx context.Context, folder string, change func(*os.Root) error) error {
	root, err := a.folder(folder, true)
	if err != nil {
		return err
	}
	defer root.Close()
	unlock, err := lock(ctx, root, ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	return change(root)
}

// put adds f, or replaces the entry of its name.
func (m *Manifest) put(f File) {
	if i := slices.IndexFunc(m.Files, func(o File) bool { return o.Name == f.Name }); i >= 0 {
		m.Files[i] = f
		return
	}
	m.Files = append(m.Files, f)
}

// columnsSum returns the sha256 of column names, each followed by a line end.
func columnsSum(columns []string) string {
	h := sha256.New()
	for _, c := range columns {
		io.WriteString(h, c)
		io.WriteString(h, "\n")
	}
	return hex.EncodeToString(h.Sum(nil))
}
