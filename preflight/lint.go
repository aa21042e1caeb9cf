package preflight

import (
	"fmt"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

const (
	// Settled is how long after its end the rows of a window may still change.
	// For a day, late bundles arrive, identities are linked and durations are
	// corrected (Fullstory's documentation of export freshness).
	Settled = 24 * time.Hour
	// largest is the longest window of all events that gets no notice: a day on
	// which clocks go back.
	largest = 25 * time.Hour
)

// Subject is what Lint examines: one export, or a plan of several.
type Subject struct {
	// Request is the resolved request, except that SegmentTimeRange stays nil if
	// the caller left it out. In a plan SegmentID and Type may be empty; checks
	// that depend on them are then skipped.
	Request client.ExportRequest
	Own     bool          // the caller asked for the segment's own window
	Range   plan.Range    // window of all exports together
	Cut     bool          // Range is cut into Files chunks: a plan, or a bulk export
	Files   int           // number of exports; without Cut there is one
	Budget  *Budget       // nil: UsualBudget
	Size    float64       // estimated size of all files together, in megabytes; 0: not known
	Sizing  Sizing        // how windows were cut
	Role    client.Role   // role of the key; empty: not known
	Now     time.Time     // the current time by Fullstory's clock
	Skew    time.Duration // this machine's clock minus Fullstory's
	// UnknownField is what Fullstory does with a field that does not exist; empty: not known.
	UnknownField FieldRule
}

// Sizing is how the windows of several exports were cut.
type Sizing int

// The ways to cut windows.
const (
	ByTime     Sizing = iota // by a granularity
	BySize                   // by measured sizes
	Unmeasured               // by the day, because the sizes to cut by are not known
)

// Lint returns the notices about s, blockers first. The result is never nil.
func Lint(s Subject) []Notice {
	var notices []Notice
	checks := []func(Subject) []Notice{roles, ownWindows, budget, edges, sessions, columns, scopes, sizes, personal,
		clocks}
	for _, check := range checks {
		notices = append(notices, check(s)...)
	}
	return sorted(notices)
}

// edges checks for a range in the future, and for one that ended too recently for
// its rows to have settled. An open end counts as now. Times are in the zone of the request.
func edges(s Subject) []Notice {
	zone, err := plan.Zone(s.Request.Timezone)
	if s.Request.Timezone == "" || err != nil {
		zone = time.UTC
	}
	stamp := func(t time.Time) string { return plan.Stamp(t.In(zone).Truncate(time.Second)) }
	switch start, end := s.Range.Start, s.Range.End; {
	case !start.IsZero() && start.After(s.Now):
		return []Notice{notice("range_future",
			fmt.Sprintf("`time_range` starts at %s, which is in the future: by Fullstory's clock it is "+
				"%s.", stamp(start), stamp(s.Now)),
			"Check the year and the time zone, or export the range after its end.")}
	case end.After(s.Now):
		return []Notice{notice("window_future",
			fmt.Sprintf("`time_range` ends at %s, which is in the future: by Fullstory's clock it is "+
				"%s.", stamp(end), stamp(s.Now)),
			"Set the end to now or earlier, or export the range again after its end.")}
	case end.IsZero() || s.Now.Sub(end) < Settled:
		return []Notice{notice("window_unsettled",
			"`time_range` ends less than 24 hours ago: late rows may still arrive, and values such as durations "+
				"may still change.",
			"For final data, export the range 24 hours after its end or later.")}
	}
	return nil
}

// sessions checks for exports of sessions, which are cut at the edges of the range.
func sessions(s Subject) []Notice {
	of := s.Request.Type == client.TypeSessions || s.Request.Scope == client.ScopeSessions
	if !of || s.Request.SegmentID == Everyone || s.Range.Start.IsZero() && s.Range.End.IsZero() {
		return nil
	}
	return []Notice{notice("sessions_cut",
		"A session that crosses an edge of `time_range` is cut there: only its events inside `time_range` are exported.",
		"For whole sessions, widen `time_range` by a few hours on both sides and keep `segment_time_range`.")}
}

// columns checks the columns of the export: a CSV without a list of them, and
// names that are not documented.
func columns(s Subject) []Notice {
	if s.Request.Format == client.FormatCSV && len(s.Request.Fields) == 0 {
		return []Notice{notice("csv_without_fields",
			"Without `fields`, a CSV has the columns that exist on the day of the export: they change when Fullstory "+
				"adds a field or a new custom variable appears, so files of one series may differ.",
			"List `fields`, or use FORMAT_NDJSON.")}
	}
	return unknownFields(s.Request.Fields, RowsOf(s.Request.Type), s.UnknownField)
}

// scopes checks for a scope that has no effect, and for the narrow default.
func scopes(s Subject) []Notice {
	r := s.Request
	wide := r.Type == client.TypePages || r.Type == client.TypeSessions || r.Scope != "" && r.Scope != client.ScopeEvents
	switch {
	case r.SegmentID == Everyone && wide:
		return []Notice{notice("scope_without_events",
			"everyone has no event criteria, so every scope exports the same rows: all events in `time_range`.",
			"Use TYPE_EVENT without `scope`, or a segment with event criteria.")}
	case r.SegmentID != "" && r.SegmentID != Everyone && r.Type == client.TypeEvent && r.Scope == "":
		return []Notice{notice("scope_default",
			"Only the events that match the segment's criteria are exported, not the rest of their page, session or person.",
			"For more, use SCOPE_PAGES, SCOPE_SESSIONS or SCOPE_INDIVIDUALS.")}
	}
	return nil
}

// sizes checks for individuals in chunks, for large windows of all events, and for sizes
// that are not known.
func sizes(s Subject) []Notice {
	if s.Request.Type == client.TypeIndividual {
		if s.Files <= 1 {
			return nil
		}
		return []Notice{notice("individuals_chunked",
			"An export of individuals has one row for each person who was active in its window. In chunks, a person "+
				"appears in every chunk with activity, and the totals in the row are not those of the chunk.",
			"Export individuals over the whole range at once, or keep one row for each IndvId afterwards.")}
	}
	if s.Sizing == Unmeasured {
		return []Notice{notice("sizes_unknown",
			"There is no stored export of these rows to measure sizes by, so the chunks are days, of any size.",
			"For files of that size, export a part of the range first, such as a week by the day, then start this with the "+
				"same target.")}
	}
	if s.Cut || s.Request.SegmentID != Everyone || !overADay(s.Range) {
		return nil
	}
	return []Notice{notice("large_window",
		"More than a day of the events of everyone in one file can be many GB, and one failure loses the whole file.",
		"Use `start_bulk_export` with the same arguments: it exports the range in chunks of a day.")}
}

// overADay reports whether a range is longer than a day, or open.
func overADay(r plan.Range) bool {
	return r.Start.IsZero() || r.End.IsZero() || r.End.Sub(r.Start) > largest
}

// roles checks that the key may export.
func roles(s Subject) []Notice {
	const ask = "Ask a Fullstory administrator for a key of the Architect role."
	switch {
	case s.Role == "" || s.Role.CanExport():
		return nil
	case s.Role.TooLow():
		return []Notice{notice(RoleTooLow, fmt.Sprintf("The API key has the role %s, and exports need Architect or "+
			"Admin: Fullstory rejects them (403).", s.Role), ask)}
	}
	return []Notice{notice("role_unknown", fmt.Sprintf("The API key has the role %s. Documented for exports are "+
		"Architect and Admin, so Fullstory may reject this one.", s.Role), "If it is rejected: "+lowered(ask))}
}

// lowered returns a sentence with a lower-case first letter.
func lowered(sentence string) string { return strings.ToLower(sentence[:1]) + sentence[1:] }

// ClockSkew is the code of the notice about the clock of this machine.
const ClockSkew = "clock_skew"

// SkewLimit is how much the clock of this machine may differ from Fullstory's
// without a notice.
const SkewLimit = time.Minute

// SkewText writes a skew as a comparison of the two clocks, such as 26h0m0s ahead of.
func SkewText(skew time.Duration) string {
	side := "ahead of"
	if skew < 0 {
		side = "behind"
	}
	return skew.Abs().Round(time.Second).String() + " " + side
}

// clocks checks that the clock of this machine is right.
func clocks(s Subject) []Notice {
	if s.Skew.Abs() <= SkewLimit {
		return nil
	}
	return []Notice{notice(ClockSkew,
		fmt.Sprintf("The clock of this machine is %s Fullstory's. Relative dates follow Fullstory's clock, which shows %s.",
			SkewText(s.Skew), s.Now.UTC().Format(time.RFC3339)),
		"Correct this machine's clock: schedules and the lifetimes of download links depend on it.")}
}

// Budget is how large an export may be that starts without the user's consent. With 0 chunks,
// every export needs it.
type Budget struct {
	Chunks    int     // 0 or more
	Gigabytes float64 // by the estimate, 0 or more
}

// UsualBudget returns the budget if none is configured.
func UsualBudget() Budget { return Budget{Chunks: 5000, Gigabytes: 50} }

// manyChunks is the code of the notice about an export over the budget.
const manyChunks = "many_chunks"

// budget checks for an export that is so large that it may be a mistake.
func budget(s Subject) []Notice {
	most := UsualBudget()
	if s.Budget != nil {
		most = *s.Budget
	}
	var what string
	switch {
	case s.Files == 1 && s.Files > most.Chunks:
		what = "This is an export at Fullstory."
	case s.Files > most.Chunks:
		what = fmt.Sprintf("This is %d chunks, and each is a separate export at Fullstory.", s.Files)
	case s.Size > most.Gigabytes*1000:
		what = fmt.Sprintf("This is about %.0f GB, estimated from stored exports.", s.Size/1000)
	default:
		return nil
	}
	return []Notice{notice(manyChunks, what, "Use a longer `chunk`, shorten `time_range`, or start the export with "+
		"`confirm`.")}
}

// Large returns a sentence about the size of an export with these notices, if it
// needs confirmation to start; else "".
func Large(notices []Notice) string {
	for _, n := range notices {
		if n.Code == manyChunks {
			return n.Message
		}
	}
	return ""
}
