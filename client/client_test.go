package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve starts an API under the path prefix /base and returns a client for it.
func serve(t *testing.T, routes map[string]http.HandlerFunc) *Client {
	t.Helper()
	mux := http.NewServeMux()
	for route, handler := range routes {
		method, path, _ := strings.Cut(route, " ")
		mux.HandleFunc(method+" /base"+path, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "Basic "+canary {
				t.Errorf("%s: Authorization is %q", route, got)
			}
			handler(w, r)
		})
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return newClient(t, Options{BaseURL: s.URL + "/base/"})
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
}

func TestReads(t *testing.T) {
	c := serve(t, map[string]http.HandlerFunc{
		"GET /me": says(`{"orgId":"ORG","email":"","role":"ARCHITECT","new":{"x":1}}`),
		"GET /segments/v1": func(w http.ResponseWriter, r *http.Request) {
			if got, want := r.URL.RawQuery, "creator=ana%40example.com&limit=2&paginationToken=a%2Fb%3D"; got != want {
				t.Errorf("segments query is %q, want %q", got, want)
			}
			io.WriteString(w, `{"segments":[{"id":"everyone","name":"Everyone","creator":null,"url":"https://app.example/x"},`+
				`{"id":"tz81RtIU1Rw8","name":"Checkout","creator":"ana@example.com",`+
				`"created":"2026-02-20T14:30:10.631Z"}],"next_pagination_token":"more"}`)
		},
		"GET /segments/v1/{id}": func(w http.ResponseWriter, r *http.Request) {
			json.NewEncoder(w).Encode(map[string]string{"id": r.PathValue("id"), "name": r.URL.EscapedPath()})
		},
		"GET /operations/v1": func(w http.ResponseWriter, r *http.Request) {
			if got, want := r.URL.RawQuery, "state=PENDING&type=SEARCH_EXPORT"; got != want {
				t.Errorf("operations query is %q, want %q", got, want)
			}
			io.WriteString(w, `{"operations":[{"id":"1","state":"PENDING"},null,"x",{"id":9007199254740993,`+
				`"state":"ARCHIVED"}]}`)
		},
		"GET /search/v1/exports/{id}/results": says(`{"location":"https://files.example.com/x?sig=1",` +
			`"expires":"2026-03-02T08:10:00.658287819Z"}`),
	})
	ctx := t.Context()
	check := func(what string, got, want any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, (-want +got)\n%s", what, err, diff)
		}
	}
	me, err := c.Me(ctx)
	if me.Date.IsZero() {
		t.Error("Me has no date")
	}
	if me.KeyHash != c.KeyHash() {
		t.Errorf("Me describes the key %s, want %s", me.KeyHash, c.KeyHash())
	}
	me.Date, me.KeyHash = time.Time{}, ""
	check("me", me, Me{OrgID: "ORG", Role: "ARCHITECT"}, err)
	page, err := c.Segments(ctx, SegmentQuery{Creator: "ana@example.com", Limit: 2, Cursor: "a/b="})
	check("segments", page, SegmentPage{Next: "more", Segments: []Segment{
		{ID: "everyone", Name: "Everyone", URL: "https://app.example/x"},
		{ID: "tz81RtIU1Rw8", Name: "Checkout", Creator: "ana@example.com",
			Created: time.Date(2026, 2, 20, 14, 30, 10, 631e6, time.UTC)},
	}}, err)
	operations, err := c.Operations(ctx, OperationQuery{State: Pending, Type: SearchExport})
	check("operations", operations, OperationPage{Operations: []Operation{{ID: "1", State: Pending},
		{ID: "9007199254740993", State: Unknown}}}, err)
	link, err := c.ExportResults(ctx, "x")
	check("link", link, Link{URL: "https://files.example.com/x?sig=1",
		Expires: time.Date(2026, 3, 2, 8, 10, 0, 658287819, time.UTC)}, err)
	for id, want := range map[string]string{
		"U0VB==":           "/base/segments/v1/U0VB%3D%3D",
		"ana@x.com:123":    "/base/segments/v1/ana%40x.com%3A123",
		"a/b":              "/base/segments/v1/a%2Fb",
		"~YSBiJTJGP2MjZA":  "/base/segments/v1/a%20b%252F%3Fc%23d",
		"../../v1/../x":    "/base/segments/v1/..%2F..%2Fv1%2F..%2Fx",
		"9007199254740993": "/base/segments/v1/9007199254740993",
	} {
		s, err := c.Segment(ctx, id)
		check("segment "+id, s, Segment{ID: id, Name: want}, err)
	}
	if _, err := c.Segment(ctx, ""); err == nil {
		t.Error("a request with an empty id was sent")
	}
}

func TestOperationForms(t *testing.T) {
	created := time.Date(2026, 3, 2, 8, 0, 0, 120394e3, time.UTC)
	for _, test := range []struct {
		name, body string
		want       Operation
	}{
		{"pending", `{"id":"op-1","type":"SEARCH_EXPORT","details":null,"results":null,"state":"PENDING",` +
			`"errorDetails":"","createdAt":"2026-03-02T08:00:00.120394Z","estimatePctComplete":35}`,
			Operation{ID: "op-1", Type: SearchExport, State: Pending, Percent: 35, CreatedAt: created}},
		{"completed", `{"id":"op-1","type":"SEARCH_EXPORT","results":{"searchExportId":"p0b9",` +
			`"expires":"2026-03-09T08:04:11.002Z"},"state":"COMPLETED","createdAt":"2026-03-02T08:00:00.120394Z",` +
			`"finishedAt":"2026-03-02T08:04:10Z","estimatePctComplete":"100"}`,
			Operation{ID: "op-1", Type: SearchExport, State: Completed, Percent: 100, CreatedAt: created,
				FinishedAt: time.Date(2026, 3, 2, 8, 4, 10, 0, time.UTC), ExportID: "p0b9",
				ExportExpires: time.Date(2026, 3, 9, 8, 4, 11, 2e6, time.UTC)}},
		{"snake case", `{"id":"op-1","state":"FAILED","error_details":"no",` +
			`"created_at":"2026-03-02T08:00:00.120394Z","estimate_pct_complete":40.9}`,
			Operation{ID: "op-1", State: Failed, Percent: 40, Error: "no", CreatedAt: created}},
		{"strange", `{"id":"op-1","state":"PENDING","estimatePctComplete":900,"createdAt":"yesterday","results":[],"step":3}`,
			Operation{ID: "op-1", State: Pending, Percent: 100, Step: "3"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := serve(t, map[string]http.HandlerFunc{"GET /operations/v1/{id}": says(test.body)})
			got, err := c.Operation(t.Context(), "op-1")
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v, (-want +got)\n%s", err, diff)
			}
		})
	}
}

func TestCreateSends(t *testing.T) {
	day := TimeRange{Start: "2026-10-01T00:00:00Z", End: "2026-10-02T00:00:00Z"}
	for _, test := range []struct {
		name string
		r    ExportRequest
		want string
	}{
		{"least", ExportRequest{SegmentID: "everyone", Type: TypeEvent},
			`{"segmentId":"everyone","type":"TYPE_EVENT","format":"FORMAT_NDJSON","timeRange":{"start":"","end":""}}`},
		{"pages", ExportRequest{SegmentID: "s", Type: TypePages, TimeRange: day},
			`{"segmentId":"s","type":"TYPE_EVENT","format":"FORMAT_NDJSON",` +
				`"timeRange":{"start":"2026-10-01T00:00:00Z","end":"2026-10-02T00:00:00Z"},` +
				`"eventDetails":{"scope":"SCOPE_PAGES"}}`},
		{"sessions", ExportRequest{SegmentID: "s", Type: TypeSessions},
			`{"segmentId":"s","type":"TYPE_EVENT","format":"FORMAT_NDJSON","timeRange":{"start":"","end":""},` +
				`"eventDetails":{"scope":"SCOPE_SESSIONS"}}`},
		{"individuals", ExportRequest{SegmentID: "s", Type: TypeIndividual, Format: FormatCSV},
			`{"segmentId":"s","type":"TYPE_INDIVIDUAL","format":"FORMAT_CSV","timeRange":{"start":"","end":""}}`},
		{"everything", ExportRequest{SegmentID: "s", Type: TypeEvent, Format: FormatJSON, TimeRange: day,
			SegmentTimeRange: &TimeRange{End: "2026-10-02T00:00:00Z"}, Timezone: "Europe/Berlin",
			Now: "2026-10-03T00:00:00Z", Fields: []string{"UserId", "evt_*"}, Scope: ScopeIndividuals},
			`{"segmentId":"s","type":"TYPE_EVENT","format":"FORMAT_JSON","timeRange":{"start":"2026-10-01T00:00:00Z",` +
				`"end":"2026-10-02T00:00:00Z"},"segmentTimeRange":{"start":"","end":"2026-10-02T00:00:00Z"},` +
				`"timezone":"Europe/Berlin","now":"2026-10-03T00:00:00Z","fields":["UserId","evt_*"],` +
				`"eventDetails":{"scope":"SCOPE_INDIVIDUALS"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var sent bytes.Buffer
			c := serve(t, map[string]http.HandlerFunc{"POST /segments/v1/exports": func(w http.ResponseWriter, r *http.Request) {
				io.Copy(&sent, r.Body)
				io.WriteString(w, `{"operationId":"U0VB=="}`)
			}})
			id, err := c.CreateSegmentExport(t.Context(), test.r)
			if err != nil || id != "U0VB==" || sent.String() != test.want {
				t.Errorf("got %q, %v and sent\n%s\nwant\n%s", id, err, sent.String(), test.want)
			}
		})
	}
}

func TestErrorForms(t *testing.T) {
	for _, test := range []struct{ body, code, message string }{
		{`{"code":"required_field","message":"segmentId is required"}`, "required_field", "segmentId is required"},
		{`{"code":5,"message":"not found","details":[]}`, "5", "not found"},
		{`{"error":"no such thing"}`, "", "no such thing"},
		{`{"error":{"code":"x","message":"inner"}}`, "x", "inner"},
		{`{"detail":"the detail"}`, "", "the detail"},
		{`plain words`, "", "plain words"},
		{`<html><body>Bad Gateway</body></html>`, CodeNotTheAPI, "an HTML page"},
		{``, "", ""},
		{`[]`, "", "[]"},
		{`{"message":"key ` + canary + ` is bad"}`, "", "key [key] is bad"},
	} {
		c := serve(t, map[string]http.HandlerFunc{"GET /operations/v1/{id}": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, test.body)
		}})
		_, err := c.Operation(t.Context(), "op")
		var failed *Error
		if !errors.As(err, &failed) || failed.Status != 400 || failed.Code != test.code || failed.Message != test.message {
			t.Errorf("%s: got %#v, want code %q and message %q", test.body, failed, test.code, test.message)
		}
	}
}

func TestLargeAnswersAreBounded(t *testing.T) {
	c := serve(t, map[string]http.HandlerFunc{
		"GET /operations/v1/{id}": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, strings.Repeat("x", 1<<20))
		},
		"POST /operations/v1/{id}/cancel": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"x":"`+strings.Repeat("x", smallAnswer)+`"}`)
		},
	})
	var failed *Error
	if _, err := c.Operation(t.Context(), "op"); !errors.As(err, &failed) || failed.Message != "" {
		t.Errorf("got %v for a long text", err)
	}
	if err := c.CancelOperation(t.Context(), "op"); !errors.As(err, &failed) ||
		!strings.Contains(err.Error(), "larger than 64 KiB") {
		t.Errorf("got %v for an endless answer", err)
	}
}

// TestLargeLists has lists whose objects are long: smaller pages are read instead.
func TestLargeLists(t *testing.T) {
	long := strings.Repeat("x", 1<<17)
	var limits []string
	list := func(name, object string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			limit := r.FormValue("limit")
			limits = append(limits, limit)
			n, err := strconv.Atoi(limit)
			if err != nil {
				n = 20
			}
			fmt.Fprintf(w, `{%q:[%s]`, name, strings.Join(slices.Repeat([]string{object}, n), ","))
			io.WriteString(w, `,"nextPaginationToken":"more"}`)
		}
	}
	c := serve(t, map[string]http.HandlerFunc{
		"GET /operations/v1": list("operations", `{"id":"op","state":"FAILED","errorDetails":"`+long+`"}`),
		"GET /segments/v1":   list("segments", `{"id":"s","name":"`+long[:len(long)/2]+`"}`),
	})
	operations, err := c.Operations(t.Context(), OperationQuery{Limit: 50})
	if err != nil || len(operations.Operations) != 5 || operations.Next != "more" {
		t.Errorf("%d operations, %v", len(operations.Operations), err)
	}
	segments, err := c.Segments(t.Context(), SegmentQuery{})
	if err != nil || len(segments.Segments) != 2 {
		t.Errorf("%d segments, %v", len(segments.Segments), err)
	}
	if want := []string{"50", "5", "", "2"}; !slices.Equal(limits, want) {
		t.Errorf("pages of %v were asked for, want %v", limits, want)
	}
}

// TestKeyStaysWithTheAPI redirects to another server, which must see neither the
// key nor any request.
func TestKeyStaysWithTheAPI(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server was asked for %s with %q", r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	away := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/steal", http.StatusTemporaryRedirect)
	}
	c := serve(t, map[string]http.HandlerFunc{
		"GET /me":                   away,
		"POST /segments/v1/exports": away,
		"GET /operations/v1/{id}": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/base/segments/v1/moved", http.StatusFound)
		},
		"GET /segments/v1/{id}": says(`{"id":"moved","state":"COMPLETED"}`),
	})
	if _, err := c.Me(t.Context()); err == nil || !strings.Contains(err.Error(), "where the API key is not sent") {
		t.Errorf("redirected read: %v", err)
	}
	_, err := c.CreateSegmentExport(t.Context(), ExportRequest{SegmentID: "everyone", Type: TypeEvent})
	var failed *Error
	if !errors.As(err, &failed) || failed.Status != http.StatusTemporaryRedirect || failed.Uncertain {
		t.Errorf("redirected create: %#v", err)
	}
	if op, err := c.Operation(t.Context(), "op"); err != nil || op.ID != "moved" {
		t.Errorf("a redirect within the host: %+v, %v", op, err)
	}
}

// TestKeyIsNotShown searches everything that can be printed for the key.
func TestKeyIsNotShown(t *testing.T) {
	var log bytes.Buffer
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"message":"bad %s","code":"%s"}`, r.Header.Get("Authorization"), r.Header.Get("Authorization"))
	}))
	defer echo.Close()
	debug := &slog.HandlerOptions{Level: slog.LevelDebug}
	o := Options{Key: canary, BaseURL: echo.URL, Tries: 1, Log: slog.New(slog.NewTextHandler(&log, debug))}
	c := newClient(t, o)
	_, failed := c.Me(t.Context())
	o.Log.Info("state", "options", o, "client", c, "error", failed, "key", o.Key)
	encoded, _ := json.Marshal(struct{ Key Key }{o.Key})
	echo.Close()
	_, down := c.Operation(t.Context(), "op")
	for _, text := range []string{
		log.String(), string(encoded), fmt.Sprint(o.Key),
		fmt.Sprintf("%v %+v %#v %s", o, o, o, o.Key), fmt.Sprintf("%v %+v %#v", c, c, *c),
		fmt.Sprintf("%v %+v %#v", failed, failed, failed), fmt.Sprintf("%v %+v %#v", down, down, down),
	} {
		if strings.Contains(text, "c4n4ry") {
			t.Errorf("the key shows in %s", text)
		}
	}
	if !strings.Contains(log.String(), "status=403") {
		t.Errorf("the request is not in the log: %s", log.String())
	}
}

func TestNewRejects(t *testing.T) {
	for _, o := range []Options{
		{},
		{Key: "two words"},
		{Key: "line\n"},
		{Key: "ümlaut"},
		{Key: "k", BaseURL: "http://api.fullstory.com"},
		{Key: "k", BaseURL: "https://user:pw@api.fullstory.com"},
		{Key: "k", BaseURL: "https://api.fullstory.com?x=1"},
		{Key: "k", BaseURL: "api.fullstory.com"},
		{Key: "k", BaseURL: "http://127.0.0.1.evil.com"},
	} {
		if c, err := New(o); err == nil {
			t.Errorf("%+v with address %q was accepted", c, o.BaseURL)
		}
	}
	for base, want := range map[string]bool{"http://127.0.0.1:8098": true, "http://localhost:1/x": true,
		"http://[::1]:1": true, "https://api.example.com": false} {
		c := newClient(t, Options{BaseURL: base})
		if c.Loopback() != want || c.BaseURL() != base {
			t.Errorf("%s: loopback %v, address %s", base, c.Loopback(), c.BaseURL())
		}
	}
	for key, want := range map[Key]string{"eu1.x/Y": "https://api.eu1.fullstory.com",
		"na1.x/Y": "https://api.fullstory.com", "old": "https://api.fullstory.com"} {
		if got := BaseURLFor(key); got != want {
			t.Errorf("%s: got %s", want, got)
		}
	}
}
