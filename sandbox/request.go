package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxBody is the largest request body, in bytes.
const maxBody = 1 << 20

// filledRange is the length of the range up to now that the quirk optional_range fills
// in. Fullstory's SDK fills in the same one.
const filledRange = 7 * 24 * time.Hour

// exportRequest is the body of a create, checked and normalised. The journal stores
// it under the JSON keys below, which are not those of the API.
type exportRequest struct {
	Segment   string        `json:"segment"`
	Type      rowKind       `json:"type"`
	Scope     scope         `json:"scope,omitempty"`
	Format    format        `json:"format"`
	Exports   requestRange  `json:"exports"`
	Matches   *requestRange `json:"matches,omitempty"` // nil: the segment's own window
	Timezone  string        `json:"timezone,omitempty"`
	PinnedNow time.Time     `json:"now,omitzero"`
	Fields    []string      `json:"fields,omitempty"`
}

// requestRange is a requested range of time; a zero side is open.
type requestRange struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// rejection is the error of a request that is not accepted: the status of the
// answer, and the code and message in its body.
type rejection struct {
	status        int
	code, message string
}

func (r *rejection) Error() string { return r.message }

// invalid returns a rejection with status 400. message is a format for args.
func invalid(code, message string, args ...any) *rejection {
	return &rejection{http.StatusBadRequest, code, fmt.Sprintf(message, args...)}
}

// requestKeys are the plain names of the fields of a create.
var requestKeys = []string{
	"segmentid", "type", "format", "timerange", "segmenttimerange", "timezone", "now", "fields", "eventdetails",
}

// body is a JSON object of a request: its members by plainName. The API reads camel
// case and snake case. Members that are null are absent.
type body map[string]json.RawMessage

// readBody reads a body of at most maxBody bytes. Its errors are rejections.
func readBody(r io.Reader) (body, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return nil, invalid("invalid_request", "The body cannot be read.")
	}
	if len(raw) > maxBody {
		return nil, &rejection{http.StatusRequestEntityTooLarge, "request_too_large", "The body is larger than 1 MiB."}
	}
	b, err := parseBody(raw)
	if err != nil {
		return nil, invalid("invalid_json", "The body is not a JSON object, or has a field twice.")
	}
	return b, nil
}

// parseBody reads a JSON object. It rejects null, and a member in two spellings.
func parseBody(raw []byte) (body, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, err
	}
	if keys == nil {
		return nil, fmt.Errorf("null")
	}
	b := body{}
	for key, value := range keys {
		if string(value) == "null" {
			continue
		}
		if _, twice := b[plainName(key)]; twice {
			return nil, fmt.Errorf("%s occurs in two spellings", key)
		}
		b[plainName(key)] = value
	}
	return b, nil
}

// plainName returns a key in lower case without underscores.
func plainName(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }

// text returns a string member, or "" if it is absent.
func (b body) text(key string) (string, error) {
	raw, ok := b[plainName(key)]
	if !ok {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", invalid("invalid_field", "%s must be a string.", key)
	}
	return s, nil
}

// inner returns an object member, and whether it is present.
func (b body) inner(key string) (body, bool, error) {
	raw, ok := b[plainName(key)]
	if !ok {
		return nil, false, nil
	}
	inner, err := parseBody(raw)
	if err != nil {
		return nil, true, invalid("invalid_field", "%s must be an object.", key)
	}
	return inner, true, nil
}

// checkKeys rejects a member that a create does not have.
func (b body) checkKeys() error {
	for key := range b {
		if !slices.Contains(requestKeys, key) {
			return invalid("unknown_key", "%s is not a field of the request.", key)
		}
	}
	return nil
}

// readRequest checks everything about a create at now that does not depend on the
// data: required fields, enums, times, in this order (assumed). Unknown keys are
// ignored (assumed) without the quirk strict_keys. Its errors are rejections.
func readRequest(b body, c Config, now time.Time) (*exportRequest, error) {
	if err := b.checkKeys(); err != nil && c.has(strictKeys) {
		return nil, err
	}
	var texts [5]string
	for i, key := range [...]string{"segmentId", "type", "format", "timezone", "now"} {
		var err error
		if texts[i], err = b.text(key); err != nil {
			return nil, err
		}
	}
	times, hasTimes, err := b.inner("timeRange")
	if err != nil {
		return nil, err
	}
	for i, key := range [...]string{"segmentId", "type", "format"} {
		if texts[i] == "" {
			return nil, invalid("required_field", "%s is required.", key)
		}
	}
	if !hasTimes && !c.has(optionalRange) {
		return nil, invalid("required_field", "timeRange is required.")
	}
	r := &exportRequest{Segment: texts[0], Timezone: texts[3]}
	if err := r.readKind(b, texts[1], texts[2], c.has(strictIndividuals)); err != nil {
		return nil, err
	}
	if err := r.readTimes(b, times, texts[4]); err != nil {
		return nil, err
	}
	if !hasTimes {
		r.Exports = requestRange{now.Add(-filledRange), now}
	}
	if raw, ok := b["fields"]; ok {
		if err := json.Unmarshal(raw, &r.Fields); err != nil {
			return nil, invalid("invalid_field", "fields must be a list of strings.")
		}
	}
	return r, nil
}

// types maps the values of type to the rows and the scope that they mean. The two in
// the middle are from an older revision of the documentation.
var types = map[string]struct {
	rows  rowKind
	scope scope
}{
	"TYPE_EVENT":      {eventRows, ""},
	"TYPE_PAGES":      {eventRows, scopePages},
	"TYPE_SESSIONS":   {eventRows, scopeSessions},
	"TYPE_INDIVIDUAL": {individualRows, ""},
}

// scopes maps every spelling of a scope in the documentation.
var scopes = map[string]scope{
	"SCOPE_EVENTS": scopeEvents, "SCOPE_EVENT": scopeEvents,
	"SCOPE_PAGES": scopePages, "SCOPE_SESSIONS": scopeSessions,
	"SCOPE_INDIVIDUALS": scopeIndividuals, "SCOPE_INDIVIDUAL": scopeIndividuals,
}

// readKind sets type, scope and format. A scope in eventDetails overrides the one that
// an older type means. Individuals have no scope: eventDetails is ignored with them
// (assumed, because Fullstory's SDK always sends it), or rejected if strict.
func (r *exportRequest) readKind(b body, kind, shape string, strict bool) error {
	t, ok := types[kind]
	if !ok {
		return invalid("invalid_type", "type %q is not one of TYPE_EVENT, TYPE_INDIVIDUAL.", kind)
	}
	r.Type, r.Scope, r.Format = t.rows, t.scope, format(shape)
	if !slices.Contains([]format{formatJSON, formatNDJSON, formatCSV}, r.Format) {
		return invalid("invalid_format", "format %q is not one of FORMAT_JSON, FORMAT_NDJSON, FORMAT_CSV.", shape)
	}
	details, given, err := b.inner("eventDetails")
	if err != nil {
		return err
	}
	if given && r.Type != eventRows && strict {
		return invalid("invalid_event_details", "eventDetails can be given with TYPE_EVENT only.")
	}
	asked, err := details.text("scope")
	if err != nil {
		return err
	}
	if asked != "" {
		s, ok := scopes[asked]
		if !ok {
			return invalid("invalid_scope",
				"scope %q is not one of SCOPE_EVENTS, SCOPE_PAGES, SCOPE_SESSIONS, SCOPE_INDIVIDUALS.", asked)
		}
		r.Scope = s
	}
	switch {
	case r.Type != eventRows:
		r.Scope = ""
	case r.Scope == "":
		r.Scope = scopeEvents
	}
	return nil
}

// readTimes sets the ranges, the pinned now and the time zone.
func (r *exportRequest) readTimes(b, times body, now string) error {
	var err error
	if r.Exports, err = readRange("timeRange", times); err != nil {
		return err
	}
	matches, given, err := b.inner("segmentTimeRange")
	if err != nil {
		return err
	}
	if given {
		m, err := readRange("segmentTimeRange", matches)
		if err != nil {
			return err
		}
		r.Matches = &m
	}
	if r.PinnedNow, err = readInstant("now", now); err != nil {
		return err
	}
	if r.Timezone == "" {
		return nil
	}
	if _, err := time.LoadLocation(r.Timezone); err != nil || r.Timezone == "Local" {
		return invalid("invalid_timezone", "timezone %q is not an IANA time zone.", r.Timezone)
	}
	return nil
}

// readRange reads start and end of the range called name; a missing side is open.
func readRange(name string, b body) (requestRange, error) {
	var r requestRange
	for _, side := range []struct {
		key  string
		into *time.Time
	}{{"start", &r.From}, {"end", &r.To}} {
		text, err := b.text(side.key)
		if err != nil {
			return r, err
		}
		if *side.into, err = readInstant(name+"."+side.key, text); err != nil {
			return r, err
		}
	}
	// Assumed: an inverted range is rejected.
	if !r.From.IsZero() && !r.To.IsZero() && r.To.Before(r.From) {
		return r, invalid("invalid_time_range", "%s ends before it starts.", name)
	}
	return r, nil
}

// readInstant reads an RFC 3339 timestamp, or returns zero for "". time.Parse also
// accepts a comma before the fraction, which RFC 3339 does not allow.
func readInstant(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || strings.Contains(text, ",") {
		return time.Time{}, invalid("invalid_timestamp", "%s %q is not an RFC 3339 timestamp.", name, text)
	}
	return t.UTC(), nil
}

// readFields rejects a field that is named twice, as the API does, and one that does
// not exist (assumed) without the quirk any_field, which makes it an empty column.
// Unless the quirk strict_individuals rejects them, it removes the fields of events
// from a request for individuals (assumed, because Fullstory's SDK always sends six of
// them). If no other field is left, the default columns are exported.
func (r *exportRequest) readFields(c Config) error {
	ignores := r.Type == individualRows && !c.has(strictIndividuals)
	var kept []string
	for i, name := range r.Fields {
		if slices.Contains(r.Fields[:i], name) {
			return invalid("duplicate_field", "field %q is named twice.", name)
		}
		if ignores && onlyOfEvents(name) {
			continue
		}
		if !c.has(anyField) && !knownField(name, r.Type) {
			return invalid("unknown_field", "field %q does not exist for %s.", name, r.Type)
		}
		kept = append(kept, name)
	}
	r.Fields = kept
	return nil
}

// query returns the query of a request when it is accepted at now.
func (c Config) query(r *exportRequest, segment *segment, now time.Time) query {
	q := r.query(segment, now)
	if c.has(endIncluded) {
		q.exports.to = q.exports.to.Add(time.Millisecond)
		if !q.matches.to.IsZero() {
			q.matches.to = q.matches.to.Add(time.Millisecond)
		}
	}
	return q
}

// query returns the query of the request, without quirks, when it is accepted at now.
func (r *exportRequest) query(segment *segment, now time.Time) query {
	q := query{
		segment: segment, rows: r.Type, scope: r.Scope, format: r.Format, fields: r.Fields, now: now,
		exports: window{r.Exports.From, r.Exports.To},
	}
	if q.exports.to.IsZero() {
		q.exports.to = now // the documentation: up to the time of the request
	}
	pinned := r.PinnedNow
	if pinned.IsZero() {
		pinned = now
	}
	if r.Matches != nil {
		q.matches = window{r.Matches.From, r.Matches.To}
	} else {
		q.matches = segment.ownWindow(pinned)
	}
	return q
}
