package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

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
	// maxPages is the most pages of a manifest: 1,000,000 files of 4 kB each.
	maxPages = 1000
	// maxFields is the most fields of a request, as the tools accept them.
	maxFields = 500
	// maxText and maxLiteral are the most bytes of a text, and of a number, in a manifest.
	// The longest text has the rows of 9,600 hours.
	maxText    = 256 << 10
	maxLiteral = 1000

	// decodedSize is the most memory, in bytes, that a manifest may take once it is decoded.
	// One of 100,000 files takes 60 MB.
	decodedSize = 64 << 20
	// decodedPages is the most memory of one with pages, if these have at least half as many
	// bytes, as those have that this program writes: 500,000 files take 300 MB.
	decodedPages = 400 << 20
)

// errDecoded reports a manifest that would take more memory than its budget.
var errDecoded = errors.New("it would take too much memory")

// budget bounds the memory of a manifest with all its pages, once it is decoded.
type budget struct {
	left, more int          // bytes, and by how many pages may extend it
	ended      func() error // the reason why nothing more is to be decoded, or nil; may be nil
}

// take counts n bytes. It fails if the budget has not as many, or ended says so.
func (b *budget) take(n int) error {
	if b.ended != nil && b.ended() != nil {
		return b.ended()
	}
	if b.left -= n; b.left < 0 {
		return errDecoded
	}
	return nil
}

// extend adds what a page of n bytes may take.
func (b *budget) extend(n int) {
	n = min(2*n, b.more)
	b.left, b.more = b.left+n, b.more-n
}

// list is a list in a manifest whose items are counted while they are decoded: an empty
// object of 3 bytes becomes a File of more than 400.
type list[T any] struct {
	items []T
	most  int
	what  string // the name of the items
	of    *budget
	cost  func(T) int // bytes that an item takes besides its own size
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *list[T]) UnmarshalJSON(raw []byte) error {
	l.items = nil
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return err // null is no item
	}
	l.items = []T{}
	for d.More() {
		if len(l.items) == l.most {
			return fmt.Errorf("it has more than %d %s", l.most, l.what)
		}
		var item T
		if err := d.Decode(&item); err != nil {
			return err
		}
		if err := l.of.take(l.size() + l.cost(item)); err != nil {
			return err
		}
		l.items = append(l.items, item)
	}
	return nil
}

// size returns how many bytes an item takes itself.
func (list[T]) size() int { return int(reflect.TypeFor[T]().Size()) }

func filesList(b *budget) list[File] { return list[File]{nil, maxEntries, "files", b, costOfFile} }

func pagesList(b *budget) list[Page] {
	return list[Page]{nil, maxPages, "pages", b, func(p Page) int { return len(p.Name) + len(p.SHA256) }}
}

func windowsList(b *budget) list[Window] {
	return list[Window]{nil, maxWindows, "windows", b, func(w Window) int { return len(w.Start) + len(w.End) }}
}

// smallest is the least memory that a text in a list takes, in bytes.
const smallest = 16

func columnsList(b *budget) list[string] {
	return list[string]{nil, maxWindows, "columns", b, func(s string) int { return max(len(s), smallest) }}
}

// costOfFile returns how many bytes an entry takes besides those of File.
func costOfFile(f File) int {
	n := 8 * len(f.RowsByHour)
	if f.Settled != nil {
		n += int(reflect.TypeFor[Difference]().Size())
	}
	for _, s := range []string{
		f.Name, f.Start, f.End, f.OperationID, f.SHA256, f.FirstEvent, f.LastEvent, f.ColumnsSHA256, f.Filled, f.Profile,
	} {
		n += len(s)
	}
	for _, m := range f.MergedFrom {
		n += int(reflect.TypeFor[MergedFile]().Size()) + len(m.Folder) + len(m.Name) + len(m.SHA256)
	}
	for _, s := range f.Columns {
		n += smallest + max(len(s), smallest)
	}
	for _, s := range f.NotChecked {
		n += smallest + max(len(s), smallest)
	}
	return n
}

// coverage is a Coverage that is decoded within a budget.
type coverage struct {
	of    *budget
	given *Coverage // nil: none
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *coverage) UnmarshalJSON(raw []byte) error {
	c.given = nil
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	lists := struct{ Settled, Provisional, Missing list[Window] }{
		windowsList(c.of), windowsList(c.of), windowsList(c.of),
	}
	if err := json.Unmarshal(raw, &lists); err != nil {
		return err
	}
	c.given = &Coverage{lists.Settled.items, lists.Provisional.items, lists.Missing.items}
	return nil
}

// parse parses the JSON of a manifest, without its pages, within a budget.
func parse(raw []byte, b *budget) (Manifest, error) {
	if err := sound(raw); err != nil {
		return Manifest{}, err
	}
	m := struct {
		Manifest
		Files       list[File]         `json:"files"` // instead of those of Manifest
		Columns     list[string]       `json:"columns"`
		Schema      list[SchemaColumn] `json:"schema"`
		Pages       list[Page]         `json:"pages"`
		ColumnPages list[Page]         `json:"column_pages"`
		Coverage    coverage           `json:"coverage"`
	}{
		Schema: schemaList(b),
		Files:  filesList(b), Columns: columnsList(b), Pages: pagesList(b), ColumnPages: pagesList(b),
		Coverage: coverage{of: b},
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return Manifest{}, err
	}
	read := m.Manifest
	read.Files, read.Columns, read.Coverage = m.Files.items, m.Columns.items, m.Coverage.given
	read.Schema = m.Schema.items
	read.Pages, read.ColumnPages = m.Pages.items, distinct(m.ColumnPages.items)
	if len(distinct(read.Pages)) < len(read.Pages) {
		return Manifest{}, errors.New("it lists a page twice")
	}
	return read, checkRequest(read.Request)
}

// distinct returns pages without those whose name an earlier one has.
func distinct(pages []Page) (kept []Page) {
	seen := map[string]bool{}
	for _, p := range pages {
		if !seen[p.Name] {
			seen[p.Name] = true
			kept = append(kept, p)
		}
	}
	return kept
}

// parsePage parses a page, without the columns in it, as parse does a manifest.
func parsePage(raw []byte, b *budget) (page, error) {
	if err := sound(raw); err != nil {
		return page{}, err
	}
	p := struct {
		Files    list[File] `json:"files"`
		Coverage coverage   `json:"coverage"`
	}{filesList(b), coverage{of: b}}
	err := json.Unmarshal(raw, &p)
	return page{Files: p.Files.items, Coverage: p.Coverage.given}, err
}

// checkRequest fails if a request has more fields than the tools accept: rows are
// compared with each of them.
func checkRequest(request json.RawMessage) error {
	b := budget{left: decodedSize}
	r := struct{ Fields list[string] }{
		list[string]{nil, maxFields, "fields in its request", &b, func(s string) int { return len(s) }},
	}
	if len(request) > 0 && json.Unmarshal(request, &r) != nil && len(r.Fields.items) == maxFields {
		return fmt.Errorf("it has more than %d fields in its request", maxFields)
	}
	return nil
}

// sound returns an error if raw has far more values than bytes of content, or longer ones,
// than a manifest that this program wrote: each value needs memory of its own, and some
// need several times their bytes until they are decoded.
func sound(raw []byte) error {
	const leastValue = 8 // bytes for each value, on average, with its key
	values, inString, began := 0, false, 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '\\':
			i++
		case c == '"':
			if inString && i-began > maxText {
				return fmt.Errorf("it has a text of more than %s", rows.FormatBytes(maxText))
			}
			inString, began = !inString, i
		case inString:
		case c == ',' || c == '[' || c == '{':
			values++
			began = i
		case c <= ' ' || c == ':' || c == ']' || c == '}':
			began = i
		case i-began > maxLiteral:
			return fmt.Errorf("it has a value of more than %s", rows.FormatBytes(maxLiteral))
		}
	}
	if inString && len(raw)-began > maxText {
		return fmt.Errorf("it has a text of more than %s", rows.FormatBytes(maxText))
	}
	if values > 10_000+len(raw)/leastValue {
		return errors.New("it has too many values for its size")
	}
	return nil
}
