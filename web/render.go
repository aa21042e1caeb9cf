package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/views"
)

//go:embed templates
var files embed.FS

//go:embed page.css
var style string

//go:embed page.js
var script string

// templates are escaped by html/template: texts of others are text wherever they appear. They are
// parsed at the first use, because a start of the program that shows no page does not wait for them.
var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"number": number, "bytes": sizeInWords, "when": when, "stamp": stamp, "path": url.PathEscape, "plain": plain,
	}).ParseFS(files, "templates/*.html"))
})

// page is what every page shows.
type page struct {
	Title     string
	Root      string // relative path to the list
	Here      string // files, audit, or "" for the list and its exports
	Caller    string // who is signed in; "" if nobody needs to be
	Account   string
	MayFetch  bool
	Inside    bool // what is behind the sign-in
	Sandbox   bool
	FormToken string
	Refresh   string // path to which the page leads on at once; "": it stays
}

// page returns what every page shows; v is nil for a person who is not signed in.
func (s *Site) page(r *http.Request, title string, v *visit) page {
	p := page{Title: title, Root: root(r), Sandbox: s.o.Sandbox}
	if p.Root == "" {
		p.Root = "./"
	}
	if v != nil {
		c := v.session.Caller
		p.Inside, p.Caller, p.Account, p.MayFetch = true, c.Name, c.Account, c.MayFetch()
		p.FormToken = s.sessions.formToken(v.session)
	}
	return p
}

// page returns what every page shows to this person.
func (v *visit) page(title, here string) page {
	p := v.s.page(v.r, title, v)
	p.Here = here
	return p
}

// render answers with a page.
func render(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := templates().ExecuteTemplate(&b, name, data); err != nil {
		panic(fmt.Errorf("render %s: %w", name, err)) // a bug; it is logged and answered where requests are received
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// fail answers with an error: a page, or JSON for the script.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, status int, text string) {
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"error": text})
		return
	}
	render(w, status, "problem.html", struct {
		page
		Text string
	}{s.page(r, http.StatusText(status), nil), text})
}

// asset answers with a style sheet or script. They have nothing of an account.
func asset(w http.ResponseWriter, r *http.Request) {
	kinds := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
	all := map[string]func() string{
		"view.css": views.Style, "view.js": views.Script, "page.css": func() string { return style },
		"page.js": func() string { return script },
	}
	name := r.PathValue("name")
	text, ok := all[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, kind, _ := strings.Cut(name, ".")
	w.Header().Set("Content-Type", kinds[kind])
	w.Header().Set("Cache-Control", "no-cache") // a new version counts at once
	w.Write([]byte(text()))
}

// number writes a number with commas, such as 1,234,567.
func number(n any) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// sizeInWords writes a number of bytes, such as 1.2 MB.
func sizeInWords(n int64) string {
	value, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for value >= 1000 && len(units) > 1 {
		value, units = value/1000, units[1:]
	}
	if value < 100 && units[0] != "B" {
		return fmt.Sprintf("%.1f %s", value, units[0])
	}
	return fmt.Sprintf("%.0f %s", value, units[0])
}

// when writes an instant in UTC, to the second.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// stamp writes an instant of a use case, such as 2026-10-01T00:00:00+02:00, for a person.
func stamp(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return t.Format("2006-01-02 15:04 -07:00")
}

// plain removes the marks around names of tools and arguments.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }
