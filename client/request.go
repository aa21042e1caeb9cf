package client

// ExportRequest describes one segment export in the terms of a caller. The JSON
// Schema of create_segment_export is made from this type; the JSON names follow the
// API's documentation. Before a request is sent, package preflight resolves it: its
// times are then RFC 3339 in UTC or empty, and SegmentID is an id.
type ExportRequest struct {
	SegmentID        string     `json:"segment_id" unless:"like_operation_id" jsonschema:"minLength=1,maxLength=500" jsonschema_description:"Segment id, exact name, or a pasted segment URL. everyone is all people."`
	Type             Type       `json:"type" unless:"like_operation_id" jsonschema:"enum=TYPE_EVENT,enum=TYPE_PAGES,enum=TYPE_SESSIONS,enum=TYPE_INDIVIDUAL" jsonschema_description:"TYPE_EVENT: a row for each event that matches the segment's event criteria. TYPE_PAGES and TYPE_SESSIONS: all events of each page or session with a match. TYPE_INDIVIDUAL: a row for each person."`
	Format           Format     `json:"format,omitempty" jsonschema:"enum=FORMAT_NDJSON,enum=FORMAT_JSON,enum=FORMAT_CSV" jsonschema_description:"Of the rows in the gzip file. Default: FORMAT_NDJSON."`
	TimeRange        TimeRange  `json:"time_range" unless:"like_operation_id" jsonschema_description:"What goes into the file. Both ends empty: everything the segment yields."`
	SegmentTimeRange *TimeRange `json:"segment_time_range,omitempty" schema:"As in time_range." jsonschema_description:"Over what period the segment's filters are evaluated. start may also be own (the segment's window), range (equal to time_range) or all. Left out: range for everyone, else own, which is rejected if time_range starts over 30 days ago."`
	Timezone         string     `json:"timezone,omitempty" jsonschema:"maxLength=64" jsonschema_description:"IANA zone of dates, here and in the segment. Default: the server's."`
	Now              string     `json:"now,omitempty" jsonschema:"maxLength=64" jsonschema_description:"RFC 3339 instant at which relative dates of the segment are pinned. Default: this call."`
	Fields           []string   `json:"fields,omitempty" jsonschema:"maxItems=500" jsonschema_description:"Columns, in this order. Left out: the default set and all custom variables. user_* and evt_* select all of their kind."`
	Scope            Scope      `json:"scope,omitempty" jsonschema:"enum=SCOPE_EVENTS,enum=SCOPE_PAGES,enum=SCOPE_SESSIONS,enum=SCOPE_INDIVIDUALS" jsonschema_description:"With TYPE_EVENT only: how far around a match the export reaches; SCOPE_INDIVIDUALS is all events of each matching person. Default: SCOPE_EVENTS."`
}

// TimeRange is a half-open range of time: it includes Start and excludes End. In a
// caller's request both are expressions in the request's zone. In a resolved
// request each is RFC 3339 in UTC, or empty for an open side.
type TimeRange struct {
	Start string `json:"start,omitempty" jsonschema:"maxLength=80" jsonschema_description:"2026-10-01, 2026-10, 2026-Q3, last_month, now-30d/d, RFC 3339, or a/b. A period alone, such as a date, is the range; for all since then, end is now."`
	End   string `json:"end,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Excluded. Empty: open, or the end of the period in start."`
}

// TextField implements schema.Texter. A string in place of a TimeRange is its
// start, so "2026-10" is that month and "2026-10-01/P30D" an interval.
func (TimeRange) TextField() string { return "start" }

// Type is the kind of rows of an export and, for events, how much around a match
// is included. TypePages and TypeSessions are short for TypeEvent with a scope; the
// current API accepts only TypeEvent and TypeIndividual.
type Type string

// The types of an export. The types of event exports are in order of reach.
const (
	TypeEvent      Type = "TYPE_EVENT"
	TypePages      Type = "TYPE_PAGES"
	TypeSessions   Type = "TYPE_SESSIONS"
	TypeIndividual Type = "TYPE_INDIVIDUAL"
)

// Scope is how much an event export includes around an event that matches the
// segment. The zero value is the API's default, ScopeEvents.
type Scope string

// The scopes of an event export, in order of reach.
const (
	ScopeEvents      Scope = "SCOPE_EVENTS"
	ScopePages       Scope = "SCOPE_PAGES"
	ScopeSessions    Scope = "SCOPE_SESSIONS"
	ScopeIndividuals Scope = "SCOPE_INDIVIDUALS"
)

// Format is the format of an export's rows. The file is always compressed with
// gzip.
type Format string

// The formats of an export. FormatNDJSON is the default.
const (
	FormatNDJSON Format = "FORMAT_NDJSON"
	FormatJSON   Format = "FORMAT_JSON"
	FormatCSV    Format = "FORMAT_CSV"
)

// TypeAndScope returns the type and the scope that are sent for r. TypePages and
// TypeSessions become TypeEvent with their scope, which is how the current API
// spells them. The scope is empty for TypeIndividual, and if r leaves it to the
// API's default.
func (r ExportRequest) TypeAndScope() (Type, Scope) {
	switch r.Type {
	case TypePages:
		return TypeEvent, ScopePages
	case TypeSessions:
		return TypeEvent, ScopeSessions
	case TypeIndividual:
		return TypeIndividual, ""
	}
	return r.Type, r.Scope
}
