package sandbox

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// rowChange is the effect of a fault on one row. A nil function leaves rows of that
// format as they are. The JSON of a row has no white space between its tokens.
type rowChange struct {
	rows int // how many rows change by default; 0: all
	json func(f *Fault, asked *exportRequest, row []byte) []byte
	csv  func(f *Fault, asked *exportRequest, header, cells []string) (changed bool)
}

// rowChanges are the faults that change single rows.
var rowChanges = map[string]rowChange{
	"no_time":        {json: withoutTime, csv: onTime(0, noTime).csv},
	"row_outside":    onTime(1, outside),
	"time_digits":    onTime(0, withDigits),
	"time_space":     onTime(0, withSpace),
	"time_no_zone":   onTime(0, withoutZone),
	"invalid_utf8":   inText("\xff\xfe", "\xff\xfe"),
	"lone_surrogate": inText(`\ud800`, "\xed\xa0\x80"),
	"duplicate_keys": {json: withKeyTwice},
}

// timeKey is the start of the time's member in a JSON row. It cannot occur inside a
// text, because quotes are escaped there.
var timeKey = []byte(`"` + timeColumn + `":"`)

// timeIn returns the range of the time's text in a JSON row, without its quotes.
func timeIn(row []byte) (from, to int, ok bool) {
	key := bytes.Index(row, timeKey)
	if key < 0 {
		return 0, 0, false
	}
	from = key + len(timeKey)
	length := bytes.IndexByte(row[from:], '"')
	return from, from + length, length >= 0
}

// onTime returns the change of the text of the time, in so many rows by default.
func onTime(rows int, change func(f *Fault, asked *exportRequest, t string) string) rowChange {
	return rowChange{
		rows: rows,
		json: func(f *Fault, asked *exportRequest, row []byte) []byte {
			from, to, ok := timeIn(row)
			if !ok {
				return row
			}
			return slices.Concat(row[:from], []byte(change(f, asked, string(row[from:to]))), row[to:])
		},
		csv: func(f *Fault, asked *exportRequest, header, cells []string) bool {
			i := slices.Index(header, timeColumn)
			if i < 0 || i >= len(cells) {
				return false
			}
			cells[i] = change(f, asked, cells[i])
			return true
		},
	}
}

// withoutTime removes the member of the time, and one of the commas around it.
func withoutTime(_ *Fault, _ *exportRequest, row []byte) []byte {
	from, to, ok := timeIn(row)
	if !ok {
		return row
	}
	before, after := row[:from-len(timeKey)], row[to+1:]
	if bytes.HasPrefix(after, []byte(",")) {
		after = after[1:]
	} else {
		before = bytes.TrimSuffix(before, []byte(","))
	}
	return slices.Concat(before, after)
}

func noTime(*Fault, *exportRequest, string) string { return "" }

// outside returns a time one second outside the requested window: before its start
// or, if that is open, after its end.
func outside(_ *Fault, asked *exportRequest, _ string) string {
	at := asked.Exports.From.Add(-time.Second)
	if asked.Exports.From.IsZero() {
		at = asked.Exports.To.Add(time.Second)
	}
	return at.UTC().Format("2006-01-02T15:04:05.000Z")
}

func withSpace(_ *Fault, _ *exportRequest, t string) string { return strings.Replace(t, "T", " ", 1) }

func withoutZone(_ *Fault, _ *exportRequest, t string) string { return strings.TrimSuffix(t, "Z") }

// withDigits returns the time with f.Digits digits in its fraction. With at least
// three digits it stays in the same millisecond.
func withDigits(f *Fault, _ *exportRequest, t string) string {
	whole, fraction, _ := strings.Cut(strings.TrimSuffix(t, "Z"), ".")
	if f.Digits == 0 {
		return whole + "Z"
	}
	fraction += strings.Repeat("0", max(0, 3-len(fraction)))
	return whole + "." + (fraction + "987654321")[:f.Digits] + "Z"
}

// inText returns the change that inserts bytes at the start of a row's first text.
// Texts that begin with a digit are skipped, because they may be times. A row
// without another text stays as it is.
func inText(inJSON, inCSV string) rowChange {
	return rowChange{
		json: func(_ *Fault, _ *exportRequest, row []byte) []byte {
			at := firstText(row)
			if at == 0 {
				return row
			}
			return slices.Concat(row[:at], []byte(inJSON), row[at:])
		},
		csv: func(_ *Fault, _ *exportRequest, _, cells []string) bool {
			i := slices.IndexFunc(cells, isText)
			if i >= 0 {
				cells[i] = inCSV + cells[i]
			}
			return i >= 0
		},
	}
}

// firstText returns the offset of the first text in a JSON row that does not begin
// with a digit, or 0.
func firstText(row []byte) int {
	opens := []byte(`":"`)
	for at := 0; ; {
		i := bytes.Index(row[at:], opens)
		if i < 0 {
			return 0
		}
		if at += i + len(opens); row[at] < '0' || row[at] > '9' {
			return at
		}
	}
}

// isText reports whether a cell is a text that does not begin with a digit.
func isText(cell string) bool {
	return cell != "" && !strings.ContainsAny(cell[:1], "-0123456789") && cell != "true" && cell != "false"
}

// withKeyTwice repeats the first member of a row at its end.
func withKeyTwice(_ *Fault, _ *exportRequest, row []byte) []byte {
	members := json.NewDecoder(bytes.NewReader(row))
	var value json.RawMessage
	for range 2 { // the opening brace and the key
		if _, err := members.Token(); err != nil {
			return row
		}
	}
	if !members.More() || members.Decode(&value) != nil {
		return row
	}
	return slices.Concat(row[:len(row)-1], []byte(","), row[1:members.InputOffset()], []byte("}"))
}
