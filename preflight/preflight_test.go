package preflight

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

var now = time.Date(2026, 11, 5, 12, 0, 0, 123456789, time.UTC)

// api is a Fullstory that knows segments alone: the two that are named, and so
// many others, ten a page.
func api(t *testing.T, others int) *client.Client {
	t.Helper()
	type segment struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	all := []segment{{"everyone", "Everyone"}, {"tz81RtIU1Rw8", "Checkout visitors"}, {"a1", "Twice"}, {"a2", "Twice"}, {"c1", "CASED"}, {"c2", "cased"}, {"ana@x.com:7", "Old"}}
	for i := range others {
		all = append(all, segment{fmt.Sprint("other", i), fmt.Sprint("Other ", i)})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /segments/v1/{id}", func(w http.ResponseWriter, r *http.Request) {
		i := slices.IndexFunc(all, func(s segment) bool { return s.ID == r.PathValue("id") })
		if i < 0 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		json.NewEncoder(w).Encode(all[i])
	})
	mux.HandleFunc("GET /segments/v1", func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("paginationToken"))
		to := min(from+10, len(all))
		answer := map[string]any{"segments": all[from:to]}
		if to < len(all) {
			answer["nextPaginationToken"] = strconv.Itoa(to)
		}
		json.NewEncoder(w).Encode(answer)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{Key: "na1.x/Y", BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// listed tells whether a code is documented.
func listed(code string) bool {
	return slices.ContainsFunc(Codes(), func(c Code) bool { return c.Code == code && c.When != "" })
}

func TestResolve(t *testing.T) {
	seen := map[string]bool{"duplicate_fields": true} // in TestResolveRefuses
	check := Check{Client: api(t, 25), Zone: "Europe/Berlin", Now: now, Role: "ARCHITECT"}
	october := client.TimeRange{Start: "2026-10-01", End: "2026-11-01"}
	first := client.TimeRange{Start: "2026-10-20"}
	window := `{"start":"2026-10-19T22:00:00Z","end":"2026-10-20T22:00:00Z"}`
	for _, test := range []struct {
		name    string
		request client.ExportRequest
		want    string // of the request, as JSON
		rows    Rows
		codes   string
	}{
		{"a day of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypeEvent, Format: client.FormatNDJSON, TimeRange: first},
			`{"segment_id":"everyone","type":"TYPE_EVENT","format":"FORMAT_NDJSON","time_range":` + window + `,"segment_time_range":` + window + `,"timezone":"Europe/Berlin","now":"2026-11-05T12:00:00.123Z"}`,
			Events, "everyone_window_set"},
		{"by name, all given", client.ExportRequest{SegmentID: "Checkout visitors", Type: client.TypeSessions, TimeRange: first, SegmentTimeRange: &client.TimeRange{}, Timezone: "UTC", Now: "2026-10-30T02:00:00+02:00"},
			`{"segment_id":"tz81RtIU1Rw8","type":"TYPE_SESSIONS","time_range":{"start":"2026-10-20T00:00:00Z","end":"2026-10-21T00:00:00Z"},"segment_time_range":{},"timezone":"UTC","now":"2026-10-30T00:00:00Z"}`,
			Events, ""},
		{"a month of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypeEvent, TimeRange: october}, "", Events, "everyone_window_set large_window"},
		{"a scope of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypePages, TimeRange: first, SegmentTimeRange: &first}, "", Events, "scope_without_events"},
		{"another scope of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypeEvent, Scope: client.ScopeIndividuals, TimeRange: first, SegmentTimeRange: &first}, "", Events, "scope_without_events"},
		{"people of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypeIndividual, TimeRange: october}, "", Individuals, "everyone_window_set"},
		{"a named one, long ago", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, TimeRange: october}, "", Events, "segment_window_unknown"},
		{"a named one, lately", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, TimeRange: first}, "", Events, ""},
		{"all of a named one", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent}, "", Events, "segment_window_unknown window_unsettled"},
		{"today", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, TimeRange: client.TimeRange{Start: "2026-11-05"}}, "", Events, "window_future"},
		{"this morning", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, TimeRange: client.TimeRange{Start: "2026-11-05T00:00:00Z", End: "2026-11-05T06:00:00Z"}}, "", Events, "window_unsettled"},
		{"csv", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, Format: client.FormatCSV, TimeRange: first}, "", Events, "csv_without_fields"},
		{"csv with fields", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, Format: client.FormatCSV, TimeRange: first, Fields: []string{"UserId", "evt_*", "user_plan_str"}}, "", Events, ""},
		{"unknown fields", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, TimeRange: first, Fields: []string{"UserID", "Created", "EventStart"}}, "", Events, "unknown_field unknown_field"},
		{"a column of people", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeIndividual, TimeRange: first, Fields: []string{"Created", "EventStart"}}, "", Individuals, "unknown_field"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := check.Resolve(t.Context(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(e.Request)
			if err != nil {
				t.Fatal(err)
			}
			if test.want != "" && string(got) != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			var codes []string
			for _, w := range e.Warnings {
				codes = append(codes, w.Code)
				seen[w.Code] = true
				if !listed(w.Code) {
					t.Errorf("%s is not among the codes", w.Code)
				}
				if w.Message == "" || w.Fix == "" {
					t.Errorf("%s has no words", w.Code)
				}
			}
			if strings.Join(codes, " ") != test.codes || e.Rows != test.rows || e.Warnings == nil {
				t.Errorf("got %s with %q, want %s with %q", e.Rows, codes, test.rows, test.codes)
			}
		})
	}
	check.Role = "USER"
	e, err := check.Resolve(t.Context(), client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, TimeRange: first})
	if err != nil || len(e.Warnings) != 1 || e.Warnings[0].Code != "role_too_low" {
		t.Errorf("a low role: %v, %v", e.Warnings, err)
	}
	seen[e.Warnings[0].Code] = true
	people := Subject{Request: client.ExportRequest{Type: client.TypeIndividual}, Range: plan.Range{Start: now.AddDate(0, 0, -9), End: now.AddDate(0, 0, -2)}, Files: 7, Now: now}
	chunked := Lint(people)
	if len(chunked) != 1 || chunked[0].Code != "individuals_chunked" {
		t.Errorf("chunks of people: %v", chunked)
	}
	seen["individuals_chunked"] = true
	for _, c := range Codes() {
		if !seen[c.Code] {
			t.Errorf("nothing told %s", c.Code)
		}
	}
	if people.Files = 1; len(Lint(people)) > 0 {
		t.Errorf("people over the whole range: %v", Lint(people))
	}
}

func TestResolveRefuses(t *testing.T) {
	check := Check{Client: api(t, 0), Now: now}
	for _, test := range []struct {
		request client.ExportRequest
		says    []string
	}{
		{client.ExportRequest{Type: client.TypeIndividual, Scope: client.ScopeEvents}, []string{"scope: ", "leave scope out", "TYPE_EVENT with SCOPE_INDIVIDUALS"}},
		{client.ExportRequest{Type: client.TypePages, Scope: client.ScopeSessions}, []string{"scope: ", "TYPE_PAGES without scope", "TYPE_EVENT with SCOPE_SESSIONS"}},
		{client.ExportRequest{Type: client.TypeEvent, Fields: []string{"A", "B", "A", "A"}}, []string{"fields: duplicate_fields: A named more than once"}},
		{client.ExportRequest{Type: client.TypeEvent, Fields: []string{"A", ""}}, []string{"fields: name 2 is \"\""}},
		{client.ExportRequest{Type: client.TypeEvent, Fields: []string{"A\x1b[31m"}}, []string{`fields: name 1 is "A\x1b[31m"`}},
		{client.ExportRequest{Type: client.TypeEvent, Timezone: "Mars"}, []string{`timezone: got "Mars"`}},
		{client.ExportRequest{Type: client.TypeEvent, Now: "now"}, []string{"now: ", "RFC 3339"}},
		{client.ExportRequest{Type: client.TypeEvent, TimeRange: client.TimeRange{Start: "x"}}, []string{`time_range.start: got "x"`}},
		{client.ExportRequest{Type: client.TypeEvent, SegmentTimeRange: &client.TimeRange{End: "y"}}, []string{`segment_time_range.end: got "y"`}},
	} {
		test.request.SegmentID = "everyone"
		_, err := check.Resolve(t.Context(), test.request)
		var refusal *Refusal
		var time *plan.Error
		if !errors.As(err, &refusal) && !errors.As(err, &time) {
			t.Errorf("%+v: got %v", test.request, err)
			continue
		}
		for _, want := range test.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v lacks %q", err, want)
			}
		}
	}
}

func TestFindSegment(t *testing.T) {
	c := api(t, 25)
	for text, want := range map[string]string{
		"everyone":            "everyone",
		"tz81RtIU1Rw8":        "tz81RtIU1Rw8",
		" Checkout visitors ": "tz81RtIU1Rw8",
		"checkout VISITORS":   "tz81RtIU1Rw8",
		"CASED":               "c1",
		"cased":               "c2",
		"ana@x.com:7":         "ana@x.com:7",
		"Other 24":            "other24",
		"https://app.fullstory.com/ui/ORG/segments/tz81RtIU1Rw8/people:search?x=1#y": "tz81RtIU1Rw8",
		"https://app.eu1.fullstory.com/ui/ORG/segment/ana%40x.com%3A7":               "ana@x.com:7",
	} {
		if s, err := FindSegment(t.Context(), c, text); err != nil || s.ID != want {
			t.Errorf("%q: got %q, %v, want %q", text, s.ID, err, want)
		}
	}
	for text, want := range map[string][2]string{
		"Twice":             {"a1 a2", ""},
		"twice":             {"a1 a2", ""},
		"Cased":             {"c1 c2", ""},
		"Chekout visitors":  {"", "tz81RtIU1Rw8"},
		"checkout":          {"", "tz81RtIU1Rw8"},
		"something else":    {"", ""},
		"https://x.example": {"", ""},
	} {
		_, err := FindSegment(t.Context(), c, text)
		var refused *SegmentError
		if !errors.As(err, &refused) || ids(refused.Matches) != want[0] || ids(refused.Near) != want[1] {
			t.Errorf("%q: got %v, %+v", text, err, refused)
		}
	}
}

func ids(segments []client.Segment) string {
	var all []string
	for _, s := range segments {
		all = append(all, s.ID)
	}
	return strings.Join(all, " ")
}
