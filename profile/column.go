package profile

import (
	"bytes"
	"encoding/hex"

	"github.com/zeebo/xxh3"

	"fullstory-export-mcp/rows"
)

// column collects the values of one column.
type column struct {
	name    string
	typ     rows.Type
	role    role
	present int64
	null    int64
	empty   int64

	distinct Distinct
	frequent counter
	numbers  extremes[number]
	texts    extremes[word]
	times    extremes[instant]
}

// notText makes the hash of a value that is not a text differ from that of the same text.
// It is odd, so that hashes stay distinct.
const notText = 0x9e3779b97f4a7c15

// json counts a value as written in JSON. valid reports whether it is UTF-8.
func (c *column) json(b *Builder, raw []byte, valid bool) {
	c.present++
	switch raw[0] {
	case '"':
		text := raw[1 : len(raw)-1]
		if len(text) == 0 {
			c.empty++
			return
		}
		if !valid || bytes.IndexByte(text, '\\') >= 0 {
			b.scratch = unescape(b.scratch[:0], text)
			text = b.scratch
		}
		c.count(b, xxh3.Hash(text), text, kindString)
		return
	case 'n':
		c.null++
		return
	case '[', '{':
		if len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0 {
			c.empty++
			return
		}
		if !valid {
			b.scratch = toValid(b.scratch[:0], raw)
			raw = b.scratch
		}
	}
	c.count(b, xxh3.Hash(raw)*notText, raw, kindOf(raw))
}

// kindOf returns the kind of a value that is neither a text nor null. A number is
// kindInteger, which count looks at more closely.
func kindOf(raw []byte) kind {
	switch raw[0] {
	case 't', 'f':
		return kindBool
	case '[':
		return kindList
	case '{':
		return kindObject
	}
	return kindInteger
}

// cell counts a cell of a CSV.
func (c *column) cell(b *Builder, cell string, valid bool) {
	c.present++
	if cell == "" {
		c.empty++
		return
	}
	if valid && c.known(cell) {
		return
	}
	if valid {
		b.scratch = append(b.scratch[:0], cell...)
	} else {
		b.scratch = toValid(b.scratch[:0], cell)
	}
	hash := xxh3.Hash(b.scratch)
	switch k := c.kindOfCell(cell); {
	case k == kindString:
		c.count(b, hash, b.scratch, k)
	case (k == kindList || k == kindObject) && len(bytes.TrimSpace(b.scratch[1:len(b.scratch)-1])) == 0:
		c.empty++
	default:
		c.count(b, hash*notText, b.scratch, k)
	}
}

// known counts a cell that has a counter. It returns false if there is none.
func (c *column) known(cell string) bool {
	hash := xxh3.HashString(cell)
	if c.typ != rows.Text && c.typ != rows.Time {
		hash *= notText // a text in a column of another type is rare, and is left to count
	}
	v := c.frequent.find(hash)
	if v == nil {
		return false
	}
	v.count++
	return true
}

// kindOfCell returns the kind that a cell would have in JSON, by the type of the column.
func (c *column) kindOfCell(cell string) kind {
	switch c.typ {
	case rows.Text, rows.Time:
	case rows.Integer, rows.Real:
		if isNumber(cell) {
			return kindInteger
		}
	case rows.Bool:
		if cell == "true" || cell == "false" {
			return kindBool
		}
	case rows.Object:
		if len(cell) >= 2 && cell[0] == '{' && cell[len(cell)-1] == '}' {
			return kindObject
		}
	default:
		if len(cell) >= 2 && cell[0] == '[' && cell[len(cell)-1] == ']' {
			return kindList
		}
	}
	return kindString
}

// count counts a value that is not empty. text is only valid until count returns. A value
// that has a counter is neither new nor smaller or larger than all others.
func (c *column) count(b *Builder, hash uint64, text []byte, k kind) {
	if v := c.frequent.find(hash); v != nil {
		v.count++
		return
	}
	switch k {
	case kindString:
		k = c.addText(text)
	case kindInteger:
		k = c.addNumber(text)
	}
	c.distinct.add(hash)
	c.frequent.insert(hash, text, k, &b.budget)
}

// addText adds a text to the ranges, and returns whether it is a time.
func (c *column) addText(text []byte) kind {
	if c.typ == rows.Time && len(text) <= LongestValue {
		if at, _, ok := rows.ParseTimeBytes(text); ok {
			c.times.add(instant{at, text}, text, instant.compare, instant.with)
			return kindTime
		}
	}
	kept, _ := clip(text)
	c.texts.add(kept, kept, word.compare, word.with)
	return kindString
}

// addNumber adds a number to the range, and returns its kind.
func (c *column) addNumber(text []byte) kind {
	if len(text) > LongestValue {
		if bytes.ContainsAny(text, ".eE") {
			return kindReal
		}
		return kindBigInteger
	}
	n, integer := parseNumber(text)
	c.numbers.add(n, text, number.compare, number.with)
	switch {
	case !integer:
		return kindReal
	case n.exact || fitsInt64(text):
		return kindInteger
	}
	return kindBigInteger
}

// frequent returns the value for a profile.
func (v *counted) frequent() Frequent {
	f := Frequent{Value: string(v.text), JSON: v.kind > kindTime, Count: v.count, Error: v.over}
	if v.cut {
		var hash [8]byte
		for i := range hash {
			hash[i] = byte(v.hash >> (56 - 8*i))
		}
		f.Cut = hex.EncodeToString(hash[:])
	}
	return f
}

// profile returns what was collected, with so many frequent values at most.
func (c *column) profile(mostTop int) Column {
	k, long := c.frequent.tallied()
	p := Column{
		Name: c.name, Type: c.typ, Present: c.present, Null: c.null, Empty: c.empty,
		Kinds: Kinds{
			String: k[kindString], Time: k[kindTime], Integer: k[kindInteger] + k[kindBigInteger], Real: k[kindReal],
			Bool: k[kindBool], List: k[kindList], Object: k[kindObject],
		},
		BeyondInt64: k[kindBigInteger], TooLong: long,
		Numbers: c.numbers.spelled(), Texts: c.texts.spelled(), Times: c.times.spelled(),
		Distinct: c.distinct,
	}
	p.Top, p.OthersAtMost = c.frequent.top(mostTop)
	return p
}
