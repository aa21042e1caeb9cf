package exports

import (
	"fmt"
	"strings"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

// rangeOf returns the time range of a resolved request; an open side is zero.
func rangeOf(r client.ExportRequest) plan.Range {
	return plan.Range{Start: client.Instant(r.TimeRange.Start), End: client.Instant(r.TimeRange.End)}
}

// segmentText names the segment of a request in a summary: by its name and id, or by its
// id alone if the name is not known or is the same.
func segmentText(r client.ExportRequest, name string) string {
	name = client.Plain(name, 100)
	if name == "" || strings.EqualFold(name, r.SegmentID) {
		return "segment " + r.SegmentID
	}
	return fmt.Sprintf("segment %q (%s)", name, r.SegmentID)
}

// contentText names what an export has in a summary, such as "events of segment everyone".
func contentText(r client.ExportRequest, segment string) string {
	rows := preflight.Events
	if r.Type == client.TypeIndividual {
		rows = preflight.Individuals
	}
	return string(rows) + " of " + segmentText(r, segment)
}

// ContentText names what a resolved request exports, and of which period.
func ContentText(e preflight.Export) string {
	return contentText(e.Request, e.Segment.Name) + ", " + WindowText(e.Request)
}

// contentSentences say what a resolved request of an earlier call exports, of which
// period, and over what period the segment's filters are evaluated.
func contentSentences(r client.ExportRequest, segment string) string {
	return "It exports " + contentText(r, segment) + ", " + WindowText(r) + ". " + preflight.FiltersOver(r)
}

// segmentName returns the name of the segment of a bulk export, as it was recorded at the
// start; "" if it was not.
func segmentName(b ledger.Bulk) string { return b.SegmentName }
