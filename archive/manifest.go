package archive

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	ExportedAt  time.Time `json:"exported_at"`
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
