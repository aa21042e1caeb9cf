package rows

import (
	"encoding/json"
	"io"
)

// Each calls each with every row of the gzip file that r reads, in order. It detects
// the format. row is the JSON object as written, or the cells of a CSV row separated
// by U+001F. value returns a column as written in JSON or as the text of a CSV cell,
// and "" if the row lacks it. row and value are only valid until each returns. Each
// fails with an *Error, or the error of r.
func Each(r io.Reader, each func(row []byte, value func(column string) string)) error {
	_, err := unpack(r, Rules{each: each})
	return err
}

// valuesOf returns a function that returns the columns of a JSON object.
func valuesOf(row []byte) func(string) string {
	var columns map[string]json.RawMessage
	if json.Unmarshal(row, &columns) != nil {
		columns = nil
	}
	return func(column string) string { return string(columns[column]) }
}
