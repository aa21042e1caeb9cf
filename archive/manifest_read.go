package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/rows"
)

const (
	// MaxManifest is the most bytes of a manifest, and of each of its pages.
	MaxManifest = 16 << 20
	// maxEntries is the most files in a manifest or a page. An entry has at least 300
	// bytes.
	maxEntries = MaxManifest / 280
	// maxFiles is the most files in a manifest with all its pages: twice the chunks that an
	// account may have.
	maxFiles = 1_000_000
	// maxWindows is the most windows of a coverage.
	maxWindows = 1_000_000
	// readTries is how often a manifest with pages is read while a process keeps
	// replacing it.
	readTries = 5
)

// ErrPageGone reports a page that does not exist: the manifest was replaced after it was
// read, or is damaged.
var ErrPageGone = errors.New("a page of it is missing")

// pageError is an error of the function that reads pages.
type pageError struct{ error }

// readManifest reads the manifest in root with its pages. The error is fs.ErrNotExist if
// there is none.
func readManifest(root *os.Root) (m Manifest, err error) {
	path := filepath.Join(root.Name(), ManifestName)
	for range readTries {
		var raw []byte
		if raw, err = local.ReadIn(root, ManifestName, MaxManifest); err != nil {
			return Manifest{}, unreadable(root, path, err)
		}
		m, err = ParseManifest(raw, path, func(name string) ([]byte, error) {
			content, err := local.ReadIn(root, name, MaxManifest)
			if err != nil {
				err = unreadable(root, filepath.Join(root.Name(), name), err)
			}
			return content, err
		})
		if !errors.Is(err, ErrPageGone) {
			return m, err
		}
	}
	return Manifest{}, err
}

// unreadable returns the error of a manifest that could not be read.
func unreadable(root *os.Root, path string, err error) error {
	if large, ok := errors.AsType[*local.SizeError](err); ok {
		return &ManifestError{Path: path, Reason: fmt.Sprintf("has %s and the limit is %s",
			rows.FormatBytes(large.Size), rows.FormatBytes(large.Limit)), Err: err}
	}
	return diskError(root.Name(), err)
}

// ParseManifest parses a manifest. read returns the content of a page, whose name is
// relative to the folder of the manifest; it must bound what it reads, and return
// fs.ErrNotExist if there is none. ParseManifest fails with the error of read, or a
// *ManifestError, which names path; that is ErrPageGone if a page is missing.
func ParseManifest(raw []byte, path string, read func(name string) ([]byte, error)) (Manifest, error) {
	m, err := parse(raw)
	if err != nil {
		return Manifest{}, damagedManifest(path, err)
	}
	if m.Version > pagedVersion {
		return Manifest{}, newerManifest(path)
	}
	if err := m.addPages(read); err != nil {
		return Manifest{}, damagedManifest(path, err)
	}
	sum := columnsSum(m.Columns)
	for i := range m.Files {
		f := &m.Files[i]
		if f.Columns == nil && (f.ColumnsSHA256 == "" || f.ColumnsSHA256 == sum) {
			f.Columns = m.Columns
		}
	}
	return m, nil
}

// damagedManifest returns the *ManifestError of a manifest that is not valid. The text
// of err may quote the manifest.
func damagedManifest(path string, err error) error {
	if unread, ok := errors.AsType[pageError](err); ok {
		return unread.error
	}
	return &ManifestError{Path: path, Reason: "is damaged: " + local.Shown(fmt.Sprintf("%.200s", err)), Err: err}
}

// addPages adds what the pages have. It reads one at a time.
func (m *Manifest) addPages(read func(name string) ([]byte, error)) error {
	for _, listed := range m.Pages {
		raw, err := listed.read(read)
		if err != nil {
			return err
		}
		p, err := parsePage(raw)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, p.Files...)
		if p.Coverage != nil {
			if m.Coverage == nil {
				m.Coverage = &Coverage{Settled: []Window{}, Provisional: []Window{}, Missing: []Window{}}
			}
			m.Coverage.Settled = append(m.Coverage.Settled, p.Coverage.Settled...)
			m.Coverage.Provisional = append(m.Coverage.Provisional, p.Coverage.Provisional...)
			m.Coverage.Missing = append(m.Coverage.Missing, p.Coverage.Missing...)
		}
		if len(m.Files) > maxFiles || m.Coverage.windows() > maxWindows {
			return fmt.Errorf("it has more than %d files or windows, which is the limit", maxFiles)
		}
	}
	m.Pages = nil
	return nil
}

// windows returns how many windows a coverage has.
func (c *Coverage) windows() int {
	if c == nil {
		return 0
	}
	return len(c.Settled) + len(c.Provisional) + len(c.Missing)
}

// parse parses the JSON of a manifest, without its pages. Its memory is bounded by the
// length of raw, whatever raw holds.
func parse(raw []byte) (Manifest, error) {
	if err := dense(raw); err != nil {
		return Manifest{}, err
	}
	var m struct {
		Manifest
		Files entries `json:"files"` // instead of those of Manifest
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return Manifest{}, err
	}
	m.Manifest.Files = m.Files
	return m.Manifest, nil
}

// entries are files of a manifest, at most maxEntries: an empty object of 3 bytes would
// become a File of more than 400.
type entries []File

// UnmarshalJSON implements json.Unmarshaler.
func (e *entries) UnmarshalJSON(raw []byte) error {
	*e = nil
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return err // null is no file
	}
	*e = entries{}
	for d.More() {
		if len(*e) == maxEntries {
			return fmt.Errorf("it has more than %d files", maxEntries)
		}
		var f File
		if err := d.Decode(&f); err != nil {
			return err
		}
		*e = append(*e, f)
	}
	return nil
}

// dense returns an error if raw has far more values than bytes of content, as a manifest
// that this program wrote never has: each value needs memory of its own.
func dense(raw []byte) error {
	const leastValue = 8 // bytes for each value, on average, with its key
	values, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			inString = !inString
		case ',', '[', '{':
			if !inString {
				values++
			}
		}
	}
	if values > 10_000+len(raw)/leastValue {
		return errors.New("it has too many values for its size")
	}
	return nil
}

// ownerOf returns the bulk export that the manifest in root belongs to; "" if it belongs
// to none. The error is fs.ErrNotExist if there is no manifest or it has no files.
func ownerOf(root *os.Root) (bulk string, err error) {
	path := filepath.Join(root.Name(), ManifestName)
	raw, err := local.ReadIn(root, ManifestName, MaxManifest)
	if _, large := errors.AsType[*local.SizeError](err); large {
		return ownerOfLarge(root)
	}
	if err != nil {
		return "", unreadable(root, path, err)
	}
	m, err := parse(raw)
	switch {
	case err != nil:
		return "", damagedManifest(path, err)
	case m.Version > pagedVersion:
		return "", newerManifest(path)
	case len(m.Files)+len(m.Pages) == 0:
		return "", fs.ErrNotExist
	}
	return m.BulkID, nil
}

// ownerOfLarge is ownerOf for a manifest of an earlier version, which may be larger than
// MaxManifest. It reads the start, up to the name of the bulk export.
func ownerOfLarge(root *os.Root) (bulk string, err error) {
	f, err := local.OpenIn(root, ManifestName)
	if err != nil {
		return "", err
	}
	defer f.Close()
	d := json.NewDecoder(io.LimitReader(f, 1<<20))
	if _, err = d.Token(); err != nil {
		return "", damagedManifest(f.Name(), err)
	}
	for d.More() {
		var key json.Token
		if key, err = d.Token(); err != nil {
			break
		}
		if key == "bulk_id" {
			err = d.Decode(&bulk)
			return bulk, err
		}
		var other json.RawMessage
		if err = d.Decode(&other); err != nil {
			break
		}
	}
	return "", damagedManifest(f.Name(), errors.New("it is too large and does not begin with what it belongs to"))
}

// newerManifest returns the error of a manifest that this program cannot read.
func newerManifest(path string) error {
	return &ManifestError{Path: path, Reason: "was written by a newer version of this program"}
}
