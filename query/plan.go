package query

import (
	"math/bits"

	"modernc.org/sqlite/vtab"
)

// plan is how a scan of the table uses constraints. SQLite gives the values later.
type plan struct {
	constraints []constraint
	key         int // the constraint by which rows can be looked up; -1: none
	sort        int // the column by which the rows are sorted; -1: they are in the order of the files
	descending  bool
	used        []int // the columns that are read, if sort is set
}

type constraint struct {
	number int // of the column
	op     vtab.ConstraintOp
}

// BestIndex implements vtab.Table. It takes the constraints that filters understand. All of
// them are checked by SQLite again.
func (t *table) BestIndex(info *vtab.IndexInfo) error {
	p, keep := plan{key: -1, sort: -1}, 1.0 // the share of the rows that are kept
	for i := range info.Constraints {
		c := &info.Constraints[i]
		if !c.Usable || !t.takes(c.Column, c.Op) {
			continue
		}
		c.ArgIndex = len(p.constraints)
		p.constraints = append(p.constraints, constraint{c.Column, c.Op})
		keep *= t.share(c.Column, c.Op)
		if c.Op == vtab.OpEQ && t.lookUp(c.Column) && (p.key < 0 || t.set.columns[c.Column].kind == whole) {
			p.key = len(p.constraints) - 1
		}
	}
	if t.pushDown && len(info.OrderBy) == 1 {
		t.order(&p, info)
	}
	info.EstimatedRows = int64(max(float64(t.rows)*keep, 1))
	info.EstimatedCost = float64(t.rows)*(1+float64(bits.OnesCount64(info.ColUsed)))*max(keep, 0.01) + 10
	info.IdxNum = int64(len(t.plans))
	t.plans = append(t.plans, &p)
	return nil
}

// takes reports whether a constraint on a column is worth to be known.
func (t *table) takes(number int, op vtab.ConstraintOp) bool {
	if !t.pushDown || number < 0 {
		return false
	}
	switch op {
	case vtab.OpEQ, vtab.OpIS, vtab.OpISNULL, vtab.OpLT, vtab.OpLE, vtab.OpGT, vtab.OpGE:
	default:
		return false
	}
	return number >= len(t.set.columns) || t.filtered(number)
}

// filtered reports whether there are filters on a column.
func (t *table) filtered(number int) bool {
	c := t.set.columns[number]
	return c.plain() && !c.document()
}

// lookUp reports whether rows can be looked up by a column.
func (t *table) lookUp(number int) bool {
	return number < len(t.set.columns) && (t.set.columns[number].kind == whole || t.set.columns[number].kind == text)
}

// share guesses the share of the rows that meet a constraint.
func (t *table) share(number int, op vtab.ConstraintOp) float64 {
	switch {
	case op != vtab.OpEQ && op != vtab.OpIS:
		return 0.3
	case number < len(t.set.columns) && t.set.columns[number].kind == whole:
		return max(0.0001, min(1, 30/float64(t.rows+1)))
	case number < len(t.set.columns) && t.set.columns[number].kind == truth:
		return 0.5
	}
	return 0.05
}

// order plans to hand over the rows in the order of a column, if that is cheaper than to let
// SQLite sort them. SQLite asks for it for GROUP BY too.
func (t *table) order(p *plan, info *vtab.IndexInfo) {
	by := info.OrderBy[0]
	if by.Column == t.set.day() {
		info.OrderByConsumed = !by.Desc // the files are in this order
		return
	}
	if by.Column < 0 || by.Column >= len(t.set.columns) {
		return
	}
	if c := t.set.columns[by.Column]; c.kind != text || !t.filtered(by.Column) {
		return
	}
	used, ok := t.columnsOf(info.ColUsed)
	if !ok || len(used) > mostSorted || !t.fits(used) {
		return
	}
	p.sort, p.descending, p.used = by.Column, by.Desc, used
	info.OrderByConsumed = true
}

// columnsOf returns the columns of a bit set. ok is false if it does not tell them all: its
// last bit means all columns from there.
func (t *table) columnsOf(set uint64) (numbers []int, ok bool) {
	for set != 0 {
		n := bits.TrailingZeros64(set)
		if n == 63 {
			return nil, false
		}
		numbers = append(numbers, n)
		set &^= 1 << n
	}
	return numbers, true
}
