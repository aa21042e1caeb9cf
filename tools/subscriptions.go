package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"fullstory-export-mcp/exports"
)

const (
	// checkInterval is the pause between two rounds of checks of followed resources.
	checkInterval = time.Second
	// requestInterval is the pause after a check that may send a request to Fullstory, so
	// that at most five a second are sent for an account, whose callers have equal parts.
	requestInterval = 200 * time.Millisecond
	// checkTimeout bounds a check that a caller waits for.
	checkTimeout = 2 * time.Second
	// maxPerSession bounds the subscriptions of one session, maxPerCaller those of one
	// caller with a name, and maxFollowed those of all.
	maxPerSession = 100
	maxPerCaller  = maxFollowed / 4
	maxFollowed   = 5000
)

// Subscriptions notify sessions when resources that they follow change. They are safe
// for concurrent use. For each caller of an account one goroutine checks the resources
// that it follows; it runs only while there are any, so a caller with many does not
// delay the others. No lock is held during a check or a notification.
type Subscriptions struct {
	account  Accounts
	callerOf func(context.Context) string // nil: there is one caller

	mu       sync.Mutex
	followed map[resource]map[string]*follower // by session
	all      int                               // subscriptions
	sessions map[string]int                    // subscriptions of each session
	callers  map[string]int                    // subscriptions of each caller
	running  map[owner]bool                    // whose goroutine runs
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

// owner is a caller who follows resources of an account.
type owner struct {
	account *exports.Account
	caller  string
}

type follower struct {
	caller string
	notify func(uri string)
	state  string
	known  bool // state was read; before that, nothing counts as a change
}

// NewSubscriptions returns Subscriptions without sessions. callerOf names the caller of a
// context; it may be nil.
func NewSubscriptions(account Accounts, callerOf func(context.Context) string) *Subscriptions {
	return &Subscriptions{
		account: account, callerOf: callerOf,
		followed: map[resource]map[string]*follower{},
		sessions: map[string]int{}, callers: map[string]int{}, running: map[owner]bool{},
	}
}

// Add calls notify on each change of the resource at uri of the account that ctx
// names, with uri, until Remove or End. It returns when the present state of the resource
// is known; if ctx ends earlier, the first change may be missed. Add ignores guides, which
// do not change. It fails with a *resourceError if there is no such resource, or if that
// is not known; and with an invalidParams beyond a bound of the session or its caller.
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
	f := &follower{notify: notify}
	if s.callerOf != nil {
		f.caller = s.callerOf(ctx)
	}
	if err := s.full(session, f.caller); err != nil { // before a request is sent
		return err
	}
	a, err := s.account(ctx)
	if err != nil {
		return aboutResource(uri, err)
	}
	if f.state, err = present(ctx, a, r); err != nil && (r.kind != ofOperation || !a.Knows(ctx, r.id)) {
		return aboutResource(uri, err)
	}
	f.known = err == nil
	return s.add(resource{a, uri}, session, f)
}

// present returns the state of a resource that must exist.
func present(ctx context.Context, a *exports.Account, r address) (state string, err error) {
	if r.from == 0 {
		_, state, err = live(ctx, a, r.withoutFiles())
		return state, err
	}
	release, err := a.Hold(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	content, state, err := live(ctx, a, r)
	if m, ok := content.(bulkManifest); ok && err == nil && r.from >= len(m.Files) {
		err = errAddress
	}
	return state, err
}

// full returns the error of one more subscription of a session; nil if there is room.
func (s *Subscriptions) full(session, caller string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.noRoom(session, caller)
}

// noRoom is full. s.mu must be held.
func (s *Subscriptions) noRoom(session, caller string) error {
	const remedy = "End others with resources/unsubscribe first, or read the resource when you need it."
	switch {
	case s.sessions[session] >= maxPerSession:
		return invalidParams(fmt.Sprintf("This session follows %d resources, which is its limit. %s", maxPerSession, remedy))
	case caller != "" && s.callers[caller] >= maxPerCaller:
		return invalidParams(fmt.Sprintf("Your sessions follow %d resources, which is their limit. %s", maxPerCaller, remedy))
	case s.all >= maxFollowed:
		return invalidParams(fmt.Sprintf("All sessions follow %d resources, which is the limit of this server. "+
			"Read the resource when you need it, or try again later.", maxFollowed))
	}
	return nil
}

// add records the subscription and starts the goroutine of its caller if none runs. It
// does nothing if the session follows the resource already, and fails as full does.
func (s *Subscriptions) add(r resource, session string, f *follower) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.followed[r][session] != nil {
		return nil
	}
	if err := s.noRoom(session, f.caller); err != nil {
		return err
	}
	if s.followed[r] == nil {
		s.followed[r] = map[string]*follower{}
	}
	s.followed[r][session] = f
	s.all++
	s.sessions[session]++
	s.callers[f.caller]++
	if o := (owner{r.account, f.caller}); !s.running[o] {
		s.running[o] = true
		go s.run(o)
	}
	return nil
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
		f := followers[session]
		if f == nil || !ends(r) {
			continue
		}
		if delete(followers, session); len(followers) == 0 {
			delete(s.followed, r)
		}
		s.all--
		decrease(s.sessions, session)
		decrease(s.callers, f.caller)
	}
}

// decrease subtracts one of a count, and forgets one of zero.
func decrease(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// of returns the resources of an account that a caller follows, and the pause between two
// checks of them. If there are none, it marks the caller's goroutine as ended, under the
// same lock, so that the next Add starts another one.
func (s *Subscriptions) of(o owner) (followed []resource, pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r, followers := range s.followed {
		if r.account != o.account {
			continue
		}
		for _, f := range followers {
			if f.caller == o.caller {
				followed = append(followed, r)
				break
			}
		}
	}
	if len(followed) == 0 {
		delete(s.running, o)
	}
	for other := range s.running {
		if other.account == o.account {
			pause += requestInterval
		}
	}
	return followed, pause
}

// run checks the resources that a caller follows until there are none.
func (s *Subscriptions) run(o owner) {
	for {
		followed, pause := s.of(o)
		if len(followed) == 0 {
			return
		}
		for _, r := range followed {
			ctx, cancel := context.WithTimeout(context.Background(), callLimit)
			s.check(ctx, r, "", nil)
			cancel()
			if r.address().kind == ofOperation {
				time.Sleep(pause)
			}
		}
		time.Sleep(checkInterval)
	}
}

// check reads a resource and notifies its followers if it has changed: session by here
// (if it is not nil), the others by the functions that they gave to Add.
func (s *Subscriptions) check(ctx context.Context, r resource, session string, here func(uri string)) {
	_, state, err := live(ctx, r.account, r.address().withoutFiles())
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
	none := s.all == 0
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
	for _, r := range s.named(a, func(at address) bool {
		return at.kind == ofOperation && at.id == named.Operation ||
			at.kind != ofOperation && named.Bulk != "" && (at.id == named.Bulk || at.id == named.Name)
	}) {
		s.check(ctx, r, session, here)
	}
}

// named returns the followed resources of an account whose addresses match.
func (s *Subscriptions) named(a *exports.Account, match func(address) bool) (followed []resource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.followed {
		if r.account == a && match(r.address()) {
			followed = append(followed, r)
		}
	}
	return followed
}
