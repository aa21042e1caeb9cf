package preflight

import (
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

const (
	// Settled is how long after its end a window may still change: identities
	// are linked, durations settle and late bundles arrive for a day
	// (Fullstory's documentation of export freshness).
	Settled = 24 * time.Hour
	// ownWindow is the window of everyone, and the one that a named segment
	// most often has.
	ownWindow = 30 * 24 * time.Hour
	// largest is the longest window of all events that is not remarked upon: a
	// day of 25 hours.
	largest = 25 * time.Hour
)

// Warning says what may surprise, and what to do if it matters. Code is
// stable, for programs; Message and Fix are sentences.
type Warning struct {
	Code    string `json:"code" jsonschema_description:"Stable name of the warning."`
	Message string `json:"message" jsonschema_description:"What may surprise."`
	Fix     string `json:"fix" jsonschema_description:"What to do about it."`
}

// Code is one thing that the lint tells, and when.
type Code struct{ Code, When string }

// Codes are all that the lint tells, for the documentation.
func Codes() []Code {
	return []Code{
		{"everyone_window_set", "the segment is everyone and segment_time_range was left out: it is set equal to time_range, because its own window of 30 days would cut older rows"},
		{"segment_window_unknown", "another segment without segment_time_range, and time_range reaches back more than 30 days: its own window, which the API does not tell, may cut rows"},
		{"window_future", "time_range ends in the future"},
		{"window_unsettled", "time_range ended under 24 hours ago, or is open: rows may still arrive and change"},
		{"large_window", "more than a day (of up to 25 hours) of the events of everyone in one file"},
		{"csv_without_fields", "FORMAT_CSV without fields: the columns are those of the day"},
		{"unknown_field", "a field that is no documented column, with the nearest names"},
		{"scope_without_events", "a scope around matches with everyone, which has no event criteria"},
		{"individuals_chunked", "individuals in chunks: a person is in each chunk with activity"},
		{"role_too_low", "the key's role is below Architect"},
		{"duplicate_fields", "a field named twice: refused, as the API would"},
	}
}

// Subject is what the lint looks at: one export, or a plan of several.
type Subject struct {
	// Request is as it was resolved, but for SegmentTimeRange, which is nil when
	// it was left out. Of a plan SegmentID and Type may be empty: nothing is said
	// of what is not known.
	Request client.ExportRequest
	Range   plan.Range    // of all exports together
	Files   int           // exports; 0 is one
	Longest time.Duration // of the range of one export; 0 is all of Range
	Role    client.Role   // of the key; empty: not known
	Now     time.Time
}

// Lint returns every warning about s, never nil.
func Lint(s Subject) []Warning {
	warnings := []Warning{}
	for _, look := range []func(Subject) []Warning{ownWindows, edges, columns, scopes, sizes, roles} {
		warnings = append(warnings, look(s)...)
	}
	return warnings
}

// ownWindows warns of the window that a segment has of its own.
func ownWindows(s Subject) []Warning {
	if s.Request.SegmentID == "" || s.Request.SegmentTimeRange != nil {
		return nil
	}
	if s.Request.SegmentID == Everyone {
		return []Warning{{"everyone_window_set",
			"segment_time_range is set equal to time_range, because the own window of everyone is the last 30 days and would silently leave out older rows.",
			"Give segment_time_range to evaluate the segment over another period."}}
	}
	if s.Range.Start.IsZero() || s.Now.Sub(s.Range.Start) > ownWindow {
		return []Warning{{"segment_window_unknown",
			fmt.Sprintf("The segment %q keeps its own window, which the API does not tell (often the last 30 days), and time_range reaches further back: rows outside that window would be missing without a word.", s.Request.SegmentID),
			"Give segment_time_range, for example equal to time_range."}}
	}
	return nil
}

// edges warns of a range that ends in the future, or so lately that its rows
// have not settled. An open end is now.
func edges(s Subject) []Warning {
	switch end := s.Range.End; {
	case end.After(s.Now):
		return []Warning{{"window_future",
			fmt.Sprintf("The window ends at %s, which is in the future: what has not happened yet cannot be in the file.", end.UTC().Format(time.RFC3339)),
			"End it now or earlier, or export it again later."}}
	case end.IsZero() || s.Now.Sub(end) < Settled:
		return []Warning{{"window_unsettled",
			"The window ends under 24 hours ago: late rows may still arrive and values such as durations still change.",
			"For final data, export it 24 hours after its end."}}
	}
	return nil
}

func columns(s Subject) []Warning {
	if s.Request.Format == client.FormatCSV && len(s.Request.Fields) == 0 {
		return []Warning{{"csv_without_fields",
			"A CSV without fields has the columns of the day: they change when Fullstory adds a field or a new custom variable appears, so that files of one series may not fit together.",
			"List fields, or use FORMAT_NDJSON."}}
	}
	return unknownFields(s.Request.Fields, rowsOf(s.Request.Type))
}

func scopes(s Subject) []Warning {
	wide := s.Request.Type == client.TypePages || s.Request.Type == client.TypeSessions
	if s.Request.SegmentID != Everyone || !wide && (s.Request.Scope == "" || s.Request.Scope == client.ScopeEvents) {
		return nil
	}
	return []Warning{{"scope_without_events",
		"everyone has no event criteria, so every scope gives the same rows: all events in time_range.",
		"Use TYPE_EVENT without scope, or a segment with event criteria."}}
}

func sizes(s Subject) []Warning {
	if s.Request.Type == client.TypeIndividual {
		if s.Files <= 1 {
			return nil
		}
		return []Warning{{"individuals_chunked",
			"An individual export gives one row a person who was active in its window: cut into chunks, a person appears once in every chunk with activity, and the totals in the row are not of the chunk.",
			"Export individuals over the whole range at once, or keep one row for each IndvId afterwards."}}
	}
	longest := s.Longest
	if longest == 0 && !s.Range.Start.IsZero() && !s.Range.End.IsZero() {
		longest = s.Range.End.Sub(s.Range.Start)
	}
	if s.Request.SegmentID != Everyone || longest > 0 && longest <= largest {
		return nil
	}
	return []Warning{{"large_window",
		"More than a day of the events of everyone in one file can be many GB, and one failure loses the whole.",
		"Plan chunks of a day or less with plan_time_chunks and export them one by one."}}
}

func roles(s Subject) []Warning {
	if s.Role == "" || s.Role.CanExport() {
		return nil
	}
	return []Warning{{"role_too_low",
		fmt.Sprintf("The API key has the role %s; creating an export and fetching its file need Architect or Admin, so Fullstory will refuse it.", s.Role),
		"Ask a Fullstory administrator for a key of the Architect role."}}
}
