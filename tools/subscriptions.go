package tools

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// announcePause is between two looks at what is subscribed to.
	announcePause = time.Second
	// lookLimit bounds one look that somebody waits for.
	lookLimit = 2 * time.Second
	// mostSubscriptions bounds those of one session, mostFollowed those of all
	// together.
	mostSubscriptions = 100
	mostFollowed      = 5000
	// askPause is between two looks for which Fullstory is asked.
	askPause = 200 * time.Millisecond
)

// Subscriptions tell sessions of changes of the resources that they follow. It
// is safe for concurrent use. Nothing runs while nothing is followed.
type Subscriptions struct {
	account func(context.Context) (*Account, error)

	mu       sync.Mutex
	followed map[resource]map[string]*follower // by session
	sessions map[string]int                    // how many each follows
	running  map[*Account]bool                 // somebody looks at its resources
}

// resource is what is followed: addresses of different accounts are alike.
type resource struct {
	account *Account
	uri     string
}

type follower struct {
	notify func(uri string)
	state  string
	known  bool // state was read
}

// NewSubscriptions returns subscriptions of no session.
func NewSubscriptions(account func(context.Context) (*Account, error)) *Subscriptions {
	return &Subscriptions{
		account:  account,
		followed: map[resource]map[string]*follower{},
		sessions: map[string]int{},
		running:  map[*Account]bool{},
	}
}

// Add makes notify be called on each change, from now on, of the resource at
// uri of the account that ctx names, until Remove or End. If ctx ends before
// its state is known, the first change may be missed. What is no resource that
// changes is not followed.
func (s *Subscriptions) Add(ctx context.Context, session, uri string, notify func(uri string)) {
	if !strings.HasPrefix(uri, operationPrefix) && !strings.HasPrefix(uri, bulkPrefix) {
		return
	}
	a, err := s.account(ctx)
	if err != nil {
		return // told when it is read
	}
	followed := resource{a, uri}
	if !s.add(followed, session, notify) {
		return
	}
	s.look(ctx, followed, "", nil)
}

func (s *Subscriptions) add(r resource, session string, notify func(uri string)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.followed[r][session] != nil || s.sessions[session] >= mostSubscriptions || len(s.followed) >= mostFollowed {
		return false
	}
	if s.followed[r] == nil {
		s.followed[r] = map[string]*follower{}
	}
	s.followed[r][session] = &follower{notify: notify}
	s.sessions[session]++
	if !s.running[r.account] {
		s.running[r.account] = true
		go s.run(r.account)
	}
	return true
}

// Remove ends that a session follows a resource.
func (s *Subscriptions) Remove(session, uri string) {
	s.remove(session, func(r resource) bool { return r.uri == uri })
}

// End ends all that a session follows.
func (s *Subscriptions) End(session string) {
	s.remove(session, func(resource) bool { return true })
}

func (s *Subscriptions) remove(session string, concerned func(resource) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[session] == 0 {
		return
	}
	for r, followers := range s.followed {
		if followers[session] == nil || !concerned(r) {
			continue
		}
		if delete(followers, session); len(followers) == 0 {
			delete(s.followed, r)
		}
		if s.sessions[session]--; s.sessions[session] == 0 {
			delete(s.sessions, session)
		}
	}
}

// of returns what is followed of an account. If that is nothing, and ends is
// set, nobody looks at it from then on.
func (s *Subscriptions) of(a *Account, ends bool) (followed []resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.followed {
		if r.account == a {
			followed = append(followed, r)
		}
	}
	if ends && len(followed) == 0 {
		delete(s.running, a)
	}
	return followed
}

// run looks at what is followed of an account, for as long as anything is.
func (s *Subscriptions) run(a *Account) {
	for {
		followed := s.of(a, true)
		if len(followed) == 0 {
			return
		}
		for _, r := range followed {
			ctx, cancel := context.WithTimeout(context.Background(), callLimit)
			s.look(ctx, r, "", nil)
			cancel()
			if strings.HasPrefix(r.uri, operationPrefix) {
				time.Sleep(askPause)
			}
		}
		time.Sleep(announcePause)
	}
}

// look tells of a resource if it has changed: those of session by here, others
// as they wanted it.
func (s *Subscriptions) look(ctx context.Context, r resource, session string, here func(uri string)) {
	_, state, err := live(ctx, r.account, r.uri)
	if err != nil {
		return // told when it is read
	}
	s.mu.Lock()
	var tell []func(string)
	for of, f := range s.followed[r] {
		switch {
		case f.known && f.state == state:
			continue
		case f.known && of == session && here != nil:
			tell = append(tell, here)
		case f.known:
			tell = append(tell, f.notify)
		}
		f.state, f.known = state, true
	}
	s.mu.Unlock()
	for _, notify := range tell {
		notify(r.uri)
	}
}

// Called looks at what the result of a call speaks of, so that who follows it
// is told before the result is. The session that called is told by here.
func (s *Subscriptions) Called(ctx context.Context, result json.RawMessage, session string, here func(uri string)) {
	s.mu.Lock()
	none := len(s.followed) == 0
	s.mu.Unlock()
	if none {
		return
	}
	var about struct {
		Operation string `json:"operation_id"`
		Bulk      string `json:"bulk_id"`
	}
	a, err := s.account(ctx)
	if err != nil || json.Unmarshal(result, &about) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookLimit)
	defer cancel()
	for _, r := range s.of(a, false) {
		operation, err := url.PathUnescape(strings.TrimPrefix(r.uri, operationPrefix))
		bulk := strings.TrimSuffix(strings.TrimPrefix(r.uri, bulkPrefix), manifestSuffix)
		if about.Bulk != "" && bulk == about.Bulk || about.Operation != "" && err == nil && operation == about.Operation {
			s.look(ctx, r, session, here)
		}
	}
}
