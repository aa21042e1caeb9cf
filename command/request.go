package command

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

// requestFlags describe a bulk export.
type requestFlags struct {
	Segment     string   `help:"Id, exact name or URL of the segment." required:"" placeholder:"SEGMENT"`
	From        string   `help:"Start of the range: 2026-09-01, 2026-09, last_month, now-30d/d, RFC 3339." required:"" placeholder:"TIME"`
	To          string   `help:"End of the range, excluded. Default: the end of the period in --from." placeholder:"TIME"`
	Window      string   `help:"Period over which the segment's filters are evaluated: own (the segment's window), range (all of the range), all, or START/END. Default: range for everyone, own for a range of the last 30 days; required otherwise." name:"segment-window" placeholder:"own|range|all|START/END"`
	Chunk       string   `help:"Length of a chunk: hour, day, week, month, quarter, or a duration such as 6h or PT6H. Default: day." placeholder:"LENGTH"`
	TargetRows  int      `help:"Instead of --chunk: rows that a file should have, about." placeholder:"N"`
	TargetMB    float64  `help:"Instead of --chunk: megabytes that a file should have, about." name:"target-megabytes" placeholder:"N"`
	Name        string   `help:"Name of the folder. The same name with the same request resumes the export. Default: made of the request." placeholder:"NAME"`
	Type        string   `help:"Rows: events, pages, sessions or individuals, or as the API writes them, such as TYPE_EVENT. Default: events." default:"events" placeholder:"TYPE"`
	Scope       string   `help:"With --type events: all rows of the events, pages, sessions or individuals that match. Default: events." placeholder:"SCOPE"`
	Format      string   `help:"ndjson, json or csv. Default: ndjson." default:"ndjson" placeholder:"FORMAT"`
	Fields      []string `help:"Columns, in this order. Default: the default set and all custom variables." placeholder:"NAME"`
	MaxInFlight int      `help:"Exports at Fullstory at once. Default: adapts automatically." placeholder:"N"`
	Settle      bool     `help:"Wait until the rows of the last day have settled, then export their chunks once more."`
}

// What --type, --scope and --format may say, besides what the API writes.
var (
	types = map[string]client.Type{
		"events": client.TypeEvent, "pages": client.TypePages, "sessions": client.TypeSessions,
		"individuals": client.TypeIndividual, "people": client.TypeIndividual, "users": client.TypeIndividual,
	}
	scopes = map[string]client.Scope{
		"events": client.ScopeEvents, "pages": client.ScopePages, "sessions": client.ScopeSessions,
		"individuals": client.ScopeIndividuals, "people": client.ScopeIndividuals, "users": client.ScopeIndividuals,
	}
	formats = map[string]client.Format{
		"ndjson": client.FormatNDJSON, "jsonl": client.FormatNDJSON, "json": client.FormatJSON, "csv": client.FormatCSV,
	}
)

// check returns an error if a value cannot be meant as it is given.
func (f *requestFlags) check() error {
	chunk := strings.TrimSpace(f.Chunk)
	if minuteOrMonth().MatchString(chunk) {
		return fmt.Errorf("--chunk: got %q: this may be minutes or months; write %smin, or month", f.Chunk,
			cmp.Or(strings.TrimRight(chunk, "mM "), "1"))
	}
	for _, name := range f.Fields {
		if strings.ContainsAny(strings.TrimSpace(name), " \t;|") {
			return fmt.Errorf("--fields: got %q; write a comma between columns, without spaces: "+
				"--fields EventStart,UserId", name)
		}
	}
	if strings.ContainsAny(f.Name, `/\\`) || f.Name == "." || f.Name == ".." {
		return fmt.Errorf("--name: got %q: it names a folder in the folder of --dir, so it cannot be a path; "+
			"give another place with --dir", f.Name)
	}
	return f.checkNumbers()
}

// checkNumbers returns an error if a number is out of its range. 0 is the default.
func (f *requestFlags) checkNumbers() error {
	switch {
	case f.MaxInFlight < 0 || f.MaxInFlight > 64:
		return fmt.Errorf("--max-in-flight: got %d; give a whole number from 1 to 64", f.MaxInFlight)
	case f.TargetRows < 0:
		return fmt.Errorf("--target-rows: got %d; give a whole number of 1 or more", f.TargetRows)
	case f.TargetMB < 0:
		return fmt.Errorf("--target-megabytes: got %v; give a number above 0", f.TargetMB)
	}
	return nil
}

// request returns the export that the flags describe. exports checks it.
func (f *requestFlags) request() (exports.BulkRequest, error) {
	kind, err := chosen("type", "TYPE_", f.Type, types)
	scope, scopeErr := chosen("scope", "SCOPE_", f.Scope, scopes)
	format, formatErr := chosen("format", "FORMAT_", f.Format, formats)
	if err = errors.Join(err, scopeErr, formatErr); err != nil {
		return exports.BulkRequest{}, &exitError{statusUsage, err}
	}
	if err := f.check(); err != nil {
		return exports.BulkRequest{}, &exitError{statusUsage, err}
	}
	request := exports.BulkRequest{
		SegmentID: f.Segment, Type: kind, Scope: scope, Format: format, Fields: f.Fields,
		TimeRange: client.TimeRange{Start: f.From, End: f.To}, Chunk: chunkOf(f.Chunk),
		TargetRows: f.TargetRows, TargetMB: f.TargetMB, Name: f.Name, MaxInFlight: f.MaxInFlight, Settle: &f.Settle,
	}
	if f.Window != "" {
		request.SegmentTimeRange = &client.TimeRange{Start: f.Window}
	}
	return request, nil
}

// spokenChunk matches a length such as 1d, 24h, 2 weeks or daily.
var spokenChunk = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d*) ?(m|h|d|w|mo|q|min|hour|day|week|month|quarter)s?$`)
})

// minuteOrMonth matches a length with the unit m that may be minutes or months. 15m and more are
// minutes: nobody wants files of years, and shorter ones are rare.
var minuteOrMonth = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(\d|1[0-4])? ?[mM]$`) })

// chunkOf returns what exports reads for a length that people write in another way. It
// returns any other text as it is.
func chunkOf(text string) string {
	word := strings.ToLower(strings.TrimSpace(text))
	if word == "daily" {
		return "day"
	}
	m := spokenChunk().FindStringSubmatch(strings.TrimSuffix(word, "ly"))
	if m == nil {
		return text
	}
	count, unit := m[1], m[2]
	units := map[string]struct{ one, duration string }{
		"m": {"PT1M", "PT%sM"}, "min": {"PT1M", "PT%sM"}, "h": {"hour", "PT%sH"}, "hour": {"hour", "PT%sH"},
		"d": {"day", "P%sD"}, "day": {"day", "P%sD"}, "w": {"week", "P%sW"}, "week": {"week", "P%sW"},
		"mo": {"month", ""}, "month": {"month", ""}, "q": {"quarter", ""}, "quarter": {"quarter", ""},
	}
	switch u := units[unit]; {
	case count == "" || count == "1":
		return u.one
	case count == "3" && u.one == "month":
		return "quarter"
	case u.duration == "":
		return "P" + count + "M" // is rejected, with what can be used for calendar months
	default:
		return fmt.Sprintf(u.duration, count)
	}
}

// chosen returns the value that a flag names: in any case, in the singular or plural, or
// as the API writes it, with a prefix. No text is the zero value.
func chosen[T ~string](flag, prefix, text string, values map[string]T) (T, error) {
	word := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), prefix)
	for name, value := range values {
		if plain := strings.TrimPrefix(string(value), prefix); word == plain || strings.EqualFold(word, name) ||
			strings.EqualFold(word+"s", name) {
			return value, nil
		}
	}
	if word == "" {
		return "", nil
	}
	names := slices.Sorted(maps.Keys(values))
	if word == "PARQUET" && flag == "format" {
		return "", errors.New("--format: Fullstory exports no Parquet; leave --format out and add --parquet, which " +
			"converts the files here")
	}
	return "", fmt.Errorf("--%s: got %q%s; valid are %s", flag, text, meant(strings.ToLower(word), names),
		strings.Join(names, ", "))
}
