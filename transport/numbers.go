package transport

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// fitNumbers returns arguments, a JSON value, with each number that no float64 can hold,
// such as 1e999, as a string. The library would reject the whole message without naming
// the field; the tool names it, because it accepts no such string in place of a number.
func fitNumbers(arguments []byte) []byte {
	if json.Unmarshal(arguments, new(any)) == nil {
		return arguments
	}
	d := json.NewDecoder(bytes.NewReader(arguments))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return arguments // reported by the library
	}
	if fitted, err := json.Marshal(fit(v)); err == nil {
		return fitted
	}
	return arguments
}

// fit does so in a decoded value, which it changes.
func fit(v any) any {
	switch v := v.(type) {
	case json.Number:
		if _, err := strconv.ParseFloat(v.String(), 64); err != nil {
			return v.String()
		}
	case map[string]any:
		for name, inner := range v {
			v[name] = fit(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = fit(inner)
		}
	}
	return v
}
