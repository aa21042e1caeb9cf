package sandbox

import (
	"strings"
	"sync"
)

// arrive adds the events that every page begins with.
func (j *journey) arrive() {
	if j.s.platform.app {
		j.add("pageview", 50)
		return
	}
	e := j.add("navigate", 30)
	e.subKind = "navigate"
	switch d := j.r.below(40); d {
	case 0:
		e.subKind = "reload"
	case 1, 2:
		e.subKind = "back_forward"
	}
	e.scroll = j.r.between(5, 101)
	j.add("pageview", 40)
	dom := j.r.between(180, 2600)
	e = j.add("load", 3000)
	paint := dom * j.r.between(60, 110) / 100
	e.load = &[4]int64{dom, dom + j.r.between(20, 1500), paint, paint + j.r.below(1200)}
	if j.r.percent(25) {
		j.add("cumulative_layout_shift", 1500).shift = j.r.between(1, 420)
	}
}

// act adds the events of the visitor's actions on the page.
func (j *journey) act(at pageKind) {
	j.call("GET", "/api/v2/basket")
	for range j.r.below(4) {
		j.seeProduct()
	}
	if !j.s.platform.app && j.r.percent(20) {
		j.add("first_input_delay", 4000).inputDelay = j.r.between(2, 380)
	}
	switch at {
	case categoryPage:
		j.click("Sort by price", "div.content select.sort")
		j.call("GET", "/api/v2/products?page=2")
	case itemPage:
		j.viewProduct()
	case searchPage:
		j.search()
	case cartPage:
		j.viewCart()
	case checkoutPage:
		j.checkOut()
	case thanksPage:
		j.completeOrder()
	case helpPage:
		j.readHelp()
	default:
		j.click(*pick(&j.r, categories), "nav.main a.category")
	}
	j.addProblems()
}

// click adds a click within 18 s. Three in a hundred are dead clicks.
func (j *journey) click(text, selector string) *event {
	e := j.add("click", 18_000)
	e.text, e.selector = text, "html body div#app "+selector
	e.dead = j.r.percent(3)
	return e
}

// seeProduct adds a product card that was rendered and, mostly, visible.
func (j *journey) seeProduct() {
	p := pick(&j.r, products)
	e := j.add("seen", 6000)
	e.subKind, e.text, e.selector = "rendered", p.name, "html body div#app div.grid div.product-card"
	e.duration = j.r.between(400, 40_000)
	if e.duration%8 == 0 { // only the picture of the card, which has no text
		e.text, e.selector = "", e.selector+" img"
	}
	if j.r.percent(70) {
		e.subKind, e.secondary = "visible", e.duration*j.r.between(20, 100)/100
	}
}

// call adds a request of the page to the shop's API. One in 200 fails with 503, and
// two with 404.
func (j *journey) call(method, path string) {
	e := j.add("request", 1800)
	e.duration = j.r.between(12, 900)
	status := int64(200)
	switch d := j.r.below(200); {
	case d == 0:
		status = 503
	case d < 3:
		status = 404
	}
	e.request = &apiCall{shopURL + path, method, status}
}

// viewProduct adds the events of a product page. A third of the visitors put the
// product into the cart, once or several times.
func (j *journey) viewProduct() {
	p := j.page.product
	e := j.add("custom", 3000)
	e.custom, e.product = "Product Viewed", p
	j.click("", "main.product img.zoom")
	if !j.r.percent(34) {
		if j.r.percent(5) && !j.s.platform.app {
			j.add("copy", 9000).text = p.name
		}
		return
	}
	j.click("Add to cart", "main.product button.add-to-cart")
	j.call("POST", "/api/v2/basket/lines")
	quantity := 1 + j.r.below(3)*j.r.below(2)
	j.cartItems += quantity
	j.cartCents += quantity * p.cents
	e = j.add("custom", 400)
	e.custom, e.product, e.quantity = "Add to Cart", p, quantity
	e.cartItems, e.cart = j.cartItems, j.cartCents
}

// search adds a search for one of searches. EventModSuspicious marks the texts that
// look like an injection.
func (j *journey) search() {
	query := *pick(&j.r, searches)
	e := j.add("change", 12_000)
	e.text, e.selector = query, "html body header input[name=\"q\"]"
	if query[0] == '\'' {
		e.suspicious = 1
	} else if query[0] == '<' {
		e.suspicious = 2
	}
	j.call("GET", "/api/v2/search")
	e = j.add("custom", 500)
	e.custom, e.query, e.results = "Searched", query, j.r.below(40)
}

// viewCart adds the events of the cart page.
func (j *journey) viewCart() {
	e := j.add("custom", 2000)
	e.custom, e.cartItems, e.cart = "Cart Viewed", j.cartItems, j.cartCents
	if j.cartItems > 0 {
		j.click("Go to checkout, €", "div.cart a.checkout")
	}
}

// checkOut fills in the form of the order and pays. Some visitors get an error first,
// and some write a gift note.
func (j *journey) checkOut() {
	android := j.s.platform.app && j.s.platform.os == "Android"
	if android {
		j.add("keyboard_open", 3000)
	}
	for _, field := range [...]string{"name", "street", "postcode", "city"} {
		e := j.add("change", 14_000)
		e.selector = "html body div#app form#checkout input[name=\"" + field + "\"]"
	}
	if j.r.percent(15) && !j.s.platform.app {
		e := j.add("paste", 6000)
		e.selector = "html body div#app form#checkout input[name=\"card\"]"
	}
	if j.r.percent(14) {
		bad := pick(&j.r, errorKinds)
		e := j.add("custom_error", 5000)
		e.text, e.errorKind, e.errorFields, e.failed = bad.text, bad.kind, bad.fields, 1
	}
	if android {
		j.add("keyboard_close", 2000)
	}
	if j.r.percent(20) {
		e := j.add("custom", 9000)
		e.custom, e.note = "Gift Note Written", j.giftNote()
	}
	j.click("Pay now", "form#checkout button.pay")
	j.call("POST", "/api/v2/orders")
}

// completeOrder adds the order and, for some visitors, a rating of the shop.
func (j *journey) completeOrder() {
	e := j.add("custom", 1200)
	e.custom, e.order = "Order Completed", j.newOrder()
	if j.r.percent(10) {
		e = j.add("custom", 30_000)
		e.custom, e.rating, e.note = "Shop Rated", j.r.between(1, 6), *pick(&j.r, notes)
	}
}

// readHelp adds the events of a help page.
func (j *journey) readHelp() {
	j.click("How long does delivery take?", "main.help details summary")
	if j.r.percent(30) {
		e := j.add("highlight", 15_000)
		e.text = "within 3–5 working days, \"if in stock\""
	}
	if j.r.percent(10) && !j.s.platform.app {
		j.click(*pick(&j.r, notes), "main.help section.reviews blockquote")
	}
}

// giftNote returns the text of a note: sometimes 6000 bytes, and once in 60 times a
// megabyte.
func (j *journey) giftNote() string {
	switch d := j.r.below(60); {
	case d == 0:
		return hugeText()
	case d < 4:
		return hugeText()[:6000]
	}
	return *pick(&j.r, notes)
}

// hugeText returns a megabyte of deliberately hostile text.
var hugeText = sync.OnceValue(func() string {
	one := "0123456789 \"quoted\", comma; \ttab, line\r\nنص עברית 日本語 🎁 \u0001\u001b[31m "
	return strings.Repeat(one, 1<<20/len(one)+1)
})

// addProblems adds occasional errors and signs of frustration.
func (j *journey) addProblems() {
	if j.r.percent(30) {
		j.infos += j.r.between(1, 4)
	}
	if j.r.percent(8) {
		j.warnings++
	}
	if j.r.percent(4) {
		bad := pick(&j.r, exceptions)
		j.errors++
		e := j.add("exception", 8000)
		e.subKind, e.text, e.source, e.failed = "uncaught", bad.text, bad.source, 3
	}
	if j.r.percent(4) {
		j.errors++
		e := j.add("console_message", 8000)
		e.subKind, e.text, e.failed = "error", "Failed to load resource: net::ERR_BLOCKED_BY_CLIENT", 2
	}
	if j.r.percent(3) {
		for n := range j.r.between(3, 8) {
			e := j.add("click", 220)
			e.text, e.selector, e.frustrated = "Apply", "html body div#app button.apply", n+1
			e.dead = n > 1
		}
	}
	if j.r.percent(2) {
		bad := pick(&j.r, errorKinds)
		e := j.add("seen_error", 5000)
		e.text, e.errorKind, e.errorFields = bad.text, bad.kind, bad.fields
		e = j.add("click_error", 4000)
		e.text, e.selector, e.errorKind, e.errorFields, e.failed = "Retry", "html body div#app div.alert button",
			bad.kind, bad.fields, 1
	}
	if j.r.percent(2) {
		j.add("thrash", 5000).duration = j.r.between(700, 4000)
	}
	if j.s.platform.app && j.r.percent(4) {
		e := j.add("pinch_gesture", 4000)
		e.subKind = *pick(&j.r, []string{"pinch_scale_in", "pinch_scale_out"})
	}
	if j.s.platform.os == "Android" && j.s.platform.app && j.r.percent(1) {
		j.add("low_memory", 3000)
		if j.r.percent(40) {
			j.add("crashed", 2000).failed = 3
		}
	}
}
