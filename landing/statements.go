package landing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strings"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/columnar"
)

// Statements returns texts that load the Parquet files of the folder of an export into databases,
// by the names of their files; package load does. columns returns the columns of a Parquet file,
// if they are known without looking into it.
type Statements func(
	ctx context.Context, folder *archive.Derived, export string, columns func(path string) ([]columnar.Column, bool),
) (map[string]string, error)

// statementsFolder is the folder of the statements, beside those of the Parquet files.
const statementsFolder = "load"

// writeStatements writes the statements, and copies those that have changed. A Delta table needs
// none: databases read it as it is, and its folder has files that have left it, so statements from
// before it was one are removed.
func (c *conversion) writeStatements(ctx context.Context) (err error) {
	if c.statements == nil {
		return nil
	}
	var texts map[string]string
	if c.tables == nil {
		if texts, err = c.statements(ctx, c.folder, c.name, c.columnsAt); err != nil {
			return err
		}
	}
	there, err := c.folder.Files()
	if err != nil {
		return err
	}
	for _, path := range there {
		name, ours := strings.CutPrefix(path, statementsFolder+"/")
		if _, wanted := texts[name]; !ours || wanted || !strings.HasSuffix(name, ".sql") {
			continue
		}
		if err := c.folder.Remove(path); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := c.writeText(statementsFolder+"/"+name, texts[name]); err != nil {
			return err
		}
	}
	if c.copies != nil && c.notCopied == nil && (c.tables == nil || c.index.Statements != "") {
		c.notCopied = c.copyStatements(ctx, texts)
	}
	return nil
}

// writeText writes a file unless it has the content.
func (c *conversion) writeText(path, text string) error {
	if file, err := c.folder.Open(path); err == nil {
		old, err := io.ReadAll(io.LimitReader(file, int64(len(text))+1))
		file.Close()
		if err == nil && string(old) == text {
			return nil
		}
	}
	return c.folder.Write(path, int64(len(text)), func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// columnsAt returns the columns of a Parquet file by the index.
func (c *conversion) columnsAt(path string) (columns []columnar.Column, known bool) {
	names, known := c.index.Columns[c.index.Files[path].Columns]
	if !known {
		return nil, false
	}
	for _, column := range columnsOf(names).columns {
		columns = append(columns, columnar.Column{Name: column.name, Kind: column.kind.columnar(), List: column.list})
	}
	return append(columns, columnar.Column{Name: columnar.RestColumn, Kind: columnar.Text}), true
}

// columnar returns what the values of a column are in a Parquet file.
func (k kind) columnar() columnar.Kind {
	switch k {
	case whole:
		return columnar.Whole
	case decimal:
		return columnar.Decimal
	case truth:
		return columnar.Truth
	case instant:
		return columnar.Instant
	}
	return columnar.Text
}

// copyStatements copies the statements unless they are those that were copied last, and removes
// copies of others.
func (c *conversion) copyStatements(ctx context.Context, texts map[string]string) error {
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		all.Write([]byte(name + "\x00" + texts[name] + "\x00"))
	}
	under := c.copyName(statementsFolder)
	copied := c.copies.Address(under) + " " + hex.EncodeToString(all.Sum(nil))
	if c.index.Statements == copied {
		return nil
	}
	there, err := c.copies.List(ctx, under)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := []byte(texts[name])
		sum, to := sha256.Sum256(text), under+"/"+name
		if err := c.copies.Put(ctx, to, bytes.NewReader(text), int64(len(text)), hex.EncodeToString(sum[:])); err != nil {
			return err
		}
		delete(there, to)
	}
	for name := range there {
		if strings.HasSuffix(name, ".sql") {
			if err := c.copies.Remove(ctx, name); err != nil {
				return err
			}
		}
	}
	c.index.Statements, c.index.changed = copied, true
	return nil
}
