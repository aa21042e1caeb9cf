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

// exportRequest is the body of a create in its own words. Both casings of keys
// are read, as the API is known to do.
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

// requestRange is a range as it was asked for; a zero side is open.
type requestRange struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// refusal is a request that is not accepted.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string { return r.message }

func invalid(code, message string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, code, fmt.Sprintf(message, args...)}
}

// requestKeys are the fields of a create, by their plain names.
var requestKeys = []string{"segmentid", "type", "format", "timerange", "segmenttimerange", "timezone", "now", "fields", "eventdetails"}

// body is an object of a request: its fields by their name in lower case without underscores.
type body map[string]json.RawMessage

func readBody(r io.Reader) (body, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return nil, invalid("invalid_request", "The body cannot be read.")
	}
	if len(raw) > maxBody {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "request_too_large", "The body is larger than 1 MiB."}
	}
	b, err := parseBody(raw)
	if err != nil {
		return nil, invalid("invalid_json", "The body is not a JSON object, or has a field twice.")
	}
	return b, nil
}

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
			return nil, fmt.Errorf("%s is there in two spellings", key)
		}
		b[plainName(key)] = value
	}
	return b, nil
}

func plainName(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }

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

// readRequest checks everything about a create that needs no look at the data:
// required fields, enums, times, in this order (assumed). Unknown keys are
// ignored (assumed), unless strict.
func readRequest(b body, strict bool) (*exportRequest, error) {
	if strict {
		for key := range b {
			if !slices.Contains(requestKeys, key) {
				return nil, invalid("unknown_key", "%s is not a field of the request.", key)
			}
		}
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
	if !hasTimes {
		return nil, invalid("required_field", "timeRange is required.")
	}
	r := &exportRequest{Segment: texts[0], Timezone: texts[3]}
	if err := r.readKind(b, texts[1], texts[2]); err != nil {
		return nil, err
	}
	if err := r.readTimes(b, times, texts[4]); err != nil {
		return nil, err
	}
	if raw, ok := b["fields"]; ok {
		if err := json.Unmarshal(raw, &r.Fields); err != nil {
			return nil, invalid("invalid_field", "fields must be a list of strings.")
		}
	}
	return r, nil
}

// types are the values of type with the scope they mean. The two in the middle
// are of an older revision of the documentation.
var types = map[string]struct {
	rows  rowKind
	scope scope
}{
	"TYPE_EVENT":      {eventRows, ""},
	"TYPE_PAGES":      {eventRows, scopePages},
	"TYPE_SESSIONS":   {eventRows, scopeSessions},
	"TYPE_INDIVIDUAL": {individualRows, ""},
}

// scopes are the values of scope in every spelling that the documentation has.
var scopes = map[string]scope{
	"SCOPE_EVENTS": scopeEvents, "SCOPE_EVENT": scopeEvents,
	"SCOPE_PAGES": scopePages, "SCOPE_SESSIONS": scopeSessions,
	"SCOPE_INDIVIDUALS": scopeIndividuals, "SCOPE_INDIVIDUAL": scopeIndividuals,
}

func (r *exportRequest) readKind(b body, kind, shape string) error {
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
	if given && r.Type != eventRows {
		return invalid("invalid_event_details", "eventDetails can be given with TYPE_EVENT only.")
	}
	asked, err := details.text("scope")
	if err != nil {
		return err
	}
	if asked != "" {
		s, ok := scopes[asked]
		if !ok {
			return invalid("invalid_scope", "scope %q is not one of SCOPE_EVENTS, SCOPE_PAGES, SCOPE_SESSIONS, SCOPE_INDIVIDUALS.", asked)
		}
		r.Scope = s
	}
	if r.Type == eventRows && r.Scope == "" {
		r.Scope = scopeEvents
	}
	return nil
}

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
	// That a range must not be inverted is assumed.
	if !r.From.IsZero() && !r.To.IsZero() && r.To.Before(r.From) {
		return r, invalid("invalid_time_range", "%s ends before it starts.", name)
	}
	return r, nil
}

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

// checkFields refuses a field that is named twice, as the API does, and one
// that does not exist (assumed), unless lenient: then it is an empty column.
func (r *exportRequest) checkFields(lenient bool) error {
	for i, name := range r.Fields {
		if slices.Contains(r.Fields[:i], name) {
			return invalid("duplicate_field", "field %q is named twice.", name)
		}
		if !lenient && !knownField(name, r.Type) {
			return invalid("unknown_field", "field %q does not exist for %s.", name, r.Type)
		}
	}
	return nil
}

// query returns what the request asks of the data when it is accepted at now.
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
