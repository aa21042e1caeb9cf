package exports

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// TestLike puts arguments on top of earlier requests.
func TestLike(t *testing.T) {
	t.Parallel()
	day := client.TimeRange{Start: "2026-10-30T00:00:00Z", End: "2026-10-31T00:00:00Z"}
	month := client.TimeRange{Start: "2026-09-01T00:00:00Z", End: "2026-10-01T00:00:00Z"}
	week := client.TimeRange{Start: "2026-W44"}
	own, equal := &client.TimeRange{Start: "own"}, &client.TimeRange{Start: "range"}
	before := client.ExportRequest{
		SegmentID: "s1", Type: client.TypeEvent, Scope: client.ScopeSessions, Format: client.FormatCSV, TimeRange: day,
		SegmentTimeRange: &day, Timezone: "Europe/Berlin", Now: "2026-11-05T12:00:00Z", Fields: []string{"EventStart"},
	}
	change := func(r client.ExportRequest, do func(*client.ExportRequest)) client.ExportRequest {
		do(&r)
		return r
	}
	for _, c := range []struct {
		name   string
		before func(*client.ExportRequest) // changes the earlier request
		top    client.ExportRequest
		want   func(*client.ExportRequest) // changes the earlier request without its now
	}{
		{"nothing", nil, client.ExportRequest{}, func(*client.ExportRequest) {}},
		{"simple fields", nil,
			client.ExportRequest{SegmentID: "s2", Format: client.FormatJSON, Timezone: "UTC", Now: "2026-11-01T00:00:00Z"},
			func(r *client.ExportRequest) {
				r.SegmentID, r.Format, r.Timezone, r.Now = "s2", client.FormatJSON, "UTC", "2026-11-01T00:00:00Z"
			}},
		{"the window follows the range", nil, client.ExportRequest{TimeRange: week},
			func(r *client.ExportRequest) { r.TimeRange, r.SegmentTimeRange = week, equal }},
		{"another window", nil, client.ExportRequest{TimeRange: week, SegmentTimeRange: own},
			func(r *client.ExportRequest) { r.TimeRange, r.SegmentTimeRange = week, own }},
		{"an earlier window of its own", func(r *client.ExportRequest) { r.SegmentTimeRange = &month },
			client.ExportRequest{TimeRange: week}, func(r *client.ExportRequest) { r.TimeRange = week }},
		{"all time", func(r *client.ExportRequest) { r.SegmentTimeRange = &client.TimeRange{} },
			client.ExportRequest{TimeRange: week}, func(r *client.ExportRequest) { r.TimeRange = week }},
		{"a window that was left out", func(r *client.ExportRequest) { r.SegmentTimeRange = nil },
			client.ExportRequest{TimeRange: week}, func(r *client.ExportRequest) { r.TimeRange = week }},
		{"the own window, long ago", func(r *client.ExportRequest) { r.SegmentTimeRange, r.TimeRange = nil, month },
			client.ExportRequest{}, func(r *client.ExportRequest) { r.SegmentTimeRange = own }},
		{"the own window of everyone", func(r *client.ExportRequest) { r.SegmentTimeRange, r.SegmentID = nil, "everyone" },
			client.ExportRequest{TimeRange: week},
			func(r *client.ExportRequest) { r.TimeRange, r.SegmentTimeRange = week, own }},
		{"other columns", nil, client.ExportRequest{Fields: []string{"UserId"}},
			func(r *client.ExportRequest) { r.Fields = []string{"UserId"} }},
		{"the default columns", nil, client.ExportRequest{Fields: []string{}},
			func(r *client.ExportRequest) { r.Fields = []string{} }},
		{"another scope", nil, client.ExportRequest{Scope: client.ScopePages},
			func(r *client.ExportRequest) { r.Scope = client.ScopePages }},
		{"people", nil, client.ExportRequest{Type: client.TypeIndividual},
			func(r *client.ExportRequest) { r.Type, r.Scope, r.Fields = client.TypeIndividual, "", nil }},
		{"a type with a scope", nil, client.ExportRequest{Type: client.TypePages},
			func(r *client.ExportRequest) { r.Type, r.Scope = client.TypePages, "" }},
		{"a scope after such a type", func(r *client.ExportRequest) { r.Type, r.Scope = client.TypeSessions, "" },
			client.ExportRequest{Scope: client.ScopeEvents},
			func(r *client.ExportRequest) { r.Type, r.Scope = client.TypeEvent, client.ScopeEvents }},
		{"events after such a type", func(r *client.ExportRequest) { r.Type, r.Scope = client.TypeSessions, "" },
			client.ExportRequest{Type: client.TypeEvent},
			func(r *client.ExportRequest) { r.Type, r.Scope = client.TypeEvent, client.ScopeSessions }},
	} {
		o := origin{request: before}
		if c.before != nil {
			c.before(&o.request)
		}
		o.followed, o.choseOwn = segmentWindowOf(o.request)
		want := change(o.request, func(r *client.ExportRequest) { r.Now = ""; c.want(r) })
		if diff := cmp.Diff(want, o.with(c.top)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if got := (origin{request: before, nowGiven: true}).with(client.ExportRequest{}); got.Now != before.Now {
		t.Errorf("a now that was chosen became %q", got.Now)
	}
}

// TestLikeChunk takes the request of one chunk. The window of the segment was that of all
// chunks.
func TestLikeChunk(t *testing.T) {
	t.Parallel()
	request := order(2).Request
	request.SegmentID = "s1"
	raw, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	end := september.Add(time.Hour)
	o, err := originOf(ledger.Bulk{ID: "bulk_1", Request: raw}, ledger.Attempt{Start: september, End: end})
	if err != nil || o.bulkID != "bulk_1" || o.request.TimeRange.End != end.Format(time.RFC3339) {
		t.Fatalf("the origin of the chunk is %+v, %v", o, err)
	}
	if same := o.with(client.ExportRequest{}); *same.SegmentTimeRange != request.TimeRange {
		t.Errorf("the same chunk has the window %v", *same.SegmentTimeRange)
	}
	moved := o.with(client.ExportRequest{TimeRange: client.TimeRange{Start: "2026-10"}})
	if moved.SegmentTimeRange.Start != "range" {
		t.Errorf("another range has the window %v", *moved.SegmentTimeRange)
	}
}
