package archive

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

// The formats of exported rows, as the API names them.
const (
	ndjson = "FORMAT_NDJSON"
	array  = "FORMAT_JSON"
	comma  = "FORMAT_CSV"
)

const (
	firstWindow = 256 << 10 // bytes read at once
	longestRow  = 64 << 20  // bytes of one row
	maxColumns  = 2000      // that are remembered
)

// summary is what the rows of a file are.
type summary struct {
	rows        int64
	first, last time.Time // zero without rows or without the column
	columns     []string  // in the order in which they were first seen
	hours       hourCount
}

// rules are what rows are checked against.
type rules struct {
	format     string    // empty: found out from the first byte
	timeColumn string    // empty: times are not checked
	start, end time.Time // half-open; a zero side is open

	// each, if set, is called with every row as it is written, and with what
	// returns the value of one of its columns.
	each func(row []byte, value func(column string) string)
}

// rowReader checks rows one by one and adds them up.
type rowReader struct {
	rules
	summary
	seen     map[string]bool
	timeKey  []byte // as it is written in JSON
	order    [][]byte
	position int
	stamp    []byte // of the present row, as written
}

// readRows reads all rows of r. It fails with a *ContentError when they are not
// what the rules say.
func readRows(r io.Reader, rules rules) (summary, error) {
	w := &window{r: r, b: make([]byte, 0, firstWindow)}
	if err := w.ahead(3); err != nil && err != io.EOF {
		return summary{}, err
	}
	if bytes.HasPrefix(w.b, []byte("\xef\xbb\xbf")) {
		w.at = 3
	}
	rr := &rowReader{rules: rules, seen: map[string]bool{}, timeKey: []byte(`"` + rules.timeColumn + `"`)}
	if rr.format == "" {
		rr.format = sniff(w)
	}
	var err error
	switch rr.format {
	case ndjson:
		err = rr.lines(w)
	case array:
		err = rr.array(w)
	case comma:
		err = rr.csv(w)
	default:
		err = bad("the format %s is not known", rr.format)
	}
	return rr.summary, err
}

func sniff(w *window) string {
	if w.skipSpace() != nil {
		return ndjson
	}
	switch w.b[w.at] {
	case '[':
		return array
	case '{':
		return ndjson
	}
	return comma
}

// lines reads one object a line.
func (rr *rowReader) lines(w *window) error {
	for {
		switch err := w.skipSpace(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		row, err := rr.row(w)
		if err != nil {
			return err
		}
		if bytes.IndexByte(row, '\n') >= 0 {
			return bad("row %d is spread over several lines", rr.rows)
		}
		for {
			err := w.ahead(1)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			c := w.b[w.at]
			if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				return bad("row %d is followed by something else on its line", rr.rows)
			}
			w.at++
			if c == '\n' {
				break
			}
		}
	}
}

// array reads one array of objects.
func (rr *rowReader) array(w *window) error {
	switch err := w.skipSpace(); {
	case err == io.EOF:
		return nil // an empty file
	case err != nil:
		return err
	case w.b[w.at] != '[':
		return bad("it does not begin with an array")
	}
	w.at++
	for between := byte('['); ; {
		if err := w.skipSpace(); err != nil {
			return ended(err, "the array does not end")
		}
		switch c := w.b[w.at]; {
		case c == ']' && between != ',':
			w.at++
			if err := w.skipSpace(); err != io.EOF {
				return ended(err, "the array is followed by something else")
			}
			return nil
		case c == ',' && between == 'r':
			w.at++
			between = ','
			continue
		case between == 'r':
			return bad("row %d is followed by something other than a comma", rr.rows)
		}
		if _, err := rr.row(w); err != nil {
			return err
		}
		between = 'r'
	}
}

func ended(err error, says string) error {
	if err == nil || err == io.EOF {
		return bad("%s", says)
	}
	return err
}

// row reads one object and returns it as written, until the next reading.
func (rr *rowReader) row(w *window) ([]byte, error) {
	for {
		rr.position, rr.stamp = 0, nil
		s := scanner{b: w.b[w.at:]}
		if s.b[0] != '{' {
			return nil, bad("row %d is no JSON object", rr.rows+1)
		}
		end, err := s.object(0, rr.member)
		if err == nil {
			row := s.b[:end]
			w.at += end
			rr.rows++
			if len(rr.stamp) > 0 && rr.stamp[0] != '"' && string(rr.stamp) != "null" {
				return nil, bad("row %d has a %s that is no string", rr.rows, rr.timeColumn)
			}
			if rr.each != nil {
				rr.each(row, valuesOf(row))
			}
			return row, rr.checkTime(text(rr.stamp))
		}
		if err == errJSON {
			return nil, bad("row %d is not valid JSON", rr.rows+1)
		}
		if len(s.b) >= longestRow {
			return nil, bad("row %d is longer than %s, or is not valid JSON", rr.rows+1, size(longestRow))
		}
		// Twice as much each time, so that a long row is not scanned too often.
		had := len(s.b)
		if err := w.ahead(2 * had); err != nil && (err != io.EOF || len(w.b)-w.at == had) {
			return nil, ended(err, "it ends inside a row")
		}
	}
}

// member takes in one column of a row. Rows mostly have the same keys in the
// same order, so that a key is first compared with the one seen there before.
func (rr *rowReader) member(key, value []byte) {
	if rr.position < len(rr.order) && bytes.Equal(rr.order[rr.position], key) {
		rr.position++
	} else {
		rr.column(key)
	}
	if rr.timeColumn != "" && bytes.Equal(key, rr.timeKey) {
		rr.stamp = value
	}
}

func (rr *rowReader) column(key []byte) {
	if rr.position < len(rr.order) {
		rr.order[rr.position] = append(rr.order[rr.position][:0], key...)
	} else if len(rr.order) < maxColumns {
		rr.order = append(rr.order, bytes.Clone(key))
	}
	rr.position++
	if !rr.seen[string(key)] && len(rr.seen) < maxColumns {
		rr.seen[string(key)] = true
		rr.columns = append(rr.columns, text(key))
	}
}

// csv reads a header and records of as many fields.
func (rr *rowReader) csv(w *window) error {
	short := &rowLimit{r: w}
	r := csv.NewReader(short)
	r.ReuseRecord = true
	stamp := -1
	for first := true; ; first = false {
		short.row = 0
		record, err := r.Read()
		var parse *csv.ParseError
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &parse):
			return bad("line %d: %v", parse.StartLine, parse.Err)
		case err != nil:
			return err
		case first:
			rr.columns = slices.Clone(record)
			if rr.timeColumn != "" {
				stamp = slices.Index(record, rr.timeColumn)
			}
			continue
		}
		rr.rows++
		if rr.each != nil {
			rr.each([]byte(strings.Join(record, "\x1f")), func(column string) string {
				if i := slices.Index(rr.columns, column); i >= 0 {
					return record[i]
				}
				return ""
			})
		}
		if stamp >= 0 {
			if err := rr.checkTime(record[stamp]); err != nil {
				return err
			}
		}
	}
}

// rowLimit bounds what is read for one row, which encoding/csv would keep
// however long it is.
type rowLimit struct {
	r   io.Reader
	row int // bytes since the row began
}

func (l *rowLimit) Read(b []byte) (int, error) {
	if l.row >= longestRow {
		return 0, bad("a row is longer than %s, or a quote does not end", size(longestRow))
	}
	n, err := l.r.Read(b)
	l.row += n
	return n, err
}

// checkTime takes in the time of a row. A row without one is not at fault:
// columns can be chosen.
func (rr *rowReader) checkTime(stamp string) error {
	if stamp == "" {
		return nil
	}
	t, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return bad("row %d has %.40q as its %s, which is no time", rr.rows, stamp, rr.timeColumn)
	}
	if !rr.start.IsZero() && t.Before(rr.start) || !rr.end.IsZero() && !t.Before(rr.end) {
		return bad("row %d has the %s %s, outside the window that was exported", rr.rows, rr.timeColumn, stamp)
	}
	if rr.first.IsZero() || t.Before(rr.first) {
		rr.first = t
	}
	if t.After(rr.last) {
		rr.last = t
	}
	rr.hours.add(t)
	return nil
}

// window is a part of a stream: what was read and is not used up. It grows to
// the longest row.
type window struct {
	r  io.Reader
	b  []byte
	at int // where the unused part begins
}

// more reads on. What lies before at is forgotten.
func (w *window) more() error {
	if w.at > 0 {
		w.b = w.b[:copy(w.b, w.b[w.at:])]
		w.at = 0
	}
	if len(w.b) == cap(w.b) {
		grown := make([]byte, len(w.b), 2*cap(w.b))
		copy(grown, w.b)
		w.b = grown
	}
	n, err := w.r.Read(w.b[len(w.b):cap(w.b)])
	w.b = w.b[:len(w.b)+n]
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// ahead makes sure that n bytes are there.
func (w *window) ahead(n int) error {
	for len(w.b)-w.at < n {
		if err := w.more(); err != nil {
			return err
		}
	}
	return nil
}

// skipSpace goes on to the next byte that is no white space.
func (w *window) skipSpace() error {
	for {
		if err := w.ahead(1); err != nil {
			return err
		}
		switch w.b[w.at] {
		case ' ', '\t', '\r', '\n':
			w.at++
		default:
			return nil
		}
	}
}

// Read implements io.Reader over what is unused and what follows.
func (w *window) Read(p []byte) (int, error) {
	if w.at < len(w.b) {
		n := copy(p, w.b[w.at:])
		w.at += n
		return n, nil
	}
	return w.r.Read(p)
}
