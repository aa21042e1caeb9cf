package query

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"modernc.org/sqlite/vtab"
)

// filter keeps the rows whose value in a column meets a constraint. It may keep others:
// SQLite checks each row again. It never drops a row that SQLite would keep.
type filter struct {
	number int // of the column
	kind   kind
	nulls  bool // keeps NULL and nothing else
	ints   [2]int64
	reals  [2]float64
	op     vtab.ConstraintOp // of texts
	text   []byte

	lookUps int      // how often rows were looked up with it
	rows    []uint64 // a bit for each row of the table that it keeps; nil until it is worth it
}

// newFilter returns the filter of a constraint on a column. It returns nil if all rows are
// to be kept. none is set if no row meets the constraint.
func newFilter(c column, number int, op vtab.ConstraintOp, v vtab.Value) (f *filter, none bool) {
	f = &filter{number: number, kind: c.kind}
	switch {
	case op == vtab.OpISNULL, op == vtab.OpIS && v == nil:
		f.nulls = true
		return f, false
	case v == nil: // a comparison with NULL is never true
		return nil, true
	case op == vtab.OpIS:
		op = vtab.OpEQ
	}
	ok := false
	switch c.kind {
	case whole, truth:
		f.ints, ok = wholeRange(op, v)
	case decimal:
		f.reals, ok = realRange(op, v)
	case instant:
		if s, is := v.(string); is {
			f.ints, ok = timeRange(op, s)
		}
	case text:
		if s, is := v.(string); is {
			f.op, f.text, ok = op, []byte(s), !peculiar([]byte(s))
		}
	}
	if !ok {
		return nil, false
	}
	return f, false
}

// wholeRange returns the first and the last integer that meet a constraint.
func wholeRange(op vtab.ConstraintOp, v vtab.Value) (r [2]int64, ok bool) {
	switch v := v.(type) {
	case int64:
		return around(op, v, v)
	case float64:
		switch {
		case v >= 1<<63:
			return limited(op, true)
		case v < -1<<63:
			return limited(op, false)
		}
		down, up := int64(math.Floor(v)), int64(math.Floor(v))
		if v != math.Floor(v) {
			if up == math.MaxInt64 {
				return r, false
			}
			up++
		}
		return around(op, down, up)
	}
	return r, false
}

// limited returns the integers that meet a constraint with a number beyond all of them.
func limited(op vtab.ConstraintOp, above bool) (r [2]int64, ok bool) {
	all := op == vtab.OpLT || op == vtab.OpLE
	if !above {
		all = op == vtab.OpGT || op == vtab.OpGE
	}
	if all {
		return r, false
	}
	return [2]int64{1, 0}, true
}

// around returns the first and the last integer that meet a constraint with a number: down
// is the last that is not above the number, up the first that is not below it.
func around(op vtab.ConstraintOp, down, up int64) (r [2]int64, ok bool) {
	exact, none := down == up, [2]int64{1, 0}
	switch op {
	case vtab.OpEQ:
		return [2]int64{up, down}, true
	case vtab.OpLE:
		return [2]int64{math.MinInt64, down}, true
	case vtab.OpGE:
		return [2]int64{up, math.MaxInt64}, true
	case vtab.OpLT:
		if exact && down == math.MinInt64 {
			return none, true
		} else if exact {
			down--
		}
		return [2]int64{math.MinInt64, down}, true
	case vtab.OpGT:
		if exact && up == math.MaxInt64 {
			return none, true
		} else if exact {
			up++
		}
		return [2]int64{up, math.MaxInt64}, true
	}
	return r, false
}

// exactReal is up to which integer each one is a double.
const exactReal = 1 << 53

// realRange returns the least and the largest double that meet a constraint.
func realRange(op vtab.ConstraintOp, v vtab.Value) (r [2]float64, ok bool) {
	f, ok := v.(float64)
	if n, is := v.(int64); is {
		f, ok = float64(n), n <= exactReal && n >= -exactReal
	}
	if !ok || math.IsNaN(f) {
		return r, false
	}
	least, most := math.Inf(-1), math.Inf(1)
	switch op {
	case vtab.OpEQ:
		return [2]float64{f, f}, true
	case vtab.OpLE:
		return [2]float64{least, f}, true
	case vtab.OpGE:
		return [2]float64{f, most}, true
	case vtab.OpLT:
		if f == least {
			return [2]float64{1, 0}, true
		}
		return [2]float64{least, math.Nextafter(f, least)}, true
	case vtab.OpGT:
		if f == most {
			return [2]float64{1, 0}, true
		}
		return [2]float64{math.Nextafter(f, most), most}, true
	}
	return r, false
}

// timeRange returns the first and the last time that meet a constraint with a text. SQLite
// does not say by which collation it compares, so these are the times that meet it by isotime
// or byte by byte.
func timeRange(op vtab.ConstraintOp, s string) (r [2]int64, ok bool) {
	r, ok = timesBy(op, timeKey(s))
	if ok && !canonical(s) && op != vtab.OpEQ { // no time is equal to the text byte by byte
		other, _ := timesBy(op, s)
		r = [2]int64{min(r[0], other[0]), max(r[1], other[1])}
	}
	return r, ok
}

// timesBy returns the first and the last time whose text meets a constraint with a key, byte
// by byte.
func timesBy(op vtab.ConstraintOp, key string) ([2]int64, bool) {
	down, up := timesAround(key)
	return around(op, down, up)
}

// timesAround returns the last time whose text is not above a key, and the first whose text
// is not below it.
func timesAround(key string) (down, up int64) {
	first := func(from int64, above func(text string) bool) int64 {
		low, high := from, int64(lastMicros+1)
		for low < high {
			middle := low + (high-low)/2
			if above(string(appendTime(nil, middle))) {
				high = middle
			} else {
				low = middle + 1
			}
		}
		return low
	}
	up = first(firstMicros, func(text string) bool { return text >= key })
	return first(up, func(text string) bool { return text > key }) - 1, up
}

// peculiar reports whether a text can be equal to one of other bytes, or be ordered in
// another way than by its bytes: a number or a time can, depending on what it is compared
// with.
func peculiar(s []byte) bool {
	return len(s) > 0 && (s[0] >= '0' && s[0] <= '9' || bytes.IndexByte([]byte(" \t\n\v\f\r+-."), s[0]) >= 0)
}

// keeps reports whether the filter keeps a value other than NULL.
func (f *filter) keeps(v *values, i int32) bool {
	if f.nulls {
		return false
	}
	switch f.kind {
	case whole, instant:
		n := v.ints[i]
		return n >= f.ints[0] && n <= f.ints[1]
	case truth:
		n := v.truth(i)
		return n >= f.ints[0] && n <= f.ints[1]
	case decimal:
		n := v.reals[i]
		return n >= f.reals[0] && n <= f.reals[1]
	}
	return f.keepsText(v.text(i))
}

func (f *filter) keepsText(s []byte) bool {
	if f.op == vtab.OpEQ {
		return bytes.Equal(s, f.text)
	}
	if peculiar(s) {
		return true
	}
	order := bytes.Compare(s, f.text)
	switch f.op {
	case vtab.OpLT:
		return order < 0
	case vtab.OpLE:
		return order <= 0
	case vtab.OpGT:
		return order > 0
	}
	return order >= 0
}

// drops reports whether the filter keeps none of the values between two.
func (f *filter) drops(least, most parquet.Value) bool {
	if least.IsNull() || most.IsNull() || least.Kind() != most.Kind() {
		return false
	}
	switch f.kind {
	case whole, instant:
		return least.Kind() == parquet.Int64 && (least.Int64() > f.ints[1] || most.Int64() < f.ints[0])
	case decimal:
		return least.Kind() == parquet.Double && (least.Double() > f.reals[1] || most.Double() < f.reals[0])
	case text:
		return least.Kind() == parquet.ByteArray && f.dropsTexts(least.ByteArray(), most.ByteArray())
	}
	return false
}

// dropsTexts is drops for texts. most may be cut: only its start counts.
func (f *filter) dropsTexts(least, most []byte) bool {
	below := bytes.Compare(most, f.text) < 0 && !bytes.HasPrefix(f.text, most) // all of them
	above := bytes.Compare(least, f.text) > 0
	if f.op == vtab.OpEQ {
		return below || above
	}
	if len(least) == 0 || least[0] <= '9' { // there may be peculiar ones
		return false
	}
	switch f.op {
	case vtab.OpLT, vtab.OpLE:
		return above
	}
	return below
}

// keepsFile reports whether a constraint on day or bulk, whose value in a file is s, may be
// met. nil is NULL.
func keepsFile(op vtab.ConstraintOp, s, v vtab.Value) bool {
	switch {
	case op == vtab.OpISNULL, op == vtab.OpIS && v == nil:
		return s == nil
	case v == nil, s == nil:
		return false
	}
	arg, ok := v.(string)
	value, _ := s.(string)
	if !ok || number(arg) && number(value) { // which may be compared as numbers
		return true
	}
	return meets(op, strings.Compare(value, arg)) || meets(op, compareTimes(value, arg))
}

// number reports whether SQLite may take a text for a number.
func number(s string) bool {
	_, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return err == nil
}

// meets reports whether the order of two values meets a constraint.
func meets(op vtab.ConstraintOp, order int) bool {
	switch op {
	case vtab.OpEQ, vtab.OpIS:
		return order == 0
	case vtab.OpLT:
		return order < 0
	case vtab.OpLE:
		return order <= 0
	case vtab.OpGT:
		return order > 0
	case vtab.OpGE:
		return order >= 0
	}
	return true
}
