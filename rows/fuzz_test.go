package rows

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"
)

// mostAllocated is how many bytes may be allocated for a file of n bytes, in all.
func mostAllocated(n int) uint64 { return 32<<20 + 200*uint64(n) }

// FuzzRows reads files of every format, and files as they are packed. None makes the
// program panic or take memory without bound, and no summary or error is larger than the
// limits allow.
func FuzzRows(f *testing.F) {
	for _, test := range hostileRows {
		f.Add([]byte(test.plain), byte(slices.Index(fuzzFormats, test.format)), test.fields)
	}
	for _, plain := range []string{
		"", "\xef\xbb\xbf", "{}\n{}", `{"a":{"b":[1,2,{"c":"\ud800"}]}}`, "[{}]", "[{},{}] ", `[{"a":1`, "a,b\n1,2\n",
		"a\n\n\n",
		"\"a\"\"b\",c\r\n1,\"x\ny\"\r\n", "a;b\n", "\x1f\x8b",
	} {
		for format := range fuzzFormats {
			f.Add([]byte(plain), byte(format), "a b")
		}
	}
	f.Add(zip(f, rowsOf(3)), packedFormat, "")
	f.Add(append(zip(f, rowsOf(3)), zip(f, "")...), packedFormat, "")
	f.Add(append(zip(f, rowsOf(3)), 0, 0, 0), packedFormat, "")
	f.Fuzz(func(t *testing.T, content []byte, format byte, fields string) {
		rules := Rules{Format: fuzzFormats[int(format)%len(fuzzFormats)], TimeColumn: "EventStart", Start: from, End: until}
		if fields != "" {
			rules.Fields = []string{fields, "EventStart", "evt_*"}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := readAny(content, rules)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > mostAllocated(len(content)) {
			t.Errorf("%d bytes took %d", len(content), n)
		}
		var damage *Error
		if errors.As(err, &damage) && (damage.Kind == KindVerification || len(damage.Reason) > 2000) {
			t.Errorf("%s: %.2000s\n%s", damage.Kind, damage.Reason, damage.Stack)
		}
		checkColumns(t, got.Columns)
	})
}

// checkColumns checks that the columns of a file are within the limits.
func checkColumns(t *testing.T, columns []string) {
	t.Helper()
	size := 0
	for _, name := range columns {
		size += len(name)
	}
	if len(columns) > maxColumns || size > longestHeader {
		t.Errorf("%d columns, %d bytes", len(columns), size)
	}
}

// fuzzFormats are the formats by number. The last marks a gzip file of any format.
var fuzzFormats = []string{NDJSON, JSON, CSV, "", "packed"}

// packedFormat is the number of the last.
const packedFormat = byte(4)

func readAny(content []byte, rules Rules) (Summary, error) {
	if rules.Format != fuzzFormats[packedFormat] {
		return readRows(bytes.NewReader(content), rules)
	}
	rules.Format = ""
	return unpack(bytes.NewReader(content), rules)
}
