//go:build unix

package command

import (
	"bytes"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser is a browser without JavaScript that follows no redirect. It sends what Chromium sends.
type browser struct {
	t    *testing.T
	base string
	http *http.Client
}

func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := newHTTPClient(t)
	c.Jar = jar
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t, base, c}
}

// send makes a request with headers given in pairs; a header without a value is left out.
func (b *browser) send(method, path string, form url.Values, headers ...string) (g got) {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "none")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", "null") // because of Referrer-Policy: no-referrer
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	answer, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	g = got{status: answer.StatusCode, header: answer.Header}
	g.body, g.err = io.ReadAll(answer.Body)
	return g
}

// get makes a request as for a page.
func (b *browser) get(path string, headers ...string) got {
	b.t.Helper()
	return b.send(http.MethodGet, path, nil, headers...)
}

// page returns the text of a page, which must be there.
func (b *browser) page(path string) string {
	b.t.Helper()
	g := b.get(path)
	if g.status != http.StatusOK {
		b.t.Fatalf("%s answers %d: %.500s", path, g.status, g.body)
	}
	return string(g.body)
}

var formToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

// token returns the form token of a page.
func (b *browser) token(path string) string {
	b.t.Helper()
	found := formToken.FindStringSubmatch(b.page(path))
	if found == nil {
		b.t.Fatalf("%s has no form", path)
	}
	return html.UnescapeString(found[1])
}

// submit sends a form of a page.
func (b *browser) submit(page, path string, more url.Values, headers ...string) got {
	b.t.Helper()
	form := url.Values{"token": {b.token(page)}}
	for name, values := range more {
		form[name] = values
	}
	return b.send(http.MethodPost, path, form, headers...)
}

// signIn signs in with the token of a caller.
func (b *browser) signIn(token string) *browser {
	b.t.Helper()
	g := b.submit("/sign-in", "/sign-in", url.Values{"caller_token": {token}})
	if g.status != http.StatusSeeOther || g.header.Get("Location") != "./" {
		b.t.Fatalf("sign-in answers %d, to %q: %.300s", g.status, g.header.Get("Location"), g.body)
	}
	return b
}

// cookies returns what the browser sends, as a header.
func (b *browser) cookies() string {
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	var all []string
	for _, c := range b.http.Jar.Cookies(u) {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

// webWorld is a server with callers, and anna's stored files.
type webWorld struct {
	*filesWorld
	id string // of her bulk export
}

func newWebWorld(t *testing.T) *webWorld {
	t.Helper()
	w := &webWorld{filesWorld: newFilesWorld(t)}
	w.id = w.all.BulkID
	return w
}

// browser returns a browser in which a caller has signed in.
func (w *webWorld) browser(name string) *browser {
	w.t.Helper()
	return newBrowser(w.t, w.server.url).signIn(w.callers.tokens[name])
}

// running has anna start a bulk export that runs for some time, and returns its id.
func (w *webWorld) running(name string) string {
	w.t.Helper()
	var started struct {
		BulkID string `json:"bulk_id"`
	}
	bulk := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "hour", "name": name,
		"time_range": window{"2026-09-01", "2026-10-01"},
	}
	if err := callTool(w.ctx, w.anna, "start_bulk_export", bulk, &started); err != nil {
		w.t.Fatal(err)
	}
	return started.BulkID
}

// state returns the state of a bulk export.
func (w *webWorld) state(id string) string {
	w.t.Helper()
	var s struct{ State string }
	if err := callTool(w.ctx, w.anna, "get_bulk_export", map[string]any{"bulk_id": id}, &s); err != nil {
		w.t.Fatal(err)
	}
	return s.State
}

// has fails unless a page has all texts.
func has(t *testing.T, what, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("%s lacks %q:\n%s", what, text, page)
		}
	}
}

// lacks fails if an answer has one of the texts.
func lacks(t *testing.T, what string, answer []byte, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if bytes.Contains(answer, []byte(text)) {
			t.Errorf("%s has %q:\n%s", what, text, answer)
		}
	}
}
