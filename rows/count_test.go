package rows

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// countRows counts the rows of a file in another, slower way than the package. ok
// reports whether the file can be read at all.
func countRows(format, plain string, columns int) (rows int64, ok bool) {
	plain = strings.TrimPrefix(plain, "\ufeff")
	switch format {
	case CSV:
		return countCSV(plain, columns)
	case JSON:
		if strings.TrimSpace(plain) == "" {
			return 0, true
		}
		var objects []map[string]json.RawMessage
		err := json.Unmarshal([]byte(plain), &objects)
		return int64(len(objects)), err == nil
	}
	d := json.NewDecoder(bytes.NewReader([]byte(plain)))
	for {
		var object map[string]json.RawMessage
		switch err := d.Decode(&object); {
		case err == io.EOF:
			return rows, true
		case err != nil:
			return rows, false
		}
		rows++
	}
}

// countCSV counts the records of a CSV byte by byte.
func countCSV(plain string, columns int) (rows int64, ok bool) {
	lines, fields, quoted, length := int64(0), 1, false, 0
	end := func() bool {
		if length == 0 && columns > 1 {
			return true // a blank line; it is allowed at the end alone
		}
		lines++
		return fields == columns
	}
	for i := 0; i < len(plain); i++ {
		switch c := plain[i]; {
		case c == '"':
			quoted = !quoted
			length++
		case quoted:
			length++
		case c == '\r':
			if i+1 == len(plain) || plain[i+1] != '\n' {
				return 0, false
			}
		case c == ',':
			fields++
			length++
		case c == '\n':
			if !end() {
				return 0, false
			}
			fields, length = 1, 0
		default:
			length++
		}
	}
	if length > 0 && !end() {
		return 0, false
	}
	return max(0, lines-1), !quoted
}
