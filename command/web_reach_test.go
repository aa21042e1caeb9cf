//go:build unix

package command

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// TestWebRedirects asks to be led elsewhere after sign-in.
func TestWebRedirects(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	for i, to := range []string{
		"https://evil.example", "//evil.example", `\\evil.example`, "/\\evil.example", "/%09/evil.example",
		"/..//evil.example",
		"javascript:alert(1)", "data:text/html,x", "bulk/../../evil", "bulk/x/../..//evil.example", "bulk//evil.example",
		"bulk/x?y=//evil.example", "files//evil.example", "files\r\nSet-Cookie: a=b", "sign-out", "http:evil.example",
		"bulk/.",
		" //evil.example", "files@evil.example", "bulk/" + strings.Repeat("a", 300),
	} {
		b := newBrowser(t, w.server.url)
		g := b.submit("/sign-in?next="+url.QueryEscape(to), "/sign-in?next="+url.QueryEscape(to),
			url.Values{"caller_token": {w.callers.tokens["anna"]}, "next": {to}}, "X-Forwarded-For",
			fmt.Sprintf("192.0.2.%d", i))
		if at := g.header.Get("Location"); g.status != http.StatusSeeOther || at != "./" ||
			g.header.Get("Set-Cookie") == "" {
			t.Errorf("%q: answered %d, to %q", to, g.status, at)
		}
	}
	b := newBrowser(t, w.server.url)
	if at := b.get("/bulk/" + w.id).header.Get("Location"); at != "../sign-in?next=bulk%2F"+w.id {
		t.Errorf("without a session the page leads to %q", at)
	}
	g := b.submit("/sign-in", "/sign-in?next=bulk%2F"+w.id, url.Values{"caller_token": {w.callers.tokens["anna"]}})
	if at := g.header.Get("Location"); at != "./bulk/"+w.id {
		t.Errorf("sign-in leads to %q", at)
	}
}

// TestWebPaths reaches for files that are none of an export, in every spelling.
func TestWebPaths(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	secret := filepath.Join(w.dir, "secret.txt")
	if err := os.WriteFile(secret, []byte("zq7-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	anna := w.browser("anna")
	anna.get("/")
	for _, path := range []string{
		"/file/../secret.txt", "/file/%2e%2e/%2e%2e/secret.txt", "/file/..%2f..%2fsecret.txt/0/0",
		"/file/..%5c..%5csecret.txt/0/0",
		"/file/%252e%252e%252fsecret.txt/0/0", "/file/" + w.id + "/..%2f..%2f/secret.txt",
		"/file/" + w.id + "/0/..%2f..%2fsecret.txt",
		"/file/" + w.id + "/0/%00", "/file/" + w.id + "/-1/0", "/file/" + w.id + "/1e3/0", "/file/" + w.id + "/0/",
		"/file/first-days/0/0",
		"/file/" + url.PathEscape(secret) + "/0/0", "/tar/..%2fsecret.txt", "/tar/..", "/tar/%2e%2e", "/tar/first-days",
		"/files/../secret.txt", "/files/%2e%2e/secret.txt", "/files/..%2fsecret.txt", "/files/x/..%2f..%2fsecret.txt",
		"/assets/..%2fweb.go",
		"/assets/%2e%2e%2fpage.js", "/assets/templates%2flayout.html", "/bulk/..%2f..%2fsecret.txt",
		"/files?bulk=../secret.txt",
		"/file/" + w.id + "/99999999999999999999/0", "/file/" + w.id + "/0/" + strings.Repeat("0", 16),
	} {
		g := anna.get(path, "Sec-Fetch-Site", "same-origin")
		lacks(t, path, g.body, "zq7-secret", "package web")
		if to := g.header.Get("Location"); g.status < 300 || strings.Contains(to, "files/") &&
			g.status == http.StatusSeeOther {
			t.Errorf("%s answers %d, to %q", path, g.status, to)
		}
	}
	if got := audited(t, w.program, "offered", w.dir, "emea"); slices.ContainsFunc(got, func(e string) bool {
		return strings.Contains(e, "secret")
	}) {
		t.Errorf("the audit log has %q offered", got)
	}
}

// TestWebCallersAreApart has bert read and change what anna has, and readers change it.
func TestWebCallersAreApart(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	id := w.running("long")
	anna, bert, rita, lena := w.browser("anna"), w.browser("bert"), w.browser("rita"), w.browser("lena")
	file := regexp.MustCompile(`href="(file/[^"]+)"`).FindStringSubmatch(anna.page("/files?bulk=" + w.id))
	if file == nil {
		t.Fatal("anna has no file")
	}
	unknown := bert.get("/bulk/nothing-of-his")
	for _, path := range []string{"/bulk/" + w.id, "/bulk/first-days", "/bulk/" + w.id + "/data",
		"/bulk/" + w.id + "/cancel",
		"/sync/" + w.id, "/" + file[1], "/tar/" + w.id, "/files?bulk=" + w.id, "/bulk/" + w.id + "/events"} {
		g := bert.get(path, "Sec-Fetch-Site", "same-origin", "Accept", "application/json")
		lacks(t, path, g.body, "first-days", "emea", "2026-10")
		if g.status != unknown.status && !strings.HasSuffix(path, "/events") {
			t.Errorf("bert: %s answers %d, and %d what nobody has", path, g.status, unknown.status)
		}
	}
	for _, path := range []string{"/", "/data", "/files", "/audit"} {
		lacks(t, path, bert.get(path).body, "first-days", w.id, "anna", id)
	}
	for name, b := range map[string]*browser{"bert": bert, "rita": rita, "lena": lena} {
		for _, action := range []string{"pause", "resume", "retry", "cancel"} {
			g := b.submit("/sign-in", "/bulk/"+id+"/"+action, url.Values{"agreed": {"yes"}})
			if want := map[string]int{"bert": http.StatusNotFound}[name]; g.status != max(want, http.StatusForbidden) {
				t.Errorf("%s: %s answers %d", name, action, g.status)
			}
		}
	}
	if g := rita.get("/" + file[1]); g.status != http.StatusForbidden {
		t.Errorf("a file answers a reader %d", g.status)
	}
	if g := anna.get("/"+file[1], "Sec-Fetch-Site", "cross-site"); g.status != http.StatusForbidden {
		t.Errorf("a link of another site to a file answers %d", g.status)
	}
	if got := w.state(id); got != "running" {
		t.Errorf("it is %s", got)
	}
	lacks(t, "a page", anna.get("/bulk/"+w.id+"/data").body, w.dir)
}

// TestWebTexts has a Fullstory that says hostile texts wherever it can, and looks for them in pages.
func TestWebTexts(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"markup":     `zq7"><img src=x onerror=zq7()><script>zq7()</script>'`,
		"attributes": `zq7' onmouseover='zq7()" autofocus onfocus="zq7()`,
		"templates":  `zq7{{.FormToken}}${zq7}</title></textarea></bdi></template>`,
		"direction":  "zq7\u202e\u2066\u200b\u0000\u001b[31m",
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texted(t, lie{path: "texts", text: text})
		})
	}
	t.Run("errors", func(t *testing.T) {
		t.Parallel()
		texted(t, lie{path: "texts", text: texts["markup"], failed: true})
	})
}

// texted reads the pages of a server whose Fullstory says one hostile text wherever it can.
func texted(t *testing.T, l lie) {
	command := exec.Command(build(t), "serve", "--addr", "127.0.0.1:0", "--dir", t.TempDir(), "--api-url", newLiar(t,
		l).URL)
	command.Env = append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect)
	s := serveCommandLine(t, command)
	h, err := s.open(t.Context(), newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	bulk := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "day", "name": "zq7-<b>bulk</b>\"'",
		"time_range": window{"2026-11-20", "2026-11-22"}, "segment_time_range": "range",
	}
	var started struct {
		BulkID string `json:"bulk_id"`
	}
	if err := callTool(t.Context(), h, "start_bulk_export", bulk, &started); err != nil {
		bulk["name"] = "zq7-bulk"
		if err := callTool(t.Context(), h, "start_bulk_export", bulk, &started); err != nil {
			t.Fatal(err)
		}
	}
	b := newBrowser(t, s.url)
	eventually(t, "it ends or says why not", func() bool {
		page := b.page("/bulk/" + started.BulkID)
		return strings.Contains(page, "problems\"") || strings.Contains(page, "complete")
	})
	pages := map[string]string{}
	for _, path := range []string{"/", "/bulk/" + started.BulkID, "/files", "/files?bulk=" + started.BulkID, "/audit",
		"/data",
		"/bulk/" + started.BulkID + "/data"} {
		pages[path] = string(b.get(path).body)
	}
	if !strings.Contains(strings.Join(slices.Collect(maps.Values(pages)), ""), "zq7") {
		t.Error("no page has the text: the test shows nothing")
	}
	for path, page := range pages {
		if found := unseen.FindString(page); found != "" {
			t.Errorf("%s has %q", path, found)
		}
		if strings.HasSuffix(path, "data") { // JSON, which the view draws as text; see .ci/web
			lacks(t, path, []byte(page), "<", ">")
			continue
		}
		checkMarkup(t, path, page)
	}
}

// unseen matches characters that control a terminal, are invisible or change the direction of text.
var unseen = regexp.MustCompile(`[\x{202a}-\x{202e}\x{2066}-\x{2069}\x{200b}\x00-\x08\x0e-\x1f]`)

// The markup of pages: every "<" begins a tag, and texts have none.
var (
	anyTag        = regexp.MustCompile(`<[^>]*>?`)
	ownTag        = regexp.MustCompile(`^</?([a-z][a-z0-9]*)((?: [a-z-]+(?:="[^"<>]*")?)*)>$|^<!doctype html>$`)
	attributeName = regexp.MustCompile(` ([a-z-]+)(?:="[^"]*")?`)
)

// checkMarkup fails if a page has a tag or an attribute that the templates do not have.
func checkMarkup(t *testing.T, path, page string) {
	t.Helper()
	tags := strings.Fields("html head meta title link body a div span nav form input button main h1 h2 h3 p table " +
		"thead tbody tr th td bdi code details summary section ul li strong header script dl dt dd")
	attributes := strings.Fields("lang charset name content rel href class id aria-label aria-current method action " +
		"type value data-source data-root data-token src defer tabindex role scope")
	for _, tag := range anyTag.FindAllString(strings.ReplaceAll(page, "\n", " "), -1) {
		found := ownTag.FindStringSubmatch(tag)
		if found == nil || found[1] != "" && !slices.Contains(tags, found[1]) {
			t.Errorf("%s has the tag %q", path, tag)
			continue
		}
		for _, attribute := range attributeName.FindAllStringSubmatch(found[2], -1) {
			if !slices.Contains(attributes, attribute[1]) {
				t.Errorf("%s has %q with %q", path, tag, attribute[1])
			}
		}
		own := strings.Contains(tag, `src="./assets/`) || strings.Contains(tag, `src="../assets/`)
		if found[1] == "script" && tag != "</script>" && !own {
			t.Errorf("%s has the script %q", path, tag)
		}
	}
}
