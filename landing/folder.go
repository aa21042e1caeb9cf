package landing

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"time"

	"fullstory-export-mcp/archive"
)

// conversion is a conversion of a folder that is under way.
type conversion struct {
	folder     *archive.Derived
	open       archive.Opener
	format     string // of the exported files; empty: not known
	set        columnSet
	columns    string // checksum of set
	fits       fitting
	index      *index
	copies     Copies  // or nil
	tables     *tables // nil: the Parquet files alone are the table
	manifest   func() (archive.Manifest, error)
	statements Statements     // or nil
	zone       *time.Location // of the days
	name       string         // of the folder of the export
	notCopied  error          // why a file could not be copied
	grow       bool           // see Source
	result     Result
	progress   Progress
	show       func(Progress) // or nil
}

// files converts the files of a manifest, and removes the Parquet files of others.
func (c *conversion) files(ctx context.Context, files []archive.File) error {
	there, err := c.folder.Files()
	if err != nil {
		return err
	}
	c.columns = c.set.sum()
	if c.tables != nil {
		c.aim(files)
	}
	wanted := map[string]bool{}
	for _, f := range files {
		path := c.target(f)
		if wanted[path] {
			c.result.Problems = append(c.result.Problems, Problem{f.Name, "has the same window as another file"})
			continue
		}
		if wanted[path], err = c.file(ctx, f, path, there); err != nil {
			return err
		}
		if wanted[path] {
			if err := c.landed(ctx, f, path); err != nil {
				return err
			}
		}
		c.done(f)
	}
	if c.tables != nil {
		if err := c.finishTables(ctx); err != nil {
			return err
		}
	}
	if c.notCopied != nil {
		return c.notCopied
	}
	if err := c.removeOthers(ctx, there, wanted); err != nil {
		return err
	}
	if err := c.writeStatements(ctx); err != nil {
		return err
	}
	return c.notCopied
}

// landed copies the Parquet file of f, and gives it to the tables.
func (c *conversion) landed(ctx context.Context, f archive.File, path string) error {
	at := filepath.Join(c.folder.Root().Name(), filepath.FromSlash(path))
	c.result.Made = append(c.result.Made, Made{at, base(f), f})
	c.copy(ctx, path)
	if c.tables != nil && c.tables.add(path, f) {
		return c.commit(ctx, false)
	}
	return nil
}

// file makes the Parquet file of an exported file unless it is there, and reports whether it is
// then. there are the paths of the Parquet files, sorted.
func (c *conversion) file(ctx context.Context, f archive.File, path string, there []string) (whole bool, err error) {
	var old made
	if _, exists := slices.BinarySearch(there, path); exists {
		old = c.made(path)
	}
	if old.sum == f.SHA256 && (old.columns == c.columns || c.grow && c.fits.of(old)) {
		c.result.Kept++
		c.result.Rows, c.result.Bytes = c.result.Rows+old.rows, c.result.Bytes+old.bytes
		return true, nil
	}
	err = c.convert(ctx, f, path)
	trouble := problem(err)
	if err != nil && (trouble == "" || ctx.Err() != nil) {
		return false, err
	}
	if err != nil {
		c.result.Problems = append(c.result.Problems, Problem{f.Name, trouble})
	}
	// A file of this content that lacks columns is better than none.
	return err == nil || old.sum == f.SHA256, nil
}

// made returns what the Parquet file at path was made of: by the index, or by its footer.
func (c *conversion) made(path string) (m made) {
	info, err := c.folder.Stat(path)
	if err != nil {
		return made{}
	}
	if m, known := c.index.get(path, info); known {
		return m
	}
	defer func() { c.note(path, m) }()
	file, err := c.folder.Open(path)
	if err != nil {
		return made{}
	}
	defer file.Close()
	return readMade(file)
}

// note notes in the index what the Parquet file at path was made of.
func (c *conversion) note(path string, m made) {
	info, err := c.folder.Stat(path)
	if err != nil || !info.Mode().IsRegular() || m.sum == "" {
		c.index.remove(path)
		return
	}
	c.index.put(path, m, info)
}

// convert makes the Parquet file of an exported file.
func (c *conversion) convert(ctx context.Context, f archive.File, path string) error {
	content, err := c.open(f)
	if err != nil {
		return err
	}
	defer content.Close()
	before := c.progress
	var n, size int64
	err = c.folder.Write(path, f.Bytes, func(out io.Writer) error {
		counted := &counter{w: out}
		n, err = convertFile(ctx, content, f, c.format, c.set, counted, func(read int) {
			c.progress.Bytes += int64(read)
			c.report()
		})
		size = counted.n
		return err
	})
	c.progress = before
	if err == nil {
		c.note(path, made{sum: f.SHA256, columns: c.columns, names: c.set.names(), rows: n})
		c.result.Converted++
		c.result.Rows, c.result.Bytes = c.result.Rows+n, c.result.Bytes+size
	}
	return err
}

// counter counts what is written to w.
type counter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// done counts an exported file that has been looked at.
func (c *conversion) done(f archive.File) {
	c.progress.Files++
	c.progress.Bytes += f.Bytes
	c.progress.Converted = c.result.Converted
	c.report()
}

func (c *conversion) report() {
	if c.show != nil {
		c.show(c.progress)
	}
}
