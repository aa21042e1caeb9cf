package probe

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// mostUnpacked is how much of a file is looked at, in bytes.
const mostUnpacked = 128 << 20

// unpack returns the content of a gzip file, of which the end may be missing.
func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = io.Copy(&b, io.LimitReader(r, mostUnpacked))
	if err == io.ErrUnexpectedEOF && len(packed) == mostBytes {
		err = nil // the rest was not fetched
	}
	return b.Bytes(), err
}

// sample is what the probe remembers of the first export: the times of its rows, sorted.
type sample struct{ times []time.Time }

// within returns how many rows lie in a half-open window.
func (s sample) within(start, end time.Time) (n int) {
	for _, t := range s.times {
		if !t.Before(start) && t.Before(end) {
			n++
		}
	}
	return n
}

// Whether an id is a whole number, and a time is spelled as in Fullstory's samples.
var (
	wholeNumber = regexp.MustCompile(`^-?[0-9]{1,20}$`)
	usualTime   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$`)
)

// lookAtRows looks at an NDJSON file of events.
func (p *prober) lookAtRows(file []byte) {
	ids := []string{"ndjson_rows", "ids", "event_times", "window_start"}
	if file == nil {
		p.skip(notEnded, ids...)
		return
	}
	rows, whole, numbers, usual, inside, nulls := 0, true, true, true, true, false
	for line := range bytes.Lines(file) {
		var row map[string]json.RawMessage
		if json.Unmarshal(line, &row) != nil {
			whole = len(file) == mostUnpacked && bytes.HasSuffix(file, line) // it was cut there
			break
		}
		rows++
		at := textOf(row["EventStart"])
		t, err := time.Parse(time.RFC3339Nano, at)
		usual = usual && usualTime.MatchString(at)
		inside = inside && err == nil && !t.Before(p.Hour) && !t.After(p.Hour.Add(anHour))
		numbers = numbers && wholeNumber.Match(row["UserId"])
		nulls = nulls || hasNull(row)
		p.sample.times = append(p.sample.times, t)
	}
	if rows == 0 {
		p.skip("the hour has no rows; --hour selects another one", ids...)
		return
	}
	slices.SortFunc(p.sample.times, time.Time.Compare)
	p.check("ndjson_rows", whole, "")
	p.check("ids", numbers, "")
	p.check("event_times", usual, "")
	p.check("window_start", inside, "")
	p.check("absent_values", !nulls, "")
}

// hasNull reports whether a value of a row is null.
func hasNull(row map[string]json.RawMessage) bool {
	for _, value := range row {
		if string(value) == "null" {
			return true
		}
	}
	return false
}

// lookAtPeople looks at a FORMAT_JSON file of individuals.
func (p *prober) lookAtPeople(file []byte) {
	p.checkArray(file)
	var people []map[string]json.RawMessage
	if file == nil || json.Unmarshal(file, &people) != nil || len(people) == 0 {
		p.skip("there is no file of individuals", "user_vars")
		return
	}
	vars := 0
	for _, row := range people {
		var inner map[string]json.RawMessage
		if json.Unmarshal([]byte(textOf(row["UserVars"])), &inner) == nil {
			vars++
		}
		if hasNull(row) {
			p.check("absent_values", false, "individuals have null")
		}
	}
	p.check("user_vars", vars == len(people), "all individuals have it: %t", vars == len(people))
}

// checkArray checks the lines of a FORMAT_JSON file.
func (p *prober) checkArray(file []byte) {
	var rows []json.RawMessage
	if json.Unmarshal(file, &rows) != nil || len(rows) < 2 {
		return // see lookAtLast
	}
	lines := bytes.Count(bytes.TrimSpace(file), []byte("\n")) // a text in JSON has no raw line end
	own := bytes.HasPrefix(file, []byte("[\n")) || bytes.HasPrefix(file, []byte("[\r\n"))
	p.check("json_lines", !own, "a line for each object: %t", own)
	p.check("json_line_ends", own || lines == 0, "line ends: %t", lines > 0)
}

// lookAtVars looks at a CSV that was requested without fields.
func (p *prober) lookAtVars(file []byte) {
	header, _, _ := strings.Cut(string(file), "\n")
	columns := strings.Split(strings.TrimSpace(header), ",")
	if header == "" {
		p.skip(notEnded, "csv_vars", "csv_line_ends")
		return
	}
	custom := 0
	for _, name := range columns {
		if strings.HasPrefix(name, "evt_") || strings.HasPrefix(name, "user_") || strings.HasPrefix(name, "page_") {
			custom++
		}
	}
	packed := slices.Contains(columns, "EventVars") || slices.Contains(columns, "PageVars")
	p.check("csv_vars", !packed, "columns of single variables: %t", custom > 0)
	p.check("csv_line_ends", strings.HasSuffix(header, "\r"), "")
}

// compareCSV exports rows of the first export once more, as a CSV of a window that begins and
// ends at the instants of rows.
func (p *prober) compareCSV(ctx context.Context) error {
	ids := []string{"csv_order", "end_included", "same_rows"}
	times := p.sample.times
	if len(times) < 4 || !times[len(times)/4].Before(times[3*len(times)/4]) {
		p.skip("the hour has too few rows; --hour selects another one", ids...)
		return nil
	}
	start, end := times[len(times)/4], times[3*len(times)/4]
	fields := []string{"EventType", "EventStart", "UserId"}
	operation, a, err := p.create(ctx, "", eventsOf("FORMAT_CSV", start, end, fields...))
	if err != nil {
		return err
	}
	file, err := p.fetch(ctx, operation, false)
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil || len(rows) < 2 {
		p.skip(notEnded, ids...)
		p.check("csv_order", operation != "", "the create is answered %d", a.Status)
		return nil
	}
	p.check("csv_order", slices.Equal(rows[0], fields), "")
	column := slices.Index(rows[0], "EventStart")
	if column < 0 {
		return nil
	}
	first, last, within := false, false, 0
	for _, row := range rows[1:] {
		t, _ := time.Parse(time.RFC3339Nano, row[column])
		first, last = first || t.Equal(start), last || !t.Before(end)
		if !t.Before(start) && t.Before(end) {
			within++
		}
	}
	if !first {
		p.check("window_start", false, "a row at the start is missing")
	}
	p.check("end_included", !last, "a row at the end is in the file: %t", last)
	p.check("same_rows", within == p.sample.within(start, end), "equal counts: %t", within == p.sample.within(start, end))
	return nil
}

// lookAtLast makes the last export: of an hour without rows or, if no array was seen yet, of
// the first hour as FORMAT_JSON.
func (p *prober) lookAtLast(ctx context.Context) error {
	_, seen := p.found["json_lines"]
	start := emptyHour()
	if !seen {
		start = p.Hour
	}
	operation, a, err := p.create(ctx, "", eventsOf("FORMAT_JSON", start, start.Add(anHour), "EventStart", "EventType"))
	if err != nil {
		return err
	}
	file, err := p.fetch(ctx, operation, false)
	switch {
	case err != nil:
		return err
	case !seen:
		p.checkArray(file)
		p.skip("the file has fewer than two rows", "json_lines", "json_line_ends")
		p.skip("the create was needed to see a FORMAT_JSON with rows", "empty_file")
	case operation == "":
		p.check("empty_file", false, "the create is answered %d", a.Status)
	case file == nil:
		p.skip(notEnded, "empty_file")
	default:
		p.check("empty_file", string(bytes.TrimSpace(file)) == "[]", "%d bytes unpacked", len(file))
	}
	return nil
}
