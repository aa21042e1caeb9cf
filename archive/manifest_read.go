package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"fullstory-export-mcp/local"
	"fullstory-export-mcp/rows"
)

// readTries is how often a manifest with pages is read while a process keeps replacing it.
const readTries = 5

// ErrPageGone reports a page that does not exist: the manifest was replaced after it was
// read, or is damaged.
var ErrPageGone = errors.New("a page of it is missing")

// pageError is an error of the function that reads pages.
type pageError struct{ error }

// readManifest reads the manifest in root with its pages. The error is fs.ErrNotExist if
// there is none.
func readManifest(root *os.Root) (m Manifest, err error) {
	return readWithin(context.Background(), root, budget{left: decodedSize, more: decodedPages - decodedSize})
}

// readWithin is readManifest, with an error that is errDecoded if the manifest takes more
// memory than b. It ends with ctx.
func readWithin(ctx context.Context, root *os.Root, b budget) (m Manifest, err error) {
	path := filepath.Join(root.Name(), ManifestName)
	for range readTries {
		var raw []byte
		if raw, err = local.ReadIn(root, ManifestName, MaxManifest); err != nil {
			return Manifest{}, unreadable(root, path, err)
		}
		within := b
		within.ended = ctx.Err
		m, err = parseManifest(raw, path, reader(ctx, root), &within)
		if !errors.Is(err, ErrPageGone) {
			return m, err
		}
	}
	return Manifest{}, err
}

// reader returns a function that reads the pages in root, until ctx ends.
func reader(ctx context.Context, root *os.Root) func(name string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		content, err := local.ReadIn(root, name, MaxManifest)
		if err != nil {
			err = unreadable(root, filepath.Join(root.Name(), name), err)
		}
		return content, err
	}
}

// unreadable returns the error of a manifest that could not be read.
func unreadable(root *os.Root, path string, err error) error {
	if large, ok := errors.AsType[*local.SizeError](err); ok {
		return &ManifestError{Path: path, Reason: fmt.Sprintf("has %s and the limit is %s",
			rows.FormatBytes(large.Size), rows.FormatBytes(large.Limit)), Err: err}
	}
	if errors.Is(err, syscall.ENOTDIR) { // what should be its folder is something else
		return diskError(filepath.Dir(path), err)
	}
	return diskError(root.Name(), err)
}

// ParseManifest parses a manifest. read returns the content of a page, whose name is
// relative to the folder of the manifest; it must bound what it reads, and return
// fs.ErrNotExist if there is none. ParseManifest fails with the error of read, or a
// *ManifestError, which names path; that is ErrPageGone if a page is missing.
func ParseManifest(raw []byte, path string, read func(name string) ([]byte, error)) (Manifest, error) {
	return parseManifest(raw, path, read, &budget{left: decodedSize, more: decodedPages - decodedSize})
}

func parseManifest(
	raw []byte, path string, read func(name string) ([]byte, error), b *budget,
) (Manifest, error) {
	m, err := parse(raw, b)
	if err != nil {
		return Manifest{}, damagedManifest(path, err)
	}
	if m.Version > pagedVersion {
		return Manifest{}, newerManifest(path)
	}
	if err := m.addPages(read, b); err != nil {
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

// addPages adds what the pages have, within a budget. It reads one at a time.
func (m *Manifest) addPages(read func(name string) ([]byte, error), b *budget) error {
	for _, listed := range m.Pages {
		raw, err := listed.read(read)
		if err != nil {
			return err
		}
		b.extend(len(raw))
		p, err := parsePage(raw, b)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, p.Files...)
		if len(m.Files) > maxFiles {
			return tooManyFiles()
		}
		if err := m.cover(p.Coverage); err != nil {
			return err
		}
	}
	m.Pages = nil
	return nil
}

func tooManyFiles() error {
	return fmt.Errorf("it has more than %d files, which is the limit", maxFiles)
}

// cover adds the coverage of a page, which may be nil.
func (m *Manifest) cover(of *Coverage) error {
	if of == nil {
		return nil
	}
	if m.Coverage == nil {
		m.Coverage = &Coverage{Settled: []Window{}, Provisional: []Window{}, Missing: []Window{}}
	}
	m.Coverage.Settled = append(m.Coverage.Settled, of.Settled...)
	m.Coverage.Provisional = append(m.Coverage.Provisional, of.Provisional...)
	m.Coverage.Missing = append(m.Coverage.Missing, of.Missing...)
	if m.Coverage.windows() > maxWindows {
		return fmt.Errorf("it has more than %d windows, which is the limit", maxWindows)
	}
	return nil
}

// windows returns how many windows a coverage has.
func (c *Coverage) windows() int {
	if c == nil {
		return 0
	}
	return len(c.Settled) + len(c.Provisional) + len(c.Missing)
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
	m, err := parse(raw, &budget{left: decodedSize})
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
