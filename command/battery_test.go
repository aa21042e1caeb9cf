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
	batterySize = flag.Int("battery", 1000, "how many spoilt requests are sent to the HTTP server")
	batterySeed = flag.Uint64("battery-seed", 1, "seed of the spoilt requests")
)

// battery sends spoilt requests, each made from the seed and its number, and
// checks what every one of them must be answered.
type battery struct {
	t      *testing.T
	server *served
	tools  []listedTool
	words  []string // known ids and names, for arguments
	next   atomic.Int64
	hung   atomic.Int64

	mu       sync.Mutex
	sessions []string       // of all gunners
	statuses map[string]int // how often a route answered with a status
	faults   map[string]int // how often an invariant was broken
}

type listedTool struct {
	Name        string
	InputSchema argumentSchema
}

// fault reports a broken invariant; of each kind the first three in full.
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

// otherSession returns a session of any of the gunners.
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

// gunner sends one request after the other, over connections and in sessions of
// its own.
type gunner struct {
	*battery
	client  *http.Client
	session *httpSession
	sse     *sseSession
	before  map[string]string // by connection: the request that was sent on it last
}

func (b *battery) newGunner() (*gunner, error) {
	g := &gunner{battery: b, client: newHTTPClient(b.t), before: map[string]string{}}
	return g, errors.Join(g.renew(), g.renewSSE())
}

func (g *gunner) renew() (err error) {
	ctx, cancel := context.WithTimeout(g.t.Context(), 10*time.Second)
	defer cancel()
	if g.session, err = g.server.open(ctx, g.client); err != nil {
		return err
	}
	g.addSession(g.session.id)
	return nil
}

func (g *gunner) renewSSE() (err error) {
	if g.sse != nil {
		g.sse.close()
	}
	g.sse, err = g.server.openSSE(g.t.Context(), g.client)
	return err
}

// limit is how long a request may take.
func (s *shot) limit() time.Duration {
	if bytes.Contains(s.body, []byte("tools/call")) {
		return 25 * time.Second
	}
	return 5 * time.Second
}

// fire sends one request and checks its answer.
func (g *gunner) fire(s *shot) {
	ctx, cancel := context.WithTimeout(g.t.Context(), s.limit())
	defer cancel()
	var connection string
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { connection = c.Conn.LocalAddr().String() }}
	r, err := s.request(httptrace.WithClientTrace(ctx, trace), g.server.url)
	if err != nil {
		g.t.Errorf("the test made a request that cannot be sent: %v", err)
		return
	}
	if s.path == "/message" {
		g.forget()
	}
	answer, err := g.client.Do(r)
	before := g.before[connection]
	g.before[connection] = s.method + " " + s.path
	if err != nil {
		g.unanswered(ctx, s, fmt.Sprintf("%v; the connection was used before for %q", err, before))
		return
	}
	defer answer.Body.Close()
	g.count(s.method+" "+s.path, answer.StatusCode)
	g.checkStatus(s, answer)
	if g.endless(s, answer) {
		return
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		g.unanswered(ctx, s, fmt.Sprintf("status %d, then %v after %.200q", answer.StatusCode, err, body))
		return
	}
	g.checkBody(ctx, s, answer, body)
	if s.method == http.MethodDelete && answer.StatusCode/100 == 2 {
		if err := g.renew(); err != nil {
			g.fault("a new session is refused", "%v after %v", err, s)
		}
	}
}

// unanswered reports a request that was not answered, or not to the end.
func (g *gunner) unanswered(ctx context.Context, s *shot, how string) {
	if ctx.Err() != nil {
		g.hung.Add(1)
		g.fault("hanging", "not answered within %v: %v: %s", s.limit(), s, how)
		return
	}
	g.fault("cut off", "%v: %s", s, how)
}

func (g *gunner) checkStatus(s *shot, r *http.Response) {
	if r.StatusCode == http.StatusServiceUnavailable && r.Header.Get("Retry-After") != "" {
		return
	}
	if r.StatusCode >= 500 {
		g.fault("status", "%v: status %s", s, r.Status)
	}
}

// endless tells whether an answer is a stream that does not end by itself. The
// caller closes it.
func (g *gunner) endless(s *shot, r *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "text/event-stream" && (s.method == http.MethodGet || bytes.Contains(s.body, []byte("subscriptions/listen")))
}

// checkBody checks what a request was answered with, and for an accepted one
// what comes on the stream of the older transport.
func (g *gunner) checkBody(ctx context.Context, s *shot, r *http.Response, body []byte) {
	var messages []json.RawMessage
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case s.method == http.MethodHead:
		return
	case kind == "application/json" || kind == "application/problem+json":
		if !json.Valid(body) {
			g.fault("not JSON", "%v: status %d with %.300q", s, r.StatusCode, body)
			return
		}
		messages = append(messages, body)
	case kind == "text/event-stream":
		for e, err := range events(bytes.NewReader(body)) {
			if err != nil || e.data != "" && !json.Valid([]byte(e.data)) {
				g.fault("not JSON", "%v: an event is %.300q, %v", s, e.data, err)
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
		g.awaitOnStream(ctx, s, q)
		return
	}
	answers := 0
	for _, m := range messages {
		if g.checkAnswer(s, q, r.StatusCode, m) {
			answers++
		}
	}
	if want := 1; r.StatusCode/100 == 2 && s.path == "/mcp" && answers != want {
		g.fault("number of answers", "%v: %d answers, want %d; status %d with %.300q", s, answers, want, r.StatusCode, body)
	}
}

// checkAnswer checks the id of a message, and tells whether it is an answer. A
// request that was refused as a whole may be answered without its id.
func (g *gunner) checkAnswer(s *shot, q *asked, status int, message json.RawMessage) bool {
	var a struct{ ID, Result, Error json.RawMessage }
	if json.Unmarshal(message, &a) != nil || a.Result == nil && a.Error == nil {
		return false
	}
	if noID := a.ID == nil || string(a.ID) == "null"; !sameID(a.ID, q.id) && (!noID || status/100 == 2) {
		g.fault("id", "%v: the id %.100s was answered as %.100s with status %d: %.300s", s, q.id, a.ID, status, message)
	}
	return true
}

// awaitOnStream waits for the answer to a request that was accepted.
func (g *gunner) awaitOnStream(ctx context.Context, s *shot, q *asked) {
	var other []string
	for {
		m, err := g.sse.receive(ctx)
		var a struct{ ID, Result, Error json.RawMessage }
		switch {
		case err != nil && ctx.Err() != nil:
			g.hung.Add(1)
			g.fault("not answered on the stream", "%v was accepted, not answered within %v; what came: %.500q", s, s.limit(), other)
			return
		case err != nil:
			g.fault("stream ended", "%v: %v", s, err)
			if err := g.renewSSE(); err != nil {
				g.fault("a new stream is refused", "%v", err)
			}
			return
		case json.Unmarshal([]byte(m), &a) != nil:
			g.fault("not JSON", "%v: on the stream comes %.300q", s, m)
		case sameID(a.ID, q.id) && (a.Result != nil || a.Error != nil):
			return
		case rounded(a.ID, q.id):
			g.fault("id", "%v: the id %.100s was answered as %.100s on the stream", s, q.id, a.ID)
			return
		default:
			other = append(other, m[:min(200, len(m))])
		}
	}
}

// forget drops what has come on the stream for earlier requests.
func (g *gunner) forget() {
	for {
		select {
		case m, ok := <-g.sse.messages:
			if !ok {
				g.fault("stream ended", "by itself: %v", g.sse.end)
				if err := g.renewSSE(); err != nil {
					g.fault("a new stream is refused", "%v", err)
				}
				return
			}
			if !json.Valid([]byte(m)) {
				g.fault("not JSON", "on the stream comes %.300q", m)
			}
		default:
			return
		}
	}
}

// asked is a request that is owed an answer.
type asked struct{ id json.RawMessage }

// askedBy returns the request of a body: one JSON object in UTF-8 with version,
// method and an id that the protocol allows, none of them ambiguous. Otherwise
// nil: what such a message is answered is left to the server.
func askedBy(s *shot) *asked {
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
	if json.Unmarshal(members["jsonrpc"], &version) != nil || json.Unmarshal(members["method"], &method) != nil || !validID(members["id"]) {
		return nil
	}
	if version != "2.0" || method == "" || method == "subscriptions/listen" || strings.HasPrefix(method, "notifications/") || members["result"] != nil || members["error"] != nil {
		return nil
	}
	return &asked{members["id"]}
}

// topLevel yields the members of a valid JSON object in their order, also those
// that are there twice; nothing for another value.
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

// integer is one in its plain form, of no more digits than anybody needs.
var integer = regexp.MustCompile(`^(0|-?[1-9]\d{0,39})$`)

// validID tells whether an id is one that the protocol allows.
func validID(id json.RawMessage) bool {
	return len(id) > 0 && id[0] == '"' || integer.Match(id)
}

// sameID compares numbers as they stand and strings as they read.
func sameID(a, b json.RawMessage) bool {
	var x, y string
	if json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && len(a) > 0 && len(b) > 0 && a[0] == '"' && b[0] == '"' {
		return x == y
	}
	return bytes.Equal(bytes.TrimSpace(a), bytes.TrimSpace(b))
}

// rounded tells whether an id is another one that went through a floating-point
// number.
func rounded(id, from json.RawMessage) bool {
	var a, b float64
	return json.Unmarshal(id, &a) == nil && json.Unmarshal(from, &b) == nil && a == b
}

// TestBadInput sends what no client should, on every route.
func TestBadInput(t *testing.T) {
	t.Logf("-battery-seed %d", *batterySeed)
	server := serveProgram(t, build(t), t.TempDir(), "--sandbox-rate", "1000", "--sandbox-burst", "1000")
	b := &battery{t: t, server: server, statuses: map[string]int{}, faults: map[string]int{}}
	b.prepare()
	before, _ := server.resident()
	began := time.Now()
	var gunners sync.WaitGroup
	for range 4 {
		g, err := b.newGunner()
		if err != nil {
			t.Fatal(err)
		}
		gunners.Go(func() {
			defer g.sse.close()
			for i := int(b.next.Add(1)); i <= *batterySize && b.hung.Load() < 20; i = int(b.next.Add(1)) {
				g.fire(g.shot(i))
			}
		})
	}
	gunners.Wait()
	t.Logf("%d requests in %v; answers: %s", *batterySize, time.Since(began).Round(time.Millisecond), tally(b.statuses))
	if len(b.faults) > 0 {
		t.Errorf("in all: %s", tally(b.faults))
	}
	if b.hung.Load() >= 20 {
		t.Error("20 requests hung; the others were not sent")
	}
	if n := b.statuses["POST /mcp 200"]; n < *batterySize/10 {
		t.Errorf("only %d requests went as far as a method", n)
	}
	b.conversations()
	const grown = 30 << 10
	after := server.awaitResident(before+grown, 20*time.Second)
	_, most := server.resident()
	t.Logf("%d kB before, %d after, %d at most", before, after, most)
	if after-before >= grown {
		t.Errorf("%d kB more than before, want less than 30 MB", after-before)
	}
}

// prepare makes an export, learns the tools, and holds the conversations once.
func (b *battery) prepare() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
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
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
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

// shot is one request.
type shot struct {
	number    int
	spoilt    []string // what was done to it
	method    string
	path      string
	query     string
	host      string
	header    http.Header
	draft     draft // what the body was made from
	body      []byte
	inSession bool // posted to the stream of its gunner
}

func (s *shot) String() string {
	header := map[string]string{}
	for key, values := range s.header {
		header[key] = fmt.Sprintf("%.60q", values)
	}
	return fmt.Sprintf("request %d (%s): %s %s?%.80s, Host %q, %v, body of %d bytes %.300q", s.number, strings.Join(s.spoilt, ", "), s.method, s.path, s.query, s.host, header, len(s.body), s.body)
}

func (s *shot) request(ctx context.Context, base string) (*http.Request, error) {
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

// shot makes the request with the number i: a good one, spoilt in up to three
// ways.
func (g *gunner) shot(i int) *shot {
	r := rand.New(rand.NewPCG(*batterySeed, uint64(i)))
	s := &shot{number: i, method: http.MethodPost, path: "/mcp", header: http.Header{}}
	switch n := r.IntN(100); {
	case n < 30:
		g.toMessage(s)
	case n < 36:
		s.method, s.path = http.MethodGet, "/sse"
	case n < 40:
		s.method = http.MethodGet
	case n < 43:
		s.method = http.MethodDelete
	}
	g.address(s)
	if s.method == http.MethodPost {
		s.header.Set("Content-Type", "application/json")
		g.fill(r, s)
	}
	for range r.IntN(4) {
		w := pick(r, spoilers...)
		s.spoilt = append(s.spoilt, w.name)
		w.do(r, g, s)
	}
	return s
}

func (g *gunner) toMessage(s *shot) {
	s.path, s.inSession = "/message", true
	if u, err := url.Parse(g.sse.url); err == nil {
		s.path, s.query = u.Path, u.RawQuery
	}
}

// address sets the headers of a good client.
func (g *gunner) address(s *shot) {
	s.header.Set("Accept", "application/json, text/event-stream")
	if s.path == "/mcp" {
		s.header.Set("Mcp-Session-Id", g.session.id)
		s.header.Set("Mcp-Protocol-Version", testedVersion)
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// draft is a JSON object whose members can be spoilt one by one. Keys and
// values are JSON as it stands.
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

// member returns where a key is, -1 if nowhere.
func (d draft) member(key string) int {
	return slices.IndexFunc(d, func(m struct{ key, value string }) bool { return m.key == key })
}

// set puts a value in the place of the old one.
func (d *draft) set(key, value string) {
	if i := d.member(key); i >= 0 {
		(*d)[i].value = value
		return
	}
	d.add(key, value)
}

// fill writes a good message into the body.
func (g *gunner) fill(r *rand.Rand, s *shot) {
	m := pick(r, messages...)
	s.draft.add(`"jsonrpc"`, `"2.0"`)
	if !strings.HasPrefix(m.method, "notifications/") {
		s.draft.add(`"id"`, fmt.Sprint(1000+s.number))
	}
	s.draft.add(`"method"`, `"`+m.method+`"`)
	params := m.params
	if m.method == "tools/call" {
		params = g.toolCall(r)
	}
	if params != "" {
		s.draft.add(`"params"`, params)
	}
	s.body = s.draft.bytes()
}

// messages are what clients say. Calls are more than the rest.
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
	{"completion/complete", `{"ref":{"type":"ref/prompt","name":"export_segment"},"argument":{"name":"timezone","value":"Eu"}}`},
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

// argumentSchema is what arguments are made from.
type argumentSchema struct {
	Type       string
	Enum       []string
	Properties map[string]argumentSchema
	Items      *argumentSchema
}

// toolCall writes a call of any tool, with arguments that are partly odd. What
// would start exports only tries to.
func (g *gunner) toolCall(r *rand.Rand) string {
	tool := pick(r, g.tools...)
	schema := tool.InputSchema
	schema.Properties = maps.Clone(schema.Properties)
	delete(schema.Properties, "dry_run")
	args := g.object(r, schema)
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

func (g *gunner) object(r *rand.Rand, schema argumentSchema) (args draft) {
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if r.IntN(3) > 0 {
			args.add(`"`+name+`"`, g.argument(r, schema.Properties[name]))
		}
	}
	return args
}

// argument writes a value: mostly one that the schema allows, now and then an
// odd one.
func (g *gunner) argument(r *rand.Rand, schema argumentSchema) string {
	if r.IntN(8) == 0 {
		return pick(r, odd...)
	}
	switch {
	case len(schema.Enum) > 0:
		return `"` + pick(r, schema.Enum...) + `"`
	case schema.Type == "object":
		return string(g.object(r, schema).bytes())
	case schema.Type == "array" && schema.Items != nil:
		return "[" + g.argument(r, *schema.Items) + "]"
	case schema.Type == "integer" || schema.Type == "number":
		return pick(r, "0", "1", "5", "20", "1000000", "-1", "0.5")
	case schema.Type == "boolean":
		return pick(r, "true", "false")
	}
	return `"` + pick(r, g.words...) + `"`
}

// plausible are words for arguments that are texts.
var plausible = []string{"everyone", "Checkout visitors", "rageClicks", "2026-10", "2026-10-20", "2026-10-20T10:00:00Z", "2026-Q3", "2026-W40", "last_month", "now", "03/04/2026", "Europe/Berlin", "UTC", "hour", "day", "PT6H", "UserId", "EventStart", "bulk_x", "x"}

// odd are values that fit hardly anywhere.
var odd = []string{
	"null", "true", "0", "-1", "1.5", "1e400", "-1e-400", "9007199254740993", strings.Repeat("9", 400),
	`""`, `"\u0000"`, `"\ud800"`, `"\u202e\u0007"`, `"` + strings.Repeat("a", 10_000) + `"`, `"../../../x"`, `"2026-13-45"`, `"9999-12-31T23:59:60Z"`, `"'; --"`,
	"[]", "{}", "[[[]]]", "[null,null]", `{"":{"":null}}`, nested(100), nested(5000),
}

// ids are what requests may be called, and what not.
var ids = []string{
	"9007199254740993", "-9007199254740993", "123456789012345678901234567890", "0", "-1", `"text"`, `""`, `"9007199254740993"`, `"ä漢\u0000\"\\"`, `"</script>&"`, `"` + strings.Repeat("i", 10_000) + `"`,
	"1.5", "1.0", "1e3", "1e400", "-0", "null", "true", "{}", "[]", "[1]", `{"id":1}`,
}

// nested is an array in an array, so deep.
func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// spoilers are the ways to spoil a request.
var spoilers = []struct {
	name string
	do   func(r *rand.Rand, g *gunner, s *shot)
}{
	{"arguments only", func(*rand.Rand, *gunner, *shot) {}},
	{"id", spoilID}, {"id", spoilID}, {"id", spoilID},
	{"member", spoilMember}, {"member", spoilMember}, {"member", spoilMember},
	{"whole body", spoilBody}, {"whole body", spoilBody},
	{"bytes", spoilBytes}, {"bytes", spoilBytes}, {"bytes", spoilBytes},
	{"large body", spoilSize},
	{"headers", spoilHeader}, {"headers", spoilHeader}, {"headers", spoilHeader}, {"headers", spoilHeader},
	{"session", spoilSession}, {"session", spoilSession},
	{"modern", spoilModern}, {"modern", spoilModern}, {"modern", spoilModern},
	{"host", spoilHost},
	{"query", spoilQuery}, {"query", spoilQuery},
	{"method", spoilMethod},
}

func spoilID(r *rand.Rand, _ *gunner, s *shot) {
	if s.draft != nil {
		s.draft.set(`"id"`, pick(r, ids...))
		s.body = s.draft.bytes()
	}
}

// spoilMember replaces, removes, doubles or renames a member.
func spoilMember(r *rand.Rand, _ *gunner, s *shot) {
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

// spoilBody sends another JSON value than one message.
func spoilBody(r *rand.Rand, _ *gunner, s *shot) {
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

// spoilBytes cuts, changes or adds bytes.
func spoilBytes(r *rand.Rand, _ *gunner, s *shot) {
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
		s.body = slices.Insert(s.body, i, []byte(pick(r, "\x00", "\xff", "\xc3\x28", "\xed\xa0\x80", "\u2028", "\\", "\""))...)
	case 3:
		for range 10 {
			s.body[r.IntN(len(s.body))] = byte(r.IntN(256))
		}
	case 4:
		s.body = bytes.Replace(s.body, []byte(`"params":{`), []byte(`"params":{"`+pick(r, "\xff\xfe", "\\u0000", "__proto__", "")+`":1,`), 1)
	}
}

// spoilSize makes a ping about as large as a body may be.
func spoilSize(r *rand.Rand, _ *gunner, s *shot) {
	const head, tail = `{"jsonrpc":"2.0","id":3,"method":"ping","params":{"x":"`, `"}}`
	size := 1<<20 + pick(r, -1, 0, 1)
	s.body = []byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail)
}

// spoilHeader sets or removes a header.
func spoilHeader(r *rand.Rand, _ *gunner, s *shot) {
	long := strings.Repeat("x", 8000)
	switch r.IntN(5) {
	case 0:
		s.set(r, "Content-Type", "", "text/plain", "application/xml", "application/json; charset=utf-16", "application/json; charset=utf-8", "application/json;;;", "multipart/form-data; boundary=x", "APPLICATION/JSON", "application/json, text/plain", "application/jsonp", "\xff", long)
	case 1:
		s.set(r, "Accept", "", "application/json", "text/event-stream", "*/*", "text/html", "application/json;q=0, text/event-stream;q=0", ",,,", "\xff", long)
	case 2:
		s.set(r, "Mcp-Protocol-Version", "", "2024-11-05", "2025-03-26", "2025-11-25", "2026-07-28", "2099-01-01", "1", "latest", "2025-06-18, 2025-11-25", "\xff", long)
	case 3:
		s.set(r, "Last-Event-Id", "", "0", "-1", "99999999999999999999", "x:y:z", "\xff", long)
	case 4:
		key := pick(r, "Authorization", "Cookie", "Content-Encoding", "Expect", "Connection", "Range", "If-None-Match", "X-Forwarded-For", "Forwarded", "Traceparent", "X-Http-Method-Override", "Upgrade", "Sec-Fetch-Site")
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
func (s *shot) set(r *rand.Rand, key string, values ...string) {
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

// spoilSession forges the session, or takes another one.
func spoilSession(r *rand.Rand, g *gunner, s *shot) {
	other := g.otherSession(r)
	s.set(r, "Mcp-Session-Id", "", "x", "null", "mcp-session-00000000-0000-4000-8000-000000000000", other, other+"x", strings.ToUpper(other), other[:len(other)/2], other+", "+other, "../../x", "%00", "\xff\xfe", strings.Repeat("x", 8000), strings.Repeat("x", 100_000))
	if s.inSession && r.IntN(2) == 0 {
		s.inSession = false
		s.query = pick(r, "", "sessionId=", "sessionId=x", "sessionId="+other, "sessionId=%00", "sessionId="+strings.Repeat("x", 8000), strings.ReplaceAll(s.query, "=", "=x"), strings.ToUpper(s.query))
	}
}

// spoilModern turns the message into one of the version that has no sessions,
// mostly with something missing or wrong.
func spoilModern(r *rand.Rand, g *gunner, s *shot) {
	if s.draft == nil {
		return
	}
	method, name := "tools/call", pick(r, g.tools...).Name
	if i := s.draft.member(`"method"`); i >= 0 {
		method = strings.Trim(s.draft[i].value, `"`)
	}
	version := pick(r, "2026-07-28", "2026-07-28", "2026-07-28", "2025-06-18", "2099-01-01", "")
	if r.IntN(4) > 0 {
		s.draft.addMeta(`{"io.modelcontextprotocol/protocolVersion":"` + version + `","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":` + pick(r, "{}", "{}", "{}", "null", "[]", "1") + `}`)
		s.body = s.draft.bytes()
	}
	s.header.Set("Mcp-Protocol-Version", pick(r, "2026-07-28", "2026-07-28", version))
	s.header.Set("Mcp-Method", pick(r, method, method, method, "ping", "", "\xff"))
	if method == "tools/call" || r.IntN(3) == 0 {
		s.header.Set("Mcp-Name", pick(r, name, "no_such_tool", "", "=?base64?eA==?=", "=?base64?%%%?="))
		if i := s.draft.member(`"params"`); i >= 0 && r.IntN(2) == 0 {
			var p struct{ Name string }
			json.Unmarshal([]byte(s.draft[i].value), &p)
			s.header["Mcp-Name"] = []string{strings.Map(printable, p.Name)}
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

// addMeta puts a _meta first among the parameters.
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

// spoilHost comes from elsewhere, as web pages do.
func spoilHost(r *rand.Rand, g *gunner, s *shot) {
	_, port, _ := strings.Cut(strings.TrimPrefix(g.server.url, "http://"), ":")
	if r.IntN(2) == 0 {
		s.host = pick(r, "localhost:"+port, "LOCALHOST", "[::1]:"+port, "127.0.0.2:"+port, "127.0.0.1", "evil.example", "evil.example:"+port, "localhost.evil.example", "127.0.0.1.evil.example:"+port, "0.0.0.0:"+port, "192.168.0.1")
		return
	}
	s.set(r, "Origin", g.server.url, "null", "", "https://evil.example", "http://127.0.0.1:1", "http://localhost:"+port, "file://", "http://127.0.0.1.evil.example:"+port, "://", "\xff")
}

// spoilQuery adds to the query, or replaces it.
func spoilQuery(r *rand.Rand, g *gunner, s *shot) {
	extra := pick(r, "x=1", "%zz", "a;b", "&&&", "sessionId="+g.session.id, "sessionId=x", "token=x", strings.Repeat("q", 8000))
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

// spoilMethod takes another HTTP method, and sometimes another route.
func spoilMethod(r *rand.Rand, _ *gunner, s *shot) {
	s.method = pick(r, http.MethodPut, http.MethodPatch, http.MethodOptions, http.MethodHead, http.MethodTrace, http.MethodGet, http.MethodPost, "MCP")
	s.path = pick(r, s.path, s.path, "/mcp", "/sse", "/message", "/mcp/", "/MCP", "//mcp", "/", "/mcp/x", "/healthz", "/metrics")
	s.inSession = s.inSession && s.method == http.MethodPost && s.path == "/message"
}
