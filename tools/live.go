package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/ledger"
)

// The addresses of what changes while exports run.
const (
	operationPrefix = "fullstory-export://operations/"
	bulkPrefix      = "fullstory-export://bulk/"
	manifestSuffix  = "/manifest"
)

// live reads a resource that changes: an operation, a bulk export, or its
// manifest. state is another whenever who follows it wants to know.
func live(ctx context.Context, a *Account, uri string) (content any, state string, err error) {
	if escaped, ok := strings.CutPrefix(uri, operationPrefix); ok {
		id, err := url.PathUnescape(escaped)
		if err != nil {
			return nil, "", fmt.Errorf("%s: the operation id is not escaped as in a URL", uri)
		}
		op, recorded := a.recorded(ctx, id)
		if !recorded {
			if op, err = a.Client.Operation(ctx, id); err != nil {
				return nil, "", err
			}
		}
		return operationResult(op, a.Now()), string(op.State), nil
	}
	id, ok := strings.CutPrefix(uri, bulkPrefix)
	if !ok {
		return nil, "", fmt.Errorf("%s is no resource that changes", uri)
	}
	id, manifest := strings.CutSuffix(id, manifestSuffix)
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, "", err
	}
	s, err := engine.Status(ctx, id)
	if err != nil {
		return nil, "", &unknownBulk{id: id, err: err}
	}
	// A tenth more, or another state: a model is not told of each chunk.
	state = fmt.Sprintf("%s %d", s.Bulk.State, 10*s.Counts.By[ledger.ChunkStored]/max(1, s.Counts.All()))
	if manifest {
		m, err := engine.Manifest(ctx, s.Bulk)
		return m, state, err
	}
	return summarize(engine, s), state, nil
}

// readLive returns the JSON of a resource that changes. Its errors are for a
// reader.
func readLive(ctx context.Context, account func(context.Context) (*Account, error), uri string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	a, err := account(ctx)
	if err != nil {
		return "", errors.New(explain(err))
	}
	content, _, err := live(ctx, a, uri)
	if err != nil {
		return "", errors.New(explain(err))
	}
	raw, err := json.MarshalIndent(content, "", "  ")
	return string(raw), err
}

const (
	// announcePause is between two looks at what is subscribed to.
	announcePause = time.Second
	// mostSubscriptions bounds those of one session.
	mostSubscriptions = 100
)

// Subscriptions tell sessions of changes of the resources that they follow. It
// is safe for concurrent use. Nothing runs while nothing is followed.
type Subscriptions struct {
	account func(context.Context) (*Account, error)

	mu       sync.Mutex
	sessions map[string]map[string]*followed // by session and address
	running  bool
}

// followed is one resource that a session follows.
type followed struct {
	notify func(uri string)
	state  string
	known  bool // state was read
}

// NewSubscriptions returns subscriptions of no session.
func NewSubscriptions(account func(context.Context) (*Account, error)) *Subscriptions {
	return &Subscriptions{account: account, sessions: map[string]map[string]*followed{}}
}

// Add makes notify be called on each change of the resource at uri, until Remove
// or End. What is no resource that changes is not followed.
func (s *Subscriptions) Add(session, uri string, notify func(uri string)) {
	if !strings.HasPrefix(uri, operationPrefix) && !strings.HasPrefix(uri, bulkPrefix) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[session] == nil {
		s.sessions[session] = map[string]*followed{}
	}
	if len(s.sessions[session]) >= mostSubscriptions {
		return
	}
	s.sessions[session][uri] = &followed{notify: notify}
	if !s.running {
		s.running = true
		go s.run()
	}
}

// Remove ends that a session follows a resource.
func (s *Subscriptions) Remove(session, uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions[session], uri)
	if len(s.sessions[session]) == 0 {
		delete(s.sessions, session)
	}
}

// End ends all that a session follows.
func (s *Subscriptions) End(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, session)
}

// followedURIs returns what is followed, and ends run when that is nothing.
func (s *Subscriptions) followedURIs() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	uris := map[string]bool{}
	for _, all := range s.sessions {
		for uri := range all {
			uris[uri] = true
		}
	}
	s.running = len(uris) > 0
	return uris
}

// run looks at what is followed, for as long as anything is.
func (s *Subscriptions) run() {
	for {
		uris := s.followedURIs()
		if len(uris) == 0 {
			return
		}
		for uri := range uris {
			s.look(uri)
		}
		time.Sleep(announcePause)
	}
}

// look tells of the resource at uri if it has changed.
func (s *Subscriptions) look(uri string) {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	a, err := s.account(ctx)
	if err != nil {
		return
	}
	_, state, err := live(ctx, a, uri)
	if err != nil {
		return // told when it is read
	}
	s.mu.Lock()
	var tell []func(string)
	for _, all := range s.sessions {
		f := all[uri]
		if f == nil || f.known && f.state == state {
			continue
		}
		if f.known {
			tell = append(tell, f.notify)
		}
		f.state, f.known = state, true
	}
	s.mu.Unlock()
	for _, notify := range tell {
		notify(uri)
	}
}
