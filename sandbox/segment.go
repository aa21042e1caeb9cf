package sandbox

import (
	"strings"
	"time"
)

// segment is a saved set of criteria for people, sessions and events. All criteria
// must hold; a nil one always does.
type segment struct {
	id, name, creator string
	created           time.Time // zero: a built-in segment
	days              int       // length of the saved window; 0: all time

	people  func(*person) bool
	session func(*session) bool // sees the whole session up to now
	event   func(*event) bool
}

// ownWindow returns the segment's saved window at now: all time, or the last days
// up to now.
func (s *segment) ownWindow(now time.Time) window {
	if s.days == 0 {
		return window{}
	}
	return window{from: now.AddDate(0, 0, -s.days), to: now}
}

// hasName reports whether name is the segment's id or name.
func (s *segment) hasName(name string) bool { return s.id == name || s.name == name }

// matchesEverything reports whether the segment has no criteria. All scopes are then
// the same.
func (s *segment) matchesEverything() bool {
	return s.people == nil && s.session == nil && s.event == nil
}

// newSegments returns the account's segments, newest first, built-in ones last.
func newSegments() []*segment {
	on := func(year int, month time.Month, day, hour, minute, second, ms int) time.Time {
		return time.Date(year, month, day, hour, minute, second, ms*int(time.Millisecond), time.UTC)
	}
	const ana, ben, kim = "ana@example.com", "ben@example.com", "kim@example.com"
	return []*segment{
		{id: "Rt7Qe2LxVb93", name: "Returning customers", creator: kim, created: on(2026, 5, 28, 9, 12, 44, 207),
			days: 90, people: func(p *person) bool { return p.orders >= 2 }},
		{id: "bC4nD0sYw81K", name: "Abandoned carts", creator: ana, created: on(2026, 4, 16, 15, 3, 9, 518), days: 14,
			session: abandonedCart, event: addsToCart},
		{id: "N3wsLtr8Pq5Z", name: "Newsletter readers", creator: ben, created: on(2026, 3, 2, 8, 40, 51, 33), days: 30,
			people: func(p *person) bool { return p.newsletter }},
		{id: "tz81RtIU1Rw8", name: "Checkout visitors", creator: ana, created: on(2026, 2, 20, 14, 30, 10, 631),
			days: 30, event: func(e *event) bool { return strings.Contains(e.page.url, "/checkout") }},
		{id: "Bg9BsKt2Mm7A", name: "Big baskets", creator: kim, created: on(2026, 1, 11, 17, 22, 5, 900), days: 0,
			event: func(e *event) bool { return e.order != nil && e.order.cents >= 15000 }},
		{id: "gErM4nV1s1tr", name: "German visitors", creator: ben, created: on(2025, 11, 3, 10, 0, 36, 142), days: 30,
			people: func(p *person) bool { return p.country == "DE" || p.country == "Germany" }},
		{id: "eRr0rV1s1t0r", name: "Visitors with errors", creator: ana, created: on(2025, 9, 18, 12, 55, 27, 476),
			days: 7, event: hasError},
		{id: "M0b1L3App5x2", name: "Mobile app users", creator: kim, created: on(2025, 6, 30, 7, 31, 18, 64), days: 90,
			event: func(e *event) bool { return e.session.platform.app }},
		{id: "s1gN3d1nCu5t", name: "Signed-in customers", creator: ana, created: on(2025, 3, 12, 16, 8, 2, 755),
			days: 30, people: func(p *person) bool { return p.signedIn }},
		{id: "everyone", name: "Everyone", days: 30},
		{id: "rageClicks", name: "Rage clickers", days: 30,
			event: func(e *event) bool { return e.frustrated > 0 }},
	}
}

// addsToCart reports whether an event adds to a cart, in the simulated shop or under
// the name that is usual in real data.
func addsToCart(e *event) bool { return e.custom == "Add to Cart" || e.custom == "Product Added" }

// abandonedCart reports whether a session fills a cart and orders nothing.
func abandonedCart(s *session) bool {
	added := false
	for i := range s.events {
		if s.events[i].custom == "Order Completed" {
			return false
		}
		added = added || addsToCart(&s.events[i])
	}
	return added
}

// hasError reports whether an event is an error, was marked as one, or is a request
// that failed with a 5xx status.
func hasError(e *event) bool {
	return e.failed != 0 || e.kind == "exception" || strings.HasSuffix(e.kind, "_error") ||
		e.request != nil && e.request.status >= 500
}
