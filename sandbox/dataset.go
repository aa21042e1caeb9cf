package sandbox

import (
	"context"
	"math"
	"time"
)

// data is everything that the sandbox's account has recorded, and its segments.
// It is safe for concurrent use.
type data struct {
	source  source
	saved   []*segment
	array   arrayLayout // of FORMAT_JSON
	csvVars bool        // custom variables of a CSV are JSON texts, one column a kind
}

// source provides sessions: it is the simulated world, or a file of real rows.
// Implementations are safe for concurrent use.
type source interface {
	// sessions calls visit with every session that may have an event in the span
	// and whose person satisfies wanted (nil: everybody). When wanted is called,
	// only the fields of the person that criteria use are set. Events at or after
	// now are left out. The session and everything it refers to are valid only
	// until visit returns. sessions stops at the first error of visit, and when
	// ctx ends.
	sessions(ctx context.Context, in span, now int64, wanted func(*person) bool, visit func(*session) error) error
	// eventColumns returns all columns of event rows: those of the API in the
	// dictionary's order, then the others by name.
	eventColumns() []column[*event]
	// userColumns returns the custom user variables, sorted by name.
	userColumns() []column[*person]
}

// openData opens the rows of the file c.Data or, without one, the simulated shop
// that c.Seed and c.Density describe.
func openData(c Config) (*data, error) {
	d := &data{saved: newSegments(), array: arrayLayoutOf(c), csvVars: c.has(csvVars)}
	if c.Data == "" {
		shop := newWorld(c.Seed, c.Density)
		shop.late = c.Late
		d.source = shop
		return d, nil
	}
	rows, err := readRecords(c.Data)
	if err != nil {
		return nil, err
	}
	d.source = rows
	return d, nil
}

// segments lists the account's segments, the newest first, built-in ones last.
func (d *data) segments() []*segment { return d.saved }

// session is one visit: the events of one UserId under one SessionId.
type session struct {
	person      *person
	userID, id  int64
	start       int64 // Unix milliseconds, like all instants of the data
	userCreated int64 // of the UserId; 0 when unknown
	platform    *platform
	ip, latLong string
	events      []event // by time

	// Of the world only: the maximum length of the session in milliseconds, and the
	// random streams for its course, its person and its device.
	limit               int64
	draw, about, device random
	pages               []page
}

// page is one page load, or one period of the mobile app in the foreground.
// Instants and durations are in milliseconds.
type page struct {
	id, start        int64
	name, url, refer string
	view             string // of the mobile app
	category         string
	product          *product
	variant          string
	duration, active int64
	events, derived  int64
	cluster          int64
}

// event is one event. Its kind determines which fields apply; a zero field is
// absent from the row. Durations are in milliseconds.
type event struct {
	session  *session
	page     *page
	at       int64
	kind     string // EventType
	subKind  string
	custom   string // EventCustomName
	text     string
	selector string // EventTargetSelector

	duration, secondary            int64
	frustrated, failed, suspicious int64
	dead                           bool
	shift                          int64 // thousandths of EventCumulativeLayoutShift
	inputDelay                     int64
	errorKind, errorFields         string
	source                         string
	infos, warnings, errors        int64
	scroll                         int64
	load                           *[4]int64
	request                        *apiCall
	product                        *product
	quantity, cartItems, cart      int64 // cart in cents
	order                          *purchase
	query, note                    string
	results, rating                int64

	record *record // of a file only; nil in the world
}

// apiCall is a request that the shop's page sent to its own API.
type apiCall struct {
	url, method string
	status      int64
}

// purchase is a completed order.
type purchase struct {
	id     string
	cents  int64
	items  int64
	coupon string
	gift   bool
}

// span is a window in whole Unix milliseconds, the resolution of the data. Like
// window it is half-open.
type span struct{ from, to int64 }

// before returns the part of the window that lies before now.
func (w window) before(now time.Time) span {
	s := span{math.MinInt64, milliseconds(now)}
	if !w.from.IsZero() {
		s.from = milliseconds(w.from)
	}
	if !w.to.IsZero() {
		s.to = min(s.to, milliseconds(w.to))
	}
	return s
}

// milliseconds rounds up to the next whole millisecond. No event lies between the
// two, so a half-open window contains the same events before and after.
func milliseconds(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return ms
}

func (s span) contains(at int64) bool { return at >= s.from && at < s.to }

// and returns the intersection; it contains nothing if the spans do not overlap.
func (s span) and(o span) span { return span{max(s.from, o.from), min(s.to, o.to)} }
