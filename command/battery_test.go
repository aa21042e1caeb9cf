//go:build unix

package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

var (
	batterySize = flag.Int("battery", 200, "how many malformed requests are sent to the HTTP server")
	batterySeed = flag.Uint64("battery-seed", 1, "seed of the malformed requests")
)

// battery sends malformed requests and checks the answer to each. Request i
// depends only on the seed and on i, so a failure can be repeated.
type battery struct {
	t      *testing.T
	server *served
	tools  []listedTool
	words  []string // known ids and names, for arguments
	next   atomic.Int64
	hung   atomic.Int64

	mu       sync.Mutex
	sessions []string       // ids, of all probers
	statuses map[string]int // number of answers, by route and status
	faults   map[string]int // number of broken invariants, by kind
}

type listedTool struct {
	Name        string
	InputSchema argumentSchema
}

// fault reports a broken invariant. It prints the first three of each kind and
// counts the others.
func (b *battery) fault(kind, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults[kind]++
	if b.faults[kind] <= 3 {
		b.t.Errorf(kind+": "+format, args...)
	}
}

func (b *battery) count(route string, status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.statuses[fmt.Sprintf("%s %d", route, status)]++
}

// otherSession returns a session of any of the probers.
func (b *battery) otherSession(r *rand.Rand) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return pick(r, b.sessions...)
}

func (b *battery) addSession(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions = append(b.sessions, id)
}

// mutator sends one request at a time, over its own connections and sessions. It
// is used by one goroutine.
type mutator struct {
	*battery
	client  *http.Client
	session *httpSession
	sse     *sseSession
	before  map[string]string // the last request on each connection, by local address
}

func (b *battery) newProber() (*mutator, error) {
	p := &mutator{battery: b, client: newHTTPClient(b.t), before: map[string]string{}}
	return p, errors.Join(p.renew(), p.renewSSE())
}

func (p *mutator) renew() (err error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if p.session, err = p.server.open(ctx, p.client); err != nil {
		return err
	}
	p.addSession(p.session.id)
	return nil
}

func (p *mutator) renewSSE() (err error) {
	if p.sse != nil {
		p.sse.close()
	}
	p.sse, err = p.server.openSSE(p.t.Context(), p.client)
	return err
}

// limit is the longest time until an answer. A call waits up to 20 s by contract;
// the rest is for a loaded machine.
func (s *mutated) limit() time.Duration {
	if bytes.Contains(s.body, []byte("tools/call")) {
		return 20*time.Second + patience
	}
	return patience
}

// send sends one request and checks its answer.
func (p *mutator) send(s *mutated) {
	ctx, cancel := context.WithTimeout(p.t.Context(), s.limit())
	defer cancel()
	var connection string
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { connection = c.Conn.LocalAddr().String() }}
	r, err := s.request(httptrace.WithClientTrace(ctx, trace), p.server.url)
	if err != nil {
		p.t.Errorf("the test made a request that cannot be sent: %v", err)
		return
	}
	if s.path == "/message" {
		p.forget()
	}
	answer, err := p.client.Do(r)
	before := p.before[connection]
	p.before[connection] = s.method + " " + s.path
	if err != nil {
		p.unanswered(ctx, s, fmt.Sprintf("%v; the connection was used before for %q", err, before))
		return
	}
	defer answer.Body.Close()
	p.count(s.method+" "+s.path, answer.StatusCode)
	p.checkStatus(s, answer)
	if p.endless(s, answer) {
		return
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.unanswered(ctx, s, fmt.Sprintf("status %d, then %v after %.200q", answer.StatusCode, err, body))
		return
	}
	p.checkBody(ctx, s, answer, body)
	if s.method == http.MethodDelete && answer.StatusCode/100 == 2 {
		if err := p.renew(); err != nil {
			p.fault("a new session is rejected", "%v after %v", err, s)
		}
	}
}

// unanswered reports a request without an answer, or with half of one.
func (p *mutator) unanswered(ctx context.Context, s *mutated, how string) {
	if ctx.Err() != nil {
		p.hung.Add(1)
		p.fault("hanging", "not answered within %v: %v: %s", s.limit(), s, how)
		return
	}
	p.fault("cut off", "%v: %s", s, how)
}

func (p *mutator) checkStatus(s *mutated, r *http.Response) {
	if r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "" {
		return
	}
	if r.StatusCode >= 500 {
		p.fault("status", "%v: status %s", s, r.Status)
	}
}

// endless reports whether an answer is a stream that stays open. The caller
// closes it.
func (p *mutator) endless(s *mutated, r *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "text/event-stream" &&
		(s.method == http.MethodGet || bytes.Contains(s.body, []byte("subscriptions/listen")))
}

// checkBody checks the answer to a request. For a request that was accepted with
// 202 it awaits the answer on the stream of the older transport.
func (p *mutator) checkBody(ctx context.Context, s *mutated, r *http.Response, body []byte) {
	var messages []json.RawMessage
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case s.method == http.MethodHead:
		return
	case kind == "application/json" || kind == "application/problem+json":
		if !json.Valid(body) {
			p.fault("not JSON", "%v: status %d with %.300q", s, r.StatusCode, body)
			return
		}
		messages = append(messages, body)
	case kind == "text/event-stream":
		for e, err := range events(bytes.NewReader(body)) {
			if err != nil || e.data != "" && !json.Valid([]byte(e.data)) {
				p.fault("not JSON", "%v: event %.300q, %v", s, e.data, err)
			} else if e.data != "" {
				messages = append(messages, json.RawMessage(e.data))
			}
		}
	}
	q := askedBy(s)
	if q == nil {
		return
	}
	if r.StatusCode == http.StatusAccepted && s.path == "/message" && s.inSession {
		p.awaitOnStream(ctx, s, q)
		return
	}
	answers := 0
	for _, m := range messages {
		if p.checkAnswer(s, q, r.StatusCode, m) {
			answers++
		}
	}
	if want := 1; r.StatusCode/100 == 2 && s.path == "/mcp" && answers != want {
		p.fault("number of answers", "%v: %d answers, want %d; status %d with %.300q", s, answers, want, r.StatusCode, body)
	}
}

// checkAnswer checks the id of a message and reports whether it is an answer. A
// request that was rejected as a whole may be answered without its id.
func (p *mutator) checkAnswer(s *mutated, q *asked, status int, message json.RawMessage) bool {
	var a struct{ ID, Result, Error json.RawMessage }
	if json.Unmarshal(message, &a) != nil || a.Result == nil && a.Error == nil {
		return false
	}
	if withoutID := a.ID == nil || string(a.ID) == "null"; !sameID(a.ID, q.id) && (!withoutID || status/100 == 2) {
		p.fault("id", "%v: the id %.100s was answered as %.100s with status %d: %.300s", s, q.id, a.ID, status, message)
	}
	return true
}

// awaitOnStream waits for the answer to an accepted request.
func (p *mutator) awaitOnStream(ctx context.Context, s *mutated, q *asked) {
	var other []string
	for {
		m, err := p.sse.receive(ctx)
		var a struct{ ID, Result, Error json.RawMessage }
		switch {
		case err != nil && ctx.Err() != nil:
			p.hung.Add(1)
			p.fault("not answered on the stream", "%v was accepted but not answered within %v; received: %.500q",
				s, s.limit(), other)
			return
		case err != nil:
			p.fault("stream ended", "%v: %v", s, err)
			if err := p.renewSSE(); err != nil {
				p.fault("a new stream is rejected", "%v", err)
			}
			return
		case json.Unmarshal([]byte(m), &a) != nil:
			p.fault("not JSON", "%v: received on the stream: %.300q", s, m)
		case sameID(a.ID, q.id) && (a.Result != nil || a.Error != nil):
			return
		case rounded(a.ID, q.id):
			p.fault("id", "%v: the id %.100s was answered as %.100s on the stream", s, q.id, a.ID)
			return
		default:
			other = append(other, m[:min(200, len(m))])
		}
	}
}

// forget drops the messages that the stream has received for earlier requests.
func (p *mutator) forget() {
	for {
		select {
		case m, ok := <-p.sse.messages:
			if !ok {
				p.fault("stream ended", "between two requests: %v", p.sse.end)
				if err := p.renewSSE(); err != nil {
					p.fault("a new stream is rejected", "%v", err)
				}
				return
			}
			if !json.Valid([]byte(m)) {
				p.fault("not JSON", "received on the stream: %.300q", m)
			}
		default:
			return
		}
	}
}

// asked is a request that must be answered.
type asked struct{ id json.RawMessage }

// askedBy returns the request of a body: one JSON object in UTF-8 with version,
// method and an id that the protocol allows, none of them ambiguous. For
// any other message it returns nil: the server may answer it as it likes.
func askedBy(s *mutated) *asked {
	if s.method != http.MethodPost || !utf8.Valid(s.body) || !json.Valid(s.body) {
		return nil
	}
	members := map[string]json.RawMessage{}
	for key, value := range topLevel(s.body) {
		if _, twice := members[strings.ToLower(key)]; twice || key != strings.ToLower(key) {
			return nil
		}
		members[key] = value
	}
	var version, method string
	if json.Unmarshal(members["jsonrpc"], &version) != nil || json.Unmarshal(members["method"], &method) != nil ||
		!validID(members["id"]) {
		return nil
	}
	if version != "2.0" || method == "" || method == "subscriptions/listen" ||
		strings.HasPrefix(method, "notifications/") || members["result"] != nil || members["error"] != nil {
		return nil
	}
	return &asked{members["id"]}
}

// topLevel yields the members of a valid JSON object in order, duplicates
// included. It yields nothing for any other value.
func topLevel(body []byte) func(yield func(string, json.RawMessage) bool) {
	return func(yield func(string, json.RawMessage) bool) {
		d := json.NewDecoder(bytes.NewReader(body))
		if t, err := d.Token(); err != nil || t != json.Delim('{') {
			return
		}
		for d.More() {
			key, err := d.Token()
			var value json.RawMessage
			if err != nil || d.Decode(&value) != nil || !yield(key.(string), value) {
				return
			}
		}
	}
}

// integer matches plain integers of up to 40 digits.
var integer = regexp.MustCompile(`^(0|-?[1-9]\d{0,39})$`)

// validID reports whether the protocol allows an id.
func validID(id json.RawMessage) bool {
	return len(id) > 0 && id[0] == '"' || integer.Match(id)
}

// sameID compares numbers byte by byte and strings by their decoded value.
func sameID(a, b json.RawMessage) bool {
	var x, y string
	quoted := len(a) > 0 && len(b) > 0 && a[0] == '"' && b[0] == '"'
	if quoted && json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil {
		return x == y
	}
	return bytes.Equal(bytes.TrimSpace(a), bytes.TrimSpace(b))
}

// rounded reports whether two ids are equal as floating-point numbers.
func rounded(id, from json.RawMessage) bool {
	var a, b float64
	return json.Unmarshal(id, &a) == nil && json.Unmarshal(from, &b) == nil && a == b
}

// TestBadInput sends malformed requests to every route.
func TestBadInput(t *testing.T) {
	if *batterySize <= 200 { // the long run has the machine to itself
		t.Parallel()
	}
	t.Logf("-battery-seed %d", *batterySeed)
	server := serveProgram(t, build(t), t.TempDir(), "--sandbox-rate", "1000", "--sandbox-burst", "1000")
	b := &battery{t: t, server: server, statuses: map[string]int{}, faults: map[string]int{}}
	b.prepare()
	before, _ := server.resident()
	began := time.Now()
	var probers sync.WaitGroup
	for range 4 {
		p, err := b.newProber()
		if err != nil {
			t.Fatal(err)
		}
		probers.Go(func() {
			defer p.sse.close()
			for i := int(b.next.Add(1)); i <= *batterySize && b.hung.Load() < 20; i = int(b.next.Add(1)) {
				p.send(p.mutated(i))
			}
		})
	}
	probers.Wait()
	t.Logf("%d requests in %v; answers: %s", *batterySize, time.Since(began).Round(time.Millisecond), tally(b.statuses))
	if len(b.faults) > 0 {
		t.Errorf("in total: %s", tally(b.faults))
	}
	if b.hung.Load() >= 20 {
		t.Error("20 requests hung; the others were not sent")
	}
	if n := b.statuses["POST /mcp 200"]; n < *batterySize/10 {
		t.Errorf("only %d requests reached a method", n)
	}
	b.conversations()
	const grown = 30 << 10
	after := server.awaitResident(before+grown, patience)
	_, most := server.resident()
	t.Logf("%d kB before, %d after, %d at most", before, after, most)
	if after-before >= grown {
		t.Errorf("%d kB more than before, want less than 30 MB", after-before)
	}
}

// prepare creates an export, lists the tools, and holds the conversations once,
// so that the memory they take is part of the reference.
func (b *battery) prepare() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), testLimit)
	defer cancel()
	h, err := b.server.open(ctx, newHTTPClient(b.t))
	if err != nil {
		b.t.Fatal(err)
	}
	operation, err := completedExport(ctx, h)
	if err != nil {
		b.t.Fatal(err)
	}
	b.words = append(slices.Clone(plausible), operation)
	var list struct{ Tools []listedTool }
	if err := h.call(ctx, "tools/list", nil, &list); err != nil || len(list.Tools) < 10 {
		b.t.Fatalf("%d tools are listed, %v", len(list.Tools), err)
	}
	b.tools = list.Tools
	b.conversations()
}

// conversations holds a healthy conversation over each transport.
func (b *battery) conversations() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), testLimit)
	defer cancel()
	client := newHTTPClient(b.t)
	h, err := b.server.open(ctx, client)
	if err == nil {
		err = healthy(ctx, h)
	}
	if err != nil {
		b.t.Errorf("a healthy client over /mcp: %v", err)
	}
	c, err := b.server.openSSE(ctx, client)
	if err == nil {
		err = healthy(ctx, c)
	}
	if err != nil {
		b.t.Errorf("a healthy client over /sse: %v", err)
	}
}

func tally(counts map[string]int) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s: %d", key, counts[key]))
	}
	return strings.Join(parts, ", ")
}

// mutated is one request.
type mutated struct {
	number    int
	mutated   []string // names of the mutations
	method    string
	path      string
	query     string
	host      string
	header    http.Header
	draft     draft // what the body was made from
	body      []byte
	inSession bool // posted to the mutator's /sse session
}

func (s *mutated) String() string {
	header := map[string]string{}
	for key, values := range s.header {
		header[key] = fmt.Sprintf("%.60q", values)
	}
	return fmt.Sprintf("request %d (%s): %s %s?%.80s, Host %q, %v, body of %d bytes %.300q",
		s.number, strings.Join(s.mutated, ", "), s.method, s.path, s.query, s.host, header, len(s.body), s.body)
}

func (s *mutated) request(ctx context.Context, base string) (*http.Request, error) {
	u, err := url.Parse(base + s.path)
	if err != nil {
		return nil, err
	}
	u.RawQuery = s.query
	r, err := http.NewRequestWithContext(ctx, s.method, u.String(), bytes.NewReader(s.body))
	if err != nil {
		return nil, err
	}
	r.URL, r.Header, r.Host = u, s.header, s.host
	return r, nil
}

// mutated makes request i: a valid one with up to three mutations.
func (p *mutator) mutated(i int) *mutated {
	r := rand.New(rand.NewPCG(*batterySeed, uint64(i)))
	s := &mutated{number: i, method: http.MethodPost, path: "/mcp", header: http.Header{}}
	switch n := r.IntN(100); {
	case n < 30:
		p.toMessage(s)
	case n < 36:
		s.method, s.path = http.MethodGet, "/sse"
	case n < 40:
		s.method = http.MethodGet
	case n < 43:
		s.method = http.MethodDelete
	}
	p.address(s)
	if s.method == http.MethodPost {
		s.header.Set("Content-Type", "application/json")
		p.fill(r, s)
	}
	for range r.IntN(4) {
		w := pick(r, mutations...)
		s.mutated = append(s.mutated, w.name)
		w.do(r, p, s)
	}
	return s
}

func (p *mutator) toMessage(s *mutated) {
	s.path, s.inSession = "/message", true
	if u, err := url.Parse(p.sse.url); err == nil {
		s.path, s.query = u.Path, u.RawQuery
	}
}

// address sets the headers that a correct client sends.
func (p *mutator) address(s *mutated) {
	s.header.Set("Accept", "application/json, text/event-stream")
	if s.path == "/mcp" {
		s.header.Set("Mcp-Session-Id", p.session.id)
		s.header.Set("Mcp-Protocol-Version", testedVersion)
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// draft is a JSON object whose members can be changed one by one. Keys and
// values are raw JSON.
type draft []struct{ key, value string }

func (d draft) bytes() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range d {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(m.key + ":" + m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func (d *draft) add(key, value string) {
	*d = append(*d, struct{ key, value string }{key, value})
}

// member returns the index of a key, or -1.
func (d draft) member(key string) int {
	return slices.IndexFunc(d, func(m struct{ key, value string }) bool { return m.key == key })
}

// set replaces the value of a key, or adds the key.
func (d *draft) set(key, value string) {
	if i := d.member(key); i >= 0 {
		(*d)[i].value = value
		return
	}
	d.add(key, value)
}

// fill writes a valid message into the body.
func (p *mutator) fill(r *rand.Rand, s *mutated) {
	m := pick(r, messages...)
	s.draft.add(`"jsonrpc"`, `"2.0"`)
	if !strings.HasPrefix(m.method, "notifications/") {
		s.draft.add(`"id"`, fmt.Sprint(1000+s.number))
	}
	s.draft.add(`"method"`, `"`+m.method+`"`)
	params := m.params
	if m.method == "tools/call" {
		params = p.toolCall(r)
	}
	if params != "" {
		s.draft.add(`"params"`, params)
	}
	s.body = s.draft.bytes()
}

// messages are the valid messages of clients. A third of them are calls.
var messages = slices.Concat([]struct{ method, params string }{
	{"initialize", `{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`},
	{"initialize", `{"protocolVersion":"2099-01-01","capabilities":{},"clientInfo":{"name":"test","version":"1"}}`},
	{"ping", ""},
	{"tools/list", ""},
	{"tools/list", `{"cursor":"x"}`},
	{"resources/list", `{}`},
	{"resources/templates/list", ""},
	{"resources/read", `{"uri":"fullstory-export://guide/time-windows"}`},
	{"resources/read", `{"uri":"fullstory-export://operations/x"}`},
	{"resources/subscribe", `{"uri":"fullstory-export://bulk/x"}`},
	{"resources/unsubscribe", `{"uri":"fullstory-export://bulk/x"}`},
	{"prompts/list", ""},
	{"prompts/get", `{"name":"export_segment","arguments":{"segment":"everyone"}}`},
	{
		"completion/complete",
		`{"ref":{"type":"ref/prompt","name":"export_segment"},"argument":{"name":"timezone","value":"Eu"}}`,
	},
	{"logging/setLevel", `{"level":"debug"}`},
	{"server/discover", ""},
	{"subscriptions/listen", `{"notifications":{}}`},
	{"sampling/createMessage", `{"messages":[]}`},
	{"roots/list", ""},
	{"tasks/list", ""},
	{"no/such/method", `{}`},
	{"notifications/initialized", ""},
	{"notifications/cancelled", `{"requestId":1,"reason":"x"}`},
	{"notifications/progress", `{"progressToken":1,"progress":0.5}`},
	{"notifications/no-such", `{}`},
}, slices.Repeat([]struct{ method, params string }{{"tools/call", ""}}, 12))

// argumentSchema is the part of a tool's schema that arguments are made from.
type argumentSchema struct {
	Type       string
	Enum       []string
	Properties map[string]argumentSchema
	Items      *argumentSchema
}

// toolCall writes a call of any tool, with some odd arguments. Tools that start
// exports are called with dry_run only.
func (p *mutator) toolCall(r *rand.Rand) string {
	tool := pick(r, p.tools...)
	schema := tool.InputSchema
	schema.Properties = maps.Clone(schema.Properties)
	delete(schema.Properties, "dry_run")
	args := p.object(r, schema)
	switch {
	case tool.Name == "create_segment_export" || tool.Name == "start_bulk_export":
		args.add(`"dry_run"`, "true")
	case r.IntN(20) == 0:
		args.add(`"no_such_field"`, pick(r, odd...))
	}
	name := `"` + tool.Name + `"`
	if r.IntN(30) == 0 {
		name = pick(r, odd...)
	}
	return `{"name":` + name + `,"arguments":` + string(args.bytes()) + `}`
}

func (p *mutator) object(r *rand.Rand, schema argumentSchema) (args draft) {
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if r.IntN(3) > 0 {
			args.add(`"`+name+`"`, p.argument(r, schema.Properties[name]))
		}
	}
	return args
}

// argument writes a value that the schema allows or, one time in eight, an odd
// one.
func (p *mutator) argument(r *rand.Rand, schema argumentSchema) string {
	if r.IntN(8) == 0 {
		return pick(r, odd...)
	}
	switch {
	case len(schema.Enum) > 0:
		return `"` + pick(r, schema.Enum...) + `"`
	case schema.Type == "object":
		return string(p.object(r, schema).bytes())
	case schema.Type == "array" && schema.Items != nil:
		return "[" + p.argument(r, *schema.Items) + "]"
	case schema.Type == "integer" || schema.Type == "number":
		return pick(r, "0", "1", "5", "20", "1000000", "-1", "0.5")
	case schema.Type == "boolean":
		return pick(r, "true", "false")
	}
	return `"` + pick(r, p.words...) + `"`
}

// plausible are values for string arguments.
var plausible = []string{
	"everyone", "Checkout visitors", "rageClicks", "2026-10", "2026-10-20", "2026-10-20T10:00:00Z", "2026-Q3", "2026-W40",
	"last_month", "now", "03/04/2026", "Europe/Berlin", "UTC", "hour", "day", "PT6H", "UserId", "EventStart", "bulk_x",
	"x",
}

// odd are values that hardly any argument allows.
var odd = []string{
	"null", "true", "0", "-1", "1.5", "1e400", "-1e-400", "9007199254740993", strings.Repeat("9", 400),
	`""`, `"\u0000"`, `"\ud800"`, `"\u202e\u0007"`, `"` + strings.Repeat("a", 10_000) + `"`, `"../../../x"`,
	`"2026-13-45"`, `"9999-12-31T23:59:60Z"`, `"'; --"`,
	"[]", "{}", "[[[]]]", "[null,null]", `{"":{"":null}}`, nested(100), nested(5000),
}

// ids are ids of requests: first those that the protocol allows, then others.
var ids = []string{
	"9007199254740993", "-9007199254740993", "123456789012345678901234567890", "0", "-1", `"text"`, `""`,
	`"9007199254740993"`, `"ä漢\u0000\"\\"`, `"</script>&"`, `"` + strings.Repeat("i", 10_000) + `"`,
	"1.5", "1.0", "1e3", "1e400", "-0", "null", "true", "{}", "[]", "[1]", `{"id":1}`,
}

// nested returns empty arrays nested to a depth.
func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// mutations are the ways to make a request malformed. Repeated ones are drawn
// more often.
var mutations = []struct {
	name string
	do   func(r *rand.Rand, p *mutator, s *mutated)
}{
	{"arguments only", func(*rand.Rand, *mutator, *mutated) {}},
	{"id", mutateID}, {"id", mutateID}, {"id", mutateID},
	{"member", mutateMember}, {"member", mutateMember}, {"member", mutateMember},
	{"whole body", mutateBody}, {"whole body", mutateBody},
	{"bytes", mutateBytes}, {"bytes", mutateBytes}, {"bytes", mutateBytes},
	{"large body", mutateSize},
	{"headers", mutateHeader}, {"headers", mutateHeader}, {"headers", mutateHeader}, {"headers", mutateHeader},
	{"session", mutateSession}, {"session", mutateSession},
	{"modern", mutateModern}, {"modern", mutateModern}, {"modern", mutateModern},
	{"host", mutateHost},
	{"query", mutateQuery}, {"query", mutateQuery},
	{"method", mutateMethod},
}

func mutateID(r *rand.Rand, _ *mutator, s *mutated) {
	if s.draft != nil {
		s.draft.set(`"id"`, pick(r, ids...))
		s.body = s.draft.bytes()
	}
}

// mutateMember replaces, removes, duplicates or renames a member.
func mutateMember(r *rand.Rand, _ *mutator, s *mutated) {
	if len(s.draft) == 0 {
		return
	}
	i := r.IntN(len(s.draft))
	switch m := &s.draft[i]; r.IntN(5) {
	case 0, 1:
		m.value = pick(r, odd...)
	case 2:
		s.draft = slices.Delete(s.draft, i, i+1)
	case 3:
		s.draft.add(m.key, pick(r, m.value, pick(r, odd...)))
	case 4:
		m.key = strings.ToUpper(m.key)
	}
	s.body = s.draft.bytes()
}

// mutateBody replaces the message by another JSON value, or by invalid JSON.
func mutateBody(r *rand.Rand, _ *mutator, s *mutated) {
	one := string(s.body)
	s.body = []byte(pick(r,
		"", " ", "\n", "null", "0", `"x"`, "[]", "{}", "[1,2,null]", nested(20_000),
		"["+one+"]", "["+one+","+one+"]", one+one, one+"\n"+one, one+"}", "\ufeff"+one, "\n\t "+one+" \n",
		`{"jsonrpc":"2.0","id":99,"result":{}}`,
		`{"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"x"}}`,
		`{"jsonrpc":"2.0","id":null,"error":{}}`,
		`{"jsonrpc":"2.0","id":7,"method":"notifications/initialized"}`,
		`{"jsonrpc":"2.0","id":7,"method":"notifications/cancelled","params":{"requestId":7}}`,
		`{"jsonrpc":"2.0","id":8,"method":"ping","result":{},"error":{}}`,
		`{"jsonrpc":"2.0","id":9,"method":"ping","params":`+nested(9000)+`}`,
		`{"jsonrpc":"2.0","id":9,"method":"ping","params":{"x":`+strings.Repeat("1", 100_000)+`}}`,
	))
}

// mutateBytes cuts, changes or adds bytes.
func mutateBytes(r *rand.Rand, _ *mutator, s *mutated) {
	if len(s.body) == 0 {
		return
	}
	i := r.IntN(len(s.body))
	s.body = slices.Clone(s.body)
	switch r.IntN(5) {
	case 0:
		s.body = s.body[:i]
	case 1:
		s.body[i] ^= 1 << r.IntN(8)
	case 2:
		s.body = slices.Insert(s.body, i,
			[]byte(pick(r, "\x00", "\xff", "\xc3\x28", "\xed\xa0\x80", "\u2028", "\\", "\""))...)
	case 3:
		for range 10 {
			s.body[r.IntN(len(s.body))] = byte(r.IntN(256))
		}
	case 4:
		s.body = bytes.Replace(s.body, []byte(`"params":{`),
			[]byte(`"params":{"`+pick(r, "\xff\xfe", "\\u0000", "__proto__", "")+`":1,`), 1)
	}
}

// mutateSize makes a ping about as large as the limit of a body.
func mutateSize(r *rand.Rand, _ *mutator, s *mutated) {
	const head, tail = `{"jsonrpc":"2.0","id":3,"method":"ping","params":{"x":"`, `"}}`
	size := 1<<20 + pick(r, -1, 0, 1)
	s.body = []byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail)
}

// mutateHeader sets or removes a header.
func mutateHeader(r *rand.Rand, _ *mutator, s *mutated) {
	long := strings.Repeat("x", 8000)
	switch r.IntN(5) {
	case 0:
		s.set(r, "Content-Type", "", "text/plain", "application/xml", "application/json; charset=utf-16",
			"application/json; charset=utf-8", "application/json;;;", "multipart/form-data; boundary=x",
			"APPLICATION/JSON", "application/json, text/plain", "application/jsonp", "\xff", long)
	case 1:
		s.set(r, "Accept", "", "application/json", "text/event-stream", "*/*", "text/html",
			"application/json;q=0, text/event-stream;q=0", ",,,", "\xff", long)
	case 2:
		s.set(r, "Mcp-Protocol-Version", "", "2024-11-05", "2025-03-26", "2025-11-25", "2026-07-28", "2099-01-01", "1",
			"latest", "2025-06-18, 2025-11-25", "\xff", long)
	case 3:
		s.set(r, "Last-Event-Id", "", "0", "-1", "99999999999999999999", "x:y:z", "\xff", long)
	case 4:
		key := pick(r, "Authorization", "Cookie", "Content-Encoding", "Expect", "Connection", "Range", "If-None-Match",
			"X-Forwarded-For", "Forwarded", "Traceparent", "X-Http-Method-Override", "Upgrade", "Sec-Fetch-Site")
		s.set(r, key, map[string][]string{
			"Content-Encoding": {"gzip", "br", "x"},
			"Expect":           {"100-continue"},
			"Connection":       {"close", "keep-alive", "upgrade"},
			"Traceparent":      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0-0-0", "x"},
			"Sec-Fetch-Site":   {"cross-site", "same-origin"},
		}[key]...)
	}
}

// set gives a header one of the values, or one value twice, or none.
func (s *mutated) set(r *rand.Rand, key string, values ...string) {
	value := "x"
	if len(values) > 0 {
		value = pick(r, values...)
	}
	s.header.Set(key, value)
	switch r.IntN(8) {
	case 0:
		s.header.Del(key)
	case 1:
		s.header.Add(key, value)
	}
}

// mutateSession forges the session id, or uses that of another session.
func mutateSession(r *rand.Rand, p *mutator, s *mutated) {
	other := p.otherSession(r)
	s.set(r, "Mcp-Session-Id", "", "x", "null", "mcp-session-00000000-0000-4000-8000-000000000000", other, other+"x",
		strings.ToUpper(other), other[:len(other)/2], other+", "+other, "../../x", "%00", "\xff\xfe",
		strings.Repeat("x", 8000), strings.Repeat("x", 100_000))
	if s.inSession && r.IntN(2) == 0 {
		s.inSession = false
		s.query = pick(r, "", "sessionId=", "sessionId=x", "sessionId="+other, "sessionId=%00",
			"sessionId="+strings.Repeat("x", 8000), strings.ReplaceAll(s.query, "=", "=x"), strings.ToUpper(s.query))
	}
}

// mutateModern turns the message into one of the protocol version without
// sessions, mostly with something missing or wrong.
func mutateModern(r *rand.Rand, p *mutator, s *mutated) {
	if s.draft == nil {
		return
	}
	method, name := "tools/call", pick(r, p.tools...).Name
	if i := s.draft.member(`"method"`); i >= 0 {
		method = strings.Trim(s.draft[i].value, `"`)
	}
	version := pick(r, "2026-07-28", "2026-07-28", "2026-07-28", "2025-06-18", "2099-01-01", "")
	if r.IntN(4) > 0 {
		capabilities := pick(r, "{}", "{}", "{}", "null", "[]", "1")
		s.draft.addMeta(`{"io.modelcontextprotocol/protocolVersion":"` + version + `",` +
			`"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},` +
			`"io.modelcontextprotocol/clientCapabilities":` + capabilities + `}`)
		s.body = s.draft.bytes()
	}
	s.header.Set("Mcp-Protocol-Version", pick(r, "2026-07-28", "2026-07-28", version))
	s.header.Set("Mcp-Method", pick(r, method, method, method, "ping", "", "\xff"))
	if method == "tools/call" || r.IntN(3) == 0 {
		s.header.Set("Mcp-Name", pick(r, name, "no_such_tool", "", "=?base64?eA==?=", "=?base64?%%%?="))
		if i := s.draft.member(`"params"`); i >= 0 && r.IntN(2) == 0 {
			var params struct{ Name string }
			json.Unmarshal([]byte(s.draft[i].value), &params)
			s.header["Mcp-Name"] = []string{strings.Map(printable, params.Name)}
		}
	}
	if r.IntN(3) > 0 {
		s.header.Del("Mcp-Session-Id")
	}
}

func printable(c rune) rune {
	if c < ' ' || c > '~' {
		return -1
	}
	return c
}

// addMeta adds _meta as the first parameter.
func (d *draft) addMeta(meta string) {
	params := "{}"
	if i := d.member(`"params"`); i >= 0 {
		params = (*d)[i].value
	}
	if rest, ok := strings.CutPrefix(params, "{"); ok {
		comma := ","
		if rest == "}" {
			comma = ""
		}
		d.set(`"params"`, `{"_meta":`+meta+comma+rest)
	}
}

// mutateHost sets the Host or Origin of a foreign web page.
func mutateHost(r *rand.Rand, p *mutator, s *mutated) {
	_, port, _ := strings.Cut(strings.TrimPrefix(p.server.url, "http://"), ":")
	if r.IntN(2) == 0 {
		s.host = pick(r, "localhost:"+port, "LOCALHOST", "[::1]:"+port, "127.0.0.2:"+port, "127.0.0.1", "evil.example",
			"evil.example:"+port, "localhost.evil.example", "127.0.0.1.evil.example:"+port, "0.0.0.0:"+port, "192.168.0.1")
		return
	}
	s.set(r, "Origin", p.server.url, "null", "", "https://evil.example", "http://127.0.0.1:1", "http://localhost:"+port,
		"file://", "http://127.0.0.1.evil.example:"+port, "://", "\xff")
}

// mutateQuery extends or replaces the query.
func mutateQuery(r *rand.Rand, p *mutator, s *mutated) {
	extra := pick(r, "x=1", "%zz", "a;b", "&&&", "sessionId="+p.session.id, "sessionId=x", "token=x",
		strings.Repeat("q", 8000))
	switch {
	case s.query == "" || r.IntN(3) == 0:
		s.query, s.inSession = extra, false
	case strings.Contains(extra, "sessionId"):
		s.inSession = false
		s.query = extra + "&" + s.query
	case extra == "%zz" || extra == "a;b":
		s.inSession = false
		s.query += "&" + extra
	default:
		s.query += "&" + extra
	}
}

// mutateMethod changes the HTTP method, and sometimes the route.
func mutateMethod(r *rand.Rand, _ *mutator, s *mutated) {
	s.method = pick(r, http.MethodPut, http.MethodPatch, http.MethodOptions, http.MethodHead, http.MethodTrace,
		http.MethodGet, http.MethodPost, "MCP")
	s.path = pick(r, s.path, s.path, "/mcp", "/sse", "/message", "/mcp/", "/MCP", "//mcp", "/", "/mcp/x", "/healthz",
		"/metrics")
	s.inSession = s.inSession && s.method == http.MethodPost && s.path == "/message"
}
