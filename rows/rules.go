package rows

import (
	"slices"
	"strings"
	"time"
)

// The formats of exported rows, as the API names them.
const (
	NDJSON = "FORMAT_NDJSON"
	JSON   = "FORMAT_JSON"
	CSV    = "FORMAT_CSV"
)

// Rules say what the rows of a file must be. The zero value accepts the rows of any
// export.
type Rules struct {
	Format     string    // empty: detected from the first byte
	Fields     []string  // that were requested, in order; empty: all, or not known
	Optional   []string  // of Fields: those that a file may lack
	TimeColumn string    // whose times must lie in the window; empty: none
	Start, End time.Time // the window, half-open; a zero side is open

	// Observer, if set, receives every value; it is for one file.
	Observer Observer

	// each, if set, is called with every row; see Each.
	each func(row []byte, value func(column string) string)
	// eachRow, if set, is called with every row, and its error ends the reading; see EachRow.
	eachRow func(Row) error
}

// RulesOf returns the rules of a request, with an open window. exportType is one of
// the API, such as TYPE_EVENT. With an empty format, which means that the request is
// not known, a file without times is accepted.
//
// A request for individuals may name fields of events, which Fullstory's own SDK
// always does. A file may lack them, and has the default columns if no others were
// requested.
func RulesOf(exportType, format string, fields []string) Rules {
	r := Rules{Format: format, Fields: fields, TimeColumn: TimeColumn(exportType)}
	if exportType != individuals {
		return r
	}
	for _, f := range fields {
		if onlyOfEvents(f) {
			r.Optional = append(r.Optional, f)
		}
	}
	if len(r.Optional) == len(fields) {
		r.Fields, r.Optional = nil, nil
	}
	return r
}

// individuals is the type of exports whose rows are people.
const individuals = "TYPE_INDIVIDUAL"

// onlyOfEvents reports whether a field is one that rows of events have, and rows of
// individuals do not.
func onlyOfEvents(field string) bool {
	for _, prefix := range []string{"Event", "Page", "Session", "Load", "Req", "App", "evt_", "page_"} {
		if strings.HasPrefix(field, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"UserId", "UserCreated", "UserAppKey", "UserDisplayName", "UserEmail"}, field)
}

// Within returns the rules with a half-open window; a zero side is open.
func (r Rules) Within(start, end time.Time) Rules {
	r.Start, r.End = start, end
	return r
}

// TimeColumn returns the column that holds the time of a row in exports of a type,
// such as TYPE_EVENT; "" if rows of the type have no time.
func TimeColumn(exportType string) string {
	if exportType == individuals {
		return ""
	}
	return "EventStart"
}

// Timed reports whether rows of the request have a time.
func (r Rules) Timed() bool {
	return r.TimeColumn != "" && (len(r.Fields) == 0 || allows(r.Fields, r.TimeColumn))
}

// needTimes reports whether the time column was requested, so that a file in
// which no row has it is rejected.
func (r Rules) needTimes() bool {
	return r.Format != "" && r.Timed()
}
