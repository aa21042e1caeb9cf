package exports

import (
	"encoding/json"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
)

// tryWholeRange is about an export, which has no name, or a bulk export.
const tryWholeRange = "Export it again with `segment_time_range` \"range\" (a bulk export: under another `name`)."

// WhyEmpty returns a sentence about the likely reason that an export of r has no rows,
// and another about what to try.
func WhyEmpty(r client.ExportRequest) (reason, try string) {
	named := r.SegmentID != preflight.Everyone
	wide := r.Scope != "" && r.Scope != client.ScopeEvents || r.Type == client.TypePages || r.Type == client.TypeSessions
	switch w := r.SegmentTimeRange; {
	case r.SegmentID == "": // another program created the operation
		return "Its request is not known here.", "Check the export in the program that created it."
	case w == nil && preflight.BeyondOwnWindow(r):
		return "The likely reason: the segment's own window does not reach this period.",
			tryWholeRange
	case w != nil && apart(*w, r.TimeRange):
		return "The likely reason: `segment_time_range` and `time_range` do not overlap.",
			tryWholeRange
	case !named:
		return "The likely reason: Fullstory has no data of this period, because it is before the first capture or " +
				"longer ago than data is kept.",
			"Check the years of `time_range` and the account (`check_connection`), or try a later period."
	case r.Type == client.TypeIndividual:
		return "The likely reason: no person of the segment was active in this period.",
			"Check the segment in Fullstory, or try everyone over the same period to see whether there is data."
	case !wide:
		return "The likely reason: no event in this period matches the segment's event criteria, and the default scope " +
				"exports only those.",
			"If the segment is about people, give `scope` SCOPE_INDIVIDUALS; otherwise try everyone over the same period to " +
				"see whether there is data."
	}
	return "The likely reason: nothing in this period matches the segment.",
		"Check the segment in Fullstory, or try everyone over the same period to see whether there is data."
}

// apart reports whether two resolved ranges have no instant in common.
func apart(a, b client.TimeRange) bool {
	before := func(end, start string) bool {
		return end != "" && start != "" && !client.Instant(end).After(client.Instant(start))
	}
	return before(a.End, b.Start) || before(b.End, a.Start)
}

// requestOf returns the request of a bulk export for its whole range.
func requestOf(b ledger.Bulk) (r client.ExportRequest, ok bool) {
	return r, json.Unmarshal(b.Request, &r) == nil
}
