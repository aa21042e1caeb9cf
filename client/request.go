package client

// ExportRequest is one segment export as a caller asks for it. It is the Go
// request type from which the JSON Schema of create_segment_export is made;
// JSON names follow the prose of the API's own documentation. Before it is
// sent, times are RFC 3339 in UTC or empty (package preflight sees to that) and
// SegmentID is an id.
type ExportRequest struct {
	SegmentID        string     `json:"segment_id" jsonschema:"minLength=1,maxLength=500" jsonschema_description:"Segment id, exact name, or a pasted segment URL. everyone is all people."`
	Type             Type       `json:"type" jsonschema:"enum=TYPE_EVENT,enum=TYPE_PAGES,enum=TYPE_SESSIONS,enum=TYPE_INDIVIDUAL" jsonschema_description:"TYPE_EVENT: a row for each event that matches the segment's event criteria. TYPE_PAGES and TYPE_SESSIONS: all events of each page or session with a match. TYPE_INDIVIDUAL: a row for each person."`
	Format           Format     `json:"format,omitempty" jsonschema:"enum=FORMAT_NDJSON,enum=FORMAT_JSON,enum=FORMAT_CSV,default=FORMAT_NDJSON" jsonschema_description:"Shape of the rows in the gzip file."`
	TimeRange        TimeRange  `json:"time_range" jsonschema_description:"What goes into the file. Both ends empty: everything the segment yields."`
	SegmentTimeRange *TimeRange `json:"segment_time_range,omitempty" schema:"As in time_range." jsonschema_description:"Over what period the segment's filters are evaluated. Left out: its own window; for everyone it is set equal to time_range."`
	Timezone         string     `json:"timezone,omitempty" jsonschema:"maxLength=64" jsonschema_description:"IANA zone of dates, here and in the segment. Default: the server's."`
	Now              string     `json:"now,omitempty" jsonschema:"maxLength=64" jsonschema_description:"RFC 3339 instant at which relative dates of the segment are pinned. Default: this call."`
	Fields           []string   `json:"fields,omitempty" jsonschema:"maxItems=500" jsonschema_description:"Columns, in this order. Left out: the default set and all custom variables. user_* and evt_* stand for all of their kind."`
	Scope            Scope      `json:"scope,omitempty" jsonschema:"enum=SCOPE_EVENTS,enum=SCOPE_PAGES,enum=SCOPE_SESSIONS,enum=SCOPE_INDIVIDUALS" jsonschema_description:"With TYPE_EVENT only: how far around a match the export reaches; SCOPE_INDIVIDUALS is all events of each matching person. Default: SCOPE_EVENTS."`
}

// TimeRange is a half-open range of time: Start is in, End is out. In a call
// the two are expressions read in the request's zone; on the wire each is
// RFC 3339 in UTC, or empty for an open side.
type TimeRange struct {
	Start string `json:"start,omitempty" jsonschema:"maxLength=80" jsonschema_description:"2026-10-01, 2026-10, 2026-Q3, last_month, now-30d/d, RFC 3339, or a/b. A period alone is the range."`
	End   string `json:"end,omitempty" jsonschema:"maxLength=64" jsonschema_description:"Excluded. Empty: open, or the end of the period in start."`
}

// Type is the kind of rows of an export together with how much around a match
// is taken. TypePages and TypeSessions are spellings of TypeEvent with a scope;
// the current API knows only TypeEvent and TypeIndividual.
type Type string

// The types of an export, event types in growing reach.
const (
	TypeEvent      Type = "TYPE_EVENT"
	TypePages      Type = "TYPE_PAGES"
	TypeSessions   Type = "TYPE_SESSIONS"
	TypeIndividual Type = "TYPE_INDIVIDUAL"
)

// Scope is how far an event export reaches around an event that matches the
// segment. The zero value is the API's default, ScopeEvents.
type Scope string

// The scopes of an event export, in growing reach.
const (
	ScopeEvents      Scope = "SCOPE_EVENTS"
	ScopePages       Scope = "SCOPE_PAGES"
	ScopeSessions    Scope = "SCOPE_SESSIONS"
	ScopeIndividuals Scope = "SCOPE_INDIVIDUALS"
)

// Format is the shape of an export's rows; the file is gzip in every case.
type Format string

// The formats of an export. FormatNDJSON is the default.
const (
	FormatNDJSON Format = "FORMAT_NDJSON"
	FormatJSON   Format = "FORMAT_JSON"
	FormatCSV    Format = "FORMAT_CSV"
)
