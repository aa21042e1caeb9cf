package profile

import (
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/rows"
)

// Add adds the profile of other rows, so that p describes both. Counts and ranges are
// exact; Distinct is the estimate of both together; the bounds of Top hold. p has no Source
// then. o stays as it is, but p may share memory with it.
func (p *Profile) Add(o Profile) {
	p.Version, p.Source = Version, nil
	p.Files += o.Files
	p.Rows += o.Rows
	p.Frustration.add(o.Frustration)
	p.Errors.add(o.Errors)
	p.Sessions.merge(o.Sessions)
	p.ColumnsLeftOut += o.ColumnsLeftOut
	p.addEvents(o)
	known := make(map[string]int, len(p.Columns))
	for i := range p.Columns {
		known[p.Columns[i].Name] = i
	}
	for _, c := range o.Columns {
		i, ok := known[c.Name]
		if !ok {
			if len(p.Columns) >= MostColumns {
				p.ColumnsLeftOut++
				continue
			}
			i = len(p.Columns)
			p.Columns = append(p.Columns, Column{Name: c.Name, Type: c.Type})
			known[c.Name] = i
		}
		p.Columns[i].add(c)
	}
}

// addEvents adds the counts of types of events, of which the 256 most frequent are kept.
func (p *Profile) addEvents(o Profile) {
	p.OtherEvents += o.OtherEvents
	sum := make(map[string]int64, len(p.Events))
	for _, e := range slices.Concat(p.Events, o.Events) {
		sum[e.Type] += e.Rows
	}
	p.Events = make([]EventCount, 0, len(sum))
	for kind, n := range sum {
		p.Events = append(p.Events, EventCount{kind, n})
	}
	sortEvents(p.Events)
	for len(p.Events) > mostEvents {
		last := len(p.Events) - 1
		p.OtherEvents += p.Events[last].Rows
		p.Events = p.Events[:last]
	}
}

func (f *Frustration) add(o Frustration) {
	f.RageClicks += o.RageClicks
	f.RageClickRows += o.RageClickRows
	f.LongestRageClick = max(f.LongestRageClick, o.LongestRageClick)
	f.DeadClicks += o.DeadClicks
	f.ErrorClicks.plus(o.ErrorClicks)
	f.Thrashes += o.Thrashes
	f.Abandoned += o.Abandoned
}

func (e *ErrorKinds) plus(o ErrorKinds) {
	e.Unknown += o.Unknown
	e.Console += o.Console
	e.Exception += o.Exception
	e.Other += o.Other
}

func (e *Errors) add(o Errors) {
	e.ByMark.plus(o.ByMark)
	e.Exceptions += o.Exceptions
	e.ConsoleErrors += o.ConsoleErrors
	e.ClickErrors += o.ClickErrors
	e.SeenErrors += o.SeenErrors
	e.CustomErrors += o.CustomErrors
	e.Crashes += o.Crashes
	e.SQLInjections += o.SQLInjections
	e.XSS += o.XSS
}

// add adds the values of the same column in other rows.
func (c *Column) add(o Column) {
	c.Present += o.Present
	c.Null += o.Null
	c.Empty += o.Empty
	c.Kinds.add(o.Kinds)
	c.BeyondInt64 += o.BeyondInt64
	c.TooLong += o.TooLong
	c.Numbers = c.Numbers.with(o.Numbers, compareSpelledNumbers)
	c.Texts = c.Texts.with(o.Texts, strings.Compare)
	c.Times = c.Times.with(o.Times, compareSpelledTimes)
	c.Distinct.merge(o.Distinct)
	c.addTop(o)
}

func (k *Kinds) add(o Kinds) {
	k.String += o.String
	k.Time += o.Time
	k.Integer += o.Integer
	k.Real += o.Real
	k.Bool += o.Bool
	k.List += o.List
	k.Object += o.Object
}

// with returns a range over both, either of which may be nil.
func (r *Range) with(o *Range, compare func(a, b string) int) *Range {
	if r == nil || o == nil {
		if r == nil {
			return o
		}
		return r
	}
	both := *r
	if compare(o.Min, r.Min) < 0 {
		both.Min = o.Min
	}
	if compare(o.Max, r.Max) > 0 {
		both.Max = o.Max
	}
	return &both
}

func compareSpelledNumbers(a, b string) int {
	x, _ := parseNumber([]byte(a))
	y, _ := parseNumber([]byte(b))
	return x.compare(y)
}

func compareSpelledTimes(a, b string) int {
	return instantOf(a).compare(instantOf(b))
}

func instantOf(text string) instant {
	at, _, ok := rows.ParseTime(text)
	if !ok {
		at = time.Time{}
	}
	return instant{at, []byte(text)}
}

// addTop adds the frequent values of other rows (mergeable summaries). A value that only
// one of the two lists may have occurred in the other as often as that does not list.
func (c *Column) addTop(o Column) {
	type key struct {
		value, cut string
		json       bool
	}
	keyOf := func(v Frequent) key { return key{v.Value, v.Cut, v.JSON} }
	at := make(map[key]int, len(o.Top))
	for i, v := range o.Top {
		at[keyOf(v)] = i
	}
	all := make([]Frequent, 0, len(c.Top)+len(o.Top))
	both := make([]bool, len(o.Top))
	for _, v := range c.Top {
		if i, ok := at[keyOf(v)]; ok {
			both[i] = true
			v.Count, v.Error = v.Count+o.Top[i].Count, v.Error+o.Top[i].Error
		} else {
			v.Count, v.Error = v.Count+o.OthersAtMost, v.Error+o.OthersAtMost
		}
		all = append(all, v)
	}
	for i, v := range o.Top {
		if !both[i] {
			v.Count, v.Error = v.Count+c.OthersAtMost, v.Error+c.OthersAtMost
			all = append(all, v)
		}
	}
	c.Top, c.OthersAtMost = shorten(all, c.OthersAtMost+o.OthersAtMost, MostTop)
}
