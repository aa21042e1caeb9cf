package rows

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// wide returns a file of one row with n columns, whose names have length bytes.
func wide(format string, n, length int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%0*d", length, i) + "x"
		names[i] = names[i][len(names[i])-length:]
	}
	if format == CSV {
		return strings.Join(names, ",") + "\n" + strings.Repeat(",", n-1) + "1\n"
	}
	row := `{"` + strings.Join(names, `":1,"`) + `":1}` + "\n"
	if format == JSON {
		row = "[" + row + "]"
	}
	return row
}

// TestLimits reads files at each limit, which are accepted, and just beyond it.
func TestLimits(t *testing.T) {
	cell := func(n int) string { return strings.Repeat("v", n) }
	for _, test := range []struct {
		name     string
		format   string
		in, out  string // accepted, and not
		kind     Kind
		tooLarge bool
		says     string
	}{
		{"columns", CSV, wide(CSV, 5000, 8), wide(CSV, 5001, 8), KindColumns, true, "more than 5000 columns"},
		{"columns", NDJSON, wide(NDJSON, 5000, 8), wide(NDJSON, 5001, 8), KindColumns, true, "more than 5000 columns"},
		{"columns", JSON, wide(JSON, 5000, 8), wide(JSON, 5001, 8), KindColumns, true, "more than 5000 columns"},
		{"names", CSV, wide(CSV, 2, 500), wide(CSV, 2, 501), KindColumns, false, "501 B and the limit is 500 bytes"},
		{"names", NDJSON, wide(NDJSON, 2, 500), wide(NDJSON, 2, 501), KindColumns, false, "the limit is 500 bytes"},
		{"names", JSON, wide(JSON, 2, 500), wide(JSON, 2, 501), KindColumns, false, "the limit is 500 bytes"},
		{
			"escaped names", NDJSON, `{"` + strings.Repeat(`\u0061`, 500) + `":1}`,
			`{"` + strings.Repeat(`\u0061`, 501) + `":1}`, KindColumns, false, "the limit is 500 bytes",
		},
		{"header", CSV, wide(CSV, 2600, 400), wide(CSV, 4200, 300), KindHeader, false, "header is longer than 1.05 MB"},
		{"header", NDJSON, wide(NDJSON, 2600, 400), wide(NDJSON, 4200, 300), KindColumns, true, "more than 1.05 MB"},
		{
			"row", CSV, "a,b\n1," + cell(longestRow-4) + "\n", "a,b\n1," + cell(longestRow) + "\n", KindRow, false,
			"longer than 16.8 MB",
		},
		{
			"row", NDJSON, `{"a":"` + cell(longestRow-9) + `"}`, `{"a":"` + cell(longestRow) + `"}`, KindRow, false,
			"longer than 16.8 MB",
		},
		{
			"row", JSON, `[{"a":"` + cell(longestRow-9) + `"}]`, `[{"a":"` + cell(longestRow) + `"}]`, KindRow, false,
			"longer than 16.8 MB",
		},
		{
			"cells", CSV, "a,b\n1,\"" + strings.Repeat("x,\n", 20_000) + "\"\n", "a,b\n1" + strings.Repeat(",", 20_000) + "\n",
			KindRow, false, "more than 5000 cells",
		},
	} {
		if got, err := readRows(strings.NewReader(test.in), Rules{Format: test.format}); err != nil || got.Rows != 1 {
			t.Errorf("%s, %s: at the limit: %d rows, %.200v", test.name, test.format, got.Rows, err)
		}
		_, err := readRows(strings.NewReader(test.out), Rules{Format: test.format})
		damage, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%s, %s: accepted beyond the limit: %v", test.name, test.format, err)
		} else if damage.Kind != test.kind || damage.TooLarge != test.tooLarge ||
			!strings.Contains(damage.Reason, test.says) {
			t.Errorf("%s, %s: got %s, %t, %q", test.name, test.format, damage.Kind, damage.TooLarge, damage.Reason)
		}
	}
}

// TestManyQuotedLines reads rows of which none is long, but all together are.
func TestManyQuotedLines(t *testing.T) {
	file := "a,b\n" + strings.Repeat("\"x\ny\",\"1,2\"\r\n", 200_000)
	got, err := readRows(strings.NewReader(file), Rules{Format: CSV})
	if err != nil || got.Rows != 200_000 {
		t.Errorf("%d rows, %v", got.Rows, err)
	}
}

// TestUnpackedLimit reads files that unpack to many times their size: freeUnpacked bytes
// in any case, and beyond that maxRatio times the packed bytes.
func TestUnpackedLimit(t *testing.T) {
	for _, test := range []struct {
		unpacked, packed int64
		ok               bool
	}{
		{freeUnpacked, 1, true}, {freeUnpacked + 1, 1, false}, {freeUnpacked + 1, freeUnpacked/maxRatio + 1, true},
		{1 << 40, 1 << 33, true}, {1 << 40, 1 << 32, false},
	} {
		m := &members{unpacked: test.unpacked, read: &counter{n: test.packed}}
		err := m.excess()
		if damage, _ := errors.AsType[*Error](err); (err == nil) != test.ok ||
			!test.ok && (damage.Kind != KindSize || !damage.TooLarge) {
			t.Errorf("%d of %d bytes: %v", test.packed, test.unpacked, err)
		}
	}
}
