package exports

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/rows"
)

// decoded returns the cells of a calendar as a reader of its JSON sees them.
func decoded(t testing.TB, c Calendar) (cells []Cell) {
	t.Helper()
	at := time.Unix(c.Start, 0)
	for _, run := range regexp.MustCompile(`(\d*)(\D)`).FindAllStringSubmatch(c.States, -1) {
		n := 1
		if run[1] != "" {
			n, _ = strconv.Atoi(run[1])
		}
		for range n {
			cells = append(cells, Cell{State: CellState(run[2][0]), Windows: 1})
		}
	}
	numbers := func(text string) (list []int64) {
		for _, run := range strings.Fields(text) {
			value, times, _ := strings.Cut(run, "*")
			v, err := strconv.ParseInt(value, 10, 64)
			n, _ := strconv.Atoi(times)
			if err != nil {
				t.Fatalf("%q: %v", run, err)
			}
			list = append(list, slices.Repeat([]int64{v}, max(1, n))...)
		}
		return list
	}
	lengths, folded := numbers(c.Lengths), numbers(c.Folded)
	if len(lengths) != len(cells) || len(folded) > 0 && len(folded) != len(cells) {
		t.Fatalf("%d states, %d lengths, %d folded", len(cells), len(lengths), len(folded))
	}
	for i := range cells {
		cells[i].Start = at
		at = at.Add(time.Duration(lengths[i]) * time.Second)
		cells[i].End = at
		if cells[i].State == CellNone {
			cells[i].Windows = 0
		}
		if len(folded) > 0 {
			cells[i].Windows = int(folded[i])
		}
	}
	return cells
}

// save changes the first chunk of a bulk export that begins at start, and writes its file if it
// is stored.
func save(t testing.TB, e *Exports, b ledger.Bulk, start time.Time, change func(*ledger.Attempt)) {
	t.Helper()
	err := e.o.Ledger.Write(t.Context(), func(tx *ledger.Tx) error {
		all, err := e.o.Ledger.Chunks(t.Context(), b.ID, 0, 100_000, "")
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(a ledger.Attempt) bool { return a.Start.Equal(start) })
		a := all[i]
		from := a.State
		if change(&a); a.State == ledger.ChunkStored {
			a.StoredAt, a.Bytes = time.Now(), 7
			name := e.o.Archive.Path(b.Name, archive.FileName(a.Start, a.End, ".ndjson.gz"))
			if err := os.WriteFile(name, []byte("1234567"), 0o600); err != nil {
				return err
			}
		}
		return tx.SaveAttempt(a, from)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// berlin returns a bulk export of days in Berlin around the end of daylight saving time.
func berlin(t testing.TB, days int, without ...int) Order {
	t.Helper()
	zone, err := plan.Zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	o := order(1)
	o.Name, o.Chunk, o.Request.Timezone, o.Windows = "berlin", "day", "Europe/Berlin", nil
	for i := range days {
		if !slices.Contains(without, i) {
			start := time.Date(2026, 10, 20+i, 0, 0, 0, 0, zone)
			o.Windows = append(o.Windows, plan.Chunk{Start: start.UTC(), End: start.AddDate(0, 0, 1).UTC()})
		}
	}
	return o
}

// every puts the first eight windows of a bulk export in different states.
func every(t *testing.T, e *Exports, b ledger.Bulk, o Order) {
	t.Helper()
	if err := os.MkdirAll(e.o.Archive.Path(b.Name, ""), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func(*ledger.Attempt){
		func(a *ledger.Attempt) { a.State, a.Rows = ledger.ChunkStored, 100 },
		func(a *ledger.Attempt) { a.State, a.Rows = ledger.ChunkStored, 50 }, // its file is removed
		func(a *ledger.Attempt) { a.State, a.Rows, a.Provisional = ledger.ChunkStored, 7, true },
		func(a *ledger.Attempt) { a.State = ledger.ChunkRunning },
		func(a *ledger.Attempt) { a.State, a.Reason = ledger.ChunkPlanned, "It failed." },
		func(a *ledger.Attempt) { a.State, a.Reason = ledger.ChunkFailed, "It failed." },
		func(a *ledger.Attempt) { a.State = ledger.ChunkCancelled },
		func(a *ledger.Attempt) { a.State = ledger.ChunkUncertain },
	} {
		save(t, e, b, o.Windows[i].Start, change)
	}
	gone := archive.FileName(o.Windows[1].Start, o.Windows[1].End, ".ndjson.gz")
	if err := os.Remove(e.o.Archive.Path(b.Name, gone)); err != nil {
		t.Fatal(err)
	}
}

// TestCalendar draws every state, a day of 25 hours, a gap and a file that is gone, on both
// databases.
func TestCalendar(t *testing.T) {
	t.Parallel()
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			e := bench(t, place)
			o := berlin(t, 12, 9)
			b, _, err := e.Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			every(t, e, b, o)
			s, err := e.Status(t.Context(), b.ID)
			if err != nil {
				t.Fatal(err)
			}
			c, err := e.calendar(t.Context(), s, nil)
			if err != nil {
				t.Fatal(err)
			}
			checkBerlin(t, c, o)
		})
	}
}

// checkBerlin fails unless c is the calendar that TestCalendar draws.
func checkBerlin(t *testing.T, c Calendar, o Order) {
	t.Helper()
	if c.States != "smvrtfcrp-2p" || c.Lengths != "86400*5 90000 86400*6" || c.Folded != "" {
		t.Errorf("states %s, lengths %s, folded %q", c.States, c.Lengths, c.Folded)
	}
	if got := fmt.Sprint(c.Offsets); got != fmt.Sprintf("[[%d 7200] [%d 3600]]", o.Windows[0].Start.Unix(), 1792890000) {
		t.Errorf("offsets %s", got)
	}
	if c.Rows == nil || c.Rows.First != "2026-10-20" || fmt.Sprint(c.Rows.Rows) != "[100 0 7]" {
		t.Errorf("rows %+v", c.Rows)
	}
	if c.Windows != 11 || c.Timezone != "Europe/Berlin" || c.Start != o.Windows[0].Start.Unix() {
		t.Errorf("%+v", c)
	}
}

// TestCalendarAgreesWithWindows draws random windows in random states: what is sent has every
// window with its state, in a bounded length, and a folded one has the worst of each day.
func TestCalendarAgreesWithWindows(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for _, name := range []string{"UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"} {
		zone, err := plan.Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 9_000, 10_001, 300_000} {
			c, at := cellsOf(n, zone), time.Date(2024, 2, 28, 0, 0, 0, 0, zone)
			var all []Cell
			for range n {
				if r.IntN(400) == 0 {
					at = at.Add(time.Duration(r.IntN(80)) * time.Hour)
				}
				end := at.Add(time.Duration(1+r.IntN(3)) * time.Hour)
				all = append(all, Cell{at, end, CellState(worst[r.IntN(len(worst)-1)]), 1})
				c.add(at, end, all[len(all)-1].State)
				at = end
			}
			calendar := Calendar{Cells: c.cells}.encoded(zone)
			checkCells(t, decoded(t, calendar), all, fmt.Sprintf("%s, %d windows", name, n))
			if bytes := len(calendar.States) + len(calendar.Lengths) + len(calendar.Folded); bytes > 130_000 {
				t.Errorf("%d windows take %d bytes", n, bytes)
			}
		}
	}
}

// checkCells fails unless cells touch, are at most mostCells, and have all windows with their
// worst states.
func checkCells(t *testing.T, cells, all []Cell, what string) {
	t.Helper()
	if len(cells) > mostCells {
		t.Errorf("%s: %d cells", what, len(cells))
	}
	for i, cell := range cells {
		if i > 0 && !cell.Start.Equal(cells[i-1].End) {
			t.Fatalf("%s: cell %d begins %s, the one before ends %s", what, i, cell.Start, cells[i-1].End)
		}
		state, windows := CellNone, 0
		for ; len(all) > 0 && all[0].Start.Before(cell.End); all = all[1:] {
			if all[0].Start.Before(cell.Start) || all[0].End.After(cell.End) {
				t.Fatalf("%s: the window at %s is not in the cell at %s", what, all[0].Start, cell.Start)
			}
			if windows++; all[0].State.Worse(state) {
				state = all[0].State
			}
		}
		if cell.State != state || cell.Windows != windows {
			t.Fatalf("%s: cell %d is %s of %d, want %s of %d", what, i, cell.State, cell.Windows, state, windows)
		}
	}
	if len(all) > 0 {
		t.Errorf("%s: %d windows are in no cell", what, len(all))
	}
}

// TestRowsOfLongWindows counts the rows of windows of a month by the hours of their files, and
// those of three years by month.
func TestRowsOfLongWindows(t *testing.T) {
	t.Parallel()
	place := places(t)["sqlite"]
	e := bench(t, place)
	o := order(1)
	o.Name, o.Chunk = "months", "month"
	o.Windows = []plan.Chunk{{Start: september, End: september.AddDate(0, 1, 0)}}
	b, _, err := e.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	counts := newRowCounts(time.UTC)
	counts.add(ledger.ChunkWindow{Number: 0, Start: september, End: september.AddDate(0, 1, 0), Rows: 12})
	err = e.o.Ledger.Write(t.Context(), func(tx *ledger.Tx) error {
		byHour, _ := rows.Counts{3, 0, 4, 5}.MarshalText()
		detail := fmt.Sprintf(`{"first_event":"2026-09-03T22:10:00Z","rows_by_hour":%q}`, byHour)
		return tx.PutFile(ledger.File{Account: "bench", Folder: "months", Name: "x", Bulk: b.ID, Detail: []byte(detail)})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := counts.addFiles(t.Context(), e.o.Ledger, b.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got := counts.bars(); got == nil || got.First != "2026-09-03" || fmt.Sprint(got.Rows) != "[3 9]" {
		t.Errorf("%+v", got)
	}
	for year := range 3 {
		start := september.AddDate(year, 0, 0)
		counts.add(ledger.ChunkWindow{Start: start, End: start.Add(time.Hour), Rows: 100})
	}
	got := counts.bars()
	if got == nil || got.By != "month" || got.First != "2026-09" || len(got.Rows) != 25 || got.Rows[0] != 112 ||
		got.Rows[24] != 100 {
		t.Errorf("%+v", got)
	}
}

// BenchmarkCalendar draws a bulk export. One of 10,000 chunks must take under 100 ms.
func BenchmarkCalendar(b *testing.B) {
	for _, n := range []int{8760, 100_000} {
		for kind, place := range places(b) {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				e := bench(b, place)
				bulk, _, err := e.Start(b.Context(), minutes(n))
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					c, err := e.calendar(b.Context(), Status{Bulk: bulk, Counts: ledger.Counts{
						By: map[ledger.ChunkState]int{ledger.ChunkPlanned: n},
					}}, nil)
					if err != nil || c.Windows != n {
						b.Fatal(c.Windows, err)
					}
				}
			})
		}
	}
}
