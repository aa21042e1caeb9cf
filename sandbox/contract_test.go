package sandbox

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// noon is the time at which the clocks of these tests start.
var noon = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)

// quiet is a density for tests that do not look at rows, in events an hour: files
// are small and so the tests are fast. usual is the sandbox's default.
const quiet, usual = 30, 600

// api is a sandbox behind a real listener.
type api struct {
	*testing.T
	sandbox *Sandbox
	url     string
}

// serveAPI serves a sandbox until the test ends. By default its clock starts at noon,
// it does not throttle, exports take 1 ms, and its density is quiet.
func serveAPI(t *testing.T, c Config) *api {
	t.Helper()
	if c.Now.IsZero() {
		c.Now = noon
	}
	if c.Rate == 0 {
		c.Rate, c.Burst = 10_000, 10_000
	}
	if c.Density == 0 {
		c.Density = quiet
	}
	if c.OpTime == (OpTime{}) {
		c.OpTime = OpTime{least: time.Millisecond, most: time.Millisecond}
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewServer(s)
	t.Cleanup(func() {
		served.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &api{t, s, served.URL}
}

// report returns the counts without those by segment.
func (s *Sandbox) report() report { return s.fullReport().report }

// answered is an answer with its whole body.
type answered struct {
	status int
	header http.Header
	body   string
	err    error // of the connection
}

// ask sends a request, with the key unless it is empty. path may be a whole URL;
// headers are pairs of name and value.
func (a *api) ask(method, path, key, body string, headers ...string) answered {
	a.Helper()
	address := path
	if strings.HasPrefix(path, "/") {
		address = a.url + path
	}
	r, err := http.NewRequestWithContext(a.Context(), method, address, strings.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Basic "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	r.Close = true // on a reused connection the transport itself retries after a reset
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return answered{err: err}
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return answered{response.StatusCode, response.Header, string(raw), err}
}

// fields returns the JSON object in the body, or nil.
func (r answered) fields() map[string]any {
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(r.body))
	d.UseNumber()
	d.Decode(&m)
	return m
}

const day = `"timeRange":{"start":"2026-10-20T00:00:00Z","end":"2026-10-21T00:00:00Z"}`

// request returns a valid body of a create, with more members before the time range.
func request(segment, kind, shape string, more ...string) string {
	return `{"segmentId":"` + segment + `","type":"` + kind + `","format":"` + shape + `",` +
		strings.Join(append(more, day), ",") + `}`
}

var minimalCreate = request("everyone", "TYPE_EVENT", "FORMAT_NDJSON")

// create starts an export and returns its operation's id.
func (a *api) create(body string) string {
	a.Helper()
	r := a.ask("POST", "/segments/v1/exports", KeyArchitect, body)
	id, _ := r.fields()["operationId"].(string)
	if r.status != http.StatusOK || id == "" {
		a.Fatalf("create of %s: %d %s", body, r.status, r.body)
	}
	return id
}

// completed waits until an operation ends, and returns it.
func (a *api) completed(operation string) map[string]any {
	a.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		m := a.ask("GET", "/operations/v1/"+url.PathEscape(operation), KeyStandard, "").fields()
		if m["state"] == "COMPLETED" || m["state"] == "FAILED" {
			return m
		}
	}
	a.Fatalf("the operation %s does not end within a minute", operation)
	return nil
}

// link runs an export to its end, and returns a link to its file.
func (a *api) link(body string) string {
	a.Helper()
	results, _ := a.completed(a.create(body))["results"].(map[string]any)
	id, _ := results["searchExportId"].(string)
	r := a.ask("GET", "/search/v1/exports/"+id+"/results", KeyArchitect, "")
	location, _ := r.fields()["location"].(string)
	if r.status != http.StatusOK || location == "" {
		a.Fatalf("results: %d %s", r.status, r.body)
	}
	return location
}

func text(v any) bool { s, ok := v.(string); return ok && s != "" }

func unzip(t *testing.T, content string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

// TestContract is the table of the answers to requests. The marks say where a rule
// comes from: [A] documentation, [B] Fullstory's own code, [C] working code of
// others, [D] deduced, [?] assumed because nothing is known.
func TestContract(t *testing.T) {
	a := serveAPI(t, Config{})
	pending := serveAPI(t, Config{OpTime: OpTime{least: time.Hour, most: time.Hour}})
	waiting := pending.create(minimalCreate)
	const create = "POST /segments/v1/exports"
	with := func(member string) string { return strings.Replace(minimalCreate, `{`, `{`+member+`,`, 1) }
	for _, test := range []struct {
		rule    string
		request string // method and path
		key     string
		body    string
		status  int
		says    string // in the body
	}{
		{"[A] every key may read its owner", "GET /me", KeyStandard, "", 200, `"role":"USER"`},
		{"[A] architect", "GET /me", KeyArchitect, "", 200, `"role":"ARCHITECT"`},
		{"[A] admin", "GET /me", KeyAdmin, "", 200, `"role":"ADMIN"`},
		{"[A] no key", "GET /me", "", "", 401, `"code":"unauthorized"`},
		{"[A] another key", "GET /segments/v1", "na1.other/KEY", "", 401, `"message":`},
		{"[A] the key is verbatim, not base64", "GET /me", base64.StdEncoding.EncodeToString([]byte(KeyAdmin + ":")),
			"", 401, ""},
		{"[A] Standard lists segments", "GET /segments/v1", KeyStandard, "", 200, `"id":"everyone"`},
		{"[A] Standard cannot create", create, KeyStandard, minimalCreate, 403, `"code":"forbidden"`},
		{"[D] 403 before the body is read", create, KeyStandard, "{", 403, ""},
		{"[A] Standard cannot read results", "GET /search/v1/exports/x/results", KeyStandard, "", 403, ""},
		{"[A] Admin creates", create, KeyAdmin, minimalCreate, 200, `{"operationId":"`},
		{"[?] another method", "DELETE /me", KeyAdmin, "", 405, `"code":"method_not_allowed"`},
		{"[B] an export has no route for its status", "GET /segments/v1/exports/x", KeyAdmin, "", 404,
			`"code":"resource_not_found"`},
		{"[A] a built-in segment has no created", "GET /segments/v1/everyone", KeyStandard, "", 200,
			`{"id":"everyone","name":"Everyone","url":"https://app.fullstory.com/`},
		{"[A] segment times have milliseconds", "GET /segments/v1/tz81RtIU1Rw8", KeyStandard, "", 200,
			`"created":"2026-02-20T14:30:10.631Z"`},
		{"[?] an unknown segment", "GET /segments/v1/nope", KeyStandard, "", 404, `"code":"resource_not_found"`},
		{"[A] creator is exact", "GET /segments/v1?creator=ana@example.com", KeyStandard, "", 200, `ana@example.com`},
		{"[A] an unknown creator", "GET /segments/v1?creator=ana", KeyStandard, "", 200, `{"segments":[]}`},
		{"[?] limit 0 is the default", "GET /segments/v1?limit=0", KeyStandard, "", 200, `"segments":[{`},
		{"[?] a limit that is not a number", "GET /segments/v1?limit=x", KeyStandard, "", 400, `limit`},
		{"[A] an invalid token", "GET /segments/v1?paginationToken=x", KeyStandard, "", 400, `pagination`},
		{"[A] snake case in queries", "GET /segments/v1?pagination_token=x", KeyStandard, "", 400, `pagination`},
		{"[?] an unknown operation", "GET /operations/v1/x", KeyStandard, "", 404, `"code":"resource_not_found"`},
		{"[A] operations by state", "GET /operations/v1?state=FAILED", KeyStandard, "", 200, `{"operations":[]}`},
		{"[A] operations by type", "GET /operations/v1?type=DELETE_USER", KeyStandard, "", 200, `{"operations":[]}`},
		{"[?] an unknown state", "GET /operations/v1?state=RUNNING", KeyStandard, "", 400, `state`},
		{"[?] cancel of an unknown operation", "POST /operations/v1/x/cancel", KeyStandard, "", 404, ""},
		{"[?] results of an unknown export", "GET /search/v1/exports/x/results", KeyArchitect, "", 404, ""},

		{"[D] not JSON", create, KeyArchitect, "{", 400, `"code":"invalid_json"`},
		{"[D] not an object", create, KeyArchitect, "[]", 400, `"code":"invalid_json"`},
		{"[A] segmentId is required", create, KeyArchitect, `{"type":"TYPE_EVENT","format":"FORMAT_JSON",` + day + `}`,
			400, `segmentId is required`},
		{"[A] type is required", create, KeyArchitect, `{"segmentId":"everyone","format":"FORMAT_JSON",` + day + `}`,
			400, `type is required`},
		{"[A] format is required", create, KeyArchitect, `{"segmentId":"everyone","type":"TYPE_EVENT",` + day + `}`,
			400, `format is required`},
		{"[A] timeRange is required", create, KeyArchitect,
			`{"segmentId":"everyone","type":"TYPE_EVENT","format":"FORMAT_JSON"}`, 400, `timeRange is required`},
		{"[A] an empty timeRange is all time", create, KeyArchitect,
			`{"segmentId":"rageClicks","type":"TYPE_EVENT","format":"FORMAT_JSON","timeRange":{"start":"","end":""}}`,
			200, `operationId`},
		{"[D] required before enums", create, KeyArchitect, `{"type":"x","format":"FORMAT_JSON",` + day + `}`, 400,
			`segmentId is required`},
		{"[A] types", create, KeyArchitect, request("everyone", "TYPE_INVALID", "FORMAT_JSON"), 400,
			`TYPE_EVENT, TYPE_INDIVIDUAL`},
		{"[A] formats", create, KeyArchitect, request("everyone", "TYPE_EVENT", "json"), 400, `FORMAT_NDJSON`},
		{"[D] enums before segments", create, KeyArchitect, request("nope", "TYPE_EVENT", "json"), 400,
			`FORMAT_NDJSON`},
		{"[D] times before segments", create, KeyArchitect,
			strings.Replace(request("nope", "TYPE_EVENT", "FORMAT_JSON"), "2026-10-20T00:00:00Z", "yesterday", 1), 400,
			`RFC 3339`},
		{"[?] an unknown segment", create, KeyArchitect, request("nope", "TYPE_EVENT", "FORMAT_JSON"), 404,
			`no such segment`},
		{"[?] an inverted range", create, KeyArchitect, strings.Replace(minimalCreate, "2026-10-20", "2026-10-22", 1),
			400, `ends before`},
		{"[D] an end in the future", create, KeyArchitect,
			strings.Replace(minimalCreate, "2026-10-21", "2027-10-21", 1), 200, ``},
		{"[D] another offset", create, KeyArchitect,
			strings.Replace(minimalCreate, "2026-10-20T00:00:00Z", "2026-10-20T02:00:00.000+02:00", 1), 200, ``},
		{"[A] IANA zones", create, KeyArchitect, with(`"timezone":"Europe/Berlin"`), 200, ``},
		{"[A] zones outside IANA", create, KeyArchitect, with(`"timezone":"CEST"`), 400, `IANA`},
		{"[A] now is a time", create, KeyArchitect, with(`"now":"today"`), 400, `now`},
		{"[A] null is absent", create, KeyArchitect, with(`"now":null,"fields":null,"eventDetails":null`), 200, ``},
		{"[B][C] snake case in bodies", create, KeyArchitect,
			`{"segment_id":"everyone","type":"TYPE_EVENT","format":"FORMAT_CSV","time_range":{"start":"","end":""},` +
				`"segment_time_range":{"start":"2026-10-20T00:00:00Z","end":""},` +
				`"event_details":{"scope":"SCOPE_PAGES"}}`,
			200, `operationId`},
		{"[A] fields", create, KeyArchitect, with(`"fields":["UserId","evt_*","user_plan_str","page_*"]`), 200, ``},
		{"[B] a field named twice", create, KeyArchitect, with(`"fields":["UserId","UserId"]`), 400, `named twice`},
		{"[?] an unknown field", create, KeyArchitect, with(`"fields":["UserID"]`), 400, `does not exist`},
		{"[B] a field of older clients", create, KeyArchitect,
			with(`"fields":["PageAgent","EventTargetSelectorTok","EventTimeToFirstByte"]`), 200, ``},
		{"[B] fields of events with individuals", create, KeyArchitect,
			request("everyone", "TYPE_INDIVIDUAL", "FORMAT_JSON", `"fields":["EventStart","PageAgent","evt_*"]`), 200, ``},
		{"[B] one of them named twice", create, KeyArchitect,
			request("everyone", "TYPE_INDIVIDUAL", "FORMAT_JSON", `"fields":["EventStart","EventStart"]`), 400, `named twice`},
		{"[?] an unknown field with individuals", create, KeyArchitect,
			request("everyone", "TYPE_INDIVIDUAL", "FORMAT_JSON", `"fields":["EventStarts"]`), 400, `does not exist`},
		{"[?] fields of individuals with events", create, KeyArchitect, with(`"fields":["NumSessions"]`), 400,
			`does not exist`},
		{"[B] a scope with individuals", create, KeyArchitect,
			request("everyone", "TYPE_INDIVIDUAL", "FORMAT_JSON", `"eventDetails":{"scope":"SCOPE_EVENTS"}`), 200, ``},
		{"[B] no scope with individuals", create, KeyArchitect,
			request("everyone", "TYPE_INDIVIDUAL", "FORMAT_JSON", `"event_details":{}`), 200, ``},
		{"[A] Architect lists users", "GET /v2/users?is_identified=true", KeyArchitect, "", 200,
			`{"results":[],"total_records":"0"}`},
		{"[A] Standard cannot list users", "GET /v2/users", KeyStandard, "", 403, `forbidden`},
		{"[A] sessions", "GET /v2/sessions?uid=a%2Fb", KeyStandard, "", 200, `{"results":[]}`},
		{"[A] sessions of version 1", "GET /sessions/v2?email=ana@example.com&limit=5", KeyStandard, "", 200,
			`{"sessions":[]}`},
		{"[?] users are not created", "POST /v2/users", KeyAdmin, "{}", 405, `method_not_allowed`},
		{"[A] sessions without a key", "GET /v2/sessions", "", "", 401, `unauthorized`},
		{"[A] scopes", create, KeyArchitect, with(`"eventDetails":{"scope":"SCOPE_ALL"}`), 400, `SCOPE_SESSIONS`},
		{"[A] an older revision's types", create, KeyArchitect,
			request("everyone", "TYPE_PAGES", "FORMAT_JSON"), 200, ``},
		{"[A] an older revision's types, the other one", create, KeyArchitect,
			request("everyone", "TYPE_SESSIONS", "FORMAT_JSON"), 200, ``},
		{"[?] unknown keys are ignored", create, KeyArchitect, with(`"columns":["x"],"limit":5`), 200, ``},
		{"[?] wrong kinds of values", create, KeyArchitect, with(`"fields":"UserId"`), 400, `list of strings`},
		{"[?] a field in both spellings", create, KeyArchitect, with(`"segment_id":"rageClicks"`), 400, `twice`},
		{"[?] a comma in a time", create, KeyArchitect, strings.Replace(minimalCreate, "00:00:00Z", "00:00:00,5Z", 1),
			400, `RFC 3339`},
		{"[?] a limit beyond all bounds", "GET /segments/v1?limit=99999999999999999999", KeyStandard, "", 200,
			`everyone`},
		{"[?] a body over 1 MiB", create, KeyArchitect, with(`"x":"` + strings.Repeat("x", 1<<20) + `"`), 413, ``},
		{"[A] a pending operation", "GET pending", KeyStandard, "", 200,
			`"details":null,"results":null,"state":"PENDING","errorDetails":""`},
		{"[?] results of an unfinished export", "GET pending results", KeyArchitect, "", 400, `not complete`},
	} {
		method, path, _ := strings.Cut(test.request, " ")
		on := a
		switch path {
		case "pending":
			on, path = pending, "/operations/v1/"+url.PathEscape(waiting)
		case "pending results":
			on, path = pending, "/search/v1/exports/"+exportID(waiting)+"/results"
		}
		r := on.ask(method, path, test.key, test.body)
		if r.status != test.status || !strings.Contains(r.body, test.says) {
			t.Errorf("%s: %s %.300s\nanswers %d %s\nwant %d … %s", test.rule, test.request, test.body, r.status, r.body,
				test.status, test.says)
		}
		if fields := r.fields(); r.status >= 400 &&
			!(text(fields["code"]) && text(fields["message"]) && len(fields) == 2) {
			t.Errorf("%s: the error has the form %s", test.rule, r.body)
		}
		if date, err := http.ParseTime(r.header.Get("Date")); err != nil || date.Sub(noon).Abs() > time.Minute {
			t.Errorf("%s: Date is %q, want the sandbox's clock", test.rule, r.header.Get("Date"))
		}
	}
	for _, spelling := range []string{"SCOPE_EVENT", "SCOPE_EVENTS", "SCOPE_PAGES", "SCOPE_SESSIONS",
		"SCOPE_INDIVIDUAL", "SCOPE_INDIVIDUALS"} {
		a.create(with(`"eventDetails":{"scope":"` + spelling + `"}`))
	}
}

// TestLists walks lists page by page.
func TestLists(t *testing.T) {
	a := serveAPI(t, Config{})
	var made []string
	for range 7 {
		made = append(made, a.create(minimalCreate))
	}
	for _, id := range made {
		a.completed(id)
	}
	slices.Reverse(made)
	walk := func(path, list string) (ids []string, pages int) {
		for token := ""; ; pages++ {
			m := a.ask("GET", path+"&paginationToken="+token, KeyStandard, "").fields()
			for _, item := range m[list].([]any) {
				ids = append(ids, item.(map[string]any)["id"].(string))
			}
			var more bool
			if token, more = m["nextPaginationToken"].(string); !more {
				return ids, pages + 1
			}
			a.create(minimalCreate) // an export added in the meantime must not move the pages
		}
	}
	segments, pages := walk("/segments/v1?limit=4", "segments")
	if len(segments) != 11 || pages != 3 || len(slices.Compact(slices.Sorted(slices.Values(segments)))) != 11 ||
		segments[9] != "everyone" {
		t.Errorf("segments in %d pages: %q", pages, segments)
	}
	operations, pages := walk("/operations/v1?limit=3&state=COMPLETED", "operations")
	if len(operations) < 7 || !slices.Equal(operations[len(operations)-7:], made) {
		t.Errorf("operations in %d pages: %q, want %q last", pages, operations, made)
	}
}

var (
	microsecond = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)
	nanosecond  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$`)
	exportForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// TestLifeOfAnOperation follows exports through their slots to the end.
func TestLifeOfAnOperation(t *testing.T) {
	t.Parallel()
	// Long enough for four creates on a busy machine while the first two run.
	a := serveAPI(t, Config{OpTime: OpTime{least: 3 * time.Second, most: 3 * time.Second}, Slots: 2})
	var ids []string
	for range 4 {
		ids = append(ids, a.create(minimalCreate))
	}
	last := map[string]int64{}
	sawWaiting, ended := false, 0
	deadline := time.Now().Add(time.Minute)
	for ; ended < len(ids) && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		running := 0
		ended = 0
		for _, item := range a.ask("GET", "/operations/v1", KeyStandard, "").fields()["operations"].([]any) {
			switch step := a.stepOf(item.(map[string]any), last); step {
			case "COMPLETED":
				ended++
			case "exporting":
				running++
			case "waiting for a slot":
				sawWaiting = true
			}
		}
		if running > 2 {
			t.Errorf("%d run in 2 slots", running)
		}
	}
	for _, path := range []string{ids[0], url.PathEscape(ids[0]), strings.ReplaceAll(ids[0], "=", "%3D")} {
		if r := a.ask("GET", "/operations/v1/"+path, KeyStandard, ""); r.status != 200 {
			t.Errorf("[D] an id as %s: %d", path, r.status)
		}
	}
	if !sawWaiting || ended != 4 {
		t.Errorf("saw a waiting operation: %v; %d operations ended", sawWaiting, ended)
	}
	a.checkCompleted(a.completed(ids[0]))
	if most := a.sandbox.report().RunningMax; most != 2 {
		t.Errorf("running_max is %d", most)
	}
	if r := a.ask("POST", "/operations/v1/"+url.PathEscape(ids[0])+"/cancel", KeyStandard, ""); r.status != 400 {
		t.Errorf("[?] cancel of a finished operation: %d %s", r.status, r.body)
	}
}

// stepOf checks a listed operation, given the last percentage of each one, and
// returns its step, or COMPLETED.
func (a *api) stepOf(m map[string]any, last map[string]int64) string {
	a.Helper()
	id := m["id"].(string)
	percent, err := m["estimatePctComplete"].(json.Number).Int64()
	if err != nil || percent < last[id] || (percent == 100) != (m["state"] == "COMPLETED") {
		a.Fatalf("after %d %%: %v", last[id], m)
	}
	last[id] = percent
	if m["state"] == "COMPLETED" {
		return "COMPLETED"
	}
	step, _ := m["step"].(string)
	if m["finishedAt"] != nil || m["results"] != nil || step == "" {
		a.Errorf("a pending operation is %v", m)
	}
	if step == "waiting for a slot" && percent != 0 {
		a.Errorf("a waiting operation is at %d %%", percent)
	}
	return step
}

// checkCompleted checks the fields of a completed operation.
func (a *api) checkCompleted(m map[string]any) {
	a.Helper()
	results := m["results"].(map[string]any)
	created, finished, expires := m["createdAt"].(string), m["finishedAt"].(string), results["expires"].(string)
	if !microsecond.MatchString(created) || !microsecond.MatchString(finished) ||
		!exportForm.MatchString(results["searchExportId"].(string)) || m["type"] != "SEARCH_EXPORT" {
		a.Errorf("completed is %v", m)
	}
	f, _ := time.Parse(time.RFC3339Nano, finished)
	if e, err := time.Parse(time.RFC3339Nano, expires); err != nil || e.Sub(f) != 7*24*time.Hour {
		a.Errorf("expires at %s, finished at %s", expires, finished)
	}
}

func TestCancel(t *testing.T) {
	a := serveAPI(t, Config{OpTime: OpTime{least: time.Hour, most: time.Hour}, Slots: 1})
	first, second := a.create(minimalCreate), a.create(minimalCreate)
	for _, id := range []string{second, first} {
		if r := a.ask("POST", "/operations/v1/"+url.PathEscape(id)+"/cancel", KeyStandard, ""); r.status != 200 ||
			strings.TrimSpace(r.body) != "{}" {
			t.Errorf("[A] cancel answers %d %s", r.status, r.body)
		}
		m := a.completed(id)
		if m["state"] != "FAILED" || !strings.Contains(m["errorDetails"].(string), "cancelled") ||
			m["results"] != nil || !microsecond.MatchString(m["finishedAt"].(string)) {
			t.Errorf("[?] a cancelled operation is %v", m)
		}
	}
	if got := a.sandbox.report().Cancels; got != 2 {
		t.Errorf("%d cancels counted", got)
	}
}

// TestFile requests a file as clients of object stores do.
func TestFile(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	location := a.link(request("tz81RtIU1Rw8", "TYPE_EVENT", "FORMAT_NDJSON"))
	whole := a.ask("GET", location, "", "")
	etag := whole.header.Get("ETag")
	if whole.status != 200 || whole.header.Get("Content-Type") != "application/gzip" ||
		whole.header.Get("Content-Encoding") != "" || !strings.HasPrefix(etag, `"`) ||
		whole.header.Get("Content-Disposition") != `attachment; filename="Checkout visitors 2026-11-05.ndjson.gz"` {
		t.Errorf("the file: %d %v", whole.status, whole.header)
	}
	if rows := unzip(t, whole.body); strings.Count(rows, "\n") < 10 {
		t.Errorf("the file holds %.200s", rows)
	}
	rest := a.ask("GET", location, "", "", "Range", "bytes=100-", "If-Range", etag)
	if rest.status != 206 || rest.body != whole.body[100:] ||
		rest.header.Get("Content-Range") != fmt.Sprintf("bytes 100-%d/%d", len(whole.body)-1, len(whole.body)) {
		t.Errorf("a range: %d %v", rest.status, rest.header)
	}
	for name, r := range map[string]struct {
		answered
		status int
		says   string
	}{
		"[D] If-Range of another": {
			a.ask("GET", location, "", "", "Range", "bytes=100-", "If-Range", `"other"`), 200, ""},
		"[D] beyond the end": {a.ask("GET", location, "", "", "Range", "bytes=99999999-"), 416, ""},
		"[D] HEAD":           {a.ask("HEAD", location, "", ""), 403, ""},
		"[D] POST":           {a.ask("POST", location, "", ""), 403, "SignatureDoesNotMatch"},
		"[A] with the key": {a.ask("GET", location, KeyArchitect, ""), 400,
			"<Error><Code>InvalidArgument</Code>"},
		"[D] forged": {a.ask("GET", location+"0", "", ""), 403, "<Code>SignatureDoesNotMatch</Code>"},
		"[D] with a later expiry": {
			a.ask("GET", regexp.MustCompile(`exp=\d`).ReplaceAllString(location, "exp=9"), "", ""),
			403, "<Code>SignatureDoesNotMatch</Code>"},
		"[D] not signed": {a.ask("GET", strings.Split(location, "?")[0], "", ""), 403, "<?xml"},
	} {
		if r.answered.status != r.status || !strings.Contains(r.body, r.says) {
			t.Errorf("%s: %d %.200s", name, r.answered.status, r.body)
		}
	}
	pinned := request("tz81RtIU1Rw8", "TYPE_EVENT", "FORMAT_NDJSON", `"now":"2026-11-05T00:00:00Z"`)
	again := a.ask("GET", a.link(pinned), "", "")
	if again.body == "" || again.body != whole.body {
		t.Error("the same export has different bytes")
	}

}

// TestExpiry checks what expires when: a link, and an export.
func TestExpiry(t *testing.T) {
	short := serveAPI(t, Config{LinkLife: time.Nanosecond})
	if r := short.ask("GET", short.link(minimalCreate), "", ""); r.status != 403 ||
		!strings.Contains(r.body, "ExpiredToken") {
		t.Errorf("[A] an expired link: %d %s", r.status, r.body)
	}
	gone := serveAPI(t, Config{ExportLife: time.Nanosecond})
	id := gone.completed(gone.create(minimalCreate))["results"].(map[string]any)["searchExportId"].(string)
	if r := gone.ask("GET", "/search/v1/exports/"+id+"/results", KeyArchitect, ""); r.status != 410 {
		t.Errorf("[?] an expired export: %d %s", r.status, r.body)
	}
	a := serveAPI(t, Config{})
	done := a.completed(a.create(minimalCreate))["results"].(map[string]any)["searchExportId"].(string)
	r := a.ask("GET", "/search/v1/exports/"+done+"/results", KeyArchitect, "")
	if expires, _ := r.fields()["expires"].(string); !nanosecond.MatchString(expires) {
		t.Errorf("[A] a link expires at %q", expires)
	}
}

func TestRateLimit(t *testing.T) {
	a := serveAPI(t, Config{Rate: 0.5, Burst: 3})
	for i := range 5 {
		r := a.ask("GET", "/me", KeyStandard, "")
		if want := map[bool]int{true: 200, false: 429}[i < 3]; r.status != want {
			t.Errorf("request %d: %d", i+1, r.status)
		}
		if r.status == 429 && (r.header.Get("Retry-After") != "2" && r.header.Get("Retry-After") != "1" ||
			!strings.Contains(r.body, "too_many_requests")) {
			t.Errorf("[A] throttled with %q %s", r.header.Get("Retry-After"), r.body)
		}
	}
	if r := a.ask("GET", "/me", KeyAdmin, ""); r.status != 200 {
		t.Errorf("another key is throttled, too: %d", r.status)
	}
	want := report{Requests: 6, Throttled: 2}
	if got := a.sandbox.report(); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// TestRequestLog checks the counts and the list of received requests.
func TestRequestLog(t *testing.T) {
	a := serveAPI(t, Config{})
	a.create(minimalCreate)
	a.create(strings.Replace(minimalCreate, `{`, `{"now":"2026-11-01T00:00:00Z",`, 1))
	a.ask("GET", a.link(request("rageClicks", "TYPE_EVENT", "FORMAT_NDJSON")), "", "")
	a.ask("POST", "/segments/v1/exports", KeyArchitect, "{")
	a.ask("POST", "/segments/v1/exports", KeyStandard, minimalCreate)
	a.ask("GET", "/nowhere", "", "")
	var got report
	if err := json.Unmarshal([]byte(a.ask("GET", "/sandbox/stats", "", "").body), &got); err != nil {
		t.Fatal(err)
	}
	polls := got.Requests - 7
	want := report{Requests: 7 + polls, CreatesAccepted: 3, CreatesRejected: 2, Windows: 2, Downloads: 1,
		RunningMax: got.RunningMax}
	if got != want || polls < 1 || got.RunningMax < 1 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var logged struct {
		Requests []loggedRequest
		Accepted []acceptedRequest
	}
	if err := json.Unmarshal([]byte(a.ask("GET", "/sandbox/requests", "", "").body), &logged); err != nil {
		t.Fatal(err)
	}
	if len(logged.Accepted) != 2 || logged.Accepted[0].Count != 1 || logged.Accepted[1].Count != 2 ||
		len(logged.Accepted[0].Fingerprint) != 16 {
		t.Errorf("accepted: %+v", logged.Accepted)
	}
	if n := len(logged.Requests); n != int(got.Requests)+1 || logged.Requests[n-1].Status != 404 ||
		strings.Contains(fmt.Sprint(logged.Requests), "sandbox-architect") {
		t.Errorf("%d requests: %+v", n, logged.Requests)
	}
}

// TestState shares a folder between several sandboxes and reopens it.
func TestState(t *testing.T) {
	folder := t.TempDir()
	a, b := serveAPI(t, Config{State: folder}), serveAPI(t, Config{State: folder})
	operation := a.create(minimalCreate)
	location := a.link(minimalCreate)
	if m := b.completed(operation); m["state"] != "COMPLETED" {
		t.Errorf("the other sandbox reports %v", m)
	}
	moved := strings.Replace(location, a.url, b.url, 1)
	if r := b.ask("GET", moved, "", ""); r.status != 200 {
		t.Errorf("a link of the other sandbox: %d %s", r.status, r.body)
	}
	if x, y := a.sandbox.Now(), b.sandbox.Now(); y.Sub(x).Abs() > time.Second {
		t.Errorf("the clocks show %v and %v", x, y)
	}
	journal := folder + "/journal.jsonl"
	appendTo(t, journal, `{"export":"torn","at":"2026`)
	c := serveAPI(t, Config{State: folder})
	later := c.create(minimalCreate)
	for _, each := range []*api{a, c, serveAPI(t, Config{State: folder})} {
		if m := each.completed(later); m["state"] != "COMPLETED" {
			t.Errorf("after a torn line: %v", m)
		}
	}
	appendTo(t, journal, "garbage\n")
	if _, err := New(Config{State: folder}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged journal: %v", err)
	}
}

func TestOpTimeForms(t *testing.T) {
	for text, want := range map[string]OpTime{
		"2s":         {least: 2 * time.Second, most: 2 * time.Second},
		"1s..5s":     {least: time.Second, most: 5 * time.Second},
		"rows/50000": {rowsPerSecond: 50000},
	} {
		var o OpTime
		if err := o.UnmarshalText([]byte(text)); err != nil || o != want {
			t.Errorf("%s: %+v, %v", text, o, err)
		}
	}
	for _, text := range []string{"", "2", "soon", "5s..1s", "-1s", "0s", "rows/0", "rows/x"} {
		if err := new(OpTime).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
	a := serveAPI(t, Config{OpTime: OpTime{rowsPerSecond: 1}})
	x, _, err := a.sandbox.journal.get(exportID(a.create(minimalCreate)))
	if err != nil || x.duration < time.Minute || x.duration%time.Second != 0 {
		t.Errorf("a day at one row a second takes %v, %v", x.duration, err)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// newRequest returns a create with the architect's key.
func newRequest(ctx context.Context, t *testing.T, address, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Basic "+KeyArchitect)
	return r
}

func transport(r *http.Request) (*http.Response, error) { return http.DefaultTransport.RoundTrip(r) }
