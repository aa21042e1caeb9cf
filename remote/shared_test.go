package remote

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// notes are those of replicas in one process.
type notes struct {
	mu    sync.Mutex
	known map[string]string
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
	return nil
}

func (n *notes) SessionsSince(_ context.Context, since time.Time, _ func(id, note string)) (time.Time, error) {
	return since, nil
}

// TestNotesAreMerged has two replicas take in what each of them was asked for,
// late and out of order.
func TestNotesAreMerged(t *testing.T) {
	shared := &notes{known: map[string]string{}}
	replica := func() (*Server, *session) {
		s := New(Options{MCP: newWorld(t, nil).mcp(), Shared: shared, Key: []byte("key")})
		one, err := s.sessions.add("id-of-a-session", Caller{}, streamable)
		if err != nil {
			t.Fatal(err)
		}
		return s, one
	}
	a, atA := replica()
	b, atB := replica()
	follow := func(s *Server, one *session, uri string) {
		s.share(t.Context(), one, Message{Method: "resources/subscribe"}, []byte(`{"params":{"uri":"`+uri+`"}}`))
	}
	id := sharedID(atA.id)
	follow(a, atA, "one")
	old := shared.known[id]
	follow(b, atB, "two") // which had not heard of the first
	if got := atB.noted.Follows; !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the second replica follows %q", got)
	}
	a.catchUp(atA, readNote(shared.known[id]))
	a.catchUp(atA, readNote(old)) // comes late
	if got := atA.noted.Follows; !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("the first replica follows %q after an old note", got)
	}
	b.note(t.Context(), atB, func(n *sessionNote) { *n = sessionNote{Ended: true} })
	if !strings.Contains(shared.known[id], `"ended":true`) || a.catchUp(atA, readNote(shared.known[id])) || a.sessions.count(streamable) != 0 {
		t.Errorf("a session that has ended goes on: %s", shared.known[id])
	}
}
