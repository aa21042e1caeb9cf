package merge

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"fullstory-export-mcp/rows"
)

// The marks that begin a canonical value. Values of different kinds are never equal.
const (
	markText   = 't'
	markNumber = 'n' // above zero
	markBelow  = 'm' // below zero
	markZero   = 'z'
	markTime   = 'i'
	markTrue   = 'y'
	markFalse  = 'f'
	markNull   = '0' // inside a list or an object
	markList   = '['
	markObject = '{'
	markEnd    = ']'
	markRaw    = 'r' // as written
)

// deepest bounds how deeply lists and objects are nested; deeper ones count as written.
const deepest = 64

// elements are the types of the elements of lists.
var elements = map[rows.Type]rows.Type{
	rows.Texts: rows.Text, rows.Integers: rows.Integer, rows.Reals: rows.Real, rows.Bools: rows.Bool,
	rows.Times: rows.Time,
}

// appendValue adds the canonical form of a value of a column of that type: JSON as written,
// or the text of a cell. It adds nothing if there is no value. invalid says that the row is
// not valid UTF-8.
func appendValue(b []byte, kind rows.Type, value []byte, cell, invalid bool) []byte {
	switch {
	case len(value) == 0, !cell && (string(value) == "null" || string(value) == `""`):
		return b
	case cell:
		return appendCell(b, kind, value)
	case invalid && !utf8.Valid(value): // also the names in objects must not be repaired
		return appendText(append(b, markRaw), value)
	}
	return appendJSON(b, kind, value, 0)
}

// appendCell adds the text of a cell.
func appendCell(b []byte, kind rows.Type, text []byte) []byte {
	switch kind {
	case rows.Integer, rows.Real:
		if isNumber(text) {
			return appendNumber(b, text)
		}
	case rows.Bool:
		switch string(text) {
		case "true":
			return append(b, markTrue)
		case "false":
			return append(b, markFalse)
		}
	}
	return appendString(b, kind, text)
}

// appendString adds a text, of a cell or of a JSON string, that may be a time, a list or an
// object by its column.
func appendString(b []byte, kind rows.Type, text []byte) []byte {
	_, list := elements[kind]
	switch {
	case kind == rows.Time:
		if t, ok := rows.Instant(text); ok {
			b = binary.BigEndian.AppendUint64(append(b, markTime), uint64(t.Unix()))
			return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
		}
	case list || kind == rows.Object:
		document := bytes.TrimSpace(text)
		begins := len(document) > 0 && (list && document[0] == '[' || kind == rows.Object && document[0] == '{')
		if begins && json.Valid(document) {
			return appendJSON(b, kind, document, 0)
		}
	}
	return appendText(append(b, markText), text)
}

// appendJSON adds a value of valid JSON, at a depth of lists and objects.
func appendJSON(b []byte, kind rows.Type, value []byte, depth int) []byte {
	switch c := value[0]; {
	case c == '"':
		text, ok := rows.TextOf(value)
		if !ok {
			return appendText(append(b, markRaw), value)
		}
		return appendString(b, kind, text)
	case c == 't':
		return append(b, markTrue)
	case c == 'f':
		return append(b, markFalse)
	case c == 'n':
		return append(b, markNull)
	case (c == '[' || c == '{') && depth == deepest:
		return appendText(append(b, markRaw), value)
	case c == '[':
		return appendList(b, elements[kind], value, depth)
	case c == '{':
		return appendObject(b, value, depth)
	}
	return appendNumber(b, value)
}

func appendList(b []byte, of rows.Type, value []byte, depth int) []byte {
	began := len(b)
	b = append(b, markList)
	whole := rows.Elements(value, func(element []byte) bool {
		b = appendJSON(b, of, element, depth+1)
		return true
	})
	if !whole { // impossible: the row is valid JSON
		return appendText(append(b[:began], markRaw), value)
	}
	return append(b, markEnd)
}

// appendObject adds the members of an object in the order of their names. Of a name that
// occurs twice the last value counts.
func appendObject(b []byte, value []byte, depth int) []byte {
	var members map[string]json.RawMessage
	surrogates := bytes.Contains(value, []byte(`\ud`)) || bytes.Contains(value, []byte(`\uD`))
	if surrogates || json.Unmarshal(value, &members) != nil { // half of a pair in a name would be repaired
		return appendText(append(b, markRaw), value)
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, markObject)
	for _, name := range names {
		b = appendText(append(b, markText), name)
		b = appendJSON(b, rows.Text, members[name], depth+1)
	}
	return append(b, markEnd)
}

// isNumber reports whether a text is a number as JSON writes it.
func isNumber(text []byte) bool {
	c := text[0]
	return (c == '-' || c >= '0' && c <= '9') && json.Valid(text)
}

// appendNumber adds a number of valid JSON: its sign, its digits without zeros at either end,
// and the power of ten of the last of them. A number whose exponent has more digits than an
// int64 counts as written.
func appendNumber(b []byte, text []byte) []byte {
	mantissa, exponent := text, int64(0)
	if at := bytes.IndexAny(text, "eE"); at >= 0 {
		var err error
		mantissa = text[:at]
		exponent, err = strconv.ParseInt(string(text[at+1:]), 10, 64)
		if err != nil || exponent > math.MaxInt64/2 || exponent < math.MinInt64/2 {
			return appendText(append(b, markRaw), text)
		}
	}
	negative := mantissa[0] == '-'
	if negative {
		mantissa = mantissa[1:]
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	exponent -= int64(len(fraction))
	digits := append(append(make([]byte, 0, 40), whole...), fraction...)
	digits = bytes.TrimLeft(digits, "0")
	n := len(digits)
	digits = bytes.TrimRight(digits, "0")
	exponent += int64(n - len(digits))
	mark := byte(markNumber)
	switch {
	case len(digits) == 0: // also -0
		return append(b, markZero)
	case negative:
		mark = markBelow
	}
	return binary.AppendVarint(appendText(append(b, mark), digits), exponent)
}
