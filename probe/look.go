package probe

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"fullstory-export-mcp/download"
)

const (
	// mostBytes is how much of a file is fetched, in bytes.
	mostBytes = 32 << 20
	// notEnded is why what a file shows was not checked.
	notEnded = "the export did not complete"
)

// lookAtExports waits for the exports and looks at their files. It then makes the two exports
// that depend on what it has seen.
func (p *prober) lookAtExports(ctx context.Context) error {
	file, err := p.fetch(ctx, p.made.ndjson, true)
	if err != nil {
		return err
	}
	p.lookAtRows(file)
	people, err := p.fetch(ctx, p.made.individuals, false)
	if err != nil {
		return err
	}
	p.lookAtPeople(people)
	vars, err := p.fetch(ctx, p.made.csvVars, false)
	if err != nil {
		return err
	}
	p.lookAtVars(vars)
	if err := p.compareCSV(ctx); err != nil {
		return err
	}
	if err := p.lookAtLast(ctx); err != nil {
		return err
	}
	operations, _, err := p.listOperations(ctx)
	if err == nil {
		p.checkOrder("oldest_first", "operations", operations, "createdAt")
	}
	return err
}

// fetch waits for an operation and returns the unpacked file of its export; nil if there is
// none. first also checks what is the same for each file: its operation, links and headers.
func (p *prober) fetch(ctx context.Context, operation string, first bool) ([]byte, error) {
	if operation == "" {
		return nil, nil
	}
	o, err := p.await(ctx, operation)
	if err != nil {
		return nil, err
	}
	p.checkOperation(o)
	var results struct{ SearchExportID, Expires string }
	err = json.Unmarshal(o.members["results"], &results)
	if o.text("state") != "COMPLETED" || err != nil || results.SearchExportID == "" {
		return nil, nil
	}
	if first {
		if err := p.checkEnded(ctx, operation, results.Expires); err != nil {
			return nil, err
		}
	}
	link, err := p.link(ctx, results.SearchExportID, first)
	if err != nil || link == "" {
		return nil, err
	}
	seen, err := p.Look(ctx, link, http.MethodGet, nil, mostBytes)
	if err != nil {
		return nil, err
	}
	if first {
		if err := p.checkStore(ctx, link, seen); err != nil {
			return nil, err
		}
	}
	return unpack(seen.Body)
}

// checkEnded checks how long a file can be fetched, and what a cancel of its operation does.
func (p *prober) checkEnded(ctx context.Context, operation, expires string) error {
	until, err := time.Parse(time.RFC3339Nano, expires)
	life := until.Sub(p.Now())
	p.check("export_life", err == nil && life > 23*time.Hour && life < 31*24*time.Hour, "%.1f days", life.Hours()/24)
	a, err := p.ask(ctx, cancelRequest(operation))
	if err == nil {
		p.check("cancel_finished", a.Status == http.StatusBadRequest, "%d", a.Status)
	}
	return err
}

// link returns a link to the file of an export; "" if there is none. first checks it.
func (p *prober) link(ctx context.Context, export string, first bool) (string, error) {
	a, err := p.get(ctx, "probe results", "search", "v1", "exports", export, "results")
	location := a.text("location")
	if err != nil || location == "" || !first {
		return location, err
	}
	expires, err := time.Parse(time.RFC3339Nano, a.text("expires"))
	life := expires.Sub(p.Now())
	p.check("link_life", err == nil && life > time.Minute && life < 15*time.Minute, "%.0f s", life.Seconds())
	u, err := url.Parse(location)
	p.check("link_address", err == nil && (u.Scheme == "https" || isLoopback(u)), "")
	other, err := p.get(ctx, "probe results", "search", "v1", "exports", export, "results")
	if err == nil {
		p.check("fresh_link", other.text("location") != location && other.text("location") != "", "")
	}
	return location, err
}

// isLoopback reports whether a link leads to this machine, as those of the sandbox do.
func isLoopback(u *url.URL) bool { return u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost" }

// encodingOf describes the Content-Encoding of a file.
func encodingOf(h http.Header) string {
	if encoding := h.Get("Content-Encoding"); encoding != "" {
		return "Content-Encoding is " + word(encoding)
	}
	return "there is no Content-Encoding"
}

// ndjsonName matches the Content-Disposition of an NDJSON file.
var ndjsonName = regexp.MustCompile(`filename="[^"]+\.ndjson\.gz"`)

// checkStore checks the answer with a whole file, and asks the store for parts of it.
func (p *prober) checkStore(ctx context.Context, link string, whole download.Look) error {
	h := whole.Header
	packed := len(whole.Body) > 2 && whole.Body[0] == 0x1f && whole.Body[1] == 0x8b
	p.check("content_encoding", packed && h.Get("Content-Encoding") == "", "%s", encodingOf(h))
	p.check("content_type", h.Get("Content-Type") == "application/gzip", "")
	p.check("disposition", ndjsonName.MatchString(h.Get("Content-Disposition")), "")
	etag := h.Get("ETag")
	p.check("etag", strings.HasPrefix(etag, `"`), "")

	looked, err := p.Look(ctx, link, http.MethodHead, nil, 0)
	if err != nil {
		return err
	}
	p.check("head", looked.Status != http.StatusOK, "%d", looked.Status)
	looked, err = p.Look(ctx, link, http.MethodGet, http.Header{"Range": {"bytes=0-1"}}, mostBytes)
	if err != nil {
		return err
	}
	ranged := looked.Status == http.StatusPartialContent && len(looked.Body) == 2 &&
		strings.HasPrefix(looked.Header.Get("Content-Range"), "bytes 0-1/")
	p.check("no_range", ranged, "%d with %d bytes", looked.Status, len(looked.Body))
	if !ranged {
		p.skip("there is no Range", "if_range")
		return nil
	}
	other := http.Header{"Range": {"bytes=0-1"}, "If-Range": {`"another"`}}
	if looked, err = p.Look(ctx, link, http.MethodGet, other, mostBytes); err == nil {
		p.check("if_range", looked.Status == http.StatusOK, "%d", looked.Status)
	}
	return err
}
