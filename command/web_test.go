//go:build unix

package command

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestWebPages reads every page without JavaScript, as callers with different rights.
func TestWebPages(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	sync := map[string]any{"action": "create", "name": "daily", "segment_id": "everyone", "type": "TYPE_EVENT",
		"from": "2026-11-01"}
	if err := callTool(w.ctx, w.anna, "sync_export", sync, nil); err != nil {
		t.Fatal(err)
	}
	anna := w.browser("anna")
	has(t, "the list", anna.page("/"), "first-days", "daily", "bulk/"+w.id, "sync/daily", "anna", "emea", "Sign out")
	has(t, "the page of a bulk export", anna.page("/bulk/"+w.id), "<bdi>first-days</bdi>", "complete", "3 of 3 windows",
		"2026-10-01 00:00 &#43;00:00", `files?bulk=`+w.id)
	has(t, "the page of a sync", anna.page("/sync/daily"), "daily", "Pause", "Next run")
	has(t, "the files", anna.page("/files"), "first-days", "files?bulk="+w.id)
	files := anna.page("/files?bulk=" + w.id)
	has(t, "the files of a bulk export", files, "Download all", "2026-10-01", "SHA-256")
	has(t, "the audit log", anna.page("/audit"), "anna", "asked", "created", "stored", w.id, "sync_added")

	rita, lena := w.browser("rita"), w.browser("lena")
	if page := rita.page("/bulk/" + w.id); strings.Contains(page, "files?bulk") || strings.Contains(page, "/pause") {
		t.Errorf("a reader is offered files or actions:\n%s", page)
	}
	if g := rita.get("/files"); g.status != http.StatusForbidden {
		t.Errorf("files answer a reader %d", g.status)
	}
	if page := rita.page("/audit"); !strings.Contains(page, "no entries") {
		t.Errorf("a reader sees entries of others:\n%s", page)
	}
	link := regexp.MustCompile(`href="(file/[^"]+)"`).FindStringSubmatch(files)
	if link == nil {
		t.Fatalf("no file is linked:\n%s", files)
	}
	w.fetched(lena, "/"+link[1])
	w.fetched(lena, "/tar/"+w.id)
	has(t, "her audit log", lena.page("/audit"), "offered", "served", "first-days.tar")
	for _, path := range []string{"/bulk/nothing", "/sync/nothing", "/bulk/" + w.id + "/nothing",
		"/files?bulk=nothing"} {
		if g := anna.get(path); g.status != http.StatusNotFound && g.status != http.StatusBadRequest {
			t.Errorf("%s answers %d", path, g.status)
		}
	}
}

// fetched fetches a file as the page leads to it, whole and in part.
func (w *webWorld) fetched(b *browser, path string) {
	w.t.Helper()
	g := b.get(path, "Sec-Fetch-Site", "same-origin")
	to := g.header.Get("Location")
	up := strings.Count(strings.TrimPrefix(path, "/"), "/")
	if g.status != http.StatusSeeOther || !strings.HasPrefix(to, strings.Repeat("../", up)+"files/") {
		w.t.Fatalf("%s answers %d, to %q: %.300s", path, g.status, to, g.body)
	}
	url := w.server.url + "/" + strings.ReplaceAll(to, "../", "")
	whole := w.expect("the file", http.StatusOK, url)
	part := w.expect("a part", http.StatusPartialContent, url, "Range", "bytes=10-19")
	if string(part.body) != string(whole.body[10:20]) || !strings.HasPrefix(whole.header.Get("Content-Disposition"),
		"attachment") {
		w.t.Errorf("%s: a part is %q, %q", path, part.body, whole.header)
	}
}

// TestWebActions pauses, resumes and cancels by forms, and finds each in the audit log.
func TestWebActions(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	id := w.running("long")
	anna := w.browser("anna")
	page := "/bulk/" + id
	for _, step := range []struct{ action, state string }{{"pause", "paused"}, {"resume", "running"}} {
		g := anna.submit(page, page+"/"+step.action, nil)
		if g.status != http.StatusSeeOther || g.header.Get("Location") != "../"+id {
			t.Fatalf("%s answers %d, to %q: %s", step.action, g.status, g.header.Get("Location"), g.body)
		}
		if got := w.state(id); got != step.state {
			t.Errorf("after %s it is %s", step.action, got)
		}
	}
	has(t, "the question before a cancellation", anna.page(page+"/cancel"), "Cancel <bdi>long</bdi>?",
		"cannot be undone", "Keep it")
	if got := w.state(id); got != "running" {
		t.Errorf("the question alone has made it %s", got)
	}
	if g := anna.submit(page, page+"/cancel", nil); g.status != http.StatusConflict || w.state(id) != "running" {
		t.Errorf("cancel without the question answers %d", g.status)
	}
	agreed := url.Values{"agreed": {"yes"}}
	if g := anna.submit(page+"/cancel", page+"/cancel", agreed); g.status != http.StatusSeeOther {
		t.Errorf("cancel answers %d: %s", g.status, g.body)
	}
	if got := w.state(id); got != "cancelled" {
		t.Errorf("after cancel it is %s", got)
	}
	if g := anna.submit("/sign-in", page+"/pause", nil, "Accept", "application/json"); g.status != http.StatusConflict ||
		!strings.Contains(string(g.body), "cannot be changed with pause") {
		t.Errorf("pause of a cancelled one answers %d %s", g.status, g.body)
	}
	has(t, "the audit log", anna.page("/audit"),
		"paused", "Paused on request.", "running", "cancelled", "consent: web page")
	if got := audited(t, w.program, "paused", w.dir, "emea"); len(got) != 1 || !strings.HasPrefix(got[0], "anna") {
		t.Errorf("the audit log has %q paused", got)
	}
}

// TestWebEvents follows a bulk export on its page, until it is paused, the session ends, and the
// server stops.
func TestWebEvents(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	id := w.running("long")
	anna, other := w.browser("anna"), w.browser("carl")
	stored := func(d webDrawing) bool { return d.Items[0].Chunks.Stored > 2 }
	next := w.follow(anna, "/bulk/"+id+"/events")
	for d := next(); !stored(d); d = next() {
		if len(d.Calendars[id].States) == 0 || len(d.Can) != 3 {
			t.Fatalf("the drawing is %+v", d)
		}
	}
	if g := anna.submit("/bulk/"+id, "/bulk/"+id+"/pause", nil); g.status != http.StatusSeeOther {
		t.Fatalf("pause answers %d", g.status)
	}
	for d := next(); d.Items[0].State != "paused"; d = next() {
	}
	for range 3 {
		w.follow(anna, "/events")
	}
	if g := anna.get("/events"); g.status != http.StatusTooManyRequests {
		t.Errorf("a fifth stream of a session answers %d", g.status)
	}
	ended := w.follow(other, "/events")
	if ended(); other.submit("/", "/sign-out", nil).status != http.StatusSeeOther {
		t.Error("sign-out fails")
	}
	if d := ended(); !d.Ended {
		t.Errorf("after sign-out the stream sends %+v", d)
	}
	if g := other.get("/"); g.status != http.StatusSeeOther {
		t.Errorf("after sign-out the list answers %d", g.status)
	}
	if status, took := w.server.terminate(patience); status != 0 || took > 4*time.Second {
		t.Errorf("with open streams the server ended with %d after %v", status, took)
	}
	if d := next(); !d.Ended {
		t.Errorf("after the end the stream sends %+v", d)
	}
}

// webDrawing is what the page draws.
type webDrawing struct {
	Items []struct {
		State  string
		Chunks struct{ Stored int }
	}
	Calendars map[string]struct{ States string }
	Can       []string
	Ended     bool `json:"-"` // the stream
}

// follow opens a stream of events, and returns what reads the next one.
func (w *webWorld) follow(b *browser, path string) (next func() webDrawing) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.ctx, http.MethodGet, b.base+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Cookie", b.cookies())
	r.Header.Set("Accept", "text/event-stream")
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { answer.Body.Close() })
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream" {
		w.t.Fatalf("%s answers %d with %s", path, answer.StatusCode, kind)
	}
	lines := bufio.NewReader(answer.Body)
	return func() (d webDrawing) {
		w.t.Helper()
		for {
			line, err := lines.ReadString('\n')
			data, isData := strings.CutPrefix(line, "data: ")
			switch {
			case err != nil, strings.HasPrefix(line, "event: end"):
				return webDrawing{Ended: true}
			case isData:
				if err := json.Unmarshal([]byte(data), &d); err != nil {
					w.t.Fatalf("the event %q: %v", data, err)
				}
				return d
			}
		}
	}
}
