package profile

import (
	"slices"
	"strings"
)

// kind is how a value is written; see Kinds.
type kind uint8

const (
	kindString kind = iota
	kindTime
	kindInteger
	kindBigInteger // beyond 64 bits
	kindReal
	kindBool
	kindList
	kindObject
	kinds // how many there are
)

// counted is a value that a counter counts: it occurs at most count times and at least
// count-over times.
type counted struct {
	hash        uint64
	count, over int64  // count is that of the slot, once settle was called
	text        []byte // the first LongestValue bytes
	kind        kind
	cut         bool
}

// slot is a place in a hash table. Its count is 0 if it is free. It is all that is read of
// a value that was seen before.
type slot struct {
	hash  uint64
	count int64
}

const (
	leastCounters = 8
	mostCounters  = 256
	// costOfCounter is the most bytes that a counter takes.
	costOfCounter = 64 + 2*16 + 2*2 + LongestValue
)

// counter counts values by their kind and finds the frequent ones (space-saving with
// k = 128). It has up to 256 counters. When all are taken, it frees those with the lowest
// counts, at least half of them, and from then on counts a value that it does not have from
// the highest count that was freed, floor. So a value that is not there occurs floor times
// at most, and floor is at most the number of values divided by 128; every value with a
// larger share is there.
//
// Its zero value is ready to use.
type counter struct {
	slots  []slot    // an open hash table, at most half full
	at     []uint16  // by slot: its place in values
	values []counted // the texts beyond its length are reused
	floor  int64
	freed  [kinds]int64 // values by kind that were counted by counters that were freed
	long   int64        // of these, numbers that were cut
}

// find returns the slot of a hash, or nil.
func (c *counter) find(hash uint64) *slot {
	if len(c.slots) == 0 {
		return nil
	}
	mask := uint64(len(c.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &c.slots[i]
		if s.hash == hash && s.count > 0 {
			return s
		}
		if s.count == 0 {
			return nil
		}
	}
}

// insert begins to count a value, which the counter does not have. It takes what memory it
// needs from budget, in bytes, and makes do with less if that is used up.
func (c *counter) insert(hash uint64, text []byte, k kind, budget *int) {
	if len(c.values) == len(c.slots)/2 {
		c.makeRoom(budget)
	}
	n := len(c.values)
	c.values = c.values[:n+1]
	v := &c.values[n]
	kept, cut := clip(text)
	*v = counted{hash: hash, count: c.floor + 1, over: c.floor, text: append(v.text[:0], kept...), kind: k, cut: cut}
	c.place(n)
}

// place enters a value into the slots.
func (c *counter) place(n int) {
	v := &c.values[n]
	mask := uint64(len(c.slots) - 1)
	i := v.hash & mask
	for c.slots[i].count != 0 {
		i = (i + 1) & mask
	}
	c.slots[i] = slot{v.hash, v.count}
	c.at[i] = uint16(n)
}

// settle copies the counts of the slots to the values.
func (c *counter) settle() {
	for i := range c.slots {
		if n := c.slots[i].count; n > 0 {
			c.values[c.at[i]].count = n
		}
	}
}

// makeRoom adds counters or frees some.
func (c *counter) makeRoom(budget *int) {
	c.settle()
	had := len(c.values)
	more := max(had, leastCounters)
	switch cost := more * costOfCounter; {
	case had == 0:
	case had == mostCounters || *budget < cost:
		c.free()
		return
	default:
		*budget -= cost
	}
	grown := make([]counted, had, had+more)
	copy(grown, c.values)
	c.values, c.slots, c.at = grown, make([]slot, 2*(had+more)), make([]uint16, 2*(had+more))
	c.placeAll()
}

func (c *counter) placeAll() {
	for i := range c.values {
		c.place(i)
	}
}

// free frees the counters with the lowest counts, at least half of them.
func (c *counter) free() {
	low := c.lowest()
	kept := 0
	for i := range c.values {
		v := &c.values[i]
		if v.count <= low {
			v.tally(&c.freed, &c.long)
			continue
		}
		c.values[kept], c.values[i] = c.values[i], c.values[kept] // the text of the other is reused
		kept++
	}
	c.values, c.floor = c.values[:kept], low
	clear(c.slots)
	c.placeAll()
}

// tally adds how often the value was seen since it has a counter.
func (v *counted) tally(by *[kinds]int64, long *int64) {
	n := v.count - v.over
	by[v.kind] += n
	if v.cut && v.kind.number() {
		*long += n
	}
}

func (k kind) number() bool { return k == kindInteger || k == kindBigInteger || k == kindReal }

// tallied returns how many values of each kind were counted, and how many numbers of more
// than LongestValue bytes.
func (c *counter) tallied() (by [kinds]int64, long int64) {
	c.settle()
	by, long = c.freed, c.long
	for i := range c.values {
		c.values[i].tally(&by, &long)
	}
	return by, long
}

// lowest returns a count that at least half of the counters do not exceed.
func (c *counter) lowest() int64 {
	once, half := 0, len(c.values)/2 // once: they were seen once since the last time
	for i := range c.values {
		if c.values[i].count <= c.floor+1 {
			once++
		}
	}
	if once >= half {
		return c.floor + 1
	}
	var all [mostCounters]int64
	counts := all[:len(c.values)]
	for i := range c.values {
		counts[i] = c.values[i].count
	}
	slices.Sort(counts)
	return counts[half-1]
}

// top returns the most values at a time that are frequent, and how often any other
// occurs at most. Of values that do not all fit, it leaves out those that are only known
// to occur once, since a column of ids would list any of them.
func (c *counter) top(most int) (top []Frequent, others int64) {
	c.settle()
	all := make([]Frequent, len(c.values))
	for i, v := range c.values {
		all[i] = v.frequent()
	}
	if len(all) > most || c.floor > 0 {
		most = min(most, repeated(all))
	}
	return shorten(all, c.floor, most)
}

// repeated returns how many values are known to occur more than once.
func repeated(all []Frequent) (n int) {
	for i := range all {
		if all[i].Count-all[i].Error > 1 {
			n++
		}
	}
	return n
}

// shorten orders values and keeps the most frequent. others is how often a value that is
// not among them occurs at most.
func shorten(all []Frequent, others int64, most int) ([]Frequent, int64) {
	slices.SortFunc(all, byCount)
	keep := min(most, len(all))
	for _, v := range all[keep:] {
		others = max(others, v.Count)
	}
	return all[:keep:keep], others
}

func byCount(a, b Frequent) int {
	switch {
	case a.Count-a.Error != b.Count-b.Error:
		if a.Count-a.Error > b.Count-b.Error {
			return -1
		}
		return 1
	case a.Count != b.Count:
		if a.Count > b.Count {
			return -1
		}
		return 1
	case a.JSON != b.JSON:
		if b.JSON {
			return -1
		}
		return 1
	}
	if c := strings.Compare(a.Value, b.Value); c != 0 {
		return c
	}
	return strings.Compare(a.Cut, b.Cut)
}
