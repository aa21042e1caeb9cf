package rows

import (
	"bytes"
	"io"
	"time"
)

// Row is a row of a file. It is only valid until the function that got it returns.
type Row struct {
	Columns []string // of the rows so far, as in Summary; grows at its end
	Members []Member // in order; of a column given twice only the last value
	CSV     bool     // values are the text of cells and not JSON
	Invalid bool     // a text is not valid UTF-8
	Raw     []byte   // the JSON object as written; nil in a CSV
}

// Member is a value of a row.
type Member struct {
	Column int    // index into Row.Columns
	Value  []byte // as written: JSON, or the text of a CSV cell
}

// EachRow calls each with every row of the gzip file that r reads, in order. It detects
// the format if that is empty. The Summary covers the rows up to a failure. EachRow fails
// with an *Error, the error of r, or the first error of each.
func EachRow(r io.Reader, format string, each func(Row) error) (Summary, error) {
	s, err := unpack(r, Rules{Format: format, eachRow: func(row Row) error {
		if err := each(row); err != nil {
			return eachError{err}
		}
		return nil
	}})
	if failed, ok := err.(eachError); ok {
		err = failed.error
	}
	return s, err
}

// keep adds a value to the members of the current row, in place of an earlier one of its
// column. place has the last position of each column, which may be that of another row.
func (rr *rowReader) keep(column int, value []byte) {
	for len(rr.place) <= column {
		rr.place = append(rr.place, 0)
	}
	if at := rr.place[column]; at < len(rr.members) && rr.members[at].Column == column {
		rr.members[at].Value = value
		return
	}
	rr.place[column] = len(rr.members)
	rr.members = append(rr.members, Member{column, value})
}

// eachError is an error of the caller's function, which says nothing about the file.
type eachError struct{ error }

// TextOf returns the text of a JSON string as written. ok is false for any other value, and
// for half of a surrogate pair, which UTF-8 cannot express. The text may be a part of raw.
func TextOf(raw []byte) (text []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	s := scanner{b: raw}
	if end, err := s.string(0); err != nil || end != len(raw) || s.lone {
		return nil, false
	}
	return unquote(raw), true
}

// Elements calls each with the elements of a JSON array, as written, until it returns
// false. It reports whether raw is an array and each returned true for all of it.
func Elements(raw []byte, each func(element []byte) bool) bool {
	if len(raw) == 0 || raw[0] != '[' {
		return false
	}
	s := scanner{b: raw, depth: 1}
	i := s.space(1)
	if i < len(raw) && raw[i] == ']' {
		return i+1 == len(raw)
	}
	for {
		end, err := s.value(i)
		if err != nil || !each(raw[i:end]) {
			return false
		}
		next, done, err := s.separator(end, ']')
		if done || err != nil {
			return err == nil && next == len(raw)
		}
		i = s.space(next)
	}
}

// Instant is ParseTime for bytes. A time without a zone is in UTC.
func Instant(text []byte) (t time.Time, ok bool) {
	t, _, ok = parseTime(text)
	return t, ok
}
