package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"

	"fullstory-export-mcp/local"
)

const (
	// PagesFolder is the folder, inside that of an export, for the pages of its manifest.
	// Its dot hides it from programs that load all files below a folder.
	PagesFolder = ".manifest"
	// pageSize is how many bytes a page has before the next begins.
	pageSize = 4 << 20
	// wholeFiles and wholeColumns are the most files, and bytes of their own columns, of a
	// manifest that is tried as one file.
	wholeFiles   = 40_000
	wholeColumns = 8 << 20
	// wholeWindows is the most windows of a coverage that stays out of the pages.
	wholeWindows = 10_000
)

// Page is a file that holds a part of a manifest. Its name is made of its checksum, so
// that pages of two manifests never replace each other.
type Page struct {
	Name   string `json:"name"` // relative to the folder of the manifest
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// page is the content of a Page.
type page struct {
	Files    []File              `json:"files,omitempty"`
	Coverage *Coverage           `json:"coverage,omitempty"`
	Columns  map[string][]string `json:"columns,omitempty"` // by their sha256
}

func pageName(sum string) string { return PagesFolder + "/" + sum + ".json" }

// read returns the content of a page.
func (p Page) read(read func(name string) ([]byte, error)) ([]byte, error) {
	if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != sha256.Size || p.Name != pageName(p.SHA256) {
		return nil, errors.New("the name of a page is not its checksum")
	}
	raw, err := read(p.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrPageGone
	}
	if err != nil {
		return nil, pageError{err}
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != p.SHA256 {
		return nil, fmt.Errorf("its page %s has another checksum", p.Name)
	}
	return raw, nil
}

// writeManifest writes a manifest durably. A large one is written in pages, which exist
// before the manifest that names them, and those of the manifest before it are removed
// after: at every instant the manifest and its pages can be read.
func writeManifest(root *os.Root, m Manifest) error {
	m = m.described(readColumnLists(root, m))
	raw, err := m.whole()
	if err != nil {
		return err
	}
	if raw == nil {
		if m, err = writePages(root, m); err != nil {
			return err
		}
		if raw, err = indent(m); err != nil {
			return err
		}
		if len(raw) > MaxManifest {
			return fmt.Errorf("the manifest in %s would have %d bytes, and the limit is %d", root.Name(), len(raw), MaxManifest)
		}
	}
	if err := replace(root, ManifestName, raw); err != nil {
		return err
	}
	removePages(root, m)
	return nil
}

// whole returns the JSON of a manifest that fits into one file; nil if it does not.
func (m Manifest) whole() ([]byte, error) {
	columns := 0
	for _, f := range m.Files {
		for _, name := range f.Columns {
			columns += len(name)
		}
	}
	if len(m.Files) > wholeFiles || columns > wholeColumns || len(m.ColumnPages) > 0 {
		return nil, nil
	}
	m.Version = wholeVersion
	raw, err := indent(m)
	if len(raw) > MaxManifest {
		return nil, err
	}
	return raw, err
}

func indent(m Manifest) ([]byte, error) {
	raw, err := json.MarshalIndent(m, "", "  ")
	return append(raw, '\n'), err
}

// writePages writes the pages of a manifest, and returns the manifest that names them.
func writePages(root *os.Root, m Manifest) (Manifest, error) {
	if err := local.MkdirIn(root, PagesFolder); err != nil && !errors.Is(err, fs.ErrExist) {
		return m, diskError(root.Name(), err)
	}
	columns, err := putPages(root, `{"columns":{`, m.columnLists(), `}}`)
	if err != nil {
		return m, err
	}
	files, err := putPages(root, `{"files":[`, m.entries(), `]}`)
	if err != nil {
		return m, err
	}
	m.Version, m.Pages, m.Files = pagedVersion, files, []File{}
	m.ColumnPages = distinct(append(m.ColumnPages, columns...))
	if c := m.Coverage; c.windows() > wholeWindows {
		for name, list := range map[string][]Window{
			"settled": c.Settled, "provisional": c.Provisional, "missing": c.Missing,
		} {
			windows, err := putPages(root, `{"coverage":{"`+name+`":[`, encoded(list), `]}}`)
			if err != nil {
				return m, err
			}
			m.Pages = append(m.Pages, windows...)
		}
		m.Coverage = nil
	}
	return m, syncPath(root, PagesFolder)
}

// entries returns the entries of the files as JSON, without columns that columnLists has.
func (m Manifest) entries() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, f := range m.Files {
			if f.ColumnsSHA256 != "" {
				f.Columns = nil
			}
			if !yield(json.Marshal(f)) {
				return
			}
		}
	}
}

// columnLists returns the distinct lists of columns that differ from those of the
// manifest, as members of a JSON object by their checksum.
func (m Manifest) columnLists() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		seen := map[string]bool{columnsSum(m.Columns): true}
		for _, f := range m.Files {
			if f.Columns == nil || f.ColumnsSHA256 == "" || seen[f.ColumnsSHA256] {
				continue
			}
			seen[f.ColumnsSHA256] = true
			list, err := json.Marshal(f.Columns)
			if !yield(append([]byte(`"`+f.ColumnsSHA256+`":`), list...), err) {
				return
			}
		}
	}
}

// encoded returns windows as JSON.
func encoded(windows []Window) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, w := range windows {
			if !yield(json.Marshal(w)) {
				return
			}
		}
	}
}

// putPages writes items into as many pages as they need. A page that exists already is
// not written again.
func putPages(root *os.Root, head string, items iter.Seq2[[]byte, error], tail string) (pages []Page, err error) {
	var content bytes.Buffer
	flush := func() error {
		content.WriteString(tail)
		raw := sha256.Sum256(content.Bytes())
		sum := hex.EncodeToString(raw[:])
		p := Page{pageName(sum), sum, int64(content.Len())}
		pages = append(pages, p)
		if info, err := root.Lstat(p.Name); err == nil && info.Mode().IsRegular() && info.Size() == p.Bytes {
			return nil
		}
		return diskError(root.Name(), writeFile(root, p.Name, &content))
	}
	for item, err := range items {
		if err != nil {
			return nil, err
		}
		if content.Len()+len(item) > pageSize && content.Len() > 0 {
			if err := flush(); err != nil {
				return nil, err
			}
			content.Reset()
		}
		separator := "\n"
		if content.Len() == 0 {
			separator = head + "\n"
		} else {
			content.WriteByte(',')
		}
		content.WriteString(separator)
		content.Write(item)
	}
	if content.Len() == 0 {
		return nil, nil
	}
	return pages, flush()
}

// removePages removes the pages in root that a manifest does not name. One that cannot be
// removed stays until the next time.
func removePages(root *os.Root, m Manifest) {
	named := map[string]bool{}
	for _, p := range append(m.Pages, m.ColumnPages...) {
		named[path.Base(p.Name)] = true
	}
	var gone []string
	err := local.ListIn(root, PagesFolder, func(e fs.DirEntry) {
		if !named[e.Name()] && strings.Contains(e.Name(), ".json") {
			gone = append(gone, e.Name())
		}
	})
	if err != nil {
		return
	}
	for _, name := range gone {
		root.Remove(PagesFolder + "/" + name)
	}
}

// EachManifestFile calls each with the files that the manifest of a folder consists of:
// its pages, and the manifest itself at the end. Names are relative to the folder.
func (a *Archive) EachManifestFile(folder string, each func(name string, content []byte) error) error {
	root, err := a.folder(folder, false)
	if err != nil {
		return err
	}
	defer root.Close()
	path := a.Path(folder, ManifestName)
	raw, err := local.ReadIn(root, ManifestName, MaxManifest)
	if err != nil {
		return unreadable(root, path, err)
	}
	m, err := parse(raw, &budget{left: decodedSize})
	if err != nil {
		return damagedManifest(path, err)
	}
	for _, p := range append(m.Pages, m.ColumnPages...) {
		content, err := p.read(func(name string) ([]byte, error) { return local.ReadIn(root, name, MaxManifest) })
		if err != nil {
			return damagedManifest(path, err)
		}
		if err := each(p.Name, content); err != nil {
			return err
		}
	}
	return each(ManifestName, raw)
}
