// Package load writes the statements that load the Parquet files of an export into seven
// databases: they make the table and add columns, load everything, and replace one window.
// Nothing is executed here. Which of them are executed in tests: docs/warehouses.md.
package load

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/columnar"
)

// Description is what there is to load.
type Description struct {
	// Columns are those of all files, in the order of the file that has most of them, and then
	// those that it lacks.
	Columns []columnar.Column
	// Groups are the files by their columns, those with the most columns first. There is one
	// unless an export has grown by columns.
	Groups []Group
}

// Group are files that have the same columns in the same order.
type Group struct {
	Columns []columnar.Column
	Files   []string // paths below the folder of Parquet files, such as day=2026-10-01/a.parquet
}

// ErrNothing is the error of a folder without Parquet files.
var ErrNothing = errors.New("there are no Parquet files; make them with convert")

// partition matches the folders that Parquet files lie in. Other names could not be written into
// statements as they are.
var partition = regexp.MustCompile(`^day=[A-Za-z0-9_-]+$`)

// Describe reads the footers of the Parquet files of a folder, except of those whose columns known
// returns, if it is set. Its error wraps columnar.ErrDamaged or ErrNothing, or is that of ctx or of the disk.
func Describe(
	ctx context.Context, folder *archive.Derived, known func(path string) ([]columnar.Column, bool),
) (d Description, err error) {
	files, err := folder.Files()
	if err != nil {
		return d, err
	}
	for _, name := range files {
		if !partition.MatchString(path.Dir(name)) || path.Ext(name) != columnar.Suffix {
			continue
		}
		if err := ctx.Err(); err != nil {
			return d, err
		}
		columns, found := []columnar.Column(nil), false
		if known != nil {
			columns, found = known(name)
		}
		if !found {
			columns, err = columnsOf(folder, name)
		}
		if err != nil {
			return d, fmt.Errorf("%s: %w", name, err)
		}
		i := slices.IndexFunc(d.Groups, func(g Group) bool { return slices.Equal(g.Columns, columns) })
		if i < 0 {
			i = len(d.Groups)
			d.Groups = append(d.Groups, Group{Columns: columns})
		}
		d.Groups[i].Files = append(d.Groups[i].Files, name)
	}
	if len(d.Groups) == 0 {
		return d, ErrNothing
	}
	slices.SortStableFunc(d.Groups, func(a, b Group) int { return len(b.Columns) - len(a.Columns) })
	return d, d.unite()
}

// columnsOf returns the columns of a file.
func columnsOf(folder *archive.Derived, name string) ([]columnar.Column, error) {
	file, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	f, err := columnar.Open(file)
	if err != nil {
		return nil, err
	}
	columns := make([]columnar.Column, len(f.Columns))
	for i, l := range f.Columns {
		columns[i] = l.Column
	}
	return columns, nil
}

// unite sets the columns of all groups.
func (d *Description) unite() error {
	seen := map[string]columnar.Column{}
	for _, g := range d.Groups {
		for _, c := range g.Columns {
			other, found := seen[c.Name]
			if found && other != c {
				return fmt.Errorf("%w: the column %q has different types in two files", columnar.ErrDamaged, c.Name)
			}
			if !found {
				seen[c.Name] = c
				d.Columns = append(d.Columns, c)
			}
		}
	}
	return nil
}

// windows returns the names of the windows of all files, with their paths, in order.
func (d Description) windows() (paths []string) {
	for _, g := range d.Groups {
		paths = append(paths, g.Files...)
	}
	slices.Sort(paths)
	return paths
}

// windowOf returns the name of the window of a file.
func windowOf(file string) string { return strings.TrimSuffix(path.Base(file), columnar.Suffix) }
