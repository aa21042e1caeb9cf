package query

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// source is a file of the table.
type source struct {
	File
	leaves []int // by column of the table; -1: the file lacks it
	found  []leaf
	open   *parquet.File
	file   *os.File
	users  int // readers of the open file
}

// group is a group of rows of a file.
type group struct {
	source *source
	index  int   // among the groups of the file
	first  int64 // row of the table that is its first
	rows   int64
}

// has reports whether a row of the table is in the group.
func (g *group) has(row int64) bool { return row >= g.first && row < g.first+g.rows }

// openFiles is the most files that are open at once besides those in use.
const openFiles = 48

// files opens files when they are needed.
type files struct{ idle []*source } // open, without users, the longest idle first

// acquire opens a file. The caller must release it.
func (f *files) acquire(s *source) (*parquet.File, error) {
	if s.open != nil {
		if s.users == 0 {
			f.idle = slices.DeleteFunc(f.idle, func(other *source) bool { return other == s })
		}
		s.users++
		return s.open, nil
	}
	file, err := os.Open(s.Path)
	if err != nil {
		return nil, damaged(s.File, err)
	}
	open, err := openParquet(file)
	if err != nil {
		file.Close()
		return nil, damaged(s.File, err)
	}
	s.file, s.open, s.users = file, open, 1
	return open, nil
}

// openParquet reads the footer of a file. The library may panic if it is damaged.
func openParquet(file *os.File) (open *parquet.File, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%v", reason)
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return parquet.OpenFile(file, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true),
		parquet.ReadBufferSize(readBuffer))
}

// readBuffer is the size of reads of a column, in bytes.
const readBuffer = 64 << 10

// release says that a file is not used any more. It closes the one that is idle for longest.
func (f *files) release(s *source) {
	if s.users--; s.users > 0 {
		return
	}
	f.idle = append(f.idle, s)
	if len(f.idle) > openFiles {
		f.idle[0].close()
		f.idle = f.idle[1:]
	}
}

func (s *source) close() {
	s.file.Close()
	s.file, s.open = nil, nil
}

// damaged is the error of a file that cannot be read.
func damaged(f File, err error) error {
	return &Error{Damaged, fmt.Sprintf("The Parquet file of %s for %s cannot be read (%v). Delete %s, and convert the "+
		"export again.", f.Bulk, f.Day, reason(err), filepath.Base(f.Path))}
}

// reason returns an error without the path of the file.
func reason(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}
