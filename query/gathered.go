package query

import (
	"fmt"
	"math"

	"modernc.org/sqlite/vtab"
)

// take puts the values of rows of a group at their places.
func (into *gathered) take(g *groupReader, number int, rows []int32, places []uint32) error {
	if number >= g.table.set.day() { // one value for all
		n := into.number(g.source.special(number == g.table.set.day()))
		for _, place := range places {
			into.codes[place] = n
		}
		return nil
	}
	i := 0
	return g.eachCode(number, rows, func(v *vector, code int32) {
		place := places[i]
		i++
		switch {
		case code < 0:
		case into.raw != nil:
			into.codes[place], into.raw[place] = 1, v.bitsOf(into.kind, code)
		case v.dict == nil:
			into.codes[place] = into.number(g.columns[number].mask.apply(v.plain.value(into.kind, code)))
		default:
			into.codes[place] = into.coded(v.dict, code, g.columns[number].mask)
		}
	})
}

// number returns the number of a value, which is a new one unless it is NULL or the last.
func (into *gathered) number(v vtab.Value) uint32 {
	if v == nil {
		return 0
	}
	if last := len(into.seen) - 1; last == 0 || into.seen[last] != v {
		into.seen = append(into.seen, v)
	}
	return uint32(len(into.seen) - 1)
}

// coded returns the number of a value of a dictionary.
func (into *gathered) coded(d *dictionary, code int32, m *mask) uint32 {
	if d.gathered == nil {
		d.gathered = make([]uint32, d.n)
	}
	if d.gathered[code] == 0 {
		into.seen = append(into.seen, m.apply(d.value(into.kind, code)))
		d.gathered[code] = uint32(len(into.seen) - 1)
	}
	return d.gathered[code]
}

// bitsOf returns a value as 64 bits.
func (v *vector) bitsOf(k kind, code int32) int64 {
	from := &v.plain
	if v.dict != nil {
		from = &v.dict.values
	}
	switch k {
	case whole, instant:
		return from.ints[code]
	case truth:
		return from.truth(code)
	}
	return int64(math.Float64bits(from.reals[code]))
}

// next goes to the next row. It returns false after the last.
func (s *sorted) next() bool {
	s.at++
	for s.value < len(s.ends) && s.at >= int(s.ends[s.value]) {
		s.value++
	}
	return s.value < len(s.ends)
}

// of returns a value of the current row.
func (s *sorted) of(number int) (vtab.Value, error) {
	if number == s.by {
		return s.values[s.value], nil
	}
	g := s.columns[number]
	switch {
	case g == nil:
		return nil, fmt.Errorf("column %d was not asked for", number)
	case g.raw == nil:
		return g.seen[g.codes[s.at]], nil
	case g.codes[s.at] == 0:
		return nil, nil
	}
	one := values{ints: g.raw[s.at : s.at+1]}
	switch g.kind {
	case truth:
		return g.raw[s.at], nil
	case decimal:
		return math.Float64frombits(uint64(g.raw[s.at])), nil
	}
	return one.value(g.kind, 0), nil
}
