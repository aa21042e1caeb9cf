package profile

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// MostBytes is the most bytes of the JSON of a profile of a file.
const MostBytes = 24 << 20

// mostCount is the largest number in a profile: the sum of a million files cannot overflow.
const mostCount = 1 << 43

// Encode returns the JSON of a profile of a file. Equal profiles have equal JSON. A profile
// that would have more than MostBytes loses its frequent values.
func (p Profile) Encode() ([]byte, error) {
	raw, err := p.encode()
	if len(raw) <= MostBytes {
		return raw, err
	}
	columns := p.Columns
	p.Columns = make([]Column, len(columns))
	for i, c := range columns {
		for _, v := range c.Top {
			c.OthersAtMost = max(c.OthersAtMost, v.Count)
		}
		c.Top = nil
		p.Columns[i] = c
	}
	return p.encode()
}

func (p Profile) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(p)
	return b.Bytes(), err
}

// distinctJSON is the JSON of a Distinct.
type distinctJSON struct {
	Estimate int64  `json:"estimate"`
	Sketch   string `json:"sketch,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (d Distinct) MarshalJSON() ([]byte, error) {
	return json.Marshal(distinctJSON{d.Estimate(), d.sketch()})
}

// UnmarshalJSON implements json.Unmarshaler. It does not rely on the estimate.
func (d *Distinct) UnmarshalJSON(raw []byte) error {
	var given distinctJSON
	if err := json.Unmarshal(raw, &given); err != nil {
		return err
	}
	var err error
	*d, err = parseSketch(given.Sketch)
	return err
}

// ErrStale reports a profile that was made of another file, or by another version of this
// program.
var ErrStale = errors.New("the profile is not of this file")

// Parse reads the JSON of a profile of a file, which anybody may have changed: it is within
// the limits of this package, and its counts are not negative and fit together. It fails
// with ErrStale if the profile is not that of source, or of another Version.
func Parse(raw []byte, source Source) (Profile, error) {
	if len(raw) > MostBytes {
		return Profile{}, fmt.Errorf("the profile has more than %d bytes", MostBytes)
	}
	read := struct {
		Profile
		Events  bounded[EventCount]   `json:"events"`
		Columns bounded[parsedColumn] `json:"columns"`
	}{Events: bounded[EventCount]{most: mostEvents}, Columns: bounded[parsedColumn]{most: MostColumns}}
	if err := json.Unmarshal(raw, &read); err != nil {
		return Profile{}, fmt.Errorf("the profile is damaged: %w", err)
	}
	p := read.Profile
	if p.Version != Version || p.Source == nil || *p.Source != source {
		return Profile{}, ErrStale
	}
	p.Events = read.Events.items
	for _, c := range read.Columns.items {
		c.Column.Top = c.Top.items
		p.Columns = append(p.Columns, c.Column)
	}
	if err := p.check(); err != nil {
		return Profile{}, fmt.Errorf("the profile is damaged: %w", err)
	}
	return p, nil
}

// parsedColumn is a Column whose values are counted while they are decoded.
type parsedColumn struct {
	Column
	Top bounded[Frequent] `json:"top"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *parsedColumn) UnmarshalJSON(raw []byte) error {
	type plain parsedColumn
	read := plain{Top: bounded[Frequent]{most: MostTop}}
	err := json.Unmarshal(raw, &read)
	*c = parsedColumn(read)
	return err
}

// bounded is a list that fails to decode if it has more than most items.
type bounded[T any] struct {
	items []T
	most  int
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *bounded[T]) UnmarshalJSON(raw []byte) error {
	l.items = nil
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return err // null is an empty list
	}
	for d.More() {
		if len(l.items) == l.most {
			return fmt.Errorf("it has a list of more than %d items", l.most)
		}
		var item T
		if err := d.Decode(&item); err != nil {
			return err
		}
		l.items = append(l.items, item)
	}
	return nil
}

// check returns what is wrong with a profile that was read.
func (p *Profile) check() error {
	f, e := &p.Frustration, &p.Errors
	if p.Files != 1 || !counts(p.Rows, p.OtherEvents, p.ColumnsLeftOut, f.RageClicks, f.RageClickRows, f.LongestRageClick,
		f.DeadClicks, f.Thrashes, f.Abandoned, e.Exceptions, e.ConsoleErrors, e.ClickErrors, e.SeenErrors,
		e.CustomErrors, e.Crashes, e.SQLInjections, e.XSS) || !f.ErrorClicks.ok() || !e.ByMark.ok() {
		return errCount
	}
	for _, event := range p.Events {
		if !counts(event.Rows) || len(event.Type) > longestText {
			return errCount
		}
	}
	names := make(map[string]bool, len(p.Columns))
	for i := range p.Columns {
		c := &p.Columns[i]
		if names[c.Name] {
			return errors.New("it has a column twice")
		}
		names[c.Name] = true
		if err := c.check(p.Rows); err != nil {
			return err
		}
	}
	return nil
}

func (e ErrorKinds) ok() bool { return counts(e.Unknown, e.Console, e.Exception, e.Other) }

var (
	errCount = errors.New("its counts do not fit together")
	errText  = errors.New("it has a value that is too long")
)

// counts reports whether these can be counts.
func counts(all ...int64) bool {
	for _, n := range all {
		if n < 0 || n > mostCount {
			return false
		}
	}
	return true
}

const (
	// longestText is the most bytes of a value that was read: each byte of one that was cut
	// may have become a character of three.
	longestText = 3 * LongestValue
	// longestName is the most bytes of the name of a column, likewise.
	longestName = 3 * 500
)

func (c *Column) check(of int64) error {
	k := c.Kinds
	if !counts(c.Present, c.Null, c.Empty, c.BeyondInt64, c.TooLong, c.OthersAtMost, k.String, k.Time, k.Integer, k.Real,
		k.Bool, k.List, k.Object) || c.Present > of ||
		k.String+k.Time+k.Integer+k.Real+k.Bool+k.List+k.Object != c.Values() {
		return errCount
	}
	if len(c.Name) > longestName || len(c.Type) > longestName {
		return errText
	}
	for _, r := range []*Range{c.Numbers, c.Texts, c.Times} {
		if r != nil && (len(r.Min) > longestText || len(r.Max) > longestText) {
			return errText
		}
	}
	if r := c.Numbers; r != nil && !(isNumber(r.Min) && isNumber(r.Max)) {
		return errors.New("it has a range of numbers that are none")
	}
	for _, v := range c.Top {
		if !counts(v.Count, v.Error) || v.Error > v.Count {
			return errCount
		}
		if _, err := hex.DecodeString(v.Cut); err != nil || len(v.Cut) > 16 || len(v.Value) > longestText ||
			!utf8.ValidString(v.Value) {
			return errText
		}
	}
	return nil
}
