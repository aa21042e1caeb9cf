package preflight

import (
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

const (
	// settled is how long after its end a window may still change: identities
	// are linked, durations settle and late bundles arrive for a day
	// (Fullstory's documentation of export freshness).
	settled = 24 * time.Hour
	// ownWindow is the window of everyone, and the one that a named segment
	// most often has.
	ownWindow = 30 * 24 * time.Hour
	// largest is the longest window of all events that is not remarked upon.
	largest = 24 * time.Hour
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
		{"large_window", "more than 24 hours of the events of everyone in one file"},
		{"csv_without_fields", "FORMAT_CSV without fields: the columns are those of the day"},
		{"unknown_field", "a field that is no documented column, with the nearest names"},
		{"scope_without_events", "a scope around matches with everyone, which has no event criteria"},
		{"individuals_chunked", "individuals in chunks: a person is in each chunk with activity"},
		{"role_too_low", "the key's role is below Architect"},
		{"duplicate_fields", "a field named twice: refused, as the API would"},
	}
}

// lint returns every warning about e, and fills in the segment window of
// everyone, whose own would cut the export silently.
func (c Check) lint(e *Export) []Warning {
	now := c.Now
	all := e.Request.SegmentID == Everyone
	warnings := []Warning{}
	if all && e.Request.SegmentTimeRange == nil {
		window := e.Request.TimeRange
		e.Request.SegmentTimeRange = &window
		warnings = append(warnings, Warning{"everyone_window_set",
			"segment_time_range was set equal to time_range, because the own window of everyone is the last 30 days and would silently leave out older rows.",
			"Give segment_time_range to evaluate the segment over another period."})
	}
	if !all && e.Request.SegmentTimeRange == nil && (e.Range.Start.IsZero() || now.Sub(e.Range.Start) > ownWindow) {
		warnings = append(warnings, Warning{"segment_window_unknown",
			fmt.Sprintf("The segment %q keeps its own window, which the API does not tell (often the last 30 days), and time_range reaches further back: rows outside that window would be missing without a word.", e.Segment.ID),
			"Give segment_time_range, for example equal to time_range."})
	}
	warnings = append(warnings, Window(e.Range, now)...)
	if e.Request.Format == client.FormatCSV && len(e.Request.Fields) == 0 {
		warnings = append(warnings, Warning{"csv_without_fields",
			"A CSV without fields has the columns of the day: they change when Fullstory adds a field or a new custom variable appears, so that files of one series may not fit together.",
			"List fields, or use FORMAT_NDJSON."})
	}
	warnings = append(warnings, unknownFields(e.Request.Fields, e.Rows)...)
	if scope := e.Request.Scope; all && (e.Request.Type == client.TypePages || e.Request.Type == client.TypeSessions || scope != "" && scope != client.ScopeEvents) {
		warnings = append(warnings, Warning{"scope_without_events",
			"everyone has no event criteria, so every scope gives the same rows: all events in time_range.",
			"Use TYPE_EVENT without scope, or a segment with event criteria."})
	}
	if all && e.Rows == Events && (e.Range.Start.IsZero() || e.Range.End.IsZero() || e.Range.End.Sub(e.Range.Start) > largest) {
		warnings = append(warnings, Warning{"large_window",
			"More than 24 hours of the events of everyone in one file can be many GB, and one failure loses the whole.",
			"Plan chunks of a day or less with plan_time_chunks and export them one by one."})
	}
	if c.Role != "" && !c.Role.CanExport() {
		warnings = append(warnings, Warning{"role_too_low",
			fmt.Sprintf("The API key has the role %s; creating an export and fetching its file need Architect or Admin, so Fullstory will refuse it.", c.Role),
			"Ask a Fullstory administrator for a key of the Architect role."})
	}
	return warnings
}

// Window returns the warnings that concern only when r ends: in the future, or
// so lately that its rows have not settled. An open end is now.
func Window(r plan.Range, now time.Time) []Warning {
	switch {
	case r.End.After(now):
		return []Warning{{"window_future",
			fmt.Sprintf("The window ends at %s, which is in the future: what has not happened yet cannot be in the file.", r.End.UTC().Format(time.RFC3339)),
			"End it now or earlier, or export it again later."}}
	case r.End.IsZero() || now.Sub(r.End) < settled:
		return []Warning{{"window_unsettled",
			"The window ends under 24 hours ago: late rows may still arrive and values such as durations still change.",
			"For final data, export it 24 hours after its end."}}
	}
	return nil
}

// Chunked returns the warning for cutting an export of t into chunks.
func Chunked(t client.Type) []Warning {
	if t != client.TypeIndividual {
		return nil
	}
	return []Warning{{"individuals_chunked",
		"An individual export gives one row a person who was active in its window: cut into chunks, a person appears once in every chunk with activity, and the totals in the row are not of the chunk.",
		"Export individuals over the whole range at once, or keep one row for each IndvId afterwards."}}
}
