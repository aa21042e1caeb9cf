package exports

import (
	"context"
	"strconv"
	"strings"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/ledger"
)

// Calendar is the state of every window of a bulk export or a sync, in a form that is small
// enough to be sent and drawn: at most mostCells cells, in the order of time and without
// gaps. A cell is a window; in the calendar of a larger bulk export it is all windows of a
// day, or of more, and has their worst state.
//
// States and Lengths are runs: "8700s3r57p" is 8,700 times s, then r and p, and "3600*48 90000"
// is 48 cells of an hour, then one of 25 hours. A number of 1 is left out.
type Calendar struct {
	BulkID   string `json:"bulk_id"`
	Chunk    string `json:"chunk"`    // granularity, such as hour, day, PT6H or 500000 rows
	Windows  int    `json:"windows"`  // of the bulk export
	Timezone string `json:"timezone"` // in which days begin
	// Offsets are pairs of an instant, in seconds since 1970 UTC, and the seconds to add to UTC from
	// then on to get the clock of Timezone. The first one holds before it too.
	Offsets [][2]int64 `json:"offsets"`
	Start   int64      `json:"start"`            // of the first cell, in seconds since 1970 UTC
	States  string     `json:"states"`           // a letter a cell, see CellState
	Lengths string     `json:"lengths"`          // seconds of each cell
	Folded  string     `json:"folded,omitempty"` // windows of each cell; "": one
	Rows    *RowBars   `json:"rows,omitempty"`   // nil: none is stored

	Cells []Cell `json:"-"` // what States, Lengths and Folded say
}

// Cell is one or several windows in a Calendar. Its times are to the second.
type Cell struct {
	Start, End time.Time
	State      CellState
	Windows    int // 0: nothing was requested for this time
}

// CellState is the state of a cell: one letter.
type CellState byte

// The states, the worst first.
const (
	CellFailed      CellState = 'f' // exported again only on request
	CellMissing     CellState = 'm' // was stored, but the file is gone or has another size
	CellRetrying    CellState = 't' // failed, and waits for its next try
	CellRunning     CellState = 'r' // between its request to Fullstory and its file
	CellPlanned     CellState = 'p' // not begun
	CellCancelled   CellState = 'c'
	CellProvisional CellState = 'v' // stored before its rows had settled: they may still change
	CellStored      CellState = 's'
	CellNone        CellState = '-' // no window: nothing was requested for this time
)

// worst has the states from the worst on.
const worst = "fmtrpcvs-"

// cellNames are the names of the states in their order.
var cellNames = map[CellState]string{
	CellFailed: "failed", CellMissing: "missing", CellRetrying: "retrying", CellRunning: "running",
	CellPlanned: "planned", CellCancelled: "cancelled", CellProvisional: "provisional", CellStored: "stored",
	CellNone: "not requested",
}

func (s CellState) String() string { return cellNames[s] }

// Worse reports whether s hides other in a cell that has both.
func (s CellState) Worse(other CellState) bool {
	return strings.IndexByte(worst, byte(s)) < strings.IndexByte(worst, byte(other))
}

// mostCells is the most cells of a calendar: a year of hours fits.
const mostCells = 10_000

// BulkCalendar returns the calendar of a bulk export, given by id or name, now.
func (a *Account) BulkCalendar(ctx context.Context, id string) (Calendar, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return Calendar{}, err
	}
	s, err := engine.Status(ctx, id)
	if err != nil {
		return Calendar{}, unknownBulk(id, err)
	}
	return engine.calendar(ctx, s, nil)
}

// SyncCalendar returns the calendar of a sync, given by id or name, now: that of its bulk
// export, and the windows that are over and will be added to it, as planned.
func (a *Account) SyncCalendar(ctx context.Context, idOrName string) (Calendar, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return Calendar{}, err
	}
	s, err := engine.syncOf(ctx, idOrName)
	if err != nil {
		return Calendar{}, err
	}
	status, err := engine.Status(ctx, s.Bulk)
	if err != nil {
		return Calendar{}, err
	}
	terms, err := bulk.TermsOf(s)
	if err != nil {
		return Calendar{}, err
	}
	recorded, err := engine.o.Ledger.SyncWindows(ctx, s.Bulk)
	if err != nil {
		return Calendar{}, err
	}
	missing, _ := terms.Missing(recorded, a.Clock(), bulk.MostMissing)
	return engine.calendar(ctx, status, missing)
}

// calendar returns the calendar of a bulk export with a status. missing are windows that it
// will get, in their order.
func (e *Exports) calendar(ctx context.Context, s Status, missing []ledger.SyncWindow) (Calendar, error) {
	request, _ := requestOf(s.Bulk)
	zone := zoneOf(request)
	windows := s.Counts.All() + len(missing)
	cells, rows := cellsOf(windows, zone), newRowCounts(zone)
	damaged := make(map[int64]bool, len(s.files.damaged))
	for _, d := range s.files.damaged {
		damaged[d.chunk.Number] = true
	}
	before := func(t time.Time) { // adds what is missing before t
		for ; len(missing) > 0 && (t.IsZero() || missing[0].Start.Before(t)); missing = missing[1:] {
			cells.add(missing[0].Start, missing[0].End, CellPlanned)
		}
	}
	err := e.o.Ledger.Windows(ctx, s.Bulk.ID, func(w ledger.ChunkWindow) error {
		before(w.Start)
		cells.add(w.Start, w.End, stateOf(w, damaged[w.Number]))
		if w.State == ledger.ChunkStored && !damaged[w.Number] {
			rows.add(w)
		}
		return nil
	})
	if err != nil {
		return Calendar{}, err
	}
	before(time.Time{})
	c := Calendar{
		BulkID: s.Bulk.ID, Chunk: s.Bulk.Granularity, Windows: windows, Timezone: zone.String(), Cells: cells.cells,
	}
	if err := rows.addFiles(ctx, e.o.Ledger, s.Bulk.ID, damaged); err != nil {
		return c, err
	}
	c.Rows = rows.bars()
	return c.encoded(zone), nil
}

// stateOf returns the state of the cell of a window.
func stateOf(w ledger.ChunkWindow, damaged bool) CellState {
	switch {
	case damaged:
		return CellMissing
	case w.State == ledger.ChunkStored && w.Provisional:
		return CellProvisional
	case w.State == ledger.ChunkStored:
		return CellStored
	case w.State == ledger.ChunkFailed:
		return CellFailed
	case w.State == ledger.ChunkCancelled:
		return CellCancelled
	case w.Retrying:
		return CellRetrying
	case w.State == ledger.ChunkPlanned:
		return CellPlanned
	}
	return CellRunning
}

// encoded sets what is sent of c, from its cells.
func (c Calendar) encoded(zone *time.Location) Calendar {
	var states, lengths, folded runs
	single := true
	for _, cell := range c.Cells {
		states.add(string(cell.State))
		lengths.add(strconv.FormatInt(int64(cell.End.Sub(cell.Start)/time.Second), 10))
		folded.add(strconv.Itoa(cell.Windows))
		single = single && cell.Windows <= 1
	}
	c.States, c.Lengths = states.letters(), lengths.numbers()
	if !single {
		c.Folded = folded.numbers()
	}
	c.Offsets = [][2]int64{}
	if n := len(c.Cells); n > 0 {
		c.Start = c.Cells[0].Start.Unix()
		c.Offsets = offsets(c.Cells[0].Start, c.Cells[n-1].End, zone)
	}
	return c
}

// offsets returns the Offsets of a calendar from start to end.
func offsets(start, end time.Time, zone *time.Location) (list [][2]int64) {
	for t := start.In(zone); ; {
		_, offset := t.Zone()
		_, next := t.ZoneBounds()
		if n := len(list); n == 0 || list[n-1][1] != int64(offset) {
			list = append(list, [2]int64{t.Unix(), int64(offset)})
		}
		if next.IsZero() || !next.Before(end) {
			return list
		}
		if !next.After(t) {
			next = t.AddDate(0, 0, 1) // ZoneBounds can return t itself in the far future
		}
		t = next
	}
}

// runs are values in their order, each with how often it comes in a row.
type runs []run

type run struct {
	value string
	n     int
}

func (r *runs) add(value string) {
	if n := len(*r); n > 0 && (*r)[n-1].value == value {
		(*r)[n-1].n++
		return
	}
	*r = append(*r, run{value, 1})
}

// letters writes runs of letters, such as "3sr".
func (r runs) letters() string {
	var b strings.Builder
	for _, v := range r {
		if v.n > 1 {
			b.WriteString(strconv.Itoa(v.n))
		}
		b.WriteString(v.value)
	}
	return b.String()
}

// numbers writes runs of numbers, such as "3600*3 7200".
func (r runs) numbers() string {
	var b strings.Builder
	for i, v := range r {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(v.value)
		if v.n > 1 {
			b.WriteString("*" + strconv.Itoa(v.n))
		}
	}
	return b.String()
}
