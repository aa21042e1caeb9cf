package archive

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ManifestName is the record that lies beside the files it describes.
const ManifestName = "manifest.json"

// manifestVersion is the form of manifests written now.
const manifestVersion = 1

// Manifest says what the files of a folder are and what was asked for.
type Manifest struct {
	Version     int             `json:"version"`
	Account     string          `json:"account,omitempty"`
	Name        string          `json:"name,omitempty"`
	OperationID string          `json:"operation_id,omitempty"` // of a folder of one export
	BulkID      string          `json:"bulk_id,omitempty"`      // of a folder of a bulk export
	State       string          `json:"state,omitempty"`        // of the bulk export when this was written
	Request     json.RawMessage `json:"request,omitempty"`      // as it was sent; of a bulk export for its whole range
	Chunk       string          `json:"chunk,omitempty"`        // how a bulk export was cut
	Now         time.Time       `json:"now,omitzero"`           // pinned for relative dates
	CreatedAt   time.Time       `json:"created_at,omitzero"`
	WrittenAt   time.Time       `json:"written_at,omitzero"`
	Coverage    *Coverage       `json:"coverage,omitempty"` // of the range of a bulk export
	Columns     []string        `json:"columns,omitempty"`  // of the files that tell none
	Files       []File          `json:"files"`
}

// Coverage says which instants of a range the files of a folder hold, as
// half-open windows in order.
type Coverage struct {
	Settled     []Window `json:"settled"`     // for good
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
	Name        string    `json:"name"`
	Start       string    `json:"start"` // RFC 3339; empty: open
	End         string    `json:"end"`   // excluded; empty: open
	OperationID string    `json:"operation_id,omitempty"`
	Bytes       int64     `json:"bytes"` // as stored, compressed
	SHA256      string    `json:"sha256"`
	Rows        int64     `json:"rows"`
	FirstEvent  string    `json:"first_event,omitempty"` // RFC 3339; empty without rows or without the column
	LastEvent   string    `json:"last_event,omitempty"`
	Columns     []string  `json:"columns,omitzero"` // absent: those of the manifest
	ExportedAt  time.Time `json:"exported_at"`      // when Fullstory took the rows, by its clock
	// ExportSeconds is how long Fullstory worked on it; 0 when not known.
	ExportSeconds float64 `json:"export_seconds,omitempty"`
	// RowsByHour counts the rows of each hour of UTC from that of FirstEvent to
	// that of LastEvent. It is nil without the column, for rows over more than
	// mostHours, and in manifests of earlier versions.
	RowsByHour Counts `json:"rows_by_hour,omitempty"`
	// Provisional is a file of a bulk export that was exported before its rows
	// had settled, 24 hours after its end.
	Provisional bool `json:"provisional,omitempty"`
	// Settled is how it differs from the provisional file in whose place it is.
	Settled *Difference `json:"settled,omitempty"`
}

// Difference is how a file differs from an earlier one of the same window, in
// rows.
type Difference struct {
	Added   int64 `json:"rows_added"`
	Changed int64 `json:"rows_changed"` // same key, other content
	Gone    int64 `json:"rows_gone"`
}

// Counts are numbers that take one line of a manifest, such as "12 0 7".
type Counts []int64

// MarshalText implements encoding.TextMarshaler.
func (c Counts) MarshalText() ([]byte, error) {
	var text []byte
	for i, n := range c {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	return text, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Counts) UnmarshalText(text []byte) error {
	*c = nil
	for word := range strings.FieldsSeq(string(text)) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return err
		}
		*c = append(*c, n)
	}
	return nil
}

// Manifests returns the manifest of every folder of the archive, by the
// folder's name. Folders without one, or with one that cannot be read, are left
// out. An archive that does not exist yet has none.
func (a *Archive) Manifests() iter.Seq2[string, Manifest] {
	return func(yield func(string, Manifest) bool) {
		folders, err := os.ReadDir(a.dir)
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

// Manifest reads the manifest of a folder. The error is fs.ErrNotExist when
// there is none.
func (a *Archive) Manifest(folder string) (Manifest, error) {
	root, err := a.folder(folder, false)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	return readManifest(root)
}

func readManifest(root *os.Root) (Manifest, error) {
	f, err := root.Open(ManifestName)
	if err != nil {
		return Manifest{}, diskError(root.Name(), err)
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil {
		return Manifest{}, diskError(root.Name(), err)
	}
	return ParseManifest(raw, filepath.Join(root.Name(), ManifestName))
}

// ParseManifest reads a manifest, which is at path. It fails with a
// *ManifestError.
func ParseManifest(raw []byte, path string) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return Manifest{}, &ManifestError{Path: path, Reason: "is damaged: " + err.Error()}
	}
	if m.Version > manifestVersion {
		return Manifest{}, &ManifestError{Path: path, Reason: "was written by a newer version of this program"}
	}
	for i := range m.Files {
		if m.Files[i].Columns == nil {
			m.Files[i].Columns = m.Columns
		}
	}
	return m, nil
}

// WriteManifest writes the manifest of a bulk export's folder. Columns that
// most of its files share are written once.
func (a *Archive) WriteManifest(folder string, m Manifest) error {
	files := slices.Clone(m.Files)
	if m.Columns == nil && len(files) > 0 {
		m.Columns = files[len(files)-1].Columns
	}
	for i := range files {
		if slices.Equal(files[i].Columns, m.Columns) {
			files[i].Columns = nil
		}
	}
	m.Files = files
	return a.UpdateManifest(folder, func(present *Manifest) error {
		if present.BulkID != m.BulkID && len(present.Files) > 0 {
			return &ConflictError{Path: filepath.Join(a.dir, folder, ManifestName)}
		}
		*present = m
		return nil
	})
}

// UpdateManifest changes the manifest of a folder, which is made if missing.
// Changes follow one another, also those of other processes; a reader sees the
// manifest before or after one. When change fails nothing is written.
func (a *Archive) UpdateManifest(folder string, change func(*Manifest) error) error {
	root, err := a.folder(folder, true)
	if err != nil {
		return err
	}
	defer root.Close()
	unlock, err := lock(root, ".lock", true)
	if err != nil {
		return err
	}
	defer unlock()
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
	m.Version = manifestVersion
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replace(root, ManifestName, append(raw, '\n'))
}

// put adds f, or takes the place of the one of its name.
func (m *Manifest) put(f File) {
	if i := slices.IndexFunc(m.Files, func(o File) bool { return o.Name == f.Name }); i >= 0 {
		m.Files[i] = f
		return
	}
	m.Files = append(m.Files, f)
}
