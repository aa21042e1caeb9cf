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

// window is a half-open range of instants: from is in, to is out.
// A zero from is the beginning of the data, a zero to has no end.
type window struct{ from, to time.Time }

func (w window) contains(t time.Time) bool {
	return (w.from.IsZero() || !t.Before(w.from)) && (w.to.IsZero() || t.Before(w.to))
}

// query is an accepted export request with every default filled in: all that
// the data side needs to know. Equal queries yield equal bytes.
type query struct {
	segment *segment
	rows    rowKind
	scope   scope     // of event rows; empty for individuals
	exports window    // timeRange: what goes into the file
	matches window    // segmentTimeRange, or the segment's own window around now
	now     time.Time // when the export was created, never zero: events then or later do not exist
	format  format
	fields  []string // empty: the default set and every custom variable
}
