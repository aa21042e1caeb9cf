package exports

import (
	"context"
	"encoding/json"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/rows"
)

// cells collects the cells of a calendar in the order of time.
type cells struct {
	cells []Cell
	zone  *time.Location
	daily bool // windows of one day become one cell
	each  int  // how many of those become one cell
	last  int  // how many of those the last cell has
	day   civil
}

// civil is a date.
type civil struct {
	year  int
	month time.Month
	day   int
}

func civilOf(t time.Time) (c civil) {
	c.year, c.month, c.day = t.Date()
	return c
}

// cellsOf returns a collector for a number of windows.
func cellsOf(windows int, zone *time.Location) *cells {
	return &cells{zone: zone, daily: windows > mostCells, each: 1}
}

// add adds the window from start to end. Windows must come in their order. What lies between
// the last one and this one becomes a cell of its own.
func (c *cells) add(start, end time.Time, state CellState) {
	start, end = start.Truncate(time.Second), end.Truncate(time.Second)
	if n := len(c.cells); n > 0 {
		at := c.cells[n-1].End
		if start.After(at) {
			c.put(Cell{at, start, CellNone, 0})
		}
		start = later(start, at)
	}
	if start.Before(end) {
		c.put(Cell{start, end, state, 1})
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// put adds a cell, or merges it with the last one.
func (c *cells) put(cell Cell) {
	day := civil{} // a gap keeps to itself: it may be many days
	if c.daily && cell.Windows > 0 {
		day = civilOf(cell.Start.In(c.zone))
	}
	same := day != civil{} && day == c.day
	c.day = day
	if n := len(c.cells); n > 0 && (same || c.last < c.each) {
		if !same {
			c.last++
		}
		c.cells[n-1] = merged(c.cells[n-1], cell)
		return
	}
	if len(c.cells) == mostCells { // only with a day of many years, or many gaps
		for i := range mostCells / 2 {
			c.cells[i] = merged(c.cells[2*i], c.cells[2*i+1])
		}
		c.cells, c.each = c.cells[:mostCells/2], 2*c.each
	}
	c.cells, c.last = append(c.cells, cell), 1
}

// merged returns one cell for two that touch.
func merged(a, b Cell) Cell {
	if b.State.Worse(a.State) {
		a.State = b.State
	}
	a.End, a.Windows = b.End, a.Windows+b.Windows
	return a
}

// RowBars are the rows of days or months, without those before the first row and after the
// last one.
type RowBars struct {
	By    string  `json:"by"`    // day or month, of the calendar's zone
	First string  `json:"first"` // 2026-10-01 or 2026-10
	Rows  []int64 `json:"rows"`  // of it and those that follow, at most mostBars
}

const (
	// mostBars is how many days RowBars has; a longer time has months.
	mostBars = 400
	// longestDay is the longest window whose rows count for the day on which it begins. Those of
	// longer ones are known by hour, from their files.
	longestDay = 25 * time.Hour
	// mostHourly is the most files of such windows that are read.
	mostHourly = 1000
)

// rowCounts counts rows by day.
type rowCounts struct {
	zone  *time.Location
	byDay map[civil]int64
	long  map[int64]ledger.ChunkWindow // windows that are longer than a day, by their numbers
}

func newRowCounts(zone *time.Location) *rowCounts {
	return &rowCounts{zone, map[civil]int64{}, map[int64]ledger.ChunkWindow{}}
}

// add counts the rows of a stored window.
func (r *rowCounts) add(w ledger.ChunkWindow) {
	if w.End.Sub(w.Start) > longestDay {
		r.long[w.Number] = w
		return
	}
	r.byDay[civilOf(w.Start.In(r.zone))] += w.Rows
}

// addFiles counts the rows of windows that are longer than a day, by the hours of their files.
func (r *rowCounts) addFiles(ctx context.Context, l *ledger.Ledger, bulk string, damaged map[int64]bool) error {
	if len(r.long) == 0 || len(r.long) > mostHourly {
		return nil
	}
	return l.Files(ctx, bulk, func(f ledger.File) error {
		var file archive.File
		if _, ok := r.long[f.Number]; !ok || damaged[f.Number] || json.Unmarshal(f.Detail, &file) != nil {
			return nil
		}
		first, _, ok := rows.ParseTime(file.FirstEvent)
		if !ok {
			return nil
		}
		hour := first.Truncate(time.Hour)
		for i, n := range file.RowsByHour {
			if n > 0 {
				r.byDay[civilOf(hour.Add(time.Duration(i)*time.Hour).In(r.zone))] += n
			}
		}
		return nil
	})
}

// bars returns the rows that were counted; nil without any, or if they span too many months.
func (r *rowCounts) bars() *RowBars {
	var first, last time.Time
	for day, n := range r.byDay {
		if at := day.date(); n > 0 {
			if first.IsZero() || at.Before(first) {
				first = at
			}
			last = later(last, at)
		}
	}
	if first.IsZero() {
		return nil
	}
	days := int(last.Sub(first)/(24*time.Hour)) + 1
	if days <= mostBars {
		b := &RowBars{By: "day", First: first.Format(time.DateOnly), Rows: make([]int64, days)}
		for i := range b.Rows {
			b.Rows[i] = r.byDay[civilOf(first.AddDate(0, 0, i))]
		}
		return b
	}
	month := func(t time.Time) int { return 12*t.Year() + int(t.Month()) - int(first.Month()) - 12*first.Year() }
	months := month(last) + 1
	if months > mostBars {
		return nil
	}
	b := &RowBars{By: "month", First: first.Format("2006-01"), Rows: make([]int64, months)}
	for day, n := range r.byDay {
		if n > 0 {
			b.Rows[month(day.date())] += n
		}
	}
	return b
}

func (c civil) date() time.Time { return time.Date(c.year, c.month, c.day, 0, 0, 0, 0, time.UTC) }
