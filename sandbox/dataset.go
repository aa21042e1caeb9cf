package sandbox

import (
	"context"
	"math"
	"time"
)

// data is all that the sandbox's account has recorded, and its segments. It
// is safe for concurrent use.
type data struct {
	source source
	known  []*segment
}

// source is where sessions come from: the world, or a file of real rows.
type source interface {
	// sessions calls visit with every session that may have an event in the
	// span, if wanted (when given) agrees to its person, of whom wanted can
	// only rely on what criteria use. Events at or after now are not there.
	// The session and all that hangs on it is lent until visit returns.
	sessions(ctx context.Context, in span, now int64, wanted func(*person) bool, visit func(*session) error) error
	// eventColumns are all columns of event rows: those of the API in the
	// dictionary's order, then the others by name.
	eventColumns() []column[*event]
	// userColumns are the custom user variables by name.
	userColumns() []column[*person]
}

// openData opens the rows of the file c.Data, or else the synthetic shop that
// c.Seed and c.Density describe.
func openData(c Config) (*data, error) {
	d := &data{known: newSegments()}
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
func (d *data) segments() []*segment { return d.known }

// session is a visit: what one UserId did under one SessionId.
type session struct {
	person      *person
	userID, id  int64
	start       int64 // Unix milliseconds, like all instants of the data
	userCreated int64 // of the UserId; 0 when unknown
	platform    *platform
	ip, latLong string
	events      []event // by time

	// Of the world only: how long the session can last at most, and the
	// streams its story, its person and its device are drawn from.
	limit               int64
	draw, about, device random
	pages               []page
}

// page is one page load, or one foreground spell of the mobile app.
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

// event is one event. Which fields apply follows from its kind; a zero field
// is absent from the row.
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

	record *record // of a file only
}

type apiCall struct {
	url, method string
	status      int64
}

type purchase struct {
	id     string
	cents  int64
	items  int64
	coupon string
	gift   bool
}

// span is a window in whole milliseconds, the resolution of the data.
type span struct{ from, to int64 }

// before is the part of the window that lies before now.
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

// milliseconds rounds up: no event lies between an instant and the next whole
// millisecond, so a half-open window keeps its events.
func milliseconds(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return ms
}

func (s span) contains(at int64) bool { return at >= s.from && at < s.to }

func (s span) and(o span) span { return span{max(s.from, o.from), min(s.to, o.to)} }
