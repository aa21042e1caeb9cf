package preflight

import (
	"cmp"
	"errors"
	"regexp"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// The values of segment_time_range besides a range. Either side has it, or both do.
const (
	windowOwn   = "own"   // the window that is saved with the segment
	windowRange = "range" // equal to time_range
	windowAll   = "all"   // all time: open on both sides
)

// ownWindow is the assumed length of a segment's own window: that of everyone, and
// the most common one of named segments. The API does not return it.
const ownWindow = 30 * 24 * time.Hour

// bareDate matches a single date, which is ambiguous as segment_time_range.
var bareDate = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// segmentWindow returns the segment_time_range of r in the form that is sent. For
// the segment's own window it returns nil and sets own; if r has none, it returns
// nil only.
func segmentWindow(r client.ExportRequest, c plan.Calendar, now time.Time) (w *client.TimeRange, own bool, err error) {
	const field = "segment_time_range"
	if r.SegmentTimeRange == nil {
		return nil, false, nil
	}
	asked := *r.SegmentTimeRange
	start, end := strings.TrimSpace(asked.Start), strings.TrimSpace(asked.End)
	if start == "" || end == "" || strings.EqualFold(start, end) {
		switch strings.ToLower(cmp.Or(start, end)) {
		case windowOwn:
			return nil, true, nil
		case windowRange:
			same := r.TimeRange
			return &same, false, nil
		case windowAll:
			return &client.TimeRange{}, false, nil
		}
	}
	if end == "" && bareDate.MatchString(start) {
		return nil, false, reject(field,
			"%q alone may mean that day, or everything since then. Give start and end, such as %s/P1D for the day or %s/now.",
			start, start, start)
	}
	resolved, err := ResolveRange(field, asked, c, now)
	var failed *plan.Error
	if errors.As(err, &failed) && failed.Field == field+".start" {
		named := *failed
		named.Message = "give \"own\" (the segment's own window), \"range\" (equal to `time_range`), \"all\", or a range: " +
			named.Message
		return nil, false, &named
	}
	if err != nil {
		return nil, false, err
	}
	of := inUTC(resolved)
	return &of, false, nil
}

// ownWindows gives notice of how the segment's window affects the rows.
func ownWindows(s Subject) []Notice {
	id := s.Request.SegmentID
	switch {
	case id == "" || s.Request.SegmentTimeRange != nil:
		return nil
	case s.Own && s.outsideOwnWindow():
		return []Notice{notice("segment_window_own",
			"The segment's filters are evaluated over its own window, which the API does not return (often the last 30 "+
				"days), and `time_range` starts earlier: rows outside that window are left out.",
			"Give `segment_time_range` \"range\" to evaluate them over `time_range` instead.")}
	case s.Own:
		return nil
	case id == Everyone:
		return []Notice{notice("everyone_window_set",
			"`segment_time_range` is set equal to `time_range`, because everyone's own window is the last 30 days and "+
				"would leave out older rows.",
			"Give `segment_time_range` to evaluate the segment over another period.")}
	case s.outsideOwnWindow():
		return []Notice{notice(WindowRequired,
			"The segment has a window of its own, which the API does not return (often the last 30 days), and `time_range` "+
				"starts earlier: rows outside that window would be left out without an error.",
			"Give `segment_time_range`: \"range\" evaluates the segment's filters over all of `time_range`, \"own\" keeps the "+
				"segment's own window.")}
	}
	return nil
}

// outsideOwnWindow reports whether a segment's window of the last 30 days could
// leave out rows of s. A range that is open on both sides asks for everything that
// the segment yields, so nothing can be left out.
func (s Subject) outsideOwnWindow() bool {
	if s.Range.Start.IsZero() {
		return !s.Range.End.IsZero()
	}
	now := s.Now
	if pinned, err := time.Parse(time.RFC3339, s.Request.Now); err == nil {
		now = pinned // the segment's window is relative to it
	}
	return now.Sub(s.Range.Start) > ownWindow
}

// OwnWindow is the segment_time_range of a caller for the segment's own window.
func OwnWindow() *client.TimeRange { return &client.TimeRange{Start: windowOwn} }

// RangeWindow is the segment_time_range of a caller that is equal to time_range.
func RangeWindow() *client.TimeRange { return &client.TimeRange{Start: windowRange} }

// WindowOf returns the segment_time_range of r, which is resolved, as a caller would
// give it: a range, or the word own or all as its start.
func WindowOf(r client.ExportRequest) client.TimeRange {
	switch {
	case r.SegmentTimeRange == nil:
		return *OwnWindow()
	case *r.SegmentTimeRange == client.TimeRange{}:
		return client.TimeRange{Start: windowAll}
	}
	return *r.SegmentTimeRange
}

// BeyondOwnWindow reports whether the time_range of r starts before the 30 days
// that precede r.Now. r is resolved.
func BeyondOwnWindow(r client.ExportRequest) bool {
	now, _ := time.Parse(time.RFC3339, r.Now)
	start, _ := time.Parse(time.RFC3339, r.TimeRange.Start) // an open side stays zero
	end, _ := time.Parse(time.RFC3339, r.TimeRange.End)
	return Subject{Request: r, Range: plan.Range{Start: start, End: end}, Now: now}.outsideOwnWindow()
}
