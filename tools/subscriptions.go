package tools

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"fullstory-export-mcp/exports"
)

const (
	// checkInterval is the pause between two rounds of checks of followed resources.
	checkInterval = time.Second
	// requestInterval is the pause after a check that may send a request to Fullstory, so
	// that a round sends at most five a second.
	requestInterval = 200 * time.Millisecond
	// checkTimeout bounds a check that a caller waits for.
	checkTimeout = 2 * time.Second
	// maxPerSession bounds the resources that one session follows, maxFollowed those
	// that all sessions follow.
	maxPerSession = 100
	maxFollowed   = 5000
)

// Subscriptions notify sessions when resources that they follow change. They are safe
// for concurrent use. For each account one goroutine checks the followed resources; it
// runs only while there are any. No lock is held during a check or a notification.
type Subscriptions struct {
	account Accounts

	mu       sync.Mutex
	followed map[resource]map[string]*follower // by session
	sessions map[string]int                    // how many resources each session follows
	running  map[*exports.Account]bool         // accounts whose goroutine runs
}

// resource is a resource of an account. Different accounts can have the same address.
type resource struct {
	account *exports.Account
	uri     string // as the client wrote it
}

func (r resource) address() address {
	parsed, _ := parseAddress(r.uri) // Add has checked it
	return parsed
}

type follower struct {
	notify func(uri string)
	state  string
	known  bool // state was read; before that, nothing counts as a change
}

// NewSubscriptions returns Subscriptions without sessions.
func NewSubscriptions(account Accounts) *Subscriptions {
	return &Subscriptions{
		account:  account,
		followed: map[resource]map[string]*follower{},
		sessions: map[string]int{},
		running:  map[*exports.Account]bool{},
	}
}

// Add calls notify on each change of the resource at uri of the account that ctx
// names, with uri, until Remove or End. It returns when the present state of the resource
// is known; if ctx ends earlier, the first change may be missed. Add fails with a
// *resourceError if there is no such resource. It ignores guides, which do not change,
// and subscriptions beyond maxPerSession or maxFollowed.
func (s *Subscriptions) Add(ctx context.Context, session, uri string, notify func(uri string)) error {
	r, err := parseAddress(uri)
	if err == nil && r.kind == ofGuide {
		_, err = guideText(r.id)
	}
	if err != nil {
		return aboutResource(uri, err)
	}
	if r.kind == ofGuide {
		return nil
	}
	a, err := s.account(ctx)
	if err != nil {
		return nil // reported when it is read
	}
	_, state, err := live(ctx, a, r)
	if err != nil {
		if e := aboutResource(uri, err); e.unknown {
			return e
		}
	}
	s.add(resource{a, uri}, session, &follower{notify: notify, state: state, known: err == nil})
	return nil
}

// add records the subscription and starts the account's goroutine if none runs. It does
// nothing if the session follows the resource already or a limit is reached.
func (s *Subscriptions) add(r resource, session string, f *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.followed[r][session] != nil || s.sessions[session] >= maxPerSession || len(s.followed) >= maxFollowed {
		return
	}
	if s.followed[r] == nil {
		s.followed[r] = map[string]*follower{}
	}
	s.followed[r][session] = f
	s.sessions[session]++
	if !s.running[r.account] {
		s.running[r.account] = true
		go s.run(r.account)
	}
}

// Remove ends a session's subscription to a resource.
func (s *Subscriptions) Remove(session, uri string) {
	s.remove(session, func(r resource) bool { return sameAddress(r.uri, uri) })
}

// End ends all subscriptions of a session.
func (s *Subscriptions) End(session string) {
	s.remove(session, func(resource) bool { return true })
}

func (s *Subscriptions) remove(session string, ends func(resource) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[session] == 0 {
		return
	}
	for r, followers := range s.followed {
		if followers[session] == nil || !ends(r) {
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

// followedOf returns the followed resources of an account. If there are none and stop
// is set, it marks the account's goroutine as ended, under the same lock, so that the
// next Add starts another one.
func (s *Subscriptions) followedOf(a *exports.Account, stop bool) (followed []resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.followed {
		if r.account == a {
			followed = append(followed, r)
		}
	}
	if stop && len(followed) == 0 {
		delete(s.running, a)
	}
	return followed
}

// run checks the followed resources of an account until there are none.
func (s *Subscriptions) run(a *exports.Account) {
	for {
		followed := s.followedOf(a, true)
		if len(followed) == 0 {
			return
		}
		for _, r := range followed {
			ctx, cancel := context.WithTimeout(context.Background(), callLimit)
			s.check(ctx, r, "", nil)
			cancel()
			if r.address().kind == ofOperation {
				time.Sleep(requestInterval)
			}
		}
		time.Sleep(checkInterval)
	}
}

// check reads a resource and notifies its followers if it has changed: session by here
// (if it is not nil), the others by the functions that they gave to Add.
func (s *Subscriptions) check(ctx context.Context, r resource, session string, here func(uri string)) {
	_, state, err := live(ctx, r.account, r.address())
	if err != nil {
		return // reported when it is read
	}
	s.mu.Lock()
	var notified []func(string)
	for id, f := range s.followed[r] {
		switch {
		case f.known && f.state == state:
			continue
		case f.known && id == session && here != nil:
			notified = append(notified, here)
		case f.known:
			notified = append(notified, f.notify)
		}
		f.state, f.known = state, true
	}
	s.mu.Unlock()
	for _, notify := range notified {
		notify(r.uri)
	}
}

// Called checks the resources that the result of a call names, so that their followers
// are notified before the result is sent. here notifies the session that called. The
// checks take at most checkTimeout together, and do not end with ctx.
func (s *Subscriptions) Called(ctx context.Context, result json.RawMessage, session string, here func(uri string)) {
	s.mu.Lock()
	none := len(s.followed) == 0
	s.mu.Unlock()
	if none {
		return
	}
	var named struct {
		Operation string `json:"operation_id"`
		Bulk      string `json:"bulk_id"`
		Name      string `json:"name"` // of the bulk export
	}
	a, err := s.account(ctx)
	if err != nil || json.Unmarshal(result, &named) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
	defer cancel()
	for _, r := range s.followedOf(a, false) {
		at := r.address()
		if at.kind == ofOperation && at.id == named.Operation ||
			at.kind != ofOperation && named.Bulk != "" && (at.id == named.Bulk || at.id == named.Name) {
			s.check(ctx, r, session, here)
		}
	}
}
