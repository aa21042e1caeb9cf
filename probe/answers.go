package probe

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"fullstory-export-mcp/client"
)

// askKey asks about the key, in the ways in which a key may be sent.
func (p *prober) askKey(ctx context.Context) error {
	me, err := p.get(ctx, "probe the key", "me")
	if err != nil {
		return err
	}
	known := []string{"ADMIN", "ARCHITECT", "USER", "VIEW_ONLY", "UMBRELLA_MANAGER"}
	role := me.text("role")
	p.check("role", slices.Contains(known, role) && me.text("orgId") != "", "the role %s", word(role))
	_, camel := me.members["orgId"]
	p.check("camel_case", camel, "GET /me has orgId: %t", camel)
	_, err = http.ParseTime(me.Header.Get("Date"))
	p.check("date_header", err == nil, "")

	request := client.RawRequest{Op: "probe the key", Method: http.MethodGet, Path: []string{"me"}, Scheme: "Bearer"}
	bearer, err := p.ask(ctx, request)
	if err != nil {
		return err
	}
	p.check("bearer", bearer.Status == http.StatusUnauthorized, "Bearer is answered %d", bearer.Status)
	request.Scheme, request.NoKey = "", true
	wrong, err := p.ask(ctx, request)
	if err != nil {
		return err
	}
	p.check("wrong_key", wrong.Status == http.StatusUnauthorized, "%d", wrong.Status)
	return nil
}

// Ids that nothing has, of the usual forms.
const (
	noOperation = "U0VBUkNIX0VYUE9SVDpub25lOjE="
	noExport    = "p0b9aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	noSegment   = "aaaaaaaaaaaa"
)

// askMissing asks for things that do not exist.
func (p *prober) askMissing(ctx context.Context) error {
	for _, ask := range []struct {
		id   string
		path []string
	}{
		{"unknown_operation", []string{"operations", "v1", noOperation}},
		{"unknown_export", []string{"search", "v1", "exports", noExport, "results"}},
		{"unknown_segment", []string{"segments", "v1", noSegment}},
	} {
		a, err := p.get(ctx, "probe an error", ask.path...)
		if err != nil {
			return err
		}
		p.check(ask.id, a.Status == http.StatusNotFound, "%d", a.Status)
		if _, ok := p.found["error_body"]; !ok && a.Status/100 == 4 {
			code, message := a.text("code"), a.text("message")
			p.check("error_body", code != "" && message != "", "%s", shapeOf(a))
		}
	}
	return nil
}

// shapeOf describes the body of an error by its keys.
func shapeOf(a answer) string {
	if a.members == nil {
		return "the body is not an object"
	}
	text := "keys"
	for _, key := range []string{"code", "message", "error", "detail", "details", "status"} {
		if raw, ok := a.members[key]; ok {
			text += " " + key + " (" + kindOf(raw) + ")"
		}
	}
	return text
}

// kindOf names the kind of a JSON value.
func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '"':
		return "text"
	case '{':
		return "object"
	case '[':
		return "list"
	case 'n':
		return "null"
	case 't', 'f':
		return "true or false"
	}
	return "number"
}

// mostPages is how many pages of segments are read to find everyone.
const mostPages = 5

// listSegments reads everyone and the list of segments.
func (p *prober) listSegments(ctx context.Context) error {
	everyone, err := p.get(ctx, "probe everyone", "segments", "v1", "everyone")
	if err != nil {
		return err
	}
	_, dated := everyone.members["created"]
	p.check("everyone", everyone.Status == http.StatusOK && !dated, "%d", everyone.Status)

	query, listed := url.Values{"limit": {"1000"}}, false
	for page := range mostPages {
		request := client.RawRequest{
			Op: "probe the list of segments", Method: http.MethodGet, Path: []string{"segments", "v1"}, Query: query,
		}
		a, err := p.ask(ctx, request)
		if err != nil {
			return err
		}
		segments := a.list("segments")
		if page == 0 {
			p.check("page_limit", a.Status == http.StatusOK && len(segments) <= 100, "%d", a.Status)
			p.checkOrder("segments_order", "segments", segments, "created")
		}
		listed = listed || slices.ContainsFunc(segments, func(s map[string]json.RawMessage) bool {
			return textOf(s["id"]) == "everyone"
		})
		next := a.text("nextPaginationToken")
		if listed || next == "" {
			p.check("everyone_listed", listed, "")
			return nil
		}
		query = url.Values{"limit": {"100"}, "paginationToken": {next}}
	}
	p.skip("it is not among the first segments", "everyone_listed")
	return nil
}

// checkOrder checks that the newest of listed things come first. Things without a time, such
// as everyone, are left out. Too few of them show nothing.
func (p *prober) checkOrder(id, what string, listed []map[string]json.RawMessage, key string) {
	var times []time.Time
	for _, each := range listed {
		if t, err := time.Parse(time.RFC3339Nano, textOf(each[key])); err == nil {
			times = append(times, t)
		}
	}
	later := func(a, b time.Time) int { return b.Compare(a) }
	switch {
	case len(times) < 2 || times[0].Equal(times[len(times)-1]):
		p.skip("there are too few "+what, id)
	case slices.IsSortedFunc(times, later):
		p.check(id, true, "")
	case slices.IsSortedFunc(times, time.Time.Compare):
		p.check(id, false, "the oldest %s are first", what)
	default:
		p.check(id, false, "%s have no order of time", what)
	}
}
