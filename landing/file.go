package landing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/rows"
)

// metadata returns the metadata of the Parquet file of an exported file.
func metadata(f archive.File, set columnSet) map[string]string {
	names, _ := json.Marshal(set.renamed()) // a map of strings has no error
	return map[string]string{
		columnar.KeySource: f.Name, columnar.KeySum: f.SHA256, columnar.KeyWindow: f.Start + "/" + f.End,
		columnar.KeyColumns: set.sum(), columnar.KeyRenamed: string(names),
	}
}

// made says what a Parquet file was made of. It is zero for a file that cannot be read.
type made struct {
	sum, columns string
	names        []string // of its columns, as the rows have them
	rows, bytes  int64
}

// within reports whether the file has some of the columns of a set, each made of the same values
// in the same way.
func (m made) within(set columnSet) bool {
	own := columnsOf(m.names)
	if own.sum() != m.columns { // it was made by another mapping
		return false
	}
	all := map[column]bool{}
	for _, c := range set.columns {
		all[c] = true
	}
	return !slices.ContainsFunc(own.columns, func(c column) bool { return !all[c] })
}

// readMade reads the metadata of a Parquet file. Anybody may have put the file there.
func readMade(file *os.File) made {
	info, err := file.Stat()
	if err != nil {
		return made{}
	}
	f, err := columnar.Open(file)
	if err != nil {
		return made{}
	}
	return made{
		sum: f.SHA256, columns: f.Value(columnar.KeyColumns), names: rowNames(f), rows: f.Rows, bytes: info.Size(),
	}
}

// rowNames returns the names of the columns of a Parquet file as the rows have them. Anybody may
// have written the metadata, so the names prove nothing.
func rowNames(f *columnar.File) (names []string) {
	renamed := map[string]string{}
	_ = json.Unmarshal([]byte(f.Value(columnar.KeyRenamed)), &renamed) // what cannot be read was renamed to nothing
	for _, c := range f.Columns {
		if c.Name != restColumn {
			names = append(names, cmp.Or(renamed[c.Name], c.Name))
		}
	}
	return names
}

// convertFile writes the rows of an exported file, which content reads, as Parquet to out.
// Without an error content had the checksum of f. It returns the number of rows. read is
// called with the number of bytes of each read.
func convertFile(
	ctx context.Context, content io.ReadSeekCloser, f archive.File, format string, set columnSet, out io.Writer,
	read func(int),
) (int64, error) {
	w := newRowWriter(out, set, metadata(f, set))
	if f.Warnings.EmptyObject && f.Bytes == 0 { // it is not even gzip
		return 0, w.close()
	}
	source := &source{ctx: ctx, r: archive.Verified(content, f), read: read}
	if _, err := rows.EachRow(source, format, w.add); err != nil {
		return 0, cmp.Or(source.err, err)
	}
	return w.total, w.close()
}

// source reads an exported file until ctx ends. It remembers its error, to tell it from
// damage of the file.
type source struct {
	ctx  context.Context
	r    io.Reader
	read func(int)
	err  error // other than io.EOF
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (n int, err error) {
	if err = s.ctx.Err(); err == nil {
		n, err = s.r.Read(b)
		s.read(n)
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// problem says in words what is wrong with an exported file; it follows the name of the
// file in a sentence. It returns "" for an error that is not about the file.
func problem(err error) string {
	content, damaged := errors.AsType[*rows.Error](err)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "is missing"
	case errors.Is(err, archive.ErrChanged):
		return "differs from the manifest: run verify to see how"
	case damaged:
		return fmt.Sprintf("cannot be converted: %s", content.Reason)
	}
	return ""
}
