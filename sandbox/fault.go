package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Faults say what goes wrong, when. It is the content of a faults file and the
// body of a POST to /sandbox/faults; the zero value is a sandbox in which
// nothing does.
type Faults struct {
	// CreateDelay is between the acceptance of an export and its answer.
	CreateDelay pause `json:"create_delay,omitempty"`
	// ClockSkew is added to the clock.
	ClockSkew pause `json:"clock_skew,omitempty"`
	// Rates are how often a fault happens where it can, from 0 to 1, by the
	// fault's name, or by place and name: "429", "download:cut".
	Rates map[string]float64 `json:"rates,omitempty"`
	// Script are faults at chosen requests. The first that fits is taken, and
	// goes before the rates.
	Script []Fault `json:"script,omitempty"`
}

// Fault is one thing that goes wrong.
type Fault struct {
	On  string `json:"on,omitempty"`  // where: one of places
	Nth int    `json:"nth,omitempty"` // which request there, from 1; 0: each
	Do  string `json:"do"`            // what: one of effects

	// What some effects can be told; each has a default.
	Percent int    `json:"percent,omitempty"` // where stuck sticks: 60
	At      int64  `json:"at,omitempty"`      // bytes before cut: half of the file
	Delay   pause  `json:"delay,omitempty"`   // of slow: 2s
	Rate    int64  `json:"rate,omitempty"`    // bytes a second of slow_body: 100000
	Message string `json:"message,omitempty"` // errorDetails of failed
	Role    string `json:"role,omitempty"`    // of role: USER
}

// pause is a time written as 150ms or 2s.
type pause time.Duration

func (s *pause) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = pause(d)
	return err
}

func (s pause) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// The places where faults happen. A request of the API is in one of the first
// seven; an export is each accepted one, counted as it is accepted.
const (
	onMe        = "me"
	onSegments  = "segments"
	onCreate    = "create"
	onStatus    = "status" // of one operation
	onList      = "list"   // of operations
	onCancel    = "cancel"
	onResults   = "results"
	onDownload  = "download"
	onOperation = "operation"
	onAny       = "any" // request of the API
)

var requestPlaces = []string{onMe, onSegments, onCreate, onStatus, onList, onCancel, onResults}

// effects are the faults there are: where each can happen, and what it does.
var effects = map[string]struct {
	on   []string
	does string
}{
	"429":                {requestPlaces, "429 with Retry-After"},
	"429_no_retry_after": {requestPlaces, "429 without Retry-After"},
	"500":                {append(requestPlaces, onDownload), "500, nothing done"},
	"502_html":           {requestPlaces, "502 with an HTML page, nothing done"},
	"reset":              {append(requestPlaces, onDownload), "the connection is reset, nothing done"},
	"hang":               {append(requestPlaces, onDownload), "no answer, nothing done"},
	"slow":               {append(requestPlaces, onDownload), "the answer comes after delay"},
	"extra_keys":         {requestPlaces, "objects of the answer have keys that nobody knows"},
	"role":               {requestPlaces, "from here on the key has another role"},
	"500_after_accept":   {[]string{onCreate}, "500, though the export was accepted"},
	"reset_after_accept": {[]string{onCreate}, "the connection is reset, though the export was accepted"},
	"hang_after_accept":  {[]string{onCreate}, "no answer, though the export was accepted"},
	"failed":             {[]string{onOperation}, "the operation ends as FAILED with message"},
	"stuck":              {[]string{onOperation}, "the operation stays PENDING at percent"},
	"unknown_state":      {[]string{onOperation}, "the operation is in a state that nobody knows until it is complete"},
	"truncate":           {[]string{onDownload, onOperation}, "the file is its first half"},
	"corrupt":            {[]string{onDownload, onOperation}, "bytes in the middle of the file are others"},
	"checksum":           {[]string{onDownload, onOperation}, "the checksum at the end of the file is wrong"},
	"empty":              {[]string{onDownload, onOperation}, "the file has no bytes"},
	"html":               {[]string{onDownload, onOperation}, "an HTML page comes in place of the file"},
	"expired_link":       {[]string{onDownload}, "the link has expired"},
	"changed":            {[]string{onDownload}, "the object is another one than at the request before, with the same rows"},
	"ignore_range":       {[]string{onDownload}, "the whole file comes, whatever Range asks for"},
	"cut":                {[]string{onDownload}, "the connection breaks after at bytes of the answer"},
	"slow_body":          {[]string{onDownload}, "rate bytes a second"},
}

// FaultsText lists the faults there are as a Markdown table, for people.
func FaultsText() string {
	var names []string
	for name := range effects {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("| `do` | `on` | effect |\n|---|---|---|\n")
	for _, name := range names {
		on := strings.Join(effects[name].on, ", ")
		on = strings.Replace(on, strings.Join(requestPlaces, ", "), "any request", 1)
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, on, effects[name].does)
	}
	return b.String()
}

// readFaults reads a faults file or body strictly: a misspelt fault would
// otherwise prove that a client stands what never happened.
func readFaults(raw []byte) (Faults, error) {
	var f Faults
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Faults{}, fmt.Errorf("faults: %w", err)
	}
	return f, f.check()
}

func readFaultsFile(path string) (Faults, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Faults{}, fmt.Errorf("faults: %w", err)
	}
	f, err := readFaults(raw)
	if err != nil {
		return Faults{}, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (f Faults) check() error {
	var errs []error
	for name, rate := range f.Rates {
		place, effect, given := strings.Cut(name, ":")
		if !given {
			place, effect = "", name
		}
		if rate < 0 || rate > 1 {
			errs = append(errs, fmt.Errorf("the rate of %s is %v, not from 0 to 1", name, rate))
		}
		errs = append(errs, checkEffect(place, effect))
	}
	for _, s := range f.Script {
		if s.On == "" || s.Nth < 0 {
			errs = append(errs, fmt.Errorf("a fault of the script needs on, and nth from 1"))
		}
		errs = append(errs, checkEffect(s.On, s.Do))
		if s.Role != "" && roleLevel(s.Role) < 0 {
			errs = append(errs, fmt.Errorf("there is no role %q", s.Role))
		}
	}
	return errors.Join(errs...)
}

func checkEffect(place, name string) error {
	effect, ok := effects[name]
	if !ok {
		var names []string
		for n := range effects {
			names = append(names, n)
		}
		slices.Sort(names)
		return fmt.Errorf("there is no fault %q; there are %s", name, strings.Join(names, ", "))
	}
	if place == "" || place == onAny && slices.Contains(effect.on, onMe) || slices.Contains(effect.on, place) {
		return nil
	}
	return fmt.Errorf("%s cannot happen on %q; it can on %s", name, place, strings.Join(effect.on, ", "))
}

// faultBox decides what goes wrong. It counts requests from when its faults
// were set. It is safe for concurrent use.
type faultBox struct {
	seed uint64

	mu     sync.Mutex
	faults Faults
	counts map[string]int
	random *rand.Rand
	levels map[string]level // of keys whose role was changed
}

func newFaultBox(f Faults, seed uint64) *faultBox {
	b := &faultBox{seed: seed}
	b.set(f)
	return b
}

// set replaces the faults and starts counting anew.
func (b *faultBox) set(f Faults) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults, b.counts, b.levels = f, map[string]int{}, map[string]level{}
	b.random = rand.New(rand.NewPCG(b.seed, 0xfa017))
}

func (b *faultBox) get() Faults {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.faults
}

// at counts one thing that happens at a place and returns what goes wrong with
// it, or nil.
func (b *faultBox) at(place string) *Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	request := slices.Contains(requestPlaces, place)
	b.counts[place]++
	if request {
		b.counts[onAny]++
	}
	for _, s := range b.faults.Script {
		if fits := s.On == place || request && s.On == onAny; fits && (s.Nth == 0 || s.Nth == b.counts[s.On]) {
			return &s
		}
	}
	var names []string
	for name := range b.faults.Rates {
		names = append(names, name)
	}
	slices.Sort(names) // so that a seed means the same faults
	for _, name := range names {
		where, effect, given := strings.Cut(name, ":")
		if !given {
			where, effect = "", name
		}
		if where != "" && where != place && !(request && where == onAny) || !slices.Contains(effects[effect].on, place) || where == "" && !natural(effect, place) {
			continue
		}
		if b.random.Float64() < b.faults.Rates[name] {
			return &Fault{On: place, Do: effect}
		}
	}
	return nil
}

// natural tells whether a rate without a place means this one: faults of
// requests do not mean downloads, and those of files do not mean whole exports,
// unless they say so.
func natural(effect, place string) bool {
	on := effects[effect].on
	if slices.Contains(on, onMe) {
		return place != onDownload
	}
	return place == on[0] || !slices.Contains(on, onDownload)
}

// level returns the level that a key has now.
func (b *faultBox) level(key string) level {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l, ok := b.levels[key]; ok {
		return l
	}
	return levels[key]
}

func (b *faultBox) demote(key, role string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.levels[key] = max(standard, roleLevel(role))
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
