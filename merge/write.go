package merge

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"fullstory-export-mcp/rows"
)

// Write writes the merge to w, compressed, in the format of its sources. The same sources give
// the same bytes. JSON rows are written as they are; a CSV gets the columns of all sources, in
// the order in which these have them, and its cells as rows.EachRow reads them. Write calls
// Decide if sources have to be compared, and fails likewise, or with the error of w.
func (m *Merge) Write(ctx context.Context, w io.Writer) (Result, error) {
	all := (len(m.Sources) == 1 || m.Apart) && !m.decided // rows in the window are kept
	if all {
		m.begin()
	} else if _, err := m.Decide(ctx); err != nil {
		return Result{}, err
	}
	if all && len(m.Sources) == 1 && m.Sources[0].written != nil {
		part := m.Sources[0]
		m.result.Sources[0].Inside, m.result.Sources[0].Kept = part.rows, part.rows
		m.result.sum()
		_, err := w.Write(part.written)
		return m.result, err
	}
	packed := gzip.NewWriter(w)
	buffered := bufio.NewWriterSize(packed, 64<<10)
	to, err := m.newWriter(ctx, buffered)
	if err != nil {
		return Result{}, err
	}
	for i, s := range m.Sources {
		if err := m.each(ctx, s, m.writeTo(to, i, all)); err != nil {
			return Result{}, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	if all {
		m.result.sum()
	}
	return m.result, errors.Join(to.end(), buffered.Flush(), packed.Close())
}

// writeTo returns a function that writes those rows of source i that are kept: all that lie in the
// window, which it then counts, or those that Decide has chosen.
func (m *Merge) writeTo(to rowWriter, i int, all bool) func(row rows.Row, at int, where place) error {
	taken := &m.result.Sources[i]
	return func(row rows.Row, at int, where place) error {
		if all {
			taken.count(where)
		}
		if where != inside || !all && !m.kept[i].has(at) {
			return nil
		}
		if all {
			taken.Kept++
		}
		return to.row(row)
	}
}

// rowWriter writes rows in a format.
type rowWriter interface {
	row(rows.Row) error
	end() error
}

func (m *Merge) newWriter(ctx context.Context, w *bufio.Writer) (rowWriter, error) {
	switch m.Format {
	case rows.NDJSON:
		return &lineWriter{w: w}, nil
	case rows.JSON:
		return &arrayWriter{w: w}, nil
	case rows.CSV:
		return m.newCells(ctx, w)
	}
	return nil, fmt.Errorf("rows of the format %.60q cannot be merged", m.Format)
}

// lineWriter writes NDJSON.
type lineWriter struct{ w *bufio.Writer }

func (l *lineWriter) row(r rows.Row) error {
	l.w.Write(r.Raw) // bufio keeps the first error for the next call
	return l.w.WriteByte('\n')
}

func (l *lineWriter) end() error { return nil }

// arrayWriter writes an array of JSON, a row a line.
type arrayWriter struct {
	w     *bufio.Writer
	begun bool
}

func (a *arrayWriter) row(r rows.Row) error {
	before := ",\n"
	if !a.begun {
		before, a.begun = "[", true
	}
	a.w.WriteString(before)
	if bytes.IndexByte(r.Raw, '\n') >= 0 {
		var one bytes.Buffer
		if err := json.Compact(&one, r.Raw); err != nil {
			return err
		}
		r.Raw = one.Bytes()
	}
	_, err := a.w.Write(r.Raw)
	return err
}

func (a *arrayWriter) end() error {
	if !a.begun {
		a.w.WriteByte('[')
	}
	_, err := a.w.WriteString("]\n")
	return err
}

// cellWriter writes a CSV.
type cellWriter struct {
	records *csv.Writer
	place   map[string]int // of each column
	known   []string       // columns of the present source
	at      []int          // their places
	cells   []string
}

// newCells writes the header.
func (m *Merge) newCells(ctx context.Context, w *bufio.Writer) (*cellWriter, error) {
	c := &cellWriter{records: csv.NewWriter(w), place: map[string]int{}}
	var header []string
	for _, s := range m.Sources {
		columns, err := m.columnsOf(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, name := range columns {
			if _, ok := c.place[name]; !ok {
				c.place[name] = len(header)
				header = append(header, name)
			}
		}
	}
	if len(header) == 0 {
		return c, nil // files without a header, and so without rows
	}
	c.cells = make([]string, len(header))
	return c, c.records.Write(header)
}

// columnsOf returns the header of a CSV.
func (m *Merge) columnsOf(ctx context.Context, s Source) ([]string, error) {
	if s.Open == nil {
		return nil, nil
	}
	content, err := s.Open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	summary, err := rows.EachRow(untilDone{ctx, content}, m.Format, func(rows.Row) error { return errEnough })
	if errors.Is(err, errEnough) {
		err = nil
	}
	return summary.Columns, err
}

func (c *cellWriter) row(r rows.Row) error {
	if len(c.known) != len(r.Columns) || len(c.known) > 0 && &c.known[0] != &r.Columns[0] { // another source
		c.known, c.at = r.Columns, c.at[:0]
		for _, name := range r.Columns {
			c.at = append(c.at, c.place[name])
		}
	}
	clear(c.cells)
	for _, m := range r.Members {
		c.cells[c.at[m.Column]] = string(m.Value)
	}
	return c.records.Write(c.cells)
}

func (c *cellWriter) end() error {
	c.records.Flush()
	return c.records.Error()
}
