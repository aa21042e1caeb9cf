package sandbox

import (
	"cmp"
	"slices"
	"strings"
)

// worldEventColumns returns the API's columns, then the shop's custom variables by
// name.
func worldEventColumns() []column[*event] {
	custom := append(shopEventVariables(), shopPageVariables()...)
	for _, c := range worldUserColumns() {
		custom = append(custom, column[*event]{c.name, samePage, func(dst []byte, e *event) []byte {
			return c.show(dst, e.session.person)
		}})
	}
	sortColumns(custom)
	return append(apiEventColumns(), custom...)
}

func sortColumns[R any](columns []column[R]) {
	slices.SortFunc(columns, func(a, b column[R]) int { return cmp.Compare(a.name, b.name) })
}

// withVars returns the columns with those of custom variables replaced by EventVars,
// UserVars and PageVars, which each hold the variables of a kind as the text of a JSON
// object, {} if there are none. The replaced columns stay, and can be requested by
// name.
func withVars(all []column[*event]) []column[*event] {
	all = slices.Clone(all)
	kinds := map[string][]column[*event]{}
	for i, c := range all {
		for _, kind := range varsColumns {
			if strings.HasPrefix(c.name, kind.prefix) {
				kinds[kind.name] = append(kinds[kind.name], c)
				all[i].constant = onRequest
			}
		}
	}
	for _, kind := range varsColumns {
		enc := newEncoder(kinds[kind.name], formatNDJSON)
		all = append(all, column[*event]{kind.name, eachRow, func(dst []byte, e *event) []byte {
			return quoted(dst, string(enc.append(nil, e, 0)))
		}})
	}
	return all
}

// varsColumns are the columns that hold custom variables together, with the prefix of
// the variables.
var varsColumns = []struct{ name, prefix string }{
	{"EventVars", "evt_"}, {userVars, "user_"}, {"PageVars", "page_"},
}

// varsFields returns the fields with those that select a kind of variables, such as
// user_*, replaced by the column that holds them together.
func varsFields(fields []string) []string {
	fields = slices.Clone(fields)
	for i := range fields {
		for _, kind := range varsColumns {
			if fields[i] == kind.prefix+"*" {
				fields[i] = kind.name
			}
		}
	}
	return fields
}

// worldUserColumns returns the shop's user variables. Only signed-in customers have
// them.
func worldUserColumns() []column[*person] {
	var all []column[*person]
	add := func(name string, show func([]byte, *person) []byte) {
		all = append(all, column[*person]{name, samePage, func(dst []byte, p *person) []byte {
			if !p.signedIn {
				return dst
			}
			return show(dst, p)
		}})
	}
	add("user_address.country_str", func(dst []byte, p *person) []byte { return quoted(dst, p.city.countryName) })
	add("user_address.city_str", func(dst []byte, p *person) []byte { return quoted(dst, p.city.name) })
	add("user_customerSince_date", func(dst []byte, p *person) []byte { return instant(dst, p.since) })
	add("user_interests_strs", func(dst []byte, p *person) []byte { return quotedList(dst, p.interests) })
	add("user_lifetimeValue_real", func(dst []byte, p *person) []byte { return decimal(dst, p.lifetimeVal, 2) })
	add("user_newsletter_bool", func(dst []byte, p *person) []byte { return boolean(dst, p.newsletter) })
	add("user_orders_int", func(dst []byte, p *person) []byte { return number(dst, p.orders) })
	add("user_plan_str", func(dst []byte, p *person) []byte { return quoted(dst, p.plan) })
	sortColumns(all)
	return all
}

// shopPageVariables returns the shop's page variables.
func shopPageVariables() []column[*event] {
	return []column[*event]{
		{"page_category_str", samePage, func(dst []byte, e *event) []byte {
			return optionalText(dst, e.page.category)
		}},
		{"page_experiment_str", samePage, func(dst []byte, e *event) []byte {
			return optionalText(dst, e.page.variant)
		}},
		{"page_product.id_str", samePage, func(dst []byte, e *event) []byte {
			if e.page.product == nil {
				return dst
			}
			return quoted(dst, e.page.product.id)
		}},
		{"page_product.price_real", samePage, func(dst []byte, e *event) []byte {
			if e.page.product == nil {
				return dst
			}
			return decimal(dst, e.page.product.cents, 2)
		}},
	}
}

// shopEventVariables returns the shop's event variables, at least one of every type
// suffix. Each is present only on the custom events that it describes.
func shopEventVariables() []column[*event] {
	var all []column[*event]
	add := func(name string, has func(*event) bool, show func([]byte, *event) []byte) {
		all = append(all, column[*event]{name, eachRow, func(dst []byte, e *event) []byte {
			if !has(e) {
				return dst
			}
			return show(dst, e)
		}})
	}
	aboutCart := func(e *event) bool { return e.custom == "Add to Cart" || e.custom == "Cart Viewed" }
	add("evt_cart.items_int", aboutCart, func(dst []byte, e *event) []byte { return number(dst, e.cartItems) })
	add("evt_cart.total_real", aboutCart, func(dst []byte, e *event) []byte { return decimal(dst, e.cart, 2) })

	aboutProduct := func(e *event) bool { return e.product != nil }
	add("evt_product.id_str", aboutProduct, func(dst []byte, e *event) []byte { return quoted(dst, e.product.id) })
	add("evt_product.name_str", aboutProduct, func(dst []byte, e *event) []byte { return quoted(dst, e.product.name) })
	add("evt_product.price_real", aboutProduct,
		func(dst []byte, e *event) []byte { return decimal(dst, e.product.cents, 2) })
	add("evt_quantity_int", func(e *event) bool { return e.quantity > 0 },
		func(dst []byte, e *event) []byte { return number(dst, e.quantity) })

	aboutOrder := func(e *event) bool { return e.order != nil }
	add("evt_order.id_str", aboutOrder, func(dst []byte, e *event) []byte { return quoted(dst, e.order.id) })
	add("evt_order.total_real", aboutOrder, func(dst []byte, e *event) []byte { return decimal(dst, e.order.cents, 2) })
	add("evt_order.items_int", aboutOrder, func(dst []byte, e *event) []byte { return number(dst, e.order.items) })
	add("evt_order.gift_bool", aboutOrder, func(dst []byte, e *event) []byte { return boolean(dst, e.order.gift) })
	add("evt_order.placed_date", aboutOrder, func(dst []byte, e *event) []byte { return instant(dst, e.at) })
	add("evt_order.coupon_str", aboutOrder, func(dst []byte, e *event) []byte {
		return optionalText(dst, e.order.coupon)
	})

	add("evt_order.quantities_ints", aboutOrder, func(dst []byte, e *event) []byte {
		return list(dst, e.order.items, func(dst []byte, i int64) []byte { return number(dst, 1+i%3) })
	})
	add("evt_order.prices_reals", aboutOrder, func(dst []byte, e *event) []byte {
		return list(dst, e.order.items, func(dst []byte, i int64) []byte {
			return decimal(dst, e.order.cents/(i+2), 2)
		})
	})
	add("evt_order.wrapped_bools", aboutOrder, func(dst []byte, e *event) []byte {
		return list(dst, e.order.items, func(dst []byte, i int64) []byte {
			return boolean(dst, e.order.gift && i == 0)
		})
	})
	add("evt_order.deliveries_dates", aboutOrder, func(dst []byte, e *event) []byte {
		return list(dst, 1+e.order.items%2, func(dst []byte, i int64) []byte { return instant(dst, e.at+(2+i)*dayMs) })
	})

	add("evt_query_str", func(e *event) bool { return e.query != "" },
		func(dst []byte, e *event) []byte { return quoted(dst, e.query) })
	add("evt_results_int", func(e *event) bool { return e.query != "" },
		func(dst []byte, e *event) []byte { return number(dst, e.results) })
	add("evt_note_str", func(e *event) bool { return e.note != "" },
		func(dst []byte, e *event) []byte { return quoted(dst, e.note) })
	add("evt_rating_int", func(e *event) bool { return e.rating > 0 },
		func(dst []byte, e *event) []byte { return number(dst, e.rating) })
	return all
}

// list appends a JSON array of n elements, at most eight.
func list(dst []byte, n int64, element func(dst []byte, i int64) []byte) []byte {
	dst = append(dst, '[')
	for i := range min(n, 8) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = element(dst, i)
	}
	return append(dst, ']')
}
