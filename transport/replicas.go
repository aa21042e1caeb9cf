package transport

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"fullstory-export-mcp/auth"
)

// Shared stores the state of sessions that all replicas of a server share, so
// that any of them can answer any request. Ids are hashes; notes are texts of
// package transport.
type Shared interface {
	// Session returns the note of a session, "" if there is none.
	Session(ctx context.Context, id string) (string, error)
	// ChangeSession changes it, one change after another.
	ChangeSession(ctx context.Context, id string, change func(note string) string) error
	// SessionsSince calls each with the notes that changed since an instant, and
	// returns the instant to continue from; the zero instant is now.
	SessionsSince(ctx context.Context, since time.Time, each func(id, note string)) (time.Time, error)
	// SessionChanges returns a channel that receives after notes have changed,
	// until stop is called. It may receive without a change, and a change may be
	// missed when the store is out of reach.
	SessionChanges() (changes <-chan struct{}, stop func())
}

// sharedState is what the client of a session requested of one replica and every
// replica has to apply.
type sharedState struct {
	Version int      `json:"version"` // counts the changes
	Ended   bool     `json:"ended,omitempty"`
	Level   string   `json:"level,omitempty"`   // of log messages
	Follows []string `json:"follows,omitempty"` // subscribed resources, by URI
	Cancels []string `json:"cancels,omitempty"` // ids of the last cancelled requests, in JSON
	Apps    bool     `json:"apps,omitempty"`    // the client shows MCP Apps
	Asks    bool     `json:"asks,omitempty"`    // the client can ask its user

	Answers []sharedAnswer `json:"answers,omitempty"` // the last ones to questions of other replicas
}

const (
	// sharedTime bounds a request to Shared, because a client may wait for it.
	sharedTime = 2 * time.Second
	// pollPause is between two polls without an announced change, pollGap the
	// least time between two polls.
	pollPause = 30 * time.Second
	pollGap   = 200 * time.Millisecond
	// mostCancels and mostFollows bound a shared state, in entries.
	mostCancels = 20
	mostFollows = 100
	// longestSharedID is the longest id of a request that is shared, in bytes.
	longestSharedID = 100
)

// sharedID returns the id of a session in Shared.
func sharedID(session string) string {
	sum := sha256.Sum256([]byte("fullstory-export-mcp session\x00" + session))
	return hex.EncodeToString(sum[:])
}

func parseState(note string) (n sharedState) {
	if json.Unmarshal([]byte(note), &n) != nil {
		return sharedState{}
	}
	return n
}

// shares reports whether other replicas know the session.
func (s *Server) shares(session *session) bool {
	return s.o.Shared != nil && session.over == streamable
}

// sharedChange returns how a message that succeeds changes the shared state of
// its session; nil if it does not.
func (s *Server) sharedChange(session *session, in incoming) func(*sharedState) {
	method := in.message.method
	switch method {
	case methodSubscribe, methodUnsubscribe, methodSetLogLevel, methodInitialize:
	default:
		return nil
	}
	var about struct {
		Params struct {
			URI, Level   string
			Capabilities json.RawMessage
		}
	}
	if !s.shares(session) || json.Unmarshal(in.raw, &about) != nil {
		return nil
	}
	if method == methodInitialize {
		return sharedAbilities(about.Params.Capabilities)
	}
	uri, level := about.Params.URI, about.Params.Level
	return func(n *sharedState) {
		switch method {
		case methodSubscribe:
			if !slices.Contains(n.Follows, uri) && len(n.Follows) < mostFollows {
				n.Follows = append(n.Follows, uri)
			}
		case methodUnsubscribe:
			n.Follows = slices.DeleteFunc(n.Follows, func(other string) bool { return other == uri })
		case methodSetLogLevel:
			n.Level = level
		}
	}
}

// sharedAbilities returns how initialize with capabilities changes the shared state; nil if it
// does not.
func sharedAbilities(capabilities json.RawMessage) func(*sharedState) {
	var declared mcp.ClientCapabilities
	if json.Unmarshal(fitting[mcp.ClientCapabilities](capabilities), &declared) != nil {
		return nil
	}
	asks := asksForms(declared)
	_, shows := declared.Extensions[apps]
	if !asks && !shows {
		return nil
	}
	return func(n *sharedState) { n.Asks, n.Apps = asks, shows }
}

// publish changes the shared state of a session, and applies what other replicas
// published before. If Shared fails, the change concerns this replica alone.
func (s *Server) publish(ctx context.Context, session *session, change func(*sharedState)) {
	if !s.shares(session) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sharedTime)
	defer cancel()
	var changed sharedState
	err := s.o.Shared.ChangeSession(ctx, sharedID(session.id), func(note string) string {
		changed = parseState(note)
		version := changed.Version + 1
		change(&changed)
		changed.Version = version
		raw, err := json.Marshal(changed)
		if err != nil {
			return note
		}
		return string(raw)
	})
	if err != nil {
		s.o.Log.Warn("a change of a session cannot be shared with other replicas", "error", err)
		return
	}
	session.mu.Lock()
	change(&session.shared) // in effect here already
	session.mu.Unlock()
	if !changed.Ended {
		s.apply(session, changed)
	}
}

// load applies the shared state of a session that is new to this replica. It
// returns false if the session has ended.
func (s *Server) load(ctx context.Context, session *session) bool {
	if !s.shares(session) {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	note, err := s.o.Shared.Session(ctx, sharedID(session.id))
	if err != nil {
		s.o.Log.Warn("the state of a session cannot be read from other replicas", "error", err)
		return true
	}
	return s.apply(session, parseState(note))
}

// apply brings a session to a shared state, unless that is older than the known
// one. It returns false if the session has ended.
func (s *Server) apply(session *session, n sharedState) bool {
	if n.Ended {
		s.sessions.end(session)
		return false
	}
	session.mu.Lock()
	before := session.shared
	if n.Version <= before.Version {
		session.mu.Unlock()
		return true
	}
	session.shared = n
	session.mu.Unlock()
	for _, id := range n.Cancels {
		if !slices.Contains(before.Cancels, id) {
			session.conversation.cancel(json.RawMessage(id))
		}
	}
	if n.Apps {
		session.conversation.apps.Store(true)
	}
	if n.Asks {
		session.conversation.asks.Store(true)
	}
	for _, a := range n.Answers {
		if !slices.Contains(before.Answers, a) {
			session.conversation.answered(a)
		}
	}
	if n.Level != before.Level {
		s.replay(session, methodSetLogLevel, map[string]string{"level": n.Level})
	}
	for _, uri := range n.Follows {
		if !slices.Contains(before.Follows, uri) {
			s.replay(session, methodSubscribe, map[string]string{"uri": uri})
		}
	}
	for _, uri := range before.Follows {
		if !slices.Contains(n.Follows, uri) {
			s.replay(session, methodUnsubscribe, map[string]string{"uri": uri})
		}
	}
	return true
}

// replay repeats a request that another replica has answered.
func (s *Server) replay(session *session, method string, params any) {
	raw, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "replay", "method": method, "params": params})
	if err != nil {
		return
	}
	m, rejected := parseMessage(raw)
	if rejected != nil {
		return
	}
	ctx, cancel := context.WithTimeout(auth.WithCaller(context.Background(), session.caller), sharedTime)
	defer cancel()
	c := s.newCall(ctx, incoming{message: m, raw: raw}, session)
	c.out = session.sessionStream
	c.handle(ctx)
	c.flush()
}

// poll applies what other replicas publish, until ctx ends.
func (s *Server) poll(ctx context.Context) {
	if s.o.Shared == nil {
		return
	}
	changes, stop := s.o.Shared.SessionChanges()
	defer stop()
	var since time.Time
	for {
		next, err := s.applySince(ctx, since)
		pause := pollPause
		if err != nil {
			s.o.Log.Debug("the sessions of other replicas cannot be read", "error", err)
			pause, next = refreshPause, since
		}
		since = next
		select {
		case <-ctx.Done():
			return
		case <-changes:
			pause = pollGap
		case <-time.After(pause):
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// applySince applies the shared states that changed since an instant to the
// sessions that are open here. It returns the instant to continue from.
func (s *Server) applySince(ctx context.Context, since time.Time) (time.Time, error) {
	open := map[string]*session{}
	for _, session := range s.sessions.all() {
		if session.over == streamable {
			open[sharedID(session.id)] = session
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sharedTime)
	defer cancel()
	return s.o.Shared.SessionsSince(ctx, since, func(id, note string) {
		if session := open[id]; session != nil {
			s.apply(session, parseState(note))
		}
	})
}
