package transport

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fullstory-export-mcp/auth"
)

// TestResumeCall loses the connection in the middle of a call and reconnects for
// the rest: no message is lost or repeated.
func TestResumeCall(t *testing.T) {
	w := newWorld(t, nil)
	session := w.hello(nil)
	for _, seen := range []int{1, 7, 20} {
		ctx, leave := context.WithCancel(t.Context())
		r, err := try(ctx, "POST", w.url+"/mcp", session, strings.NewReader(toolCall("c", "count", `{"to":20}`)))
		if err != nil {
			t.Fatal(err)
		}
		events := newReader(r.Body)
		var got []sse
		for range seen {
			e, err := events.next()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		leave()
		session["Last-Event-ID"] = got[len(got)-1].id
		resumed := do(t, "GET", w.url+"/mcp", session, nil)
		delete(session, "Last-Event-ID")
		checkProgress(t, "c", append(got, newReader(resumed.Body).all()...), 20)
	}
}

// TestResumeRunningCall reconnects while the call still runs.
func TestResumeRunningCall(t *testing.T) {
	w := newWorld(t, nil)
	session := w.hello(nil)
	s, _, err := w.server.sessions.find(session["Mcp-Session-Id"], auth.Caller{}, streamable)
	if err != nil {
		t.Fatal(err)
	}
	st := newStream(ofCall, w.server.sessions.kept(auth.Caller{}))
	s.keep(st)
	st.add([]byte(`{"n":1}`), false)
	st.add([]byte(`{"n":2}`), false)
	session["Last-Event-ID"] = eventID(st.id, 1)
	first := do(t, "GET", w.url+"/mcp", session, nil)
	events := newReader(first.Body)
	if e, err := events.next(); err != nil || e.data != `{"n":2}` || e.id != eventID(st.id, 2) {
		t.Fatalf("got %v, %v", e, err)
	}
	session["Last-Event-ID"] = eventID(st.id, 2)
	second := do(t, "GET", w.url+"/mcp", session, nil) // takes the place of the first
	if e, err := events.next(); err == nil {
		t.Errorf("the first reader gets %v", e)
	}
	st.add([]byte(`{"n":3}`), true)
	if got := newReader(second.Body).all(); len(got) != 1 || got[0].data != `{"n":3}` {
		t.Errorf("got %v", got)
	}
}

// TestResumeStanding loses the stream of what belongs to no call, as behind a
// proxy that cuts what is open for long.
func TestResumeStanding(t *testing.T) {
	w := newWorld(t, nil)
	session := w.hello(nil)
	s, _, _ := w.server.sessions.find(session["Mcp-Session-Id"], auth.Caller{}, streamable)
	said := 0
	say := func() {
		said++
		s.sessionStream.add(fmt.Appendf(nil, `{"n":%d}`, said), false)
	}
	heard := 0
	for range 10 {
		ctx, cut := context.WithCancel(t.Context())
		r, err := try(ctx, "GET", w.url+"/mcp", session, nil)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatal(err, r)
		}
		say()
		events := newReader(r.Body)
		for heard < said {
			e, err := events.next()
			heard++
			if err != nil || e.data != fmt.Sprintf(`{"n":%d}`, heard) {
				t.Fatalf("%d: got %v, %v", heard, e, err)
			}
			session["Last-Event-ID"] = e.id
		}
		cut()
		say()
		say()
	}
}

// TestResumeSSE loses the connection of the older transport: the session, and
// what was said meanwhile, are still there for who names its last event.
func TestResumeSSE(t *testing.T) {
	w := newWorld(t, nil)
	c := w.converse(nil)
	c.post(toolCall("a", "whoami", "{}"))
	last := c.next()
	c.post(toolCall("b", "wait", "{}"))
	await(t, "the call", w.called)
	c.close()
	eventually(t, "that the stream is known to be gone", func() bool { return !reading(w.server) })
	close(w.release)
	again := w.converse(map[string]string{"Last-Event-ID": last.id})
	if again.endpoint != c.endpoint {
		t.Errorf("another session: %s, not %s", again.endpoint, c.endpoint)
	}
	if e := again.next(); !strings.Contains(e.data, `"id":"b"`) || !strings.Contains(e.data, "released") {
		t.Errorf("got %v", e)
	}
	forged := map[string]string{"Last-Event-ID": altered(last.id[:len(last.id)-2]) + "_1"}
	if strange := w.converse(forged); strange.endpoint == c.endpoint {
		t.Error("an altered id resumes the session")
	}
}

func TestUnknownEvents(t *testing.T) {
	w := newWorld(t, nil)
	session := w.hello(nil)
	for id, want := range map[string]int{
		"cNOBODYKNOWS_3": http.StatusBadRequest, "sOFYESTERDAY_12": http.StatusOK,
		"nonsense": http.StatusOK, "_": http.StatusOK,
	} {
		session["Last-Event-ID"] = id
		if got := do(t, "GET", w.url+"/mcp", session, nil).StatusCode; got != want {
			t.Errorf("%q is answered %d", id, got)
		}
	}
}

// TestStreamIsBounded writes on and on to a stream that nobody reads, and to
// one whose reader reads.
func TestStreamIsBounded(t *testing.T) {
	var all atomic.Int64
	unread := newStream(ofSession, budget{&all, &all, allBytes})
	reader := unread.attach(fromUnread)
	for range 10_000 {
		unread.add(make([]byte, 60_000), false)
		if all.Load() > unreadBytes+60_000 {
			t.Fatalf("%d bytes are kept", all.Load())
		}
	}
	if _, ok, _, _, err := unread.next(reader); ok || err != errUnread || all.Load() != 0 {
		t.Errorf("a stream that nobody read continues: %v; %d bytes are kept", err, all.Load())
	}
	read := newStream(ofSession, budget{&all, &all, allBytes})
	reader = read.attach(fromUnread)
	for i := range 10_000 {
		read.add(make([]byte, 6_000), false)
		if e, ok, _, _, err := read.next(reader); !ok || err != nil || e.seq != i+1 {
			t.Fatalf("event %d: %v %v", e.seq, ok, err)
		}
	}
	if kept := all.Load(); kept == 0 || kept > keptBytes+6_000 {
		t.Errorf("%d bytes are kept for a reader that reconnects", kept)
	}
	one := newStream(ofCall, budget{&all, &all, allBytes})
	one.add(make([]byte, 20<<20), true)
	if e, ok, _, _, err := one.next(one.attach(fromUnread)); !ok || err != nil || len(e.data) != 20<<20 {
		t.Error("a large answer alone is not sent")
	}
	one.forget()
	read.forget()
	if all.Load() != 0 {
		t.Errorf("%d bytes are kept of nothing", all.Load())
	}
}

// TestAllStreamsAreBounded has so much kept that little is left for each.
func TestAllStreamsAreBounded(t *testing.T) {
	var all atomic.Int64
	all.Store(allBytes)
	st := newStream(ofSession, budget{&all, &all, allBytes})
	reader := st.attach(fromUnread)
	for range 10 {
		st.add(make([]byte, 20_000), false)
		if _, ok, _, _, _ := st.next(reader); !ok {
			t.Fatal("an event is lost")
		}
	}
	if kept := all.Load() - allBytes; kept > 20_000 {
		t.Errorf("%d bytes are kept for a reader that reconnects", kept)
	}
	for range 20 {
		st.add(make([]byte, 20_000), false)
	}
	if _, _, _, _, err := st.next(reader); err != errUnread {
		t.Errorf("a slow reader may keep 400 kB waiting: %v", err)
	}
}

// TestSlowReader sends large answers to a client that reads none: it is
// disconnected, and what waited for it is freed.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.server.writeTime = 2 * time.Second
	c := w.converse(nil)
	rejected := 0
	for i := range 300 {
		if got := c.post(toolCall(i, "big", `{"bytes":200000}`)); got != http.StatusAccepted {
			rejected++
		}
	}
	eventually(t, "that the session ends", func() bool {
		return w.server.sessions.count(overSSE) == 0 && w.server.sessions.bytes.Load() == 0
	})
	if got := c.post(toolCall(1, "whoami", "{}")); got != http.StatusNotFound {
		t.Errorf("the session that was cut answers %d", got)
	}
	t.Logf("%d of 300 messages were rejected", rejected)
	if session := w.hello(nil); session == nil {
		t.Error("others are not served")
	}
}

// TestHeartbeat waits on streams on which nothing happens.
func TestHeartbeat(t *testing.T) {
	w := newWorld(t, nil)
	w.server.heartbeat = 20 * time.Millisecond
	session := w.hello(nil)
	for _, path := range []string{"/mcp", "/sse"} {
		r := do(t, "GET", w.url+path, session, nil)
		lines := newReader(r.Body)
		for beats := 0; beats < 5; {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if strings.HasPrefix(line, ":") {
				beats++
			}
		}
	}
}
