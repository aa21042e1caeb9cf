package sandbox

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestFaultsInPlaceOfAnswers checks the faults that answer any request in place of
// the API, and those that answer a create after it was accepted.
func TestFaultsInPlaceOfAnswers(t *testing.T) {
	a := serveAPI(t, Config{})
	id := func(r answered) bool { return text(r.fields()["operationId"]) }
	for _, test := range []struct {
		do       string
		status   int
		accepted int
		check    func(answered) bool
	}{
		{"400", 400, 0, func(r answered) bool { return strings.Contains(r.body, "invalid_request") }},
		{"404", 404, 0, func(r answered) bool { return strings.Contains(r.body, "resource_not_found") }},
		{"503", 503, 0, func(r answered) bool { return r.header.Get("Retry-After") == "" }},
		{"200_error", 200, 0, func(r answered) bool {
			return r.fields()["error"] == "the quota of exports is used up"
		}},
		{"200_empty_object", 200, 0, func(r answered) bool { return strings.TrimSpace(r.body) == "{}" }},
		{"200_html", 200, 0, isPage},
		{"204", 204, 0, func(r answered) bool { return r.body == "" }},
		{"200_error_after_accept", 200, 1, func(r answered) bool { return text(r.fields()["error"]) && !id(r) }},
		{"200_empty_object_after_accept", 200, 1, func(r answered) bool { return strings.TrimSpace(r.body) == "{}" }},
		{"200_html_after_accept", 200, 1, isPage},
		{"201_after_accept", 201, 1, id},
		{"202_after_accept", 202, 1, id},
		{"204_after_accept", 204, 1, func(r answered) bool { return r.body == "" }},
	} {
		before := a.sandbox.report().CreatesAccepted
		a.script(`{"on":"create","nth":1,"do":"` + test.do + `"}`)
		r := a.ask("POST", createPath, KeyArchitect, minimalCreate)
		if r.status != test.status || !test.check(r) || r.header.Get("Sandbox-Fault") != test.do {
			t.Errorf("%s: %d %v %s", test.do, r.status, r.header, r.body)
		}
		if got := a.sandbox.report().CreatesAccepted - before; got != test.accepted {
			t.Errorf("%s: %d exports accepted, want %d", test.do, got, test.accepted)
		}
		a.create(minimalCreate)
	}
	a.script(`{"on":"create","do":"202_after_accept"},{"on":"list","do":"404"},
		{"on":"me","do":"200_error","message":"quota"}`)
	if r := a.ask("POST", createPath, KeyArchitect, "{"); r.status != 400 {
		t.Errorf("a rejected create: %d %s", r.status, r.body)
	}
	if r := a.ask("GET", "/operations/v1", KeyArchitect, ""); r.status != 404 {
		t.Errorf("404 of the list: %d", r.status)
	}
	if r := a.ask("GET", "/me", KeyArchitect, ""); r.fields()["error"] != "quota" {
		t.Errorf("200_error with a message: %s", r.body)
	}
}

func isPage(r answered) bool {
	return strings.HasPrefix(r.header.Get("Content-Type"), "text/html") && strings.HasPrefix(r.body, "<!DOCTYPE html>")
}

func TestRetryAfter(t *testing.T) {
	a := serveAPI(t, Config{})
	a.script(`{"on":"me","nth":1,"do":"429","after":"24h"},{"on":"me","nth":2,"do":"503","after":"90s"},
		{"on":"me","nth":3,"do":"429_date","after":"24h"},{"on":"me","nth":4,"do":"429_date"}`)
	ask := func() answered { return a.ask("GET", "/me", KeyArchitect, "") }
	if r := ask(); r.status != 429 || r.header.Get("Retry-After") != "86400" {
		t.Errorf("429 of a day: %d %v", r.status, r.header)
	}
	if r := ask(); r.status != 503 || r.header.Get("Retry-After") != "90" {
		t.Errorf("503 of 90 s: %d %v", r.status, r.header)
	}
	for _, want := range []time.Duration{24 * time.Hour, time.Second} {
		r := ask()
		at, err := http.ParseTime(r.header.Get("Retry-After"))
		date, err2 := http.ParseTime(r.header.Get("Date"))
		if err != nil || err2 != nil || r.status != 429 || (at.Sub(date)-want).Abs() > 2*time.Second {
			t.Errorf("429_date after %v: %d %v", want, r.status, r.header)
		}
	}
}

// TestRedirects checks where each redirect of results and of files leads.
func TestRedirects(t *testing.T) {
	a := serveAPI(t, Config{})
	location := a.link(minimalCreate)
	results := a.url + "/search/v1/exports/x/results"
	for place, asked := range map[string]string{"results": results, "download": location} {
		path := strings.TrimPrefix(asked, a.url)
		for do, want := range map[string]string{
			"307_path": a.url + "/moved" + path,
			"307_host": strings.Replace(a.url, "127.0.0.1", "localhost", 1) + "/moved" + path,
			"307_self": asked, "307_no_location": "",
		} {
			a.script(`{"on":"` + place + `","do":"` + do + `"}`)
			key := map[string]string{"results": KeyArchitect}[place]
			r := a.ask("GET", asked, key, "")
			if r.status != 307 || r.header.Get("Location") != want {
				t.Errorf("%s on %s: %d %q, want %q", do, place, r.status, r.header.Get("Location"), want)
			}
		}
	}
	if r := a.ask("GET", "/moved/search/v1/exports/x/results", KeyArchitect, ""); r.status != 404 {
		t.Errorf("the target of a redirect: %d", r.status)
	}
}

// TestLinks checks each fault of links.
func TestLinks(t *testing.T) {
	a := serveAPI(t, Config{})
	export := exportID(a.create(minimalCreate))
	a.completed(operationID(export))
	for do, check := range map[string]func(string) bool{
		"link_relative": func(l string) bool {
			return strings.HasPrefix(l, filePath) && a.ask("GET", l, "", "").status == 200
		},
		"link_space": func(l string) bool {
			return strings.Contains(l, " ") && a.ask("GET", strings.ReplaceAll(l, " ", "%20"), "", "").status == 200
		},
		"link_scheme": func(l string) bool { return strings.HasPrefix(l, "ftp://127.0.0.1") },
		"link_empty":  func(l string) bool { return l == "" },
	} {
		a.script(`{"on":"results","nth":1,"do":"` + do + `"}`)
		m := a.ask("GET", "/search/v1/exports/"+export+"/results", KeyArchitect, "").fields()
		location, ok := m["location"].(string)
		if !ok || !check(location) || !nanosecond.MatchString(m["expires"].(string)) {
			t.Errorf("%s: %v", do, m)
		}
		if r := a.ask("GET", "/search/v1/exports/nope/results", KeyArchitect, ""); r.status != 404 {
			t.Errorf("%s: results of an unknown export: %d", do, r.status)
		}
	}
}

// TestOddIDs uses each kind of odd id with every route.
func TestOddIDs(t *testing.T) {
	folder := t.TempDir()
	a := serveAPI(t, Config{Density: usual, State: folder})
	slow := serveAPI(t, Config{OpTime: OpTime{least: time.Hour, most: time.Hour}})
	for do, check := range map[string]func(string) bool{
		"id_spaces":  func(id string) bool { return strings.Contains(id, "t ") && strings.HasSuffix(id, " ") },
		"id_accent":  func(id string) bool { return strings.Contains(id, "é") },
		"id_newline": func(id string) bool { return strings.Contains(id, "\n") },
		"id_long":    func(id string) bool { return len(id) == 2048 },
	} {
		a.script(`{"on":"operation","nth":1,"do":"` + do + `"}`)
		id := a.create(anHour("FORMAT_NDJSON"))
		if !check(id) {
			t.Errorf("%s: the id is %q", do, id)
		}
		b := serveAPI(t, Config{Density: usual, State: folder}) // as another process, or after a restart
		search, _ := b.completed(id)["results"].(map[string]any)["searchExportId"].(string)
		if !check(search) {
			t.Errorf("%s: the export's id is %q", do, search)
		}
		list := b.ask("GET", "/operations/v1", KeyStandard, "").fields()["operations"].([]any)
		if got := list[0].(map[string]any)["id"]; got != id {
			t.Errorf("%s: the list has %q", do, got)
		}
		link := b.ask("GET", "/search/v1/exports/"+url.PathEscape(search)+"/results", KeyArchitect, "").fields()
		location, _ := link["location"].(string)
		if r := b.ask("GET", location, "", ""); r.status != 200 || strings.Count(unzip(t, r.body), "\n") < 10 {
			t.Errorf("%s: the file at %q: %d %v", do, location, r.status, r.err)
		}
		slow.script(`{"on":"operation","nth":1,"do":"` + do + `"}`)
		running := slow.create(anHour("FORMAT_NDJSON"))
		cancel := "/operations/v1/" + url.PathEscape(running) + "/cancel"
		if r := slow.ask("POST", cancel, KeyStandard, ""); r.status != 200 {
			t.Errorf("%s: cancel answers %d", do, r.status)
		}
		if m := slow.completed(running); m["state"] != "FAILED" || m["id"] != running {
			t.Errorf("%s: after the cancel: %v", do, m)
		}
	}
}

// TestFaultsOfStatus checks operations whose status, list entry or cancel fails.
func TestFaultsOfStatus(t *testing.T) {
	a := serveAPI(t, Config{})
	a.script(`{"on":"operation","nth":1,"do":"status_500"},{"on":"operation","nth":2,"do":"status_500_unlisted"},
		{"on":"operation","nth":3,"do":"unlisted"}`)
	var ids []string
	for range 4 {
		ids = append(ids, a.create(minimalCreate))
	}
	listed := map[any]bool{}
	for _, o := range a.ask("GET", "/operations/v1", KeyStandard, "").fields()["operations"].([]any) {
		listed[o.(map[string]any)["id"]] = true
	}
	for i, want := range []struct {
		status int
		listed bool
	}{{500, true}, {500, false}, {200, false}, {200, true}} {
		for range 3 {
			r := a.ask("GET", "/operations/v1/"+url.PathEscape(ids[i]), KeyStandard, "")
			if r.status != want.status || listed[ids[i]] != want.listed {
				t.Errorf("operation %d: %d, listed: %v; want %+v", i+1, r.status, listed[ids[i]], want)
			}
		}
	}
	a.script(`{"on":"cancel","do":"500"}`)
	for range 3 {
		if r := a.ask("POST", "/operations/v1/"+url.PathEscape(ids[3])+"/cancel", KeyStandard, ""); r.status != 500 {
			t.Errorf("cancel: %d", r.status)
		}
	}
}

func TestFaultsOfDisposition(t *testing.T) {
	a := serveAPI(t, Config{})
	location := a.link(request("tz81RtIU1Rw8", "TYPE_EVENT", "FORMAT_NDJSON"))
	name := func() string {
		_, with, err := mime.ParseMediaType(a.ask("GET", location, "", "").header.Get("Content-Disposition"))
		if err != nil {
			t.Error(err)
		}
		return with["filename"]
	}
	a.script(`{"on":"download","nth":1,"do":"disposition_other"},{"on":"download","nth":2,"do":"disposition_hostile"}`)
	if got := name(); !strings.HasPrefix(got, "Big baskets 2026") {
		t.Errorf("disposition_other: %q", got)
	}
	if got := name(); !strings.HasPrefix(got, "../../x") || !strings.Contains(got, "\"quoted\"\n") ||
		len(got) < 10_000 {
		t.Errorf("disposition_hostile: %q", got)
	}
	if got := name(); got != "Checkout visitors 2026-11-05.ndjson.gz" {
		t.Errorf("after the faults: %q", got)
	}
	a.script(`{"on":"operation","do":"disposition_other"}`)
	location = a.link(minimalCreate)
	if got := name(); !strings.HasPrefix(got, "Rage clickers") {
		t.Errorf("disposition_other of an export: %q", got)
	}
}

// TestStoreFailures checks that failures of the store last.
func TestStoreFailures(t *testing.T) {
	a := serveAPI(t, Config{})
	location := a.link(anHour("FORMAT_NDJSON"))
	for do, want := range map[string]struct {
		status int
		says   string
	}{"503": {503, "<Code>SlowDown"}, "404": {404, "<Code>NoSuchKey"}, "400": {400, "<Code>InvalidArgument"}} {
		a.script(`{"on":"download","do":"` + do + `"}`)
		for range 3 {
			if r := a.ask("GET", location, "", ""); r.status != want.status || !strings.Contains(r.body, want.says) {
				t.Errorf("%s: %d %s", do, r.status, r.body)
			}
		}
	}
}
