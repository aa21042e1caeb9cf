package profile

import (
	"bytes"
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// Frustration counts rows of events by what Fullstory found in them. The order of rows has
// no meaning, so each row counts by itself. A column that was not exported counts nothing.
type Frustration struct {
	// EventModFrustrated is a running count within a burst of clicks, so a burst of four has
	// rows with 1, 2, 3 and 4. RageClicks counts the bursts: the rows with 1. A burst that
	// began before the window is counted where it began. RageClickRows counts the rows of
	// bursts, those above 0, and LongestRageClick is the highest count, at most 999,999,999.
	RageClicks       int64 `json:"rage_clicks"`
	RageClickRows    int64 `json:"rage_click_rows"`
	LongestRageClick int64 `json:"longest_rage_click,omitempty"`
	DeadClicks       int64 `json:"dead_clicks"` // rows with EventModDead 1
	// ErrorClicks counts the rows of type click_error, and those of type click with an
	// EventModError. One of type click_error without it is of an unknown kind.
	ErrorClicks ErrorKinds `json:"error_clicks"`
	Thrashes    int64      `json:"thrashes"`  // rows of type thrash: a cursor that is moved wildly
	Abandoned   int64      `json:"abandoned"` // rows of type abandon: a form that is left
}

// ErrorKinds counts rows by their EventModError.
type ErrorKinds struct {
	Unknown   int64 `json:"unknown,omitempty"`   // 1: an error whose kind is not known
	Console   int64 `json:"console,omitempty"`   // 2: console.error
	Exception int64 `json:"exception,omitempty"` // 3: an exception that was not caught
	Other     int64 `json:"other,omitempty"`     // any other number but 0
}

// All returns the sum of all kinds.
func (e ErrorKinds) All() int64 { return e.Unknown + e.Console + e.Exception + e.Other }

// Errors counts rows of events that are errors, or have one.
type Errors struct {
	ByMark        ErrorKinds `json:"by_mark"`        // rows of all types with an EventModError
	Exceptions    int64      `json:"exceptions"`     // rows of type exception
	ConsoleErrors int64      `json:"console_errors"` // rows of type console_message and subtype error
	ClickErrors   int64      `json:"click_errors"`   // rows of type click_error
	SeenErrors    int64      `json:"seen_errors"`    // rows of type seen_error
	CustomErrors  int64      `json:"custom_errors"`  // rows of type custom_error
	Crashes       int64      `json:"crashes"`        // rows of type crashed
	SQLInjections int64      `json:"sql_injections"` // rows with EventModSuspicious 1: a possible one
	XSS           int64      `json:"xss"`            // rows with EventModSuspicious 2: possible cross-site scripting
}

// role says what facts are taken from a column.
type role uint8

const (
	noRole role = iota
	roleType
	roleSubType
	roleFrustrated
	roleDead
	roleError
	roleSuspicious
	roleUser
	roleSession
	roles // how many there are
)

func roleOf(column string) role {
	return role(1 + slices.Index([]string{
		"EventType", "EventSubType", "EventModFrustrated", "EventModDead", "EventModError", "EventModSuspicious",
		"UserId", "SessionId",
	}, column))
}

// facts collects what is known of rows rather than of columns.
type facts struct {
	row         [roles][]byte // of the current row, without quotes; nil: absent, null, empty, or not a scalar
	types       map[string]*int64
	others      int64
	frustration Frustration
	errors      Errors
	sessions    Distinct
	last        uint64 // hash of the session of the row before
}

// note notes a value of the current row, which stays valid until the row ends.
func (f *facts) note(r role, raw []byte) {
	if n := len(raw); n >= 2 && raw[0] == '"' {
		if raw = raw[1 : n-1]; bytes.IndexByte(raw, '\\') >= 0 {
			raw = unescape(nil, raw)
		}
	} else if raw[0] == 'n' || raw[0] == '[' || raw[0] == '{' {
		return
	}
	if len(raw) > 0 {
		f.row[r] = raw
	}
}

// endRow counts the current row.
func (f *facts) endRow() {
	kind := f.row[roleType]
	if kind != nil {
		f.countType(kind)
	}
	if burst := markOf(f.row[roleFrustrated]); burst > 0 {
		f.frustration.RageClickRows++
		if burst == 1 {
			f.frustration.RageClicks++
		}
		f.frustration.LongestRageClick = max(f.frustration.LongestRageClick, burst)
	}
	if markOf(f.row[roleDead]) == 1 {
		f.frustration.DeadClicks++
	}
	mark := markOf(f.row[roleError])
	if mark != 0 {
		f.errors.ByMark.add(mark)
	}
	if string(kind) == "click_error" || mark != 0 && string(kind) == "click" {
		f.frustration.ErrorClicks.add(cmp.Or(mark, 1))
	}
	switch markOf(f.row[roleSuspicious]) {
	case 1:
		f.errors.SQLInjections++
	case 2:
		f.errors.XSS++
	}
	f.countSession()
	clear(f.row[:])
}

func (f *facts) countType(kind []byte) {
	if !utf8.Valid(kind) {
		kind = toValid(nil, kind)
	}
	switch string(kind) {
	case "thrash":
		f.frustration.Thrashes++
	case "abandon":
		f.frustration.Abandoned++
	case "exception":
		f.errors.Exceptions++
	case "console_message":
		if string(f.row[roleSubType]) == "error" {
			f.errors.ConsoleErrors++
		}
	case "click_error":
		f.errors.ClickErrors++
	case "seen_error":
		f.errors.SeenErrors++
	case "custom_error":
		f.errors.CustomErrors++
	case "crashed":
		f.errors.Crashes++
	}
	n := f.types[string(kind)]
	if n == nil {
		if len(f.types) == mostEvents || len(kind) > LongestValue {
			f.others++
			return
		}
		n = new(int64)
		f.types[string(kind)] = n
	}
	*n++
}

// countSession counts the session of the current row. Rows of a session are often next to
// each other.
func (f *facts) countSession() {
	user, session := f.row[roleUser], f.row[roleSession]
	if user == nil || session == nil {
		return
	}
	h := xxh3.Hash(user)*notText ^ bits.RotateLeft64(xxh3.Hash(session), 32)
	if h != f.last || f.sessions.used == 0 {
		f.last = h
		f.sessions.add(h)
	}
}

// events returns the counts of types, the most frequent first.
func (f *facts) events() []EventCount {
	events := make([]EventCount, 0, len(f.types))
	for kind, rows := range f.types {
		events = append(events, EventCount{kind, *rows})
	}
	sortEvents(events)
	return events
}

func sortEvents(events []EventCount) {
	slices.SortFunc(events, func(a, b EventCount) int {
		if a.Rows != b.Rows {
			if a.Rows > b.Rows {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Type, b.Type)
	})
}

func (e *ErrorKinds) add(mark int64) {
	switch mark {
	case 1:
		e.Unknown++
	case 2:
		e.Console++
	case 3:
		e.Exception++
	default:
		e.Other++
	}
}

// mostMark bounds the numbers that rows are counted by. Those beyond it count as it.
const mostMark = 999_999_999

// markOf returns the integer that a text spells, between -mostMark and mostMark, and 0 for
// anything else.
func markOf(text []byte) (n int64) {
	digits := bytes.TrimPrefix(text, []byte{'-'})
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0
		}
		n = min(10*n+int64(c-'0'), mostMark)
	}
	if len(digits) < len(text) {
		return -n
	}
	return n
}
