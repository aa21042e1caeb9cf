package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/local"
)

const (
	// superseded is the folder, inside that of an export, for files that later ones
	// replaced. Its dot hides it from programs that load all files below a folder.
	superseded = ".superseded"
	// supersededBefore is the name that earlier versions gave it.
	supersededBefore = "superseded"
)

// succession is the note beside a superseded file: <file>.json.
type succession struct {
	SHA256      string    `json:"replaced_by_sha256"`
	OperationID string    `json:"operation_id,omitempty"` // of the successor
	At          time.Time `json:"at"`
}

// SetAside moves a file of a folder to its superseded files, under a name that begins
// with at, and returns its new path relative to the folder. If the file does not exist,
// SetAside returns the path that it was last moved to, or "", so that it can be repeated
// after a crash.
func (a *Archive) SetAside(folder, name string, at time.Time) (string, error) {
	if !validName(name) || name == ManifestName {
		return "", fmt.Errorf("%q cannot be the name of a file of the archive", name)
	}
	root, err := a.folder(folder, true)
	if err != nil {
		return "", err
	}
	defer root.Close()
	to, err := asideName(root, superseded, name, at)
	if err != nil {
		return "", err
	}
	err = root.Rename(name, to)
	if errors.Is(err, fs.ErrNotExist) {
		if before := earlier(root, name); len(before) > 0 {
			return before[0], nil
		}
		return "", nil
	}
	if err != nil {
		return "", diskError(root.Name(), err)
	}
	root.Remove(ProfileName(name))
	return to, errors.Join(syncPath(root, superseded), syncFolder(root))
}

// asideName makes a folder inside root if it is missing, and returns a path in it for a
// file: at, to the microsecond, and the name of the file.
func asideName(root *os.Root, folder, name string, at time.Time) (string, error) {
	if err := local.MkdirIn(root, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", diskError(root.Name(), err)
	}
	return folder + "/" + at.UTC().Format("20060102T150405.000000Z_") + name, nil
}

// earlier lists the paths of the superseded files of that name, the latest first.
func earlier(root *os.Root, name string) []string {
	var found []string
	for _, folder := range []string{superseded, supersededBefore} {
		// Of a folder that cannot be read, none is known.
		_ = local.ListIn(root, folder, func(e fs.DirEntry) {
			if _, of, ok := strings.Cut(e.Name(), "_"); ok && of == name {
				found = append(found, folder+"/"+e.Name())
			}
		})
	}
	slices.SortFunc(found, func(a, b string) int { return strings.Compare(path.Base(b), path.Base(a)) })
	return found
}

// supersede gives the file of that name, whose checksum is sum, a second name among the
// superseded files, with a note that names its successor, and returns the path of the
// second name. The file keeps its own name until a rename gives it to the successor, so
// that the name exists at every instant. After a crash, supersede finds the second name
// by the checksum and makes no third.
func supersede(root *os.Root, name, sum string, by succession) (string, error) {
	for _, at := range earlier(root, name) {
		if there, err := checksum(root, at); err == nil && there == sum {
			return at, writeNote(root, at, by)
		}
	}
	at, err := asideName(root, superseded, name, by.At)
	if err != nil {
		return "", err
	}
	if err := root.Link(name, at); err != nil {
		if err := copyFile(root, name, at); err != nil { // no hard links here
			return "", diskError(root.Name(), err)
		}
	}
	return at, writeNote(root, at, by)
}

// writeNote writes the note of a superseded file, and makes the note and the name of the
// file durable.
func writeNote(root *os.Root, at string, by succession) error {
	raw, err := json.MarshalIndent(by, "", "  ")
	if err != nil {
		return err
	}
	if err := replace(root, at+".json", append(raw, '\n')); err != nil {
		return err
	}
	return syncPath(root, path.Dir(at))
}

// supersededBy returns the latest superseded file of that name whose successor
// has the checksum sum, or "".
func supersededBy(root *os.Root, name, sum string) string {
	for _, at := range earlier(root, name) {
		var by succession
		raw, err := local.ReadIn(root, at+".json", maxNote)
		if err == nil && json.Unmarshal(raw, &by) == nil && by.SHA256 == sum {
			return at
		}
	}
	return ""
}

// copyFile copies a file of root as writeFile writes one.
func copyFile(root *os.Root, from, to string) error {
	source, err := local.OpenIn(root, from)
	if err != nil {
		return err
	}
	defer source.Close()
	return writeFile(root, to, source)
}

// syncPath makes the renames in a folder of root durable; "." is root.
func syncPath(root *os.Root, folder string) error {
	inner, err := local.OpenFolderIn(root, folder)
	if err != nil {
		return diskError(root.Name(), err)
	}
	defer inner.Close()
	return syncFolder(inner)
}
