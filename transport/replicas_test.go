package transport

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fullstory-export-mcp/auth"
)

// notes are those of replicas in one process.
type notes struct {
	mu      sync.Mutex
	known   map[string]string
	changes chan struct{} // nil: changes are not announced
}

func (n *notes) Session(_ context.Context, id string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known[id], nil
}

func (n *notes) ChangeSession(_ context.Context, id string, change func(string) string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[id] = change(n.known[id])
	select {
	case n.changes <- struct{}{}:
	default:
	}
	return nil
}

func (n *notes) SessionsSince(_ context.Context, since time.Time, each func(id, note string)) (time.Time, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if since.IsZero() {
		return time.Now(), nil
	}
	for id, note := range n.known {
		each(id, note)
	}
	return time.Now(), nil
}

func (n *notes) SessionChanges() (<-chan struct{}, func()) { return n.changes, func() {} }

// TestNotesAreApplied ends a session at one replica: another that polls ends it
// long before the next poll is due, because the change is announced.
func TestNotesAreApplied(t *testing.T) {
	shared := &notes{known: map[string]string{}, changes: make(chan struct{}, 1)}
	replica := func() (*Server, *session) {
		s := New(Options{MCP: newWorld(t, nil).mcp(), Shared: shared, Key: []byte("key")})
		one, err := s.sessions.add("id-of-a-session", auth.Caller{}, streamable)
		if err != nil {
			t.Fatal(err)
		}
		return s, one
	}
	a, atA := replica()
	b, atB := replica()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go b.poll(ctx)
	a.publish(t.Context(), atA, func(n *sharedState) { *n = sharedState{Ended: true} })
	select {
	case <-atB.ended.Done():
	case <-time.After(pollPause / 3):
		t.Error("a session that has ended at one replica continues at another")
	}
}

// TestNotesAreMerged has two replicas take in what each of them was asked for,
// late and out of order.
func TestNotesAreMerged(t *testing.T) {
	shared := &notes{known: map[string]string{}}
	replica := func() (*Server, *session) {
		s := New(Options{MCP: newWorld(t, nil).mcp(), Shared: shared, Key: []byte("key")})
		one, err := s.sessions.add("id-of-a-session", auth.Caller{}, streamable)
		if err != nil {
			t.Fatal(err)
		}
		return s, one
	}
	a, atA := replica()
	b, atB := replica()
	follow := func(s *Server, one *session, uri string) {
		in := incoming{
			message: message{method: "resources/subscribe"},
			raw:     []byte(`{"params":{"uri":"` + uri + `"}}`),
		}
		s.publish(t.Context(), one, s.sharedChange(one, in))
	}
	id := sharedID(atA.id)
	follow(a, atA, "one")
	old := shared.known[id]
	follow(b, atB, "two") // which had not heard of the first
	if got := atB.shared.Follows; !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the second replica follows %q", got)
	}
	a.apply(atA, parseState(shared.known[id]))
	a.apply(atA, parseState(old)) // comes late
	if got := atA.shared.Follows; !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the first replica follows %q after an old note", got)
	}
	in := incoming{
		message: message{method: methodInitialize},
		raw:     []byte(`{"params":{"capabilities":{"extensions":{"io.modelcontextprotocol/ui":{}}}}}`),
	}
	a.publish(t.Context(), atA, a.sharedChange(atA, in))
	b.apply(atB, parseState(shared.known[id]))
	if !atB.conversation.apps.Load() {
		t.Error("the second replica does not know that the client shows apps")
	}
	in.raw = []byte(`{"params":{"capabilities":{"extensions":{"other":{}}}}}`)
	if a.sharedChange(atA, in) != nil {
		t.Error("a client without apps is shared")
	}
	b.publish(t.Context(), atB, func(n *sharedState) { *n = sharedState{Ended: true} })
	if !strings.Contains(shared.known[id], `"ended":true`) || a.apply(atA, parseState(shared.known[id])) ||
		a.sessions.count(streamable) != 0 {
		t.Errorf("a session that has ended continues: %s", shared.known[id])
	}
}
