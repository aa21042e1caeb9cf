package landing

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"

	"fullstory-export-mcp/rows"
)

// mostElements is the most elements of a list in a column of lists.
const mostElements = 1 << 16

// add adds a value of the current row, as written in JSON or as the text of a cell of a
// CSV file. It returns false, and adds nothing, if the value does not fit the column.
func (w *columnWriter) add(raw []byte, csv bool) bool {
	if w.list {
		return w.addList(raw)
	}
	switch w.kind {
	case whole, decimal, truth:
		return w.addScalar(raw, 0)
	case instant:
		if !csv {
			return w.addInstant(raw, 0)
		}
		micros, ok := w.micros(raw)
		if ok {
			w.addInt(micros, 0)
		}
		return ok
	case document:
		return w.addDocument(raw, csv)
	}
	if csv {
		return w.addText(raw)
	}
	return w.addString(raw, 0)
}

// addList adds a list, of which each element must fit or be null.
func (w *columnWriter) addList(raw []byte) bool {
	values, kept, n := len(w.values), len(w.texts), 0
	ok := rows.Elements(raw, func(element []byte) bool {
		if n++; n > mostElements {
			return false
		}
		repeated := min(n-1, 1) // 0 for the first element
		switch {
		case string(element) == "null":
			w.addNull(repeated, 2)
			return true
		case w.kind == text:
			return w.addString(element, repeated)
		case w.kind == instant:
			return w.addInstant(element, repeated)
		}
		return w.addScalar(element, repeated)
	})
	if !ok {
		w.values, w.texts = w.values[:values], w.texts[:kept]
		return false
	}
	if n == 0 {
		w.addNull(0, 1)
	}
	return true
}

// addScalar adds a number or a boolean, which CSV writes as JSON does.
func (w *columnWriter) addScalar(raw []byte, repeated int) bool {
	switch w.kind {
	case whole:
		n, ok := integer(raw)
		if ok {
			w.addInt(n, repeated)
		}
		return ok
	case decimal:
		f, ok := double(raw)
		if ok {
			w.addDouble(f, repeated)
		}
		return ok
	}
	yes := string(raw) == "true"
	if !yes && string(raw) != "false" {
		return false
	}
	w.addBool(yes, repeated)
	return true
}

// addString adds a JSON value to a column of texts.
func (w *columnWriter) addString(raw []byte, repeated int) bool {
	s, ok := rows.TextOf(raw)
	if !ok {
		if c := raw[0]; w.kind != anything || c == '"' || c == '{' || c == '[' {
			return false
		}
		s = raw
	}
	if len(s) > w.most.text {
		return false
	}
	w.addBytes(s, repeated)
	return true
}

// addText adds the text of a cell.
func (w *columnWriter) addText(cell []byte) bool {
	if len(cell) > w.most.text {
		return false
	}
	w.addBytes(cell, 0)
	return true
}

// addDocument adds an object, or a text that holds one.
func (w *columnWriter) addDocument(raw []byte, csv bool) bool {
	s := raw
	if !csv && raw[0] == '"' {
		var ok bool
		if s, ok = rows.TextOf(raw); !ok {
			return false
		}
		csv = true
	}
	s = bytes.TrimSpace(s)
	if len(s) == 0 || s[0] != '{' || csv && !json.Valid(s) {
		return false
	}
	w.addBytes(s, 0)
	return true
}

// addInstant adds a JSON string that is a time.
func (w *columnWriter) addInstant(raw []byte, repeated int) bool {
	s, ok := rows.TextOf(raw)
	if !ok {
		return false
	}
	micros, ok := w.micros(s)
	if ok {
		w.addInt(micros, repeated)
	}
	return ok
}

// micros returns the microseconds from 1970 to a time. ok is false if the time is not one,
// is more precise, or is outside the years 1 to 9999, which all warehouses have. Rows next
// to each other often have the same time, so the last one is remembered.
func (w *columnWriter) micros(s []byte) (micros int64, ok bool) {
	if len(s) > 0 && bytes.Equal(s, w.lastTime) {
		return w.lastMicros, true
	}
	t, ok := rows.Instant(s)
	if !ok || t.Nanosecond()%1000 != 0 || t.Year() < 1 || t.Year() > 9999 {
		return 0, false
	}
	w.lastTime, w.lastMicros = append(w.lastTime[:0], s...), t.UnixMicro()
	return w.lastMicros, true
}

// integer returns an integer as JSON writes it. ok is false for any other text, for -0 and
// for what 64 bits cannot hold.
func integer(raw []byte) (n int64, ok bool) {
	digits, negative := raw, len(raw) > 0 && raw[0] == '-'
	if negative {
		digits = raw[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(raw) > 1 {
		return 0, false
	}
	u := uint64(0) // 19 digits fit
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	switch {
	case negative && u <= 1<<63:
		return -int64(u), true
	case !negative && u <= math.MaxInt64:
		return int64(u), true
	}
	return 0, false
}

// exactDigits is how many digits of an integer a double always has exactly.
const exactDigits = 15

// double returns a number as JSON writes it, rounded to the nearest double. ok is false for
// any other text, for what is too large, and for an integer that a double cannot hold.
func double(raw []byte) (f float64, ok bool) {
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	fraction := false
	for _, c := range raw {
		switch {
		case c >= '0' && c <= '9', c == '-':
		case c == '.', c|0x20 == 'e', c == '+':
			fraction = true
		default:
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return 0, false
	}
	if !fraction && len(raw) > exactDigits {
		n, ok := integer(raw)
		return f, ok && f < 1<<63 && int64(f) == n
	}
	return f, true
}
