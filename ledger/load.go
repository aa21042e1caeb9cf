package ledger

import (
	"cmp"
	"context"
)

// Load counts what is in progress for an account, so that bulk exports and their callers
// have equal shares. It is not safe for concurrent use. The zero value is empty.
type Load struct {
	All              int
	byBulk, byCaller map[string]int
}

// Add adds n of a bulk export, which may be negative.
func (l *Load) Add(b Bulk, n int) {
	if l.byBulk == nil {
		l.byBulk, l.byCaller = map[string]int{}, map[string]int{}
	}
	l.All += n
	add := func(counts map[string]int, key string) {
		if counts[key] += n; counts[key] <= 0 {
			delete(counts, key)
		}
	}
	add(l.byBulk, b.ID)
	add(l.byCaller, b.AskedBy)
}

// Of returns how many a bulk export has, and how many its caller has in all.
func (l *Load) Of(b Bulk) (own, ofCaller int) { return l.byBulk[b.ID], l.byCaller[b.AskedBy] }

// Before reports whether b is served before another bulk export: a single export, then
// one of the caller that has the least, then of the one that was served the longest ago,
// then the one that has the least, then the oldest.
func (l *Load) Before(b, other Bulk, r *Rotation) bool {
	if b.Single != other.Single {
		return b.Single
	}
	return cmp.Or(cmp.Compare(l.byCaller[b.AskedBy], l.byCaller[other.AskedBy]),
		cmp.Compare(r.last[b.AskedBy], r.last[other.AskedBy]),
		cmp.Compare(l.byBulk[b.ID], l.byBulk[other.ID]), b.CreatedAt.Compare(other.CreatedAt)) < 0
}

// Rotation remembers in which order callers were last served. What is done quickly is
// rarely in progress, so without it the caller with the oldest bulk export would be served
// most of the time. It is not safe for concurrent use. The zero value is empty.
type Rotation struct {
	n    int
	last map[string]int // by caller; at most mostRotated
}

// mostRotated is from how many callers on a Rotation starts over.
const mostRotated = 10_000

// Serve records that a bulk export is served now.
func (r *Rotation) Serve(b Bulk) {
	if r.last == nil || len(r.last) >= mostRotated {
		r.last = map[string]int{}
	}
	r.n++
	r.last[b.AskedBy] = r.n
}

// InFlight counts the exports of an account that run at Fullstory, or may run there.
func (l *Ledger) InFlight(ctx context.Context, account string) (load Load, err error) {
	rows, err := l.read.QueryContext(ctx, `SELECT a.bulk, b.asked_by, count(*)
		FROM attempts a JOIN bulks b ON b.id = a.bulk
		WHERE a.account = $1 AND a.state IN ('creating', 'uncertain', 'running')
		GROUP BY a.bulk, b.asked_by`, account)
	_, err = all(rows, err, func(row scanner) (b Bulk, err error) {
		n := 0
		if err = row.Scan(&b.ID, &b.AskedBy, &n); err == nil {
			load.Add(b, n)
		}
		return b, err
	})
	return load, l.wrap(err)
}
