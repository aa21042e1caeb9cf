//go:build unix

package command

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// webHeaders are what every answer of the page has.
var webHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
		"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
	"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
	"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
}

// inline matches what the policy does not run, so that no page may need it.
var inline = regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|\son[a-z]+=|\sstyle=|<style|javascript:`)

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
		for _, found := range inline.FindAllString(page, -1) {
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
		"without a token":          func() got { return anna.send("POST", path, url.Values{}) },
		"an empty token":           func() got { return anna.send("POST", path, with("")) },
		"the token of a colleague": func() got { return anna.send("POST", path, with(other)) },
		"the token of a visitor":   func() got { return anna.send("POST", path, with(nobody.token("/sign-in"))) },
		"a token in the query":     func() got { return anna.send("POST", path+"?token="+token, url.Values{}) },
		"an empty header":          func() got { return anna.send("POST", path, url.Values{}, "X-Form-Token", "") },
		"by GET":                   func() got { return anna.get(path + "?token=" + token) },
		"another site": func() got {
			return anna.send("POST", path, with(token), "Sec-Fetch-Site",
				"cross-site")
		},
		"another port": func() got {
			return anna.send("POST", path, with(token), "Sec-Fetch-Site",
				"same-site")
		},
		"typed by the person": func() got { return anna.send("POST", path, with(token), "Sec-Fetch-Site", "none") },
		"an origin": func() got {
			return anna.send("POST", path, with(token), "Origin",
				"https://evil.example")
		},
		"an origin on another port": func() got {
			return anna.send("POST", path, with(token), "Origin",
				"http://127.0.0.1:1")
		},
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
	form, before := visitor.token("/sign-in"), visitor.cookies()
	g := visitor.submit("/sign-in", "/sign-in", url.Values{"caller_token": {w.callers.tokens["anna"]}})
	set := g.header.Values("Set-Cookie")
	if len(set) != 1 || !strings.Contains(set[0], "; HttpOnly; SameSite=Strict") || !strings.Contains(set[0],
		"; Path=/;") ||
		strings.Contains(set[0], "Domain") || strings.Contains(set[0], "Expires") || strings.Contains(set[0], "Secure") {
		t.Errorf("sign-in sets %q", set)
	}
	after := visitor.cookies()
	name, value, _ := strings.Cut(after, "=")
	if before == after || form == visitor.token("/") || strings.Contains(after, w.callers.tokens["anna"]) {
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
		"from before sign-in": before, "changed": name + "=" + base64.RawURLEncoding.EncodeToString(raw),
		"cut":   after[:len(after)-3],
		"ended": ended, "a token as the cookie": name + "=" + w.callers.tokens["anna"], "two": after + "; " + before,
		"long": name + "=" + strings.Repeat("A", 9000), "no value": name + "=", "of another name": "x" + after,
		"with padding": after + "=", "with a line end": after + "%0a",
		"of the sign-in at an issuer": name + "-sign-in=" + value,
	} {
		for _, path := range []string{"/", "/data", "/bulk/" + w.id + "/events", "/files", "/audit",
			"/file/" + w.id + "/0/0"} {
			if g := stranger.get(path, "Cookie", cookie); g.status != http.StatusSeeOther &&
				g.status != http.StatusUnauthorized &&
				g.status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s: %s answers %d", what, path, g.status)
			}
		}
	}
	has(t, "the true cookie", visitor.page("/"), "anna")
	w.callers.add("anna", "--account", "apac") // another account, and a new token
	eventually(t, "the session of the old token ends",
		func() bool { return visitor.get("/").status == http.StatusSeeOther })
}

// TestWebStrangers tries everything without a session, and forms that are too large.
func TestWebStrangers(t *testing.T) {
	t.Parallel()
	w := newWebWorld(t)
	nobody := newBrowser(t, w.server.url)
	for _, path := range []string{"/", "/data", "/events", "/bulk/" + w.id, "/bulk/" + w.id + "/data",
		"/bulk/" + w.id + "/cancel",
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
	for name, host := range map[string]string{"rebound": "evil.example", "with the port": "evil.example:80",
		"none": "."} {
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
