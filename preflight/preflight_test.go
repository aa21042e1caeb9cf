package preflight

import (
	"context"
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

// api returns a client for a Fullstory that only serves segments: a few with known
// names and the given number of others, ten per page.
func api(t *testing.T, others int) *client.Client {
	t.Helper()
	type segment struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	all := []segment{{"everyone", "Everyone"}, {"tz81RtIU1Rw8", "Checkout visitors"}, {"a1", "Twice"}, {"a2", "Twice"},
		{"c1", "CASED"}, {"c2", "cased"}, {"ana@x.com:7", "Old"}, {"m1", "[New](https://x.example)\u200b <b>"}}
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

// text returns the TimeRange for a range that is given as a string.
func text(s string) *client.TimeRange { return &client.TimeRange{Start: s} }

// Ranges of time in the tables below.
var (
	october = client.TimeRange{Start: "2026-10-01", End: "2026-11-01"}
	oneDay  = client.TimeRange{Start: "2026-10-20"}
)

// resolveTest is a request, and what Resolve makes of it.
type resolveTest struct {
	name    string
	request client.ExportRequest
	want    string // the resolved request, as JSON; empty: not compared
	rows    Rows
	codes   string // of the notices, in order
}

// windowTests are requests with each kind of segment_time_range.
func windowTests() []resolveTest {
	const window = `{"start":"2026-10-19T22:00:00Z","end":"2026-10-20T22:00:00Z"}`
	return []resolveTest{
		{"a day of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypeEvent,
			Format: client.FormatNDJSON, TimeRange: oneDay},
			`{"segment_id":"everyone","type":"TYPE_EVENT","format":"FORMAT_NDJSON","time_range":` + window +
				`,"segment_time_range":` + window + `,"timezone":"Europe/Berlin","now":"2026-11-05T12:00:00.123Z"}`,
			Events, "everyone_window_set"},
		{"by name, all given", client.ExportRequest{SegmentID: "Checkout visitors", Type: client.TypeSessions,
			TimeRange: oneDay, SegmentTimeRange: &client.TimeRange{}, Timezone: "UTC", Now: "2026-10-30T02:00:00+02:00"},
			`{"segment_id":"tz81RtIU1Rw8","type":"TYPE_SESSIONS","time_range":{"start":"2026-10-20T00:00:00Z",` +
				`"end":"2026-10-21T00:00:00Z"},"segment_time_range":{},"timezone":"UTC","now":"2026-10-30T00:00:00Z"}`,
			Events, "sessions_cut"},
		{"a month of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypeEvent, TimeRange: october},
			"", Events, "large_window everyone_window_set"},
		{"a scope of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypePages, TimeRange: oneDay,
			SegmentTimeRange: text("range")}, "", Events, "scope_without_events"},
		{"another scope of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypeEvent,
			Scope: client.ScopeIndividuals, TimeRange: oneDay, SegmentTimeRange: text("range")}, "", Events,
			"scope_without_events"},
		{"people of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypeIndividual,
			TimeRange: october}, "", Individuals, "everyone_window_set"},
		{"a named one, long ago", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent,
			TimeRange: october}, "", Events, "segment_window_required scope_default"},
		{"its own window, long ago", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent,
			TimeRange: october, SegmentTimeRange: text("own")},
			`{"segment_id":"tz81RtIU1Rw8","type":"TYPE_EVENT","time_range":{"start":"2026-09-30T22:00:00Z",` +
				`"end":"2026-10-31T23:00:00Z"},"timezone":"Europe/Berlin","now":"2026-11-05T12:00:00.123Z"}`,
			Events, "segment_window_own scope_default"},
		{"its own window, lately", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent,
			Scope: client.ScopeEvents, TimeRange: oneDay, SegmentTimeRange: text("own")}, "", Events, ""},
		{"the own window of everyone", client.ExportRequest{SegmentID: "everyone", Type: client.TypeIndividual,
			TimeRange: october, SegmentTimeRange: text(" Own ")}, "", Individuals, "segment_window_own"},
		{"the range as window", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypePages,
			TimeRange: oneDay, SegmentTimeRange: text("range")},
			`{"segment_id":"tz81RtIU1Rw8","type":"TYPE_PAGES","time_range":` + window + `,"segment_time_range":` +
				window + `,"timezone":"Europe/Berlin","now":"2026-11-05T12:00:00.123Z"}`,
			Events, ""},
		{"all time as window", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypePages,
			TimeRange: october, SegmentTimeRange: text("all")},
			`{"segment_id":"tz81RtIU1Rw8","type":"TYPE_PAGES","time_range":{"start":"2026-09-30T22:00:00Z",` +
				`"end":"2026-10-31T23:00:00Z"},"segment_time_range":{},"timezone":"Europe/Berlin",` +
				`"now":"2026-11-05T12:00:00.123Z"}`,
			Events, ""},
		{"another window", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypePages, TimeRange: oneDay,
			SegmentTimeRange: text("2026-10-20T00:00:00+02:00/P1D")},
			`{"segment_id":"tz81RtIU1Rw8","type":"TYPE_PAGES","time_range":` + window + `,"segment_time_range":` +
				window + `,"timezone":"Europe/Berlin","now":"2026-11-05T12:00:00.123Z"}`,
			Events, ""},
		{"pinned, the own window reaches back", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypePages,
			TimeRange: client.TimeRange{Start: "2026-09-20"}, Now: "2026-10-01T00:00:00Z"}, "", Events, ""},
	}
}

// lintTests are requests that get notices.
func lintTests() []resolveTest {
	return []resolveTest{
		{"open at the start", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypePages,
			TimeRange: client.TimeRange{End: "2026-10-01"}}, "", Events, "segment_window_required"},
		{"open at the end", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypePages,
			TimeRange: client.TimeRange{Start: "2026-10-20T00:00:00Z"}}, "", Events, "window_unsettled"},
		{"next year", client.ExportRequest{SegmentID: "everyone", Type: client.TypeEvent,
			TimeRange: client.TimeRange{Start: "2027-10-20"}}, "", Events, "range_future everyone_window_set"},
		{"sessions of a day", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent,
			Scope: client.ScopeSessions, TimeRange: oneDay}, "", Events, "sessions_cut"},
		{"all sessions", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeSessions}, "", Events,
			"window_unsettled"},
		{"a named one, lately", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent,
			TimeRange: oneDay}, "", Events, "scope_default"},
		{"all of a named one", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent}, "", Events,
			"window_unsettled scope_default"},
		{"today", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent,
			TimeRange: client.TimeRange{Start: "2026-11-05"}}, "", Events, "window_future scope_default"},
		{"this morning", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent,
			TimeRange: client.TimeRange{Start: "2026-11-05T00:00:00Z", End: "2026-11-05T06:00:00Z"}}, "", Events,
			"window_unsettled scope_default"},
		{"csv", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, Format: client.FormatCSV,
			TimeRange: oneDay}, "", Events, "csv_without_fields scope_default"},
		{"csv with fields", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent,
			Format: client.FormatCSV, TimeRange: oneDay, Fields: []string{"UserId", "evt_*", "user_plan_str"}}, "",
			Events, "scope_default"},
		{"unknown fields", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeEvent, TimeRange: oneDay,
			Fields: []string{"UserID", "Created", "EventStart"}}, "", Events,
			"unknown_field unknown_field scope_default"},
		{"a column of people", client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypeIndividual,
			TimeRange: oneDay, Fields: []string{"Created", "EventStart"}}, "", Individuals, "unknown_field"},
	}
}

func TestResolve(t *testing.T) {
	check := Check{Client: api(t, 25), Zone: "Europe/Berlin", Now: now, Role: "ARCHITECT"}
	for _, test := range append(windowTests(), lintTests()...) {
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
			if codes := codesOf(t, e.Warnings); codes != test.codes || e.Rows != test.rows || e.Warnings == nil {
				t.Errorf("got %s with %q, want %s with %q", e.Rows, codes, test.rows, test.codes)
			}
		})
	}
}

// codesOf returns the codes of notices, and checks that each notice is complete and
// its code documented.
func codesOf(t *testing.T, notices []Notice) string {
	t.Helper()
	var codes []string
	for _, n := range notices {
		codes = append(codes, n.Code)
		if !slices.ContainsFunc(Codes(), func(c Code) bool { return c.Code == n.Code && c.When != "" }) {
			t.Errorf("%s is missing in Codes", n.Code)
		}
		if n.Message == "" || n.Fix == "" || n.Level == "" {
			t.Errorf("%s lacks a text or a level", n.Code)
		}
	}
	return strings.Join(codes, " ")
}

// TestLintOfTheSetting gives notice of a low role and of a wrong clock.
func TestLintOfTheSetting(t *testing.T) {
	check := Check{Client: api(t, 0), Zone: "Europe/Berlin", Now: now, Role: "USER", Skew: -90 * time.Second}
	e, err := check.Resolve(t.Context(), client.ExportRequest{SegmentID: "tz81RtIU1Rw8", Type: client.TypePages,
		TimeRange: client.TimeRange{Start: "2026-10-20"}})
	if err != nil || codesOf(t, e.Warnings) != "role_too_low clock_skew" ||
		!strings.Contains(e.Warnings[1].Message, "1m30s behind Fullstory's") {
		t.Errorf("a low role and a wrong clock: %v, %v", e.Warnings, err)
	}
}

// TestLintOfSize gives notice of many chunks, of many bytes, and of individuals in
// chunks.
func TestLintOfSize(t *testing.T) {
	for _, test := range []struct {
		files int
		size  float64
		many  bool
	}{{5001, 0, true}, {5000, 50_000, false}, {2, 50_001, true}} {
		notices := Lint(Subject{Range: plan.Range{Start: now.AddDate(-1, 0, 0), End: now.AddDate(0, 0, -2)},
			Files: test.files, Size: test.size, Now: now})
		if (Large(notices) != "") != test.many || test.many && codesOf(t, notices) != "many_chunks" {
			t.Errorf("%d files of %v MB: %v", test.files, test.size, notices)
		}
	}
	people := Subject{Request: client.ExportRequest{Type: client.TypeIndividual},
		Range: plan.Range{Start: now.AddDate(0, 0, -9), End: now.AddDate(0, 0, -2)}, Files: 7, Now: now}
	if chunked := Lint(people); codesOf(t, chunked) != "individuals_chunked" {
		t.Errorf("chunks of people: %v", chunked)
	}
	if people.Files = 1; len(Lint(people)) > 0 {
		t.Errorf("people over the whole range: %v", Lint(people))
	}
	events := Subject{Request: client.ExportRequest{Type: client.TypeEvent, SegmentID: Everyone,
		SegmentTimeRange: &client.TimeRange{}}, Range: people.Range, Now: now}
	if codes := codesOf(t, Lint(events)); codes != "large_window" {
		t.Errorf("a week of everyone in one file: %s", codes)
	}
	if events.Cut = true; len(Lint(events)) > 0 { // a failed chunk is halved
		t.Errorf("a week of everyone in chunks: %v", Lint(events))
	}
}

// TestEveryCodeIsTested checks that a test expects each documented code.
func TestEveryCodeIsTested(t *testing.T) {
	expected := []string{
		"clock_skew",                   // TestLintOfTheSetting
		"role_too_low", "role_unknown", // TestLintOfRoles
		"individuals_or_events",              // TestEventsOrPeople
		"many_chunks", "individuals_chunked", // TestLintOfSize
		"sizes_unknown",    // TestLintOfSizing
		"duplicate_fields", // TestResolveRejects
	}
	for _, test := range append(windowTests(), lintTests()...) {
		expected = append(expected, strings.Fields(test.codes)...)
	}
	for _, c := range Codes() {
		if !slices.Contains(expected, c.Code) {
			t.Errorf("no test expects %s", c.Code)
		}
	}
}

func TestResolveRejects(t *testing.T) {
	check := Check{Client: api(t, 0), Now: now}
	for _, test := range []struct {
		request client.ExportRequest
		says    []string
	}{
		{client.ExportRequest{Type: client.TypeIndividual, Scope: client.ScopeEvents},
			[]string{"scope: ", "leave `scope` out", "TYPE_EVENT with SCOPE_INDIVIDUALS"}},
		{client.ExportRequest{Type: client.TypePages, Scope: client.ScopeSessions},
			[]string{"scope: ", "TYPE_PAGES without `scope`", "TYPE_EVENT with SCOPE_SESSIONS"}},
		{client.ExportRequest{Type: client.TypeEvent, Fields: []string{"A", "B", "A", "A"}},
			[]string{"fields: duplicate_fields: A named more than once"}},
		{client.ExportRequest{Type: client.TypeEvent, Fields: []string{"A", ""}}, []string{"fields: name 2 is \"\""}},
		{client.ExportRequest{Type: client.TypeEvent, Fields: []string{"A\x1b[31m"}},
			[]string{`fields: name 1 is "A\x1b[31m"`}},
		{client.ExportRequest{Type: client.TypeEvent, Timezone: "Mars"}, []string{`timezone: got "Mars"`}},
		{client.ExportRequest{Type: client.TypeEvent, Now: "now"}, []string{"now: ", "RFC 3339"}},
		{client.ExportRequest{Type: client.TypeEvent, TimeRange: client.TimeRange{Start: "x"}},
			[]string{`time_range.start: got "x"`}},
		{client.ExportRequest{Type: client.TypeEvent, SegmentTimeRange: &client.TimeRange{End: "y"}},
			[]string{`segment_time_range.end: got "y"`}},
		{client.ExportRequest{Type: client.TypeEvent, SegmentTimeRange: text("owned")},
			[]string{`segment_time_range.start: got "owned"`, `"own"`, `"range"`, `"all"`}},
		{client.ExportRequest{Type: client.TypeEvent, SegmentTimeRange: text("2026-10-01")},
			[]string{"segment_time_range: ", "2026-10-01/P1D", "2026-10-01/now"}},
	} {
		test.request.SegmentID = "everyone"
		_, err := check.Resolve(t.Context(), test.request)
		var wrong *plan.Error
		if !errors.As(err, &wrong) {
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
	for text, want := range map[string]string{
		"everyone":            "everyone",
		"tz81RtIU1Rw8":        "tz81RtIU1Rw8",
		" Checkout visitors ": "tz81RtIU1Rw8",
		"checkout VISITORS":   "tz81RtIU1Rw8",
		"CASED":               "c1",
		"cased":               "c2",
		"ana@x.com:7":         "ana@x.com:7",
		"Other 24":            "other24",

		"[New](https://x.example) <b>":                                               "m1", // as in the app
		"[New] (https: //x.example) < b>":                                            "m1", // as list_segments shows it
		"https://app.fullstory.com/ui/ORG/segments/tz81RtIU1Rw8/people:search?x=1#y": "tz81RtIU1Rw8",
		"https://app.eu1.fullstory.com/ui/ORG/segment/ana%40x.com%3A7":               "ana@x.com:7",
	} {
		if s, err := FindSegment(t.Context(), api(t, 25), text); err != nil || s.ID != want {
			t.Errorf("%q: got %q, %v, want %q", text, s.ID, err, want)
		}
	}
	for text, want := range map[string]string{
		"Twice":             "2 segments are named \"Twice\". Give the id instead, one of: a1, a2.",
		"twice":             "one of: a1, a2.",
		"Cased":             "one of: c1, c2.",
		"Chekout visitors":  "Near ones: \"Checkout visitors\" (tz81RtIU1Rw8). ",
		"checkout":          "Near ones: \"Checkout visitors\" (tz81RtIU1Rw8). ",
		"something else":    "no segment has the id or name \"something else\". Take one from `list_segments`",
		"https://x.example": "no segment has the id or name \"https://x.example\". Take one from `list_segments`",
	} {
		_, err := FindSegment(t.Context(), api(t, 25), text)
		var wrong *plan.Error
		if !errors.As(err, &wrong) || wrong.Field != "segment_id" || !strings.Contains(wrong.Message, want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// TestEndlessSegments looks for a name in a list without an end, whose names are long and
// alike.
func TestEndlessSegments(t *testing.T) {
	pages := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/segments/v1" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		pages++
		name := strings.Repeat("a", 5000)
		fmt.Fprintf(w, `{"segments":[{"id":"x","name":%q}],"nextPaginationToken":"%d"}`, name, pages)
	}))
	defer s.Close()
	c, err := client.New(client.Options{Key: "na1.x/Y", BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	c.ShareLimits(func(_ context.Context, change func(time.Time, *client.Bucket)) error {
		change(time.Now(), &client.Bucket{}) // never limits
		return nil
	})
	_, err = FindSegment(t.Context(), c, "b")
	var wrong *plan.Error
	if !errors.As(err, &wrong) || !strings.Contains(wrong.Message, "too many") || pages != mostPages {
		t.Errorf("after %d pages: %v", pages, err)
	}
}

// TestBlocked checks that a blocker rejects the request, and that its text names
// every way to correct it.
func TestBlocked(t *testing.T) {
	check := Check{Client: api(t, 0), Now: now}
	ask := func(segment, start string) error {
		t.Helper()
		e, err := check.Resolve(t.Context(), client.ExportRequest{SegmentID: segment, Type: client.TypeEvent,
			TimeRange: client.TimeRange{Start: start}})
		if err != nil {
			t.Fatal(err)
		}
		return Blocked(e.Warnings)
	}
	if err := ask("everyone", "2026-01"); err != nil {
		t.Errorf("everyone is rejected: %v", err)
	}
	for _, test := range []struct {
		segment, start string
		says           []string
	}{
		{"Checkout visitors", "2026-07", []string{"segment_time_range: ", `"range"`, `"own"`}},
		{"everyone", "2027-10", []string{"time_range: ", "in the future", "2026-11-05T12:00:00Z"}},
	} {
		err := ask(test.segment, test.start)
		var wrong *plan.Error
		if !errors.As(err, &wrong) {
			t.Errorf("%s of %s: got %v", test.start, test.segment, err)
			continue
		}
		for _, want := range test.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v lacks %q", err, want)
			}
		}
	}
}
