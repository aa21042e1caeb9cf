package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const threeFields = `"fields":["EventStart","UserId","PageUrl"]`

// anHour returns a valid body of a create, for an hour of events.
func anHour(shape string, more ...string) string {
	day := request("everyone", "TYPE_EVENT", shape, more...)
	return strings.NewReplacer("20T00:00", "20T18:00", "21T00:00", "20T19:00").Replace(day)
}

// content downloads a file under a fault, and returns its uncompressed content.
func (a *api) content(location, fault string) string {
	a.Helper()
	a.script(`{"on":"download",` + fault + `}`)
	r := a.ask("GET", location, "", "")
	if r.status != 200 || r.header.Get("Sandbox-Fault") == "" {
		a.Fatalf("%s: %d %s", fault, r.status, r.body)
	}
	return unzip(a.T, r.body)
}

// TestFaultsOfCSV checks each fault of the form of a CSV file.
func TestFaultsOfCSV(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	location := a.link(anHour("FORMAT_CSV", threeFields))
	whole := unzip(t, a.ask("GET", location, "", "").body)
	rows := csvRecords(t, whole)
	if len(rows) < 100 || strings.Contains(whole, `"`) {
		t.Fatalf("%d rows", len(rows))
	}
	header, _, _ := strings.Cut(whole, "\r\n")
	if header != "EventStart,UserId,PageUrl" {
		t.Fatalf("the header is %s", header)
	}
	columns := func(pick ...int) string { return picked(rows, pick) }
	var one strings.Builder
	for n, row := range rows {
		if n == 0 || n%2 == 1 {
			one.WriteString(row[0])
		}
		one.WriteString("\r\n")
	}
	for do, want := range map[string]string{
		"csv_semicolon":      strings.ReplaceAll(whole, ",", ";"),
		"csv_tab":            strings.ReplaceAll(whole, ",", "\t"),
		"csv_cr":             strings.ReplaceAll(whole, "\r\n", "\r"),
		"csv_no_header":      strings.TrimPrefix(whole, header+"\r\n"),
		"csv_reordered":      columns(2, 1, 0),
		"csv_missing_column": columns(0, 1),
		"csv_no_time_column": columns(1, 2),
		"csv_extra_column":   columns(0, 1, 2, 3),
		"csv_one_column":     one.String(),
	} {
		if got := a.content(location, `"nth":1,"do":"`+do+`"`); got != want {
			t.Errorf("%s: %.300q\nwant %.300q", do, got, want)
		}
	}
	if got := unzip(t, a.ask("GET", location, "", "").body); got != whole {
		t.Error("the file is different after the faults")
	}
}

// csvRecords reads a CSV file.
func csvRecords(t *testing.T, file string) [][]string {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil {
		t.Error(err)
	}
	return all
}

// picked returns a CSV file with the columns at these indices, in this order. One
// beyond the last column is that of csv_extra_column.
func picked(rows [][]string, columns []int) string {
	var b strings.Builder
	for n, row := range rows {
		extra := "added"
		if n == 0 {
			extra = "AddedLater"
		}
		all := append(slices.Clone(row), extra)
		var cells []string
		for _, i := range columns {
			cells = append(cells, all[i])
		}
		b.WriteString(strings.Join(cells, ",") + "\r\n")
	}
	return b.String()
}

// TestReorderedCells checks that cells with quotes and separators keep their values
// when a fault rewrites the file.
func TestReorderedCells(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	texts := a.link(anHour("FORMAT_CSV"))
	before := csvRecords(t, unzip(t, a.ask("GET", texts, "", "").body))
	after := csvRecords(t, a.content(texts, `"do":"csv_reordered"`))
	for n := range before {
		slices.Reverse(after[n])
		if !slices.Equal(before[n], after[n]) {
			t.Fatalf("row %d is %q, want %q", n, after[n], before[n])
		}
	}
}

// TestFaultsOfRows checks the effect of each fault on the rows of every format.
func TestFaultsOfRows(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	links := map[string]string{}
	for _, shape := range []string{"FORMAT_NDJSON", "FORMAT_JSON", "FORMAT_CSV"} {
		links[shape] = a.link(anHour(shape, threeFields))
	}
	utc := regexp.MustCompile(`^2026-10-20T\d\d:\d\d:\d\d(\.\d{3})?Z$`)
	all := func(form string) func(times []string) bool {
		same := regexp.MustCompile(form)
		return func(times []string) bool {
			return !slices.ContainsFunc(times, func(s string) bool { return !same.MatchString(s) })
		}
	}
	only := func(first string) func(times []string) bool {
		return func(times []string) bool { return times[0] == first && all(utc.String())(times[1:]) }
	}
	for fault, check := range map[string]func(times []string) bool{
		`"do":"no_time"`:                  all(`^$`),
		`"do":"no_time","rows":1`:         only(""),
		`"do":"row_outside"`:              only("2026-10-20T17:59:59.000Z"),
		`"do":"time_digits"`:              all(`^2026-10-20T\d\d:\d\d:\d\dZ$`),
		`"do":"time_digits","digits":3`:   all(`^2026-10-20T\d\d:\d\d:\d\d\.\d{3}Z$`),
		`"do":"time_digits","digits":6`:   all(`^2026-10-20T\d\d:\d\d:\d\d\.\d{3}987Z$`),
		`"do":"time_digits","digits":9`:   all(`^2026-10-20T\d\d:\d\d:\d\d\.\d{3}987654Z$`),
		`"do":"time_space"`:               all(`^2026-10-20 \d\d:\d\d:\d\d(\.\d{3})?Z$`),
		`"do":"time_no_zone"`:             all(`^2026-10-20T\d\d:\d\d:\d\d(\.\d{3})?$`),
		`"do":"other_window"`:             all(`^2026-10-20T17:`),
		`"do":"invalid_utf8","rows":1`:    all(utc.String()),
		`"do":"lone_surrogate","rows":1`:  all(utc.String()),
		`"do":"csv_semicolon","nth":1000`: all(utc.String()), // never reached: no fault
	} {
		for shape, location := range links {
			a.script(`{"on":"download",` + fault + `}`)
			times := timesOf(t, shape, unzip(t, a.ask("GET", location, "", "").body))
			if len(times) < 100 || !check(times) {
				t.Errorf("%s of %s: %d rows, %.300q", fault, shape, len(times), times)
			}
		}
	}
}

// timesOf returns EventStart of every row, "" where it is missing.
func timesOf(t *testing.T, shape, content string) (times []string) {
	t.Helper()
	if shape == "FORMAT_CSV" {
		rows, err := csv.NewReader(strings.NewReader(content)).ReadAll()
		if err != nil || rows[0][0] != timeColumn {
			t.Fatalf("%v, %q", err, rows)
		}
		for _, row := range rows[1:] {
			times = append(times, row[0])
		}
		return times
	}
	type row struct{ EventStart string }
	var rows []row
	if shape == "FORMAT_NDJSON" {
		content = "[" + strings.ReplaceAll(strings.TrimSpace(content), "\n", ",") + "]"
	}
	if err := json.Unmarshal([]byte(content), &rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		times = append(times, r.EventStart)
	}
	return times
}

// TestFaultsOfTexts checks the bytes of rows under the faults of texts.
func TestFaultsOfTexts(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	lines := func(shape, fault string) []string {
		content := a.content(a.link(anHour(shape, threeFields)), fault)
		return strings.Split(strings.TrimSpace(content), "\n")
	}
	for _, shape := range []string{"FORMAT_NDJSON", "FORMAT_CSV"} {
		bad := func(line string) bool { return !utf8.ValidString(line) }
		if got := lines(shape, `"do":"invalid_utf8","rows":3`); count(got, bad) != 3 || len(got) < 100 {
			t.Errorf("invalid_utf8 of %s: %.300q", shape, got)
		}
	}
	half := func(line string) bool {
		return strings.Contains(line, `:"\ud800`) && json.Valid([]byte(line)) || strings.Contains(line, ",\xed\xa0\x80")
	}
	for _, shape := range []string{"FORMAT_NDJSON", "FORMAT_CSV"} {
		got := lines(shape, `"do":"lone_surrogate"`)
		with := count(got, func(line string) bool { return strings.Contains(line, "https://shop") })
		if count(got, half) != with || with < 100 {
			t.Errorf("lone_surrogate of %s: in %d rows of %d", shape, count(got, half), with)
		}
	}
	for _, line := range lines("FORMAT_NDJSON", `"do":"duplicate_keys"`) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "{"), ",")
		if strings.Count(line, first) != 2 || !json.Valid([]byte(line)) {
			t.Fatalf("duplicate_keys: %s", line)
		}
	}
	for shape, want := range map[string]string{
		"FORMAT_NDJSON": "{\"error\":\"too \\\"big\\\"\"}\n", "FORMAT_CSV": "{\"error\":\"too \\\"big\\\"\"}\n",
		"FORMAT_JSON": "[{\"error\":\"too \\\"big\\\"\"}]",
	} {
		got := a.content(a.link(anHour(shape)), `"do":"error_row","message":"too \"big\""`)
		if got != want {
			t.Errorf("error_row of %s: %q, want %q", shape, got, want)
		}
	}
}

func count(lines []string, has func(string) bool) (n int) {
	for _, line := range lines {
		if has(line) {
			n++
		}
	}
	return n
}

// TestBytesAfterTheGzipEnd checks the faults that append bytes to a gzip file.
func TestBytesAfterTheGzipEnd(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	location := a.link(anHour("FORMAT_NDJSON"))
	whole := a.ask("GET", location, "", "")
	for do, tail := range map[string]string{"trailing_bytes": trailing, "zero_padding": strings.Repeat("\x00", 512)} {
		a.script(`{"on":"download","do":"` + do + `"}`)
		r := a.ask("GET", location, "", "")
		if r.body != whole.body+tail || r.header.Get("ETag") == whole.header.Get("ETag") {
			t.Errorf("%s: %d bytes of %d", do, len(r.body), len(whole.body))
		}
		z, err := gzip.NewReader(bytes.NewReader([]byte(r.body)))
		if err != nil {
			t.Fatal(err)
		}
		z.Multistream(false)
		if plain, err := io.ReadAll(z); err != nil || string(plain) != unzip(t, whole.body) {
			t.Errorf("%s: the file before the tail: %v", do, err)
		}
	}
}

// TestContentOfAnExport checks that a fault of an export changes each of its
// downloads, also of parts, until the fault ends.
func TestContentOfAnExport(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	a.script(`{"on":"operation","nth":1,"do":"time_space"}`)
	location, other := a.link(anHour("FORMAT_NDJSON")), a.link(anHour("FORMAT_NDJSON"))
	whole, intact := a.ask("GET", location, "", ""), a.ask("GET", other, "", "")
	if strings.Contains(unzip(t, whole.body), `"EventStart":"2026-10-20T`) ||
		!strings.Contains(unzip(t, intact.body), `"EventStart":"2026-10-20T`) {
		t.Error("the fault does not affect exactly the first export")
	}
	r := a.ask("GET", location, "", "", "Range", "bytes=1000-", "If-Range", whole.header.Get("ETag"))
	if r.status != 206 || r.body != whole.body[1000:] {
		t.Errorf("a part of the file: %d, %d bytes of %d", r.status, len(r.body), len(whole.body))
	}
	a.script(`{"on":"operation","nth":1,"do":"empty","for":"100ms"}`)
	began := time.Now()
	location = a.link(anHour("FORMAT_NDJSON"))
	for a.ask("GET", location, "", "").body == "" && time.Since(began) < 10*time.Second {
		time.Sleep(5 * time.Millisecond)
	}
	if got := a.ask("GET", location, "", "").body; got != intact.body {
		t.Errorf("after the fault: %d bytes, want %d", len(got), len(intact.body))
	}
}
