//go:build unix

package command

import (
	"encoding/base64"
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

// webHeaders are what every answer of the page has.
var webHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
		"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
	"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
	"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
}

// TestWebHeaders reads the headers of every kind of answer: a page cannot be framed, loads nothing
// from elsewhere, and is not kept.
func TestWebHeaders(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	anna, nobody := w.browser("anna"), newBrowser(t, w.server.url)
	answers := map[string]got{
		"a problem": anna.get("/bulk/nothing"), "an asset": anna.get("/assets/page.js"),
		"a redirect": nobody.get("/"), "the form": nobody.get("/sign-in"), "unknown": anna.get("/assets/nothing"),
		"a rejected action": anna.send("POST", "/bulk/"+w.id+"/pause", url.Values{}), "data": anna.get("/data"),
		"another method": anna.send("PUT", "/", nil), "a foreign request": anna.get("/data", "Sec-Fetch-Site", "cross-site",
			"Sec-Fetch-Mode", "no-cors"),
	}
	for _, path := range []string{"/", "/bulk/" + w.id, "/bulk/" + w.id + "/data", "/files", "/audit"} {
		answers[path] = anna.get(path)
	}
	for what, g := range answers {
		for name, want := range webHeaders {
			if value := g.header.Get(name); value != want {
				t.Errorf("%s: %s is %q", what, name, value)
			}
		}
		if kept := g.header.Get("Cache-Control"); kept != "no-store" && what != "an asset" {
			t.Errorf("%s: Cache-Control is %q", what, kept)
		}
	}
	for _, path := range []string{"/", "/bulk/" + w.id, "/files?bulk=" + w.id, "/audit", "/sign-in"} {
		page := anna.page(path)
		for _, found := range regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|\son[a-z]+=|\sstyle=|<style|javascript:`).FindAllString(page, -1) {
			t.Errorf("%s has %q", path, found)
		}
	}
}

// TestWebCSRF sends actions that do not come from the page of this session.
func TestWebCSRF(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	id := w.running("long")
	anna, carl := w.browser("anna"), w.browser("carl")
	page, path := "/bulk/"+id, "/bulk/"+id+"/pause"
	token, other := anna.token(page), carl.token(page)
	nobody := newBrowser(t, w.server.url)
	with := func(token string) url.Values { return url.Values{"token": {token}} }
	for name, try := range map[string]func() got{
		"without a token":           func() got { return anna.send("POST", path, url.Values{}) },
		"an empty token":            func() got { return anna.send("POST", path, with("")) },
		"the token of a colleague":  func() got { return anna.send("POST", path, with(other)) },
		"the token of a visitor":    func() got { return anna.send("POST", path, with(nobody.token("/sign-in"))) },
		"a token in the query":      func() got { return anna.send("POST", path+"?token="+token, url.Values{}) },
		"an empty header":           func() got { return anna.send("POST", path, url.Values{}, "X-Form-Token", "") },
		"by GET":                    func() got { return anna.get(path + "?token=" + token) },
		"another site":              func() got { return anna.send("POST", path, with(token), "Sec-Fetch-Site", "cross-site") },
		"another port":              func() got { return anna.send("POST", path, with(token), "Sec-Fetch-Site", "same-site") },
		"typed by the person":       func() got { return anna.send("POST", path, with(token), "Sec-Fetch-Site", "none") },
		"an origin":                 func() got { return anna.send("POST", path, with(token), "Origin", "https://evil.example") },
		"an origin on another port": func() got { return anna.send("POST", path, with(token), "Origin", "http://127.0.0.1:1") },
		"an origin, old browser": func() got {
			return anna.send("POST", path, with(token), "Origin", "https://evil.example", "Sec-Fetch-Site", "")
		},
		"no origin, old browser": func() got {
			return anna.send("POST", path, with(token), "Origin", "null", "Sec-Fetch-Site", "")
		},
		"JSON": func() got {
			return anna.send("POST", path, url.Values{}, "Content-Type", "application/json", "Accept", "application/json")
		},
		"sign-out": func() got { return anna.send("POST", "/sign-out", url.Values{}, "Sec-Fetch-Site", "cross-site") },
		"sign-in": func() got {
			form := url.Values{"caller_token": {w.callers.tokens["bert"]}, "token": {nobody.token("/sign-in")}}
			return nobody.send("POST", "/sign-in", form, "Sec-Fetch-Site", "cross-site")
		},
		"sign-in without a token": func() got {
			return nobody.send("POST", "/sign-in", url.Values{"caller_token": {w.callers.tokens["bert"]}})
		},
	} {
		if g := try(); g.status != http.StatusForbidden && g.status != http.StatusNotFound {
			t.Errorf("%s: answered %d to %q", name, g.status, g.header.Get("Location"))
		}
	}
	if got := w.state(id); got != "running" {
		t.Errorf("it is %s", got)
	}
	has(t, "the list of anna", anna.page("/"), "anna")
	if g := nobody.get("/"); g.status != http.StatusSeeOther {
		t.Errorf("somebody is signed in: %d", g.status)
	}
	if g := anna.send("POST", path, with(token)); g.status != http.StatusSeeOther || w.state(id) != "paused" {
		t.Errorf("the true form answers %d", g.status)
	}
}

// TestWebSessions tries cookies that are forged, fixed, foreign, ended or too old.
func TestWebSessions(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	visitor := newBrowser(t, w.server.url)
	visitor.page("/sign-in")
	before := visitor.cookies()
	g := visitor.submit("/sign-in", "/sign-in", url.Values{"caller_token": {w.callers.tokens["anna"]}})
	set := g.header.Values("Set-Cookie")
	if len(set) != 1 || !strings.Contains(set[0], "; HttpOnly; SameSite=Strict") || !strings.Contains(set[0], "; Path=/;") ||
		strings.Contains(set[0], "Domain") || strings.Contains(set[0], "Expires") || strings.Contains(set[0], "Secure") {
		t.Errorf("sign-in sets %q", set)
	}
	after := visitor.cookies()
	name, value, _ := strings.Cut(after, "=")
	if before == after || strings.Contains(after, w.callers.tokens["anna"]) {
		t.Errorf("after sign-in the cookie is %q, before %q", after, before)
	}
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || strings.Contains(string(raw), "anna") {
		t.Errorf("the cookie shows %q, %v", raw, err)
	}
	raw[len(raw)/2] ^= 1
	stranger := newBrowser(t, w.server.url)
	leaves := w.browser("carl")
	ended := leaves.cookies()
	if g := leaves.submit("/", "/sign-out", nil); g.status != http.StatusSeeOther {
		t.Fatalf("sign-out answers %d", g.status)
	}
	for what, cookie := range map[string]string{
		"from before sign-in": before, "changed": name + "=" + base64.RawURLEncoding.EncodeToString(raw), "cut": after[:len(after)-3],
		"ended": ended, "a token as the cookie": name + "=" + w.callers.tokens["anna"], "two": after + "; " + before,
		"long": name + "=" + strings.Repeat("A", 9000), "no value": name + "=", "of another name": "x" + after,
		"with padding": after + "=", "with a line end": after + "%0a", "of the sign-in at an issuer": name + "-sign-in=" + value,
	} {
		for _, path := range []string{"/", "/data", "/bulk/" + w.id + "/events", "/files", "/audit", "/file/" + w.id + "/0/0"} {
			if g := stranger.get(path, "Cookie", cookie); g.status != http.StatusSeeOther && g.status != http.StatusUnauthorized &&
				g.status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s: %s answers %d", what, path, g.status)
			}
		}
	}
	has(t, "the true cookie", visitor.page("/"), "anna")
	w.callers.add("anna", "--account", "apac") // another account, and a new token
	eventually(t, "the session of the old token ends", func() bool { return visitor.get("/").status == http.StatusSeeOther })
}

// TestWebStrangers tries everything without a session, and forms that are too large.
func TestWebStrangers(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	nobody := newBrowser(t, w.server.url)
	for _, path := range []string{"/", "/data", "/events", "/bulk/" + w.id, "/bulk/" + w.id + "/data", "/bulk/" + w.id + "/cancel",
		"/sync/x", "/files", "/audit", "/tar/" + w.id} {
		g := nobody.get(path)
		lacks(t, path, g.body, "first-days", "anna", "emea")
		if g.status != http.StatusSeeOther && g.status != http.StatusUnauthorized {
			t.Errorf("%s answers %d", path, g.status)
		}
		if g := nobody.get(path, "Authorization", "Bearer "+w.callers.tokens["anna"]); g.status == http.StatusOK {
			t.Errorf("%s takes a token of the API, which a page would send for others", path)
		}
	}
	for name, host := range map[string]string{"rebound": "evil.example", "with the port": "evil.example:80", "none": "."} {
		if g := nobody.get("/sign-in", "Host", host); g.status != http.StatusForbidden {
			t.Errorf("%s: the host answers %d", name, g.status)
		}
	}
	anna := w.browser("anna")
	large := url.Values{"token": {anna.token("/")}, "more": {strings.Repeat("x", 100<<10)}}
	for _, path := range []string{"/sign-in", "/sign-out", "/bulk/" + w.id + "/pause"} {
		if g := anna.send("POST", path, large); g.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: a large form answers %d", path, g.status)
		}
	}
	many := url.Values{}
	for i := range 3000 {
		many[fmt.Sprint(i)] = []string{""}
	}
	if g := anna.send("POST", "/bulk/"+w.id+"/pause", many); g.status != http.StatusForbidden {
		t.Errorf("a form with many fields answers %d", g.status)
	}
	w.rates(nobody)
}

// rates guesses tokens until that is rejected, also with forged headers of proxies.
func (w *webWorld) rates(nobody *browser) {
	w.t.Helper()
	form := url.Values{"token": {nobody.token("/sign-in")}, "caller_token": {"fse_" + strings.Repeat("a", 40)}}
	rejected := 0
	for range 40 {
		switch g := nobody.send("POST", "/sign-in", form); g.status {
		case http.StatusTooManyRequests:
			rejected++
			if g.header.Get("Retry-After") == "" {
				w.t.Error("without Retry-After")
			}
		case http.StatusForbidden:
		default:
			w.t.Fatalf("a guess answers %d", g.status)
		}
	}
	if rejected < 15 {
		w.t.Errorf("of 40 guesses %d are rejected unseen", rejected)
	}
	form.Set("caller_token", w.callers.tokens["anna"])
	if g := nobody.send("POST", "/sign-in", form); g.status != http.StatusTooManyRequests {
		w.t.Errorf("the right token answers %d while guesses are rejected", g.status)
	}
	if strings.Contains(w.server.stderr.String(), w.callers.tokens["anna"]) {
		w.t.Error("the log has a token")
	}
}

// TestWebRedirects asks to be led elsewhere after sign-in.
func TestWebRedirects(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	for i, to := range []string{
		"https://evil.example", "//evil.example", `\\evil.example`, "/\\evil.example", "/%09/evil.example", "/..//evil.example",
		"javascript:alert(1)", "data:text/html,x", "bulk/../../evil", "bulk/x/../..//evil.example", "bulk//evil.example",
		"bulk/x?y=//evil.example", "files//evil.example", "files\r\nSet-Cookie: a=b", "sign-out", "http:evil.example", "bulk/.",
		" //evil.example", "files@evil.example", "bulk/" + strings.Repeat("a", 300),
	} {
		b := newBrowser(t, w.server.url)
		g := b.submit("/sign-in?next="+url.QueryEscape(to), "/sign-in?next="+url.QueryEscape(to),
			url.Values{"caller_token": {w.callers.tokens["anna"]}, "next": {to}}, "X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i))
		if at := g.header.Get("Location"); g.status != http.StatusSeeOther || at != "./" || g.header.Get("Set-Cookie") == "" {
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
		"/file/../secret.txt", "/file/%2e%2e/%2e%2e/secret.txt", "/file/..%2f..%2fsecret.txt/0/0", "/file/..%5c..%5csecret.txt/0/0",
		"/file/%252e%252e%252fsecret.txt/0/0", "/file/" + w.id + "/..%2f..%2f/secret.txt", "/file/" + w.id + "/0/..%2f..%2fsecret.txt",
		"/file/" + w.id + "/0/%00", "/file/" + w.id + "/-1/0", "/file/" + w.id + "/1e3/0", "/file/" + w.id + "/0/", "/file/first-days/0/0",
		"/file/" + url.PathEscape(secret) + "/0/0", "/tar/..%2fsecret.txt", "/tar/..", "/tar/%2e%2e", "/tar/first-days",
		"/files/../secret.txt", "/files/%2e%2e/secret.txt", "/files/..%2fsecret.txt", "/files/x/..%2f..%2fsecret.txt", "/assets/..%2fweb.go",
		"/assets/%2e%2e%2fpage.js", "/assets/templates%2flayout.html", "/bulk/..%2f..%2fsecret.txt", "/files?bulk=../secret.txt",
		"/file/" + w.id + "/99999999999999999999/0", "/file/" + w.id + "/0/" + strings.Repeat("0", 16),
	} {
		g := anna.get(path, "Sec-Fetch-Site", "same-origin")
		lacks(t, path, g.body, "zq7-secret", "package web")
		if to := g.header.Get("Location"); g.status < 300 || strings.Contains(to, "files/") && g.status == http.StatusSeeOther {
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
	for _, path := range []string{"/bulk/" + w.id, "/bulk/first-days", "/bulk/" + w.id + "/data", "/bulk/" + w.id + "/cancel",
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
			g := b.submit("/sign-in", "/bulk/"+id+"/"+action, nil)
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
	command := exec.Command(build(t), "serve", "--addr", "127.0.0.1:0", "--dir", t.TempDir(), "--api-url", newLiar(t, l).URL)
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
	for _, path := range []string{"/", "/bulk/" + started.BulkID, "/files", "/files?bulk=" + started.BulkID, "/audit", "/data",
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
	tags := strings.Fields("html head meta title link body a div span nav form input button main h1 h2 h3 p table thead tbody " +
		"tr th td bdi code details summary section ul li strong header script dl dt dd")
	attributes := strings.Fields("lang charset name content rel href class id aria-label aria-current method action type value " +
		"data-source data-root data-token src defer tabindex role scope")
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
		if found[1] == "script" && tag != "</script>" && !strings.Contains(tag, `src="./assets/`) && !strings.Contains(tag, `src="../assets/`) {
			t.Errorf("%s has the script %q", path, tag)
		}
	}
}
