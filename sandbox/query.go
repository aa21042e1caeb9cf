package sandbox

import "time"

// rowKind says what a row of an export is.
type rowKind string

const (
	eventRows      rowKind = "TYPE_EVENT"
	individualRows rowKind = "TYPE_INDIVIDUAL"
)

// scope says how far around a matching event an event export reaches.
type scope string

const (
	scopeEvents      scope = "SCOPE_EVENTS"
	scopePages       scope = "SCOPE_PAGES"
	scopeSessions    scope = "SCOPE_SESSIONS"
	scopeIndividuals scope = "SCOPE_INDIVIDUALS"
)

// format is the shape of the file before compression.
type format string

const (
	formatNDJSON format = "FORMAT_NDJSON"
	formatJSON   format = "FORMAT_JSON"
	formatCSV    format = "FORMAT_CSV"
)

// window is a half-open range of instants: it contains from but not to. A zero from
// is the beginning of the data; a zero to means that the window has no end.
type window struct{ from, to time.Time }

// query is an accepted export request with every default filled in. It is all that
// data needs to write the file: equal queries yield equal bytes.
type query struct {
	segment *segment
	rows    rowKind
	scope   scope     // of event rows; empty for individuals
	exports window    // timeRange: the window of the rows in the file
	matches window    // segmentTimeRange, or the segment's own window around now
	now     time.Time // creation of the export, never zero; later events do not exist
	format  format
	fields  []string // empty: the default set and every custom variable
}
