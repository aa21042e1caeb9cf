package sandbox

import "strconv"

// maxPages is the maximum number of pages of a session.
const maxPages = 14

// pageKind is a kind of page in the shop.
type pageKind int

const (
	homePage pageKind = iota
	categoryPage
	itemPage
	searchPage
	cartPage
	checkoutPage
	thanksPage
	helpPage
	noPage
)

// journey simulates one session: its pages, and the events on them. All randomness
// comes from r, in a fixed order, so that a session is the same each time.
type journey struct {
	s                       *session
	r                       random
	clock                   int64 // Unix milliseconds
	page                    *page
	discarded               event // receives changes to events after the session's end
	over                    bool  // the session has reached its limit
	infos, warnings, errors int64 // on the page so far
	cartItems, cartCents    int64
	last                    string // URL of the previous page
}

// simulate fills in the session's pages and events. Every event lies before its
// limit.
func simulate(s *session) {
	s.pages, s.events = s.pages[:0], s.events[:0]
	j := journey{s: s, r: s.draw, clock: s.start}
	at := homePage
	switch d := j.r.below(100); {
	case d < 20:
		at = categoryPage
	case d < 45:
		at = itemPage
	case d < 50:
		at = helpPage
	}
	for at != noPage && !j.over && len(s.pages) < maxPages {
		j.open(at)
		j.arrive()
		j.act(at)
		at = j.next(at)
		j.leave(at)
	}
}

// open starts a page of the given kind.
func (j *journey) open(at pageKind) {
	j.s.pages = append(j.s.pages, page{id: j.r.id(), start: j.clock, refer: j.last})
	j.page = &j.s.pages[len(j.s.pages)-1]
	j.infos, j.warnings, j.errors = 0, 0, 0
	p := j.page
	p.cluster = 600 + int64(at)
	p.variant = [2]string{"A", "B"}[j.s.userID&1]
	path := ""
	switch at {
	case homePage:
		p.name, path = "Home", "/"
	case categoryPage:
		p.category = *pick(&j.r, categories)
		p.name, path = "Category", "/c/"+p.category
	case itemPage:
		p.product = pick(&j.r, products)
		p.category = p.product.category
		p.name, path = "Product", "/p/"+p.product.id
	case searchPage:
		p.name, path = "Search", "/search"
	case cartPage:
		p.name, path = "Cart", "/cart"
	case checkoutPage:
		p.name, path = "Checkout", "/checkout"
	case thanksPage:
		p.name, path = "Thanks", "/thanks"
	case helpPage:
		p.name, path = "Help", "/help/"+*pick(&j.r, helpTopics)
	}
	if j.s.platform.app {
		p.view = p.name
		return
	}
	if j.last == "" && j.r.percent(40) {
		path += "?utm_source=newsletter&utm_campaign=spring%20sale"
	}
	p.url = shopURL + path
	j.last = p.url
}

// add appends an event that happens 1 to within milliseconds after the last one and
// returns it, valid until the next add. At the session's limit it returns an event
// that is discarded, so that callers need not check.
func (j *journey) add(kind string, within int64) *event {
	j.clock += 1 + j.r.below(within)
	if j.over || j.clock >= j.s.start+j.s.limit {
		j.over = true
		j.discarded = event{session: j.s, page: j.page}
		return &j.discarded
	}
	j.s.events = append(j.s.events, event{session: j.s, page: j.page, at: j.clock, kind: kind,
		infos: j.infos, warnings: j.warnings, errors: j.errors})
	j.page.events++
	return &j.s.events[len(j.s.events)-1]
}

// next decides where the visitor goes; noPage ends the session.
func (j *journey) next(at pageKind) pageKind {
	d := j.r.below(100)
	choose := func(chances ...int64) pageKind { // percentages in the order of the kinds
		for to, chance := range chances {
			if d -= chance; d < 0 {
				return pageKind(to)
			}
		}
		return noPage
	}
	switch at {
	case homePage:
		return choose(0, 40, 15, 20, 2, 0, 0, 5)
	case categoryPage:
		return choose(2, 10, 60, 8, 2, 0, 0, 1)
	case itemPage:
		if j.cartItems > 0 {
			return choose(2, 12, 12, 5, 50, 0, 0, 2)
		}
		return choose(3, 20, 28, 10, 2, 0, 0, 4)
	case searchPage:
		return choose(2, 8, 60, 12)
	case cartPage:
		if j.cartItems == 0 {
			return choose(20, 20)
		}
		return choose(1, 8, 5, 2, 0, 62, 0, 4)
	case checkoutPage:
		return choose(1, 0, 0, 0, 8, 0, 66, 5)
	case thanksPage:
		j.cartItems, j.cartCents = 0, 0
		return choose(8, 4)
	}
	return choose(10, 12, 10, 5)
}

// leave ends the page and sets its totals, which are known only now.
func (j *journey) leave(to pageKind) {
	if to == noPage && j.cartItems > 0 {
		j.add("abandon", 20_000).selector = "form#checkout"
	}
	if j.s.platform.app && j.r.percent(30) {
		j.add("backgrounded", 15_000)
	}
	j.clock += j.r.below(9000)
	p := j.page
	p.duration = min(j.clock, j.s.start+j.s.limit) - p.start
	p.active = p.duration * j.r.between(35, 98) / 100
	p.derived = p.events / 3
}

// newOrder returns an order of the cart.
func (j *journey) newOrder() *purchase {
	o := &purchase{id: "O-" + strconv.FormatInt(j.r.between(1e9, 1e10), 36), cents: j.cartCents, items: j.cartItems,
		gift: j.r.percent(12)}
	if j.r.percent(15) {
		o.coupon = "SPRING,10%"
		o.cents -= o.cents / 10
	}
	return o
}
