package merge

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"fullstory-export-mcp/rows"
)

// Source is a file of rows.
type Source struct {
	Name string                        // for the caller
	Open func() (io.ReadCloser, error) // its content, gzip, anew for each pass; nil: it has 0 bytes and no rows
	// Whole says that all of its rows belong to the merge, also those without a time.
	Whole   bool
	Untimed int64 // rows without a time that are not in its content, for the Result

	written []byte // of a part that Cut made: its content is what Write of it alone would write
	rows    int64  // of it
}

// Merge brings together the rows of files of one format that lie in a window. The zero value
// of TimeColumn means that rows have no time: then every source must be Whole.
type Merge struct {
	Format     string // of all sources, as the API names it
	TimeColumn string
	Start, End time.Time // half-open
	Sources    []Source
	// Apart says that no two sources have rows of the same time, so that none has to be compared.
	Apart bool

	limit   int // the most hashes in memory at once; 0: mostHashes
	decided bool
	kept    []bitmap // of each source: its rows that are written
	result  Result
}

// Result says what a merge is made of.
type Result struct {
	Sources   []Taken // in the order of the sources
	Rows      int64   // of the merge
	Collapsed int64   // rows of the sources in the window that equal one of an earlier source
}

// Taken says what became of the rows of a source.
type Taken struct {
	Inside  int64 // rows in the window
	Kept    int64 // of these: rows that the sources before do not have, or have less often
	Outside int64 // rows of other times
	Untimed int64 // rows without a time, which belong to no window
}

// mostHashes is the most hashes of rows that are in memory at once, about 60 bytes each. The
// files of more are read several times, each time for a part of the hashes.
const mostHashes = 1 << 20

// mostParts is the most such parts.
const mostParts = 1 << 10

var (
	errManyHashes = errors.New("the files have too many rows to be merged")
	errEnough     = errors.New("the rest is not needed")
)

// count says how often rows with one hash occurred.
type count struct {
	most   uint32 // in one of the sources before
	now    uint32 // in the present source so far
	source int32  // the present source, from 1
}

// next counts a row of a source, and reports whether the sources before have it less often
// than this one so far.
func (c *count) next(source int32) bool {
	if c.source != source {
		c.most, c.now, c.source = max(c.most, c.now), 0, source
	}
	if c.now < math.MaxUint32 {
		c.now++
	}
	return c.now > c.most
}

// Decide reads the sources and decides which of their rows the merge has. A row occurs in it
// as often as in the source that has it most often: first all rows of the first source, then
// from each of the others those that are missing so far. The order of a source is kept. Decide
// takes at most about 70 MB of memory, and a bit for each row. It fails with a *rows.Error,
// the error of a source, or that of ctx.
func (m *Merge) Decide(ctx context.Context) (Result, error) {
	for parts := uint64(1); !m.decided; parts *= 2 {
		err := m.decide(ctx, parts)
		switch {
		case err == nil:
			m.decided = true
		case !errors.Is(err, errManyHashes) || parts == mostParts:
			return Result{}, err
		}
	}
	return m.result, nil
}

// decide is Decide with the hashes in parts.
func (m *Merge) decide(ctx context.Context, parts uint64) error {
	limit := m.limit
	if limit == 0 {
		limit = mostHashes
	}
	m.kept = make([]bitmap, len(m.Sources))
	m.begin()
	for part := range parts {
		counts := map[Hash]count{}
		for i := range m.Sources {
			err := m.decideSource(ctx, i, part == 0, func(hash Hash) bool {
				if hashPart(hash, parts) != part {
					return false
				}
				c := counts[hash]
				kept := c.next(int32(i + 1))
				counts[hash] = c
				return kept
			}, func() bool { return len(counts) > limit })
			if err != nil {
				return err
			}
		}
	}
	m.result.sum()
	return nil
}

// begin empties the result.
func (m *Merge) begin() {
	m.result = Result{Sources: make([]Taken, len(m.Sources))}
	for i, s := range m.Sources {
		m.result.Sources[i].Untimed = s.Untimed
	}
}

// decideSource decides which rows of source i are kept, by their hashes, until full returns
// true. It counts where rows lie if first is set.
func (m *Merge) decideSource(
	ctx context.Context, i int, first bool, keep func(Hash) bool, full func() bool,
) error {
	taken, hasher := &m.result.Sources[i], &Hasher{}
	return m.each(ctx, m.Sources[i], func(row rows.Row, at int, where place) error {
		if first {
			taken.count(where)
		}
		if where != inside {
			return nil
		}
		if keep(hasher.Row(row)) {
			m.kept[i].set(at)
			taken.Kept++
		}
		if full() {
			return errManyHashes
		}
		return nil
	})
}

// hashPart returns to which of the parts a hash belongs.
func hashPart(h Hash, parts uint64) uint64 { return (uint64(h[0]) | uint64(h[1])<<8) % parts }

// sum adds up what the sources give.
func (r *Result) sum() {
	r.Rows, r.Collapsed = 0, 0
	for _, t := range r.Sources {
		r.Rows += t.Kept
		r.Collapsed += t.Inside - t.Kept
	}
}

// place says where a row lies.
type place int

const (
	inside place = iota
	outside
	untimed
)

func (t *Taken) count(where place) {
	switch where {
	case inside:
		t.Inside++
	case outside:
		t.Outside++
	case untimed:
		t.Untimed++
	}
}

// each calls do with every row of a source, its number from 0, and where it lies.
func (m *Merge) each(ctx context.Context, s Source, do func(row rows.Row, at int, where place) error) error {
	if s.Open == nil {
		return nil
	}
	content, err := s.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	at, timeColumn := -1, timeIndex{name: m.TimeColumn}
	_, err = rows.EachRow(untilDone{ctx, content}, m.Format, func(row rows.Row) error {
		at++
		return do(row, at, m.placeOf(s, row, &timeColumn))
	})
	return err
}

// placeOf returns where a row of a source lies.
func (m *Merge) placeOf(s Source, row rows.Row, column *timeIndex) place {
	if s.Whole {
		return inside
	}
	t, ok := column.timeOf(row)
	switch {
	case !ok:
		return untimed
	case t.Before(m.Start) || !t.Before(m.End):
		return outside
	}
	return inside
}

// timeIndex finds the time of the rows of a file.
type timeIndex struct {
	name  string
	seen  int // columns that were searched
	index int // of the column; from 1, 0: not found yet
}

func (x *timeIndex) timeOf(row rows.Row) (t time.Time, ok bool) {
	for ; x.index == 0 && x.seen < len(row.Columns); x.seen++ {
		if x.name != "" && row.Columns[x.seen] == x.name {
			x.index = x.seen + 1
		}
	}
	if x.index == 0 {
		return t, false
	}
	for _, v := range row.Members {
		if v.Column != x.index-1 {
			continue
		}
		text := v.Value
		if !row.CSV {
			if text, ok = rows.TextOf(text); !ok {
				return t, false
			}
		}
		return rows.Instant(text)
	}
	return t, false
}

// untilDone reads r until ctx ends, and then returns the error of ctx.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// bitmap is a set of small numbers.
type bitmap []uint64

func (b *bitmap) set(i int) {
	for i/64 >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i/64] |= 1 << (i % 64)
}

func (b bitmap) has(i int) bool { return i/64 < len(b) && b[i/64]&(1<<(i%64)) != 0 }
