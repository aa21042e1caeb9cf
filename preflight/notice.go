package preflight

import (
	"cmp"
	"errors"
	"slices"
)

// Level is what a notice means for the call.
type Level string

// The levels, in the order in which notices are listed.
const (
	Blocker Level = "blocker" // the call is rejected
	Warn    Level = "warning" // it affects the content of the files
	Note    Level = "note"    // for information
)

// Notice describes something surprising about a request, and what to do about it.
// Code and Level are for programs; Message and Fix are sentences, with the names of
// arguments and tools in backticks. Both are empty in the answer to a caller that has
// just read them.
type Notice struct {
	Code    string `json:"code"`
	Level   Level  `json:"level"`
	Message string `json:"message,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// Code describes one kind of notice.
type Code struct {
	Code  string
	Level Level  // empty: an error instead of a notice
	When  string // when the notice is given, for the documentation
	field string // the argument at fault, for a blocker
}

// Codes of blockers.
const (
	RoleTooLow     = "role_too_low"            // the key's role cannot export
	WindowRequired = "segment_window_required" // segment_time_range must be given
	UnknownField   = "unknown_field"           // a column that is not documented
)

// Codes returns every kind of notice.
func Codes() []Code {
	return []Code{
		{WindowRequired, Blocker, "a segment other than everyone without segment_time_range, and time_range " +
			"starts more than 30 days ago or is open at the start only: the segment's own window could leave out " +
			"rows", "segment_time_range"},
		{RoleTooLow, Blocker, "the key's role is Standard (USER) or VIEW_ONLY, and exports need Architect or Admin", ""},
		{"range_future", Blocker, "the whole time_range lies in the future, by Fullstory's clock", "time_range"},
		{manyChunks, Warn, "over 5,000 chunks, or an estimate over 50 GB, as configured: the user must agree", ""},
		{"segment_window_own", Warn, "segment_time_range is \"own\", and time_range starts more than 30 days ago: rows " +
			"outside the segment's own window are left out", ""},
		{"window_future", Warn, "time_range ends in the future", ""},
		{"window_unsettled", Warn, "time_range ended under 24 hours ago, or is open: rows may still arrive and change", ""},
		{"sessions_cut", Warn, "SCOPE_SESSIONS or TYPE_SESSIONS: a session that crosses an edge of time_range is cut " +
			"there", ""},
		{"sizes_unknown", Warn, "target_rows or target_megabytes without a stored export of the same rows to measure: the " +
			"chunks are days", ""},
		{"large_window", Warn, "create_segment_export of more than a day (of up to 25 hours) of the events of everyone, in " +
			"one file", ""},
		{"csv_without_fields", Warn, "FORMAT_CSV without fields: the columns depend on the day of the export", ""},
		{UnknownField, Warn, "a field that is not a documented column, with the nearest names", ""},
		{"individuals_chunked", Warn, "individuals in chunks: a person appears in each chunk with activity", ""},
		{"role_unknown", Warn, "the key has another role than Architect or Admin, which may not be allowed to export", ""},
		{ClockSkew, Warn, "this machine's clock differs from Fullstory's by more than a minute", ""},
		{"everyone_window_set", Note, "the segment is everyone and segment_time_range was left out: it is set equal to " +
			"time_range, because its own window of 30 days would cut older rows", ""},
		{"scope_default", Note, "TYPE_EVENT of a segment other than everyone without scope: only the matching events are " +
			"exported", ""},
		{eventsOrPeople, Note, "an export of events that may be meant as one of people: fields has only columns of the " +
			"person, or, in a dry run, TYPE_EVENT of everyone over more than a day without fields", ""},
		{"scope_without_events", Note, "a scope around matches with everyone, which has no event criteria", ""},
		{"duplicate_fields", "", "a field named twice: rejected, as the API would", ""},
	}
}

// codeOf returns the Code called name, which must be one of Codes.
func codeOf(name string) Code {
	codes := Codes()
	return codes[slices.IndexFunc(codes, func(c Code) bool { return c.Code == name })]
}

// notice returns a notice with the level of its code.
func notice(code, message, fix string) Notice {
	return Notice{code, codeOf(code).Level, message, fix}
}

// sorted returns a copy of notices in the order of their levels, and otherwise in
// their own order. The result is never nil.
func sorted(notices []Notice) []Notice {
	order := []Level{Blocker, Warn, Note}
	all := append([]Notice{}, notices...)
	slices.SortStableFunc(all, func(a, b Notice) int {
		return cmp.Compare(slices.Index(order, a.Level), slices.Index(order, b.Level))
	})
	return all
}

// Blockers returns the blockers among notices.
func Blockers(notices []Notice) (blockers []Notice) {
	for _, n := range notices {
		if n.Level == Blocker {
			blockers = append(blockers, n)
		}
	}
	return blockers
}

// Blocked returns an error that holds a *plan.Error for every blocker among
// notices, or nil if there is none.
func Blocked(notices []Notice) error {
	var blockers []error
	for _, n := range Blockers(notices) {
		blockers = append(blockers, reject(codeOf(n.Code).field, "%s %s", n.Message, n.Fix))
	}
	return errors.Join(blockers...)
}
