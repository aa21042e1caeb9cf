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

// manifestName is the record that lies beside the files it describes.
const manifestName = "manifest.json"

// manifestVersion is the form of manifests written now.
const manifestVersion = 1

// Manifest says what the files of a folder are and what was asked for.
type Manifest struct {
	Version     int             `json:"version"`
	Account     string          `json:"account,omitempty"`
	Name        string          `json:"name,omitempty"`
	OperationID string          `json:"operation_id,omitempty"` // of a folder of one export
	Request     json.RawMessage `json:"request,omitempty"`      // as it was sent
	Now         time.Time       `json:"now,omitzero"`           // pinned for relative dates
	CreatedAt   time.Time       `json:"created_at,omitzero"`
	Files       []File          `json:"files"`
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
	Columns     []string  `json:"columns"`
	ExportedAt  time.Time `json:"exported_at"` // when Fullstory took the rows, by its clock
	// ExportSeconds is how long Fullstory worked on it; 0 when not known.
	ExportSeconds float64 `json:"export_seconds,omitempty"`
	// RowsByHour counts the rows of each hour of UTC from that of FirstEvent to
	// that of LastEvent. It is nil without the column, for rows over more than
	// mostHours, and in manifests of earlier versions.
	RowsByHour Counts `json:"rows_by_hour,omitempty"`
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
	f, err := root.Open(manifestName)
	if err != nil {
		return Manifest{}, diskError(root.Name(), err)
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil {
		return Manifest{}, diskError(root.Name(), err)
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return Manifest{}, &ManifestError{Path: filepath.Join(root.Name(), manifestName), Reason: "is damaged: " + err.Error()}
	}
	if m.Version > manifestVersion {
		return Manifest{}, &ManifestError{Path: filepath.Join(root.Name(), manifestName), Reason: "was written by a newer version of this program"}
	}
	return m, nil
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
	return replace(root, manifestName, append(raw, '\n'))
}

// put adds f, or takes the place of the one of its name.
func (m *Manifest) put(f File) {
	if i := slices.IndexFunc(m.Files, func(o File) bool { return o.Name == f.Name }); i >= 0 {
		m.Files[i] = f
		return
	}
	m.Files = append(m.Files, f)
}
