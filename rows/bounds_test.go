package rows

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// filler is an endless stream of one byte.
type filler struct{ read int64 }

func (f *filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	f.read += int64(len(p))
	return len(p), nil
}

func TestEndlessRows(t *testing.T) {
	for format, head := range map[string]string{CSV: "a,b\n1,\"", NDJSON: `{"a":"`, JSON: `[{"a":"`} {
		rest := &filler{}
		bounded := io.LimitReader(rest, 4*longestRow) // so that the test ends if nothing else bounds the row
		_, err := readRows(io.MultiReader(strings.NewReader(head), bounded), Rules{Format: format})
		var content *Error
		if !errors.As(err, &content) || !strings.Contains(err.Error(), "longer than") || rest.read > 3*longestRow {
			t.Errorf("%s: got %v after %s", format, err, FormatBytes(rest.read))
		}
	}
}
