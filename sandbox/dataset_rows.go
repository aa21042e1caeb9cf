package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// newRecords groups rows into sessions and derives what criteria need. It fails
// with the number of the first row that lacks an id or a time.
func newRecords(rows []*record) (*records, error) {
	r := &records{}
	r.nameColumns(rows)
	type key struct{ user, session int64 }
	visits, people := map[key]*session{}, map[int64]*person{}
	for i, row := range rows {
		e, err := row.event()
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		k := key{row.whole("UserId"), row.whole("SessionId")}
		s := visits[k]
		if s == nil {
			s = &session{userID: k.user, id: k.session}
			visits[k] = s
			r.visits = append(r.visits, s)
		}
		id := row.whole("IndvId")
		if people[id] == nil {
			people[id] = &person{id: id, vars: row}
		}
		people[id].update(row)
		s.person = people[id]
		s.events = append(s.events, e)
	}
	for _, s := range r.visits {
		slices.SortStableFunc(s.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
		s.complete()
	}
	slices.SortStableFunc(r.visits, func(a, b *session) int { return cmp.Compare(a.events[0].at, b.events[0].at) })
	return r, nil
}

// event reads the fields of a row that criteria, windows and totals need.
func (r *record) event() (event, error) {
	at, ok := r.instant("EventStart")
	if !ok {
		return event{}, fmt.Errorf("EventStart is %s; it must be a time such as 2026-03-01T06:20:26.900Z",
			orAbsent(r.value("EventStart")))
	}
	for _, name := range []string{"IndvId", "UserId", "SessionId", "PageId"} {
		if _, err := strconv.ParseInt(string(r.value(name)), 10, 64); err != nil {
			return event{}, fmt.Errorf("%s is %s; it must be a whole number of at most 64 bits", name,
				orAbsent(r.value(name)))
		}
	}
	e := event{
		at: at, kind: r.text("EventType"), custom: r.text("EventCustomName"), record: r,
		frustrated: r.whole("EventModFrustrated"), failed: r.whole("EventModError"),
		page: &page{id: r.whole("PageId"), url: r.text("PageUrl"), duration: r.whole("PageDuration"),
			active: r.whole("PageActiveDuration")},
	}
	if method := r.text("ReqMethod"); method != "" {
		e.request = &apiCall{r.text("ReqUrl"), method, r.whole("ReqStatus")}
	}
	if total, err := strconv.ParseFloat(string(r.value("evt_order.total_real")), 64); err == nil &&
		e.custom == "Order Completed" {
		e.order = &purchase{cents: int64(math.Round(total * 100))}
	}
	return e, nil
}

func orAbsent(value []byte) string {
	if value == nil {
		return "absent"
	}
	return string(value)
}

// update adds what a row says about its person; later rows win.
func (p *person) update(r *record) {
	p.appKey, p.name, p.email = cmp.Or(r.text("UserAppKey"), p.appKey), cmp.Or(r.text("UserDisplayName"), p.name),
		cmp.Or(r.text("UserEmail"), p.email)
	p.signedIn = p.appKey != ""
	p.newsletter = p.newsletter || string(r.value("user_newsletter_bool")) == "true"
	p.orders = max(p.orders, r.whole("user_orders_int"))
	p.country = cmp.Or(r.text("user_country_str"), r.text("user_address.country_str"), p.country,
		countryAt(r.text("PageLatLong")))
	if slices.ContainsFunc(r.cells, func(c cell) bool { return strings.HasPrefix(c.name, "user_") }) {
		p.vars = r
	}
}

// countryAt returns the country at a place. It recognises only Germany, roughly,
// because only the segment of German visitors depends on a country.
func countryAt(latLong string) string {
	lat, long, ok := strings.Cut(latLong, ",")
	north, err1 := strconv.ParseFloat(strings.TrimSpace(lat), 64)
	east, err2 := strconv.ParseFloat(strings.TrimSpace(long), 64)
	if ok && err1 == nil && err2 == nil && north > 47.7 && north < 55.1 && east > 5.9 && east < 15 {
		return "DE"
	}
	return ""
}

// complete sets the fields of the session as a whole, from its last row. Its events
// must be sorted.
func (s *session) complete() {
	for i := range s.events {
		s.events[i].session = s
	}
	last := s.events[len(s.events)-1].record
	s.start = s.events[0].at
	if at, ok := last.instant("SessionStart"); ok {
		s.start = at
	}
	s.userCreated, _ = last.instant("UserCreated")
	s.ip, s.latLong = last.text("PageIp"), last.text("PageLatLong")
	s.platform = &platform{
		name: last.text("PagePlatform"), os: last.text("PageOperatingSystem"), browser: last.text("PageBrowser"),
		device: last.text("PageDevice"), app: last.text("AppName") != "" || last.text("AppPackageName") != "",
	}
}

// text returns a string field, or "" if it is absent or not a string.
func (r *record) text(name string) string {
	var s string
	if value := r.value(name); value == nil || json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

// whole returns an integer field, or 0 if it is absent or not an integer.
func (r *record) whole(name string) int64 {
	n, err := strconv.ParseInt(string(r.value(name)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// instant returns a time field in Unix milliseconds, rounded down.
func (r *record) instant(name string) (int64, bool) {
	t, err := time.Parse(time.RFC3339Nano, r.text(name))
	return t.UnixMilli(), err == nil
}
