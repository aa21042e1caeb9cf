// Package rows reads exported rows in every format of Fullstory, and verifies
// them: gzip, checksum, grammar, columns and times.
//
// Its readers and its Verifier are for one goroutine each.
package rows

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// Summary describes the rows of a file.
type Summary struct {
	Rows                int64
	Blank               int64     // of Rows: blank lines of a CSV with one column
	First, Last         time.Time // zero without rows or without the time column
	FirstText, LastText string    // as the rows spell them
	Columns             []string  // in the order in which they were first seen
	// ByHour counts the rows of each hour of UTC from that of First to that of Last.
	// It is nil without the time column and for rows over more than 400 days.
	ByHour     Counts
	Warnings   Warnings
	NotChecked []string // what could not be verified, as sentences without a full stop
}

// rowReader checks rows one by one and adds them up.
type rowReader struct {
	Rules
	Summary
	columnSet
	format      string // as requested or detected
	hours       hourCount
	timed       int64    // rows with a time
	first, last []byte   // the earliest and the latest time, as the rows spell them
	line        int64    // of the current row; see Error
	stamp       []byte   // the time of the current row, as written
	announced   int      // how many columns the Observer knows
	members     []Member // of the current row, if eachRow is set
	place       []int    // see keep
}

// readRows reads all rows of r, which is not compressed. It fails with an *Error if
// they break the rules or reading them panics, and with the error of r. The Summary
// covers the rows up to the failure.
func readRows(r io.Reader, rules Rules) (s Summary, err error) {
	defer recovered(&err)
	w := &lookahead{r: r, b: make([]byte, 0, firstRead)}
	if err := w.ahead(3); err != nil && err != io.EOF {
		return Summary{}, err
	}
	if bytes.HasPrefix(w.b, []byte("\xef\xbb\xbf")) { // a byte order mark
		w.at = 3
	}
	rr := &rowReader{Rules: rules, columnSet: newColumnSet(rules.Fields)}
	rr.staged = rr.Observer != nil
	rr.format = rr.Format
	if rr.format == "" {
		rr.format = sniff(w)
	}
	switch rr.format {
	case NDJSON:
		err = rr.lines(w)
	case JSON:
		err = rr.array(w)
	case CSV:
		err = rr.csv(w)
	default:
		err = bad(KindFormat, "the format %.60q is not known", rr.format)
	}
	if err == nil {
		err = rr.whole()
	}
	rr.FirstText, rr.LastText = string(rr.first), string(rr.last)
	rr.ByHour = rr.hours.between(rr.First, rr.Last)
	return rr.Summary, err
}

// sniff detects the format from the first byte that is not white space. A file
// without one is NDJSON without rows.
func sniff(w *lookahead) string {
	if w.skipSpace() != nil {
		return NDJSON
	}
	switch w.b[w.at] {
	case '[':
		return JSON
	case '{':
		return NDJSON
	}
	return CSV
}

// whole checks the file as a whole, once all rows are read.
func (rr *rowReader) whole() error {
	switch {
	case rr.Rows == 1 && rr.format != CSV && errorObject(rr.Columns):
		return rr.bad(KindErrorObject, "it holds an error object in place of rows")
	case rr.Rows == 0:
		return nil
	case rr.needTimes() && rr.timed == 0:
		return bad(KindNoTimes, "none of its rows has an %s", rr.TimeColumn)
	}
	if rr.timed == 0 {
		rr.Warnings.MissingTime = 0 // times are not expected
		if rr.TimeColumn != "" {
			rr.NotChecked = append(rr.NotChecked, "event times: there is no "+rr.TimeColumn)
		}
	}
	for _, f := range rr.Fields {
		if prefix, ok := wildcard(f); ok {
			rr.NotChecked = append(rr.NotChecked, "columns of "+f+": every name that begins with "+prefix+" was accepted")
		}
	}
	return nil
}

// bad returns an *Error of the current line.
func (rr *rowReader) bad(kind Kind, format string, args ...any) error {
	e := bad(kind, format, args...)
	e.Line = rr.line
	return e
}

// lines reads one object a line.
func (rr *rowReader) lines(w *lookahead) error {
	for {
		switch err := w.skipSpace(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		rr.line = w.line + 1
		row, err := rr.row(w)
		if err != nil {
			return err
		}
		if bytes.IndexByte(row, '\n') >= 0 {
			return rr.bad(KindRow, "row %d is spread over several lines", rr.Rows)
		}
		switch blank, err := w.restOfLine(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case !blank:
			return rr.bad(KindRow, "row %d is followed by something else on its line", rr.Rows)
		}
	}
}

// array reads one array of objects.
func (rr *rowReader) array(w *lookahead) error {
	switch err := w.skipSpace(); {
	case err == io.EOF:
		return nil // an empty file
	case err != nil:
		return err
	case w.b[w.at] != '[':
		return rr.noArray(w)
	}
	w.at++
	// between is what came before: '[', ',' or, for a row, 'r'.
	for between := byte('['); ; {
		if err := w.skipSpace(); err != nil {
			return ended(err, "the array does not end")
		}
		rr.line = rr.Rows + 1
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
			return rr.bad(KindRow, "row %d is followed by something other than a comma", rr.Rows)
		}
		if _, err := rr.row(w); err != nil {
			return err
		}
		between = 'r'
	}
}

// noArray returns an error that describes what is there instead of an array.
func (rr *rowReader) noArray(w *lookahead) error {
	rr.line = 1
	if w.b[w.at] == '{' {
		rr.columnSet = newColumnSet(nil) // accepts any column
		if _, err := rr.row(w); rr.Rows == 1 && errorObject(rr.Columns) {
			return rr.bad(KindErrorObject, "it holds an error object in place of rows")
		} else if err != nil {
			return err
		}
	}
	return rr.bad(KindFormat, "it does not begin with an array")
}

// ended returns an error with that reason if err is the end of the file or nil.
func ended(err error, reason string) error {
	if err == nil || err == io.EOF {
		return bad(KindRow, "%s", reason)
	}
	return err
}

// row reads, checks and counts one object. It returns the object as written, which is
// valid until more of the stream is read.
func (rr *rowReader) row(w *lookahead) ([]byte, error) {
	for {
		rr.begin()
		rr.stamp, rr.members = nil, rr.members[:0]
		s := scanner{b: w.b[w.at:]}
		if s.b[0] != '{' {
			return nil, rr.bad(KindRow, "row %d is not a JSON object", rr.Rows+1)
		}
		end, err := s.object(0, rr.member)
		if err == nil {
			row := s.b[:end]
			w.at += end
			return row, rr.add(row, s.lone)
		}
		if err == errJSON {
			return nil, rr.bad(KindRow, "row %d is not valid JSON", rr.Rows+1)
		}
		if len(s.b) >= longestRow {
			return nil, rr.bad(KindRow, "row %d is longer than %s, which is the limit, or is not valid JSON",
				rr.Rows+1, FormatBytes(longestRow))
		}
		// The row is scanned again from its start. Twice as much each time keeps the
		// work linear in its length.
		had := len(s.b)
		if err := w.ahead(min(2*had, longestRow)); err != nil && (err != io.EOF || len(w.b)-w.at == had) {
			return nil, ended(err, "it ends inside a row")
		}
	}
}

// member records one column of a row.
func (rr *rowReader) member(key, value []byte) {
	id := rr.see(key, value)
	if id >= 0 && rr.TimeColumn != "" && rr.known[id].name == rr.TimeColumn {
		rr.stamp = value
	}
	if rr.eachRow != nil && id >= 0 {
		rr.keep(id, value)
	}
}

// add checks and counts a row that is valid JSON. lone reports whether it holds
// half of a surrogate pair.
func (rr *rowReader) add(row []byte, lone bool) error {
	rr.Rows++
	rr.Columns = rr.names
	if lone {
		rr.Warnings.LoneSurrogates++
	}
	if rr.twice {
		rr.Warnings.DuplicateKeys++
	}
	valid := utf8.Valid(row)
	if !valid {
		rr.Warnings.InvalidUTF8++
	}
	if err := rr.unexpected(); err != nil {
		return err
	}
	if len(rr.stamp) > 0 && rr.stamp[0] != '"' && string(rr.stamp) != "null" {
		return rr.bad(KindTime, "row %d has a %s that is not a string", rr.Rows, rr.TimeColumn)
	}
	if rr.each != nil {
		rr.each(row, valuesOf(row))
	}
	if rr.Observer != nil {
		rr.observe(valid)
	}
	if rr.eachRow != nil {
		if err := rr.eachRow(Row{Columns: rr.names, Members: rr.members, Invalid: !valid, Raw: row}); err != nil {
			return err
		}
	}
	if rr.TimeColumn == "" {
		return nil
	}
	// A service that fails midway may end the rows with an error. As the only row it is
	// left to whole, which knows that no other follows.
	if rr.Rows > 1 && len(rr.stamp) == 0 && errorObject(keysOf(row)) {
		return rr.bad(KindErrorObject, "row %d is an error object: the rows after it are missing", rr.Rows)
	}
	return rr.checkTime(unquote(rr.stamp))
}

// keysOf returns the keys of a row, which is valid JSON.
func keysOf(row []byte) []string {
	var members map[string]json.RawMessage
	if json.Unmarshal(row, &members) != nil {
		return nil
	}
	return slices.Collect(maps.Keys(members))
}

// unexpected returns the reason why the columns of the current row are rejected, or
// nil.
func (rr *rowReader) unexpected() error {
	switch {
	case rr.excess != nil:
		rr.excess.Line = rr.line
		return rr.excess
	case rr.extra == "":
		return nil
	case rr.Rows == 1 && errorObject(rr.names):
		return rr.bad(KindErrorObject, "it holds an error object in place of rows")
	}
	return rr.bad(KindColumns, "row %d has the column %.60q, which was not requested", rr.Rows, rr.extra)
}
