package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/local"
)

// Faults say what goes wrong and when. They are the content of a faults file and
// the body of POST /sandbox/faults. The zero value has no faults.
type Faults struct {
	// CreateDelay is the time between accepting an export and answering.
	CreateDelay pause `json:"create_delay,omitempty"`
	// ClockSkew is added to the clock.
	ClockSkew pause `json:"clock_skew,omitempty"`
	// Rates are probabilities from 0 to 1 that a fault happens where it can. The
	// key is a fault, a place and a fault, or either of them for one segment:
	// "429", "download:cut", "create:500@everyone".
	Rates map[string]float64 `json:"rates,omitempty"`
	// Script lists faults at chosen requests. The first one that applies happens;
	// the rates are drawn only if none applies.
	Script []Fault `json:"script,omitempty"`
}

// Fault is one thing that goes wrong. FaultsText prints the does tags.
type Fault struct {
	On      string `json:"on,omitempty" does:"where it happens"`
	Nth     int    `json:"nth,omitempty" does:"which request or export there, counted from 1. Default: every one"`
	Do      string `json:"do" does:"what happens"`
	Segment string `json:"segment,omitempty" does:"id or name of the only segment that it affects, and that nth counts"`
	For     pause  `json:"for,omitempty" does:"how long it lasts from its first time, in real time. Default: forever"`

	// Options of some effects.
	After   pause  `json:"after,omitempty" does:"Retry-After of 429 and 429_date (default: 1s), of 503 (default: none)"`
	Percent int    `json:"percent,omitempty" does:"percentage at which stuck stops. Default: 60"`
	At      int64  `json:"at,omitempty" does:"bytes of the answer before cut. Default: half of the file"`
	Delay   pause  `json:"delay,omitempty" does:"delay of slow. Default: 2s"`
	Rate    int64  `json:"rate,omitempty" does:"bytes a second of slow_body. Default: 100000"`
	Message string `json:"message,omitempty" does:"errorDetails of failed; text of 200_error and error_row"`
	Role    string `json:"role,omitempty" does:"role that the key gets from role. Default: USER"`
	Rows    int    `json:"rows,omitempty" does:"how many rows change, from the first. Default: all; row_outside: 1"`
	Digits  int    `json:"digits,omitempty" does:"fractional digits of time_digits, 0 to 9. Default: 0"`

	remaining time.Duration // part of For that is left when the fault happens; 0: forever
}

// pause is a duration that JSON spells as 150ms or 2s.
type pause time.Duration

func (s *pause) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = pause(d)
	return err
}

func (s pause) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// The places where faults happen. A request to the API is at one of the first
// nine, and a request for a file at onDownload. onOperation is an export, counted
// when it is accepted.
const (
	onMe        = "me"
	onSegments  = "segments"
	onCreate    = "create"
	onStatus    = "status" // of one operation
	onList      = "list"   // of operations
	onCancel    = "cancel"
	onResults   = "results"
	onUsers     = "users"
	onSessions  = "sessions"
	onDownload  = "download"
	onOperation = "operation"
	onAny       = "any" // request to the API
)

// requestPlaces are the places that onAny covers.
var requestPlaces = []string{onMe, onSegments, onCreate, onStatus, onList, onCancel, onResults, onUsers,
	onSessions}

// readFaults reads a faults file or body. It rejects unknown keys and names:
// otherwise a misspelt fault would seem to prove that a client survives a fault
// that never happened.
func readFaults(raw []byte) (Faults, error) {
	var f Faults
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Faults{}, fmt.Errorf("faults: %w", err)
	}
	return f, f.check()
}

// maxFaults is the most bytes of a file of faults.
const maxFaults = 16 << 20

// readFaultsFile reads the faults in the file at path. Its errors name the file.
func readFaultsFile(path string) (Faults, error) {
	raw, err := local.ReadFile(path, maxFaults)
	if err != nil {
		return Faults{}, fmt.Errorf("faults: %w", err)
	}
	f, err := readFaults(raw)
	if err != nil {
		return Faults{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// check reports every problem of the faults at once, or nil.
func (f Faults) check() error {
	var errs []error
	for name, rate := range f.Rates {
		place, effect, segment := readRate(name)
		if rate < 0 || rate > 1 {
			errs = append(errs, fmt.Errorf("the rate of %s is %v; it must be from 0 to 1", name, rate))
		}
		errs = append(errs, checkEffect(place, effect), checkSegment(place, segment))
	}
	for _, s := range f.Script {
		errs = append(errs, checkEffect(s.On, s.Do), checkSegment(s.On, s.Segment), s.check())
	}
	return errors.Join(errs...)
}

// readRate splits the key of a rate. place and segment are "" if it names none.
func readRate(name string) (place, effect, segment string) {
	effect, segment, _ = strings.Cut(name, "@")
	if where, what, given := strings.Cut(effect, ":"); given {
		return where, what, segment
	}
	return "", effect, segment
}

// check reports every problem of the fault's options at once, or nil.
func (f *Fault) check() error {
	var errs []error
	if f.On == "" || f.Nth < 0 {
		errs = append(errs, errors.New("a fault of the script needs on, and nth must be at least 1"))
	}
	if f.Role != "" && roleLevel(f.Role) < 0 {
		errs = append(errs, fmt.Errorf("unknown role %q; the roles are USER, ARCHITECT, ADMIN", f.Role))
	}
	if f.For < 0 || f.After < 0 || f.Rows < 0 {
		errs = append(errs, errors.New("for, after and rows cannot be negative"))
	}
	if f.Digits < 0 || f.Digits > 9 {
		errs = append(errs, fmt.Errorf("digits is %d; it must be from 0 to 9", f.Digits))
	}
	return errors.Join(errs...)
}

// checkSegment rejects a segment that does not exist, and any segment at a place
// whose requests do not belong to one.
func checkSegment(place, name string) error {
	switch {
	case name == "":
		return nil
	case slices.Contains([]string{onMe, onList, onUsers, onSessions}, place):
		return fmt.Errorf("a request on %q does not belong to a segment", place)
	case slices.ContainsFunc(newSegments(), func(s *segment) bool { return s.hasName(name) }):
		return nil
	}
	return fmt.Errorf("unknown segment %q", name)
}

// checkEffect rejects a fault that does not exist or cannot happen at the place; a
// place of "" means wherever it can.
func checkEffect(place, name string) error {
	effect, ok := effects[name]
	if !ok {
		var names []string
		for n := range effects {
			names = append(names, n)
		}
		slices.Sort(names)
		return fmt.Errorf("unknown fault %q; the faults are %s", name, strings.Join(names, ", "))
	}
	if place == "" || place == onAny && slices.Contains(effect.on, onMe) || slices.Contains(effect.on, place) {
		return nil
	}
	return fmt.Errorf("%s cannot happen on %q; it can on %s", name, place, strings.Join(effect.on, ", "))
}

// roleLevel returns the level of a role, or -1.
func roleLevel(role string) level {
	for l, name := range roles {
		if name == role {
			return l
		}
	}
	return -1
}
