package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Shared is where the replicas of a server tell one another of sessions, so
// that any of them can answer any request. Ids are hashes; notes are texts of
// package remote.
type Shared interface {
	// Session returns the note of a session, "" if there is none.
	Session(ctx context.Context, id string) (string, error)
	// ChangeSession changes it, one change after another.
	ChangeSession(ctx context.Context, id string, change func(note string) string) error
	// SessionsSince tells the notes that changed since an instant, and returns
	// the one to go on from; the zero one is now.
	SessionsSince(ctx context.Context, since time.Time, each func(id, note string)) (time.Time, error)
}

// sessionNote is what a session's clients asked of one replica that concerns
// all.
type sessionNote struct {
	Version int      `json:"version"` // counts the changes
	Ended   bool     `json:"ended,omitempty"`
	Level   string   `json:"level,omitempty"`   // of log messages
	Follows []string `json:"follows,omitempty"` // resources
	Cancels []string `json:"cancels,omitempty"` // ids of requests, the last few
}

const (
	// sharedTime bounds what is asked of Shared while a client waits.
	sharedTime = 2 * time.Second
	// mostCancels and mostFollows bound a note.
	mostCancels = 20
	mostFollows = 100
)

// sharedID stands for a session in Shared.
func sharedID(session string) string {
	sum := sha256.Sum256([]byte("fullstory-export-mcp session\x00" + session))
	return hex.EncodeToString(sum[:])
}

func readNote(text string) (n sessionNote) {
	if json.Unmarshal([]byte(text), &n) != nil {
		return sessionNote{}
	}
	return n
}

// share tells the other replicas what m asks for, if that concerns them.
func (s *Server) share(ctx context.Context, session *session, m Message, raw json.RawMessage) {
	if s.o.Shared == nil || session == nil || session.over != streamable {
		return
	}
	var about struct {
		Params struct{ URI, Level string }
	}
	if json.Unmarshal(raw, &about) != nil {
		return
	}
	p := about.Params
	switch m.Method {
	case "resources/subscribe":
		s.note(ctx, session, func(n *sessionNote) {
			if !slices.Contains(n.Follows, p.URI) && len(n.Follows) < mostFollows {
				n.Follows = append(n.Follows, p.URI)
			}
		})
	case "resources/unsubscribe":
		s.note(ctx, session, func(n *sessionNote) {
			n.Follows = slices.DeleteFunc(n.Follows, func(uri string) bool { return uri == p.URI })
		})
	case "logging/setLevel":
		s.note(ctx, session, func(n *sessionNote) { n.Level = p.Level })
	}
}

// note changes the note of a session. What cannot be told now concerns this
// replica alone.
func (s *Server) note(ctx context.Context, session *session, change func(*sessionNote)) {
	if s.o.Shared == nil || session.over != streamable {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sharedTime)
	defer cancel()
	var changed sessionNote
	err := s.o.Shared.ChangeSession(ctx, sharedID(session.id), func(text string) string {
		changed = readNote(text)
		version := changed.Version + 1
		change(&changed)
		changed.Version = version
		raw, err := json.Marshal(changed)
		if err != nil {
			return text
		}
		return string(raw)
	})
	if err != nil {
		s.o.Log.Warn("other replicas are not told of a session", "error", err)
		return
	}
	session.mu.Lock()
	change(&session.noted) // that has been done here
	session.mu.Unlock()
	if !changed.Ended {
		s.catchUp(session, changed)
	}
}

// learn brings a session that is new here to where the other replicas have it.
// It returns false if it has ended.
func (s *Server) learn(ctx context.Context, session *session) bool {
	if s.o.Shared == nil || session.over != streamable {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	text, err := s.o.Shared.Session(ctx, sharedID(session.id))
	if err != nil {
		s.o.Log.Warn("what other replicas know of a session is not known here", "error", err)
		return true
	}
	return s.catchUp(session, readNote(text))
}

// catchUp does what the other replicas were asked for. It returns false if the
// session has ended.
func (s *Server) catchUp(session *session, n sessionNote) bool {
	if n.Ended {
		s.sessions.end(session)
		return false
	}
	session.mu.Lock()
	before := session.noted
	if n.Version <= before.Version {
		session.mu.Unlock()
		return true
	}
	session.noted = n
	session.mu.Unlock()
	for _, id := range n.Cancels {
		if !slices.Contains(before.Cancels, id) {
			session.cancel(id)
		}
	}
	if n.Level != before.Level {
		s.again(session, "logging/setLevel", map[string]string{"level": n.Level})
	}
	for _, uri := range n.Follows {
		if !slices.Contains(before.Follows, uri) {
			s.again(session, "resources/subscribe", map[string]string{"uri": uri})
		}
	}
	for _, uri := range before.Follows {
		if !slices.Contains(n.Follows, uri) {
			s.again(session, "resources/unsubscribe", map[string]string{"uri": uri})
		}
	}
	return true
}

// again handles a request once more that another replica has answered.
func (s *Server) again(session *session, method string, params any) {
	raw, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "again", "method": method, "params": params})
	if err != nil {
		return
	}
	m, err := ParseMessage(raw)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(WithCaller(context.Background(), session.caller), sharedTime)
	defer cancel()
	s.answered(ctx, newCall(m, raw, session.caller, session))
}

// hear takes in what other replicas tell, until ctx ends.
func (s *Server) hear(ctx context.Context) {
	if s.o.Shared == nil {
		return
	}
	var since time.Time
	for tick := time.NewTicker(refreshPause); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		open := map[string]*session{}
		for _, session := range s.sessions.all() {
			if session.over == streamable {
				open[sharedID(session.id)] = session
			}
		}
		asking, cancel := context.WithTimeout(ctx, sharedTime)
		next, err := s.o.Shared.SessionsSince(asking, since, func(id, text string) {
			if session := open[id]; session != nil {
				s.catchUp(session, readNote(text))
			}
		})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			s.o.Log.Debug("other replicas are not heard", "error", err)
			continue
		}
		since = next
	}
}
