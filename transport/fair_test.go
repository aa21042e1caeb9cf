package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/auth"
)

// fairWorld starts a server for the callers greedy, anna and bert, and returns the headers
// of each.
func fairWorld(t *testing.T, change func(*Options)) (w *world, greedy, anna, bert map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "callers.json")
	var headers []map[string]string
	for _, name := range []string{"greedy", "anna", "bert"} {
		token, _, err := auth.NewToken(path, auth.Caller{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, bearer(token))
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, func(o *Options) {
		o.Callers = callers
		if change != nil {
			change(o)
		}
	})
	return w, headers[0], headers[1], headers[2]
}

// TestSessionsOfAGreedyCaller has one caller keep as many sessions busy as it can: it has
// a quarter of them and an answer that says so, and others have room.
func TestSessionsOfAGreedyCaller(t *testing.T) {
	w, greedy, anna, bert := fairWorld(t, func(o *Options) { o.Sessions = 12 })
	for range 3 {
		do(t, "GET", w.url+"/mcp", w.hello(greedy), nil)
	}
	for method, path := range map[string]string{"POST": "/mcp", "GET": "/sse"} {
		r := do(t, method, w.url+path, greedy, bodyOf(map[string]string{"POST": initialize}[method]))
		text, _ := io.ReadAll(r.Body)
		if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "Your limit of 3 sessions") {
			t.Errorf("%s %s of a caller with a quarter of all sessions answers %d %q", method, path, r.StatusCode, text)
		}
	}
	for _, headers := range []map[string]string{anna, bert} {
		do(t, "GET", w.url+"/mcp", w.hello(headers), nil)
		w.converse(headers)
	}
}

// TestStreamsOfAGreedyCaller does the same with streams that have no session.
func TestStreamsOfAGreedyCaller(t *testing.T) {
	w, greedy, anna, _ := fairWorld(t, func(o *Options) { o.Sessions = 12 })
	listen := func(caller map[string]string) int {
		headers := map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen",
			"Authorization": caller["Authorization"]}
		return do(t, "POST", w.url+"/mcp", headers, strings.NewReader(
			`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"_meta":{`+modernMeta+
				`},"notifications":{"resourceSubscriptions":["test://panic"]}}}`)).StatusCode
	}
	for i := range 4 {
		if got, want := listen(greedy), []int{200, 200, 200, 503}[i]; got != want {
			t.Errorf("stream %d of a caller that may have 3 answers %d", i+1, got)
		}
	}
	if got := listen(anna); got != http.StatusOK {
		t.Errorf("a stream of another caller answers %d", got)
	}
}

// TestHeaviestGivesWay fills a server with sessions of a caller that may have all: a new
// one of another closes the idlest of those, and no session of a lighter caller.
func TestHeaviestGivesWay(t *testing.T) {
	s := newSessions(key, 6, time.Hour, nil)
	open := func(name string) *session {
		t.Helper()
		one, err := s.create(auth.Caller{Name: name, Sessions: 6}, streamable)
		if err != nil {
			t.Fatalf("a session of %s: %v", name, err)
		}
		return one
	}
	has := func(one *session) bool { return s.open[one.id] == one }
	annas, berts := open("anna"), open("bert") // the idlest of all
	first := open("greedy")
	first.begin() // in use
	second, third, fourth := open("greedy"), open("greedy"), open("greedy")
	open("greedy")
	if has(second) || !has(first) || !has(third) || !has(annas) || !has(berts) {
		t.Error("a caller that has the most took from another one, or not its own idlest session")
	}
	open("carl")
	if has(third) || !has(fourth) || !has(annas) || !has(berts) {
		t.Error("a newcomer did not get the place of the heaviest caller's idlest session")
	}
	for _, one := range s.all() {
		if one.caller.Name == "greedy" {
			one.begin()
		}
	}
	if _, err := s.create(auth.Caller{Name: "greedy", Sessions: 6}, streamable); err != errFull {
		t.Errorf("the heaviest caller, whose sessions are all in use, got one of another: %v", err)
	}
}

// TestSingleCallerHasAll gives the only caller of a file every session.
func TestSingleCallerHasAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	token, _, err := auth.NewToken(path, auth.Caller{Name: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { o.Callers, o.Sessions = callers, 4 })
	for range 4 {
		do(t, "GET", w.url+"/mcp", w.hello(bearer(token)), nil)
	}
}

// padded is a call with a large body.
func padded(call string) string {
	return strings.Replace(call, `"_meta":{`, `"_meta":{"pad":"`+strings.Repeat("x", 2*largeBody)+`",`, 1)
}

// TestSlowBodies has a caller send large bodies that never end: those of another caller
// are handled meanwhile.
func TestSlowBodies(t *testing.T) {
	w, greedy, anna, _ := fairWorld(t, nil)
	session := w.hello(anna)
	reading, rejected := make(chan string, 2*largeBodies), make(chan string, 2*largeBodies)
	for range 2 * largeBodies {
		c, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: %s\r\nContent-Type: application/json\r\n"+
			"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", greedy["Authorization"], 2*largeBody)
		go func() {
			answers := bufio.NewReader(c)
			line, _ := answers.ReadString('\n') // once the server reads the body
			reading <- line
			io.Copy(io.Discard, answers)
			rejected <- "after readTime"
		}()
	}
	for range ownRead {
		await(t, "that a slow body is read", reading)
	}
	if status, events := w.post(session, padded(toolCall(1, "whoami", "{}"))); status != http.StatusOK {
		t.Errorf("a large body beside slow ones is answered %d %v", status, events)
	}
	if len(rejected) > 0 {
		t.Error("a large body waited until the slow ones were rejected")
	}
}

// TestLargeBodiesOfLongCalls has a caller send large bodies whose calls take long: those
// of another caller are handled meanwhile.
func TestLargeBodiesOfLongCalls(t *testing.T) {
	w, greedy, anna, _ := fairWorld(t, nil)
	his, hers := w.hello(greedy), w.hello(anna)
	for i := range 2 * largeBodies {
		go try(t.Context(), "POST", w.url+"/mcp", his, strings.NewReader(padded(toolCall(i, "wait", "{}"))))
	}
	await(t, "his first call", w.called)
	for i := range 3 {
		if status, events := w.post(hers, padded(toolCall(i, "whoami", "{}"))); status != http.StatusOK {
			t.Errorf("a large body beside those of long calls is answered %d %v", status, events)
		}
	}
	close(w.release)
}

// TestScarceBytes has one caller leave many bytes unread: its own streams lose what is
// kept for them, those of others do not.
func TestScarceBytes(t *testing.T) {
	w, _, _, _ := fairWorld(t, nil)
	kept := func(name string) budget { return w.server.sessions.kept(auth.Caller{Name: name, Requests: 1}) }
	his, hers := newStream(ofSession, kept("greedy")), newStream(ofSession, kept("anna"))
	kept("greedy").add(2 * allBytes)
	for _, st := range []*stream{his, hers} {
		reader := st.attach(fromUnread)
		for range 2 {
			st.add(make([]byte, scarceBytes), false)
		}
		if _, ok, _, _, err := st.next(reader); (err == nil && ok) != (st == hers) {
			t.Errorf("greedy: %t: the stream has its messages: %t, %v", st == his, ok, err)
		}
	}
}
