package columnar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// The keys of the metadata of a file.
const (
	KeySource  = "fullstory.source"         // name of the exported file
	KeySum     = "fullstory.source_sha256"  // its checksum
	KeyColumns = "fullstory.columns_sha256" // of the columns and the rules that they are made by
	KeyRenamed = "fullstory.renamed"        // JSON object: names as the rows have them, by column
	KeyWindow  = "fullstory.window"         // start and end as in the manifest, with a slash between
)

// Suffix is how the names of files end.
const Suffix = ".parquet"

// ErrDamaged is the error of a file that is not as package landing writes it. It has a
// reason in words.
var ErrDamaged = errors.New("the file is damaged")

// File is an open file. It is for one goroutine.
type File struct {
	// Window is the name of the window: that of the exported file without what follows a dot.
	Window string
	// Start and End are those of the window, half-open; zero: open.
	Start, End time.Time
	SHA256     string // of the exported file
	Rows       int64
	Columns    []Leaf // in their order

	open *parquet.File
}

// readBuffer is the size of reads of a column, in bytes.
const readBuffer = 64 << 10

// Open reads the footer of a file, which the caller closes. Its error wraps ErrDamaged if
// the file cannot be read as Parquet or does not say what it was made of.
func Open(file *os.File) (f *File, err error) {
	defer func() {
		if reason := recover(); reason != nil { // the library panics at some damage
			f, err = nil, fmt.Errorf("%w: its footer cannot be read", ErrDamaged)
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	open, err := parquet.OpenFile(file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true),
		parquet.ReadBufferSize(readBuffer))
	if err != nil {
		return nil, fmt.Errorf("%w: its footer cannot be read", ErrDamaged)
	}
	f = &File{Rows: open.NumRows(), Columns: Leaves(open.Root()), open: open}
	f.Window, _, _ = strings.Cut(f.Value(KeySource), ".")
	f.SHA256 = f.Value(KeySum)
	start, end, found := strings.Cut(f.Value(KeyWindow), "/")
	var bad [2]error
	f.Start, bad[0] = bound(start)
	f.End, bad[1] = bound(end)
	if f.SHA256 == "" || !found || bad[0] != nil || bad[1] != nil {
		return nil, fmt.Errorf("%w: it does not say which exported file it was made of", ErrDamaged)
	}
	if !ValidWindow(f.Window) {
		return nil, fmt.Errorf("%w: its exported file has not the name of a window", ErrDamaged)
	}
	return f, nil
}

// Value returns the value of a key of the metadata; "" if there is none.
func (f *File) Value(key string) string {
	value, _ := f.open.Lookup(key)
	return value
}

// bound returns a bound of a window; zero: open.
func bound(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339, text)
}

// ValidWindow reports whether a text can be the name of a window: at most 100 letters and
// digits of ASCII, _ and -.
func ValidWindow(name string) bool {
	for _, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return name != "" && len(name) <= 100
}

// batchRows is how many rows are read at once.
const batchRows = 64

// Each calls add with each row, in order, until add fails or ctx ends. A row is valid until
// add returns. Memory is that of one page and one dictionary of each column. Its error wraps
// ErrDamaged if the file cannot be read.
func (f *File) Each(ctx context.Context, add func(parquet.Row) error) error {
	rows := make([]parquet.Row, batchRows)
	for _, g := range f.open.RowGroups() {
		if err := each(ctx, g, rows, add); err != nil {
			return err
		}
	}
	return nil
}

// each is Each for a group of rows.
func each(ctx context.Context, g parquet.RowGroup, rows []parquet.Row, add func(parquet.Row) error) error {
	var left int64
	r, err := guarded(func() (parquet.Rows, error) {
		left = g.NumRows()
		return g.Rows(), nil
	})
	if err != nil {
		return err
	}
	defer r.Close()
	for left > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := guarded(func() (int, error) { return r.ReadRows(rows) })
		if err != nil && err != io.EOF {
			return err
		}
		for _, row := range rows[:n] {
			if err := add(row); err != nil {
				return err
			}
		}
		if left -= int64(n); n == 0 {
			return fmt.Errorf("%w: it ends early", ErrDamaged)
		}
	}
	return nil
}

// guarded calls read, and returns its failures and panics as ErrDamaged. io.EOF stays.
func guarded[T any](read func() (T, error)) (found T, err error) {
	defer func() {
		if recover() != nil || err != nil && err != io.EOF {
			err = fmt.Errorf("%w: its rows cannot be read", ErrDamaged)
		}
	}()
	return read()
}
