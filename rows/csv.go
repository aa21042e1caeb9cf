package rows

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// csvReader reads the records of a CSV file.
//
// encoding/csv skips blank lines. In a file of one column a blank line after the
// header is a row with an empty value, so csvReader counts it. In a file of more
// columns blank lines are only accepted after the last record. The line end of the
// last record is not a blank line.
type csvReader struct {
	*rowReader
	lines     *csvLines
	records   *csv.Reader
	timeIndex int    // of the time column in a record; -1: none
	end       int64  // the line in which the last record ended
	text      []byte // of the cells of the current row, if eachRow is set
	same      []int  // for each column the first one of its name
}

// csv reads a header and records of as many fields.
func (rr *rowReader) csv(w *lookahead) error {
	if err := notCSV(w); err != nil {
		return err
	}
	lines := &csvLines{r: w}
	c := csvReader{rowReader: rr, lines: lines, records: csv.NewReader(bufio.NewReaderSize(lines, 64<<10)), timeIndex: -1}
	c.records.ReuseRecord = true
	err := c.read()
	if err != nil && lines.fault != nil {
		return lines.fault // err is only its consequence
	}
	return err
}

// notCSV returns an *Error if the first byte shows another format.
func notCSV(w *lookahead) error {
	switch err := w.ahead(1); {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	}
	if c := w.b[w.at]; c == '{' || c == '[' || c == '<' {
		e := bad(KindFormat, "it is not CSV but %s", kindOf(w.b[w.at:]))
		e.Line = 1
		return e
	}
	return nil
}

func (c *csvReader) read() error {
	header, err := c.next()
	switch {
	case err == io.EOF && c.lines.ends > 1:
		return bad(KindHeader, "it has blank lines and no header")
	case err == io.EOF:
		return nil // an empty file
	case err == nil:
		err = c.header(header)
	}
	for err == nil {
		end := c.end
		var record []string
		if record, err = c.next(); err == nil {
			err = c.record(record, end)
		}
	}
	if err != io.EOF {
		return err
	}
	return c.finish()
}

// header checks the first record.
func (c *csvReader) header(header []string) error {
	if c.line > 1 {
		return c.bad(KindHeader, "it begins with a blank line instead of a header")
	}
	c.Columns = slices.Clone(header)
	for i, name := range c.Columns {
		c.Columns[i] = validName(name)
	}
	if c.TimeColumn != "" {
		c.timeIndex = slices.Index(c.Columns, c.TimeColumn)
	}
	if err := c.checkHeader(c.Columns); err != nil || c.Observer == nil {
		return err
	}
	c.announce()
	return nil
}

// next reads a record and notes its first and last line. The record is valid until
// the next call.
func (c *csvReader) next() ([]string, error) {
	record, err := c.records.Read()
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		c.line = int64(parse.StartLine)
		return nil, c.bad(KindRow, "line %d: %v", parse.StartLine, parse.Err)
	}
	if err != nil {
		return nil, err
	}
	// The line in which a record ends is that of its last field, plus the lines in it.
	last := len(record) - 1
	first, _ := c.records.FieldPos(0)
	end, _ := c.records.FieldPos(last)
	c.line, c.end = int64(first), int64(end+strings.Count(record[last], "\n"))
	return record, nil
}

// record checks and counts a record, and the blank lines between it and the record
// before, which ended in line end.
func (c *csvReader) record(record []string, end int64) error {
	if blank := c.line - end - 1; len(c.Columns) == 1 {
		if err := c.blankRows(blank); err != nil {
			return err
		}
	} else if blank > 0 {
		c.line = end + 1
		return c.bad(KindRow, "line %d is blank", c.line)
	}
	c.Rows++
	valid := !slices.ContainsFunc(record, func(v string) bool { return !utf8.ValidString(v) })
	if !valid {
		c.Warnings.InvalidUTF8++
	}
	if c.Observer != nil {
		c.Observer.Record(record, valid)
	}
	if err := c.cells(record, !valid); err != nil {
		return err
	}
	if c.each != nil {
		c.each([]byte(strings.Join(record, "\x1f")), func(column string) string {
			if i := slices.Index(c.Columns, column); i >= 0 {
				return record[i]
			}
			return ""
		})
	}
	if c.timeIndex < 0 {
		return nil
	}
	return c.checkTime([]byte(record[c.timeIndex]))
}

// cells calls eachRow, if that is set, with a record.
func (c *csvReader) cells(record []string, invalid bool) error {
	if c.eachRow == nil {
		return nil
	}
	if c.same == nil {
		first := map[string]int{}
		for i, name := range c.Columns {
			if _, ok := first[name]; !ok {
				first[name] = i
			}
			c.same = append(c.same, first[name])
		}
	}
	c.members, c.text = c.members[:0], c.text[:0]
	for _, cell := range record { // first all of the text, which moves while it grows
		c.text = append(c.text, cell...)
	}
	at := 0
	for i, cell := range record {
		c.keep(c.same[i], c.text[at:at+len(cell):at+len(cell)])
		at += len(cell)
	}
	return c.eachRow(Row{Columns: c.Columns, Members: c.members, CSV: true, Invalid: invalid})
}

// blankRows counts n blank lines as rows.
func (c *csvReader) blankRows(n int64) error {
	c.Rows += n
	c.Blank += n
	if c.timeIndex >= 0 {
		c.Warnings.MissingTime += n
	}
	for range n {
		if c.each != nil {
			c.each(nil, func(string) string { return "" })
		}
		if c.Observer != nil {
			c.Observer.Record([]string{""}, true)
		}
		if err := c.cells([]string{""}, false); err != nil {
			return err
		}
		if c.each == nil && c.eachRow == nil && c.Observer == nil {
			break
		}
	}
	return nil
}

// finish counts what is only known at the end of the file: the blank lines after the
// last record, and the rows of a header that has a column twice.
func (c *csvReader) finish() error {
	if len(c.Columns) == 1 {
		if err := c.blankRows(max(0, c.lines.ends-c.end)); err != nil {
			return err
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(c.Columns)))) < len(c.Columns) {
		c.Warnings.DuplicateKeys = c.Rows
	}
	return nil
}
