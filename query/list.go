package query

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"

	"modernc.org/sqlite/vtab"
)

// list returns the list that begins with an element, as the text of a JSON array.
func (v *vector) list(k kind, at int32) vtab.Value {
	if v.levels[at] == emptyList {
		return "[]"
	}
	from := &v.plain
	if v.dict != nil {
		from = &v.dict.values
	}
	b := []byte{'['}
	for i := at; ; i++ {
		if i > at {
			b = append(b, ',')
		}
		if v.levels[i] == element {
			b = from.appendJSON(b, k, v.within[i]&^more)
		} else {
			b = append(b, "null"...)
		}
		if v.within[i]&more == 0 {
			return string(append(b, ']'))
		}
	}
}

// appendJSON appends a value as JSON.
func (v *values) appendJSON(b []byte, k kind, i int32) []byte {
	switch k {
	case whole:
		return strconv.AppendInt(b, v.ints[i], 10)
	case decimal:
		return appendReal(b, v.reals[i])
	case truth:
		return strconv.AppendBool(b, v.truth(i) == 1)
	case instant:
		return append(appendTime(append(b, '"'), v.ints[i]), '"')
	}
	return appendText(b, string(v.text(i)))
}

// Real returns a double as an answer shows it: as JSON, with a point or an exponent, which
// tells it from an integer. JSON has neither infinity nor NaN; they are null.
func Real(f float64) string { return string(appendReal(nil, f)) }

// appendReal appends a number that readers take for a double.
func appendReal(b []byte, f float64) []byte {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return append(b, "null"...)
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[from:], ".e") {
		b = append(b, ".0"...)
	}
	return b
}

// appendText appends a text as JSON. Bytes that are not UTF-8 become U+FFFD.
func appendText(b []byte, s string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string has no error
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte{'\n'})...)
}
