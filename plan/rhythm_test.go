package plan

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history returns one sample of a window, in which each hour of UTC has what
// rows says.
func history(from, to time.Time, rows func(time.Time) int64) Sample {
	s := Sample{Range: Range{from, to}, FirstHour: from.Truncate(time.Hour), ExportedAt: to.AddDate(0, 0, 2)}
	for at := s.FirstHour; at.Before(to); at = at.Add(time.Hour) {
		s.ByHour = append(s.ByHour, rows(at))
		s.Rows += rows(at)
	}
	s.Bytes = 20 * s.Rows
	return s
}

// nightly is a rhythm with quiet nights and weekends.
func nightly(at time.Time) int64 {
	rows := int64(1000)
	if h := at.Hour(); h < 6 {
		rows = 50
	}
	if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
		rows /= 2
	}
	return rows
}

func TestMeasure(t *testing.T) {
	monday := at(t, "2026-10-05T00:00:00Z")
	if r := Measure(nil, time.UTC); r != nil {
		t.Errorf("of nothing %+v was measured", r)
	}
	if r := Measure([]Sample{history(monday, monday.Add(30*time.Minute), nightly)}, time.UTC); r != nil {
		t.Errorf("of half an hour %+v was measured", r)
	}
	r := Measure([]Sample{history(monday, monday.AddDate(0, 0, 7), nightly)}, time.UTC)
	if r.Hours != 168 || r.Files != 1 || !r.From.Equal(monday) || !r.To.Equal(monday.AddDate(0, 0, 7)) || r.RowSize != 20 {
		t.Errorf("of a week: %+v", r)
	}
	for _, test := range []struct {
		from, to string
		want     float64
	}{
		{"2026-11-03T06:00:00Z", "2026-11-03T07:00:00Z", 1000},
		{"2026-11-03T01:00:00Z", "2026-11-03T03:00:00Z", 100},
		{"2026-11-03T05:30:00Z", "2026-11-03T06:30:00Z", 525},
		{"2026-11-01T12:00:00Z", "2026-11-01T13:00:00Z", 500},
		{"2026-11-02T00:00:00Z", "2026-11-30T00:00:00Z", 4 * 6 * 18300},
		{"0001-01-02T00:00:00Z", "9999-12-31T00:00:00Z", 521722 * 6 * 18300},
	} {
		e := r.Rows(Range{at(t, test.from), at(t, test.to)})
		if math.Abs(e.Rows-test.want) > 0.03*test.want || !(e.Low < e.Rows && e.Rows < e.High) {
			t.Errorf("%s to %s: estimated %+v, want %v", test.from, test.to, e, test.want)
		}
	}
}

// TestMeasureOfLittle estimates from less than a week, or from sums alone.
func TestMeasureOfLittle(t *testing.T) {
	tuesday := at(t, "2026-10-06T00:00:00Z")
	night := Range{at(t, "2026-11-05T00:00:00Z"), at(t, "2026-11-05T06:00:00Z")}
	day := Measure([]Sample{history(tuesday, tuesday.AddDate(0, 0, 1), nightly)}, time.UTC)
	if e := day.Rows(night); e.Rows < 200 || e.Rows > 900 {
		t.Errorf("the night of another weekday: %+v, want about 300", e)
	}
	sum := history(tuesday, tuesday.AddDate(0, 0, 1), nightly)
	sum.ByHour = nil
	if e := Measure([]Sample{sum}, time.UTC).Rows(Range{tuesday, tuesday.AddDate(0, 0, 1)}); math.Abs(e.Rows-18300) > 400 {
		t.Errorf("of a sum alone: %+v, want 18300", e)
	}
	empty := Sample{Range: Range{tuesday, tuesday.AddDate(0, 0, 7)}}
	none := Measure([]Sample{empty}, time.UTC)
	if e := none.Rows(night); e != (Estimate{}) {
		t.Errorf("where nothing happens: %+v", e)
	}
	if p, err := SplitBySize(night, none, 5); err != nil || p.Count() != 1 {
		t.Errorf("where nothing happens there are %v chunks, %v", p, err)
	}
}

// TestMeasureLatest takes of windows that overlap the one exported last, and of
// many weeks the latest.
func TestMeasureLatest(t *testing.T) {
	monday := at(t, "2026-10-05T00:00:00Z")
	old := history(monday, monday.AddDate(0, 0, 7), func(time.Time) int64 { return 10 })
	late := history(monday, monday.AddDate(0, 0, 7), func(time.Time) int64 { return 30 })
	late.ExportedAt = old.ExportedAt.Add(time.Hour)
	for _, samples := range [][]Sample{{old, late}, {late, old}} {
		if e := Measure(samples, time.UTC).Rows(Range{monday, monday.Add(time.Hour)}); math.Abs(e.Rows-30) > 0.01 {
			t.Errorf("%+v, want 30 rows as exported last", e)
		}
	}
	var years []Sample
	for week := range 60 {
		from := monday.AddDate(0, 0, 7*week)
		years = append(years, history(from, from.AddDate(0, 0, 7), func(time.Time) int64 { return int64(100 + 100*(week/50)) }))
	}
	r := Measure(years, time.UTC)
	if e := r.Rows(Range{monday, monday.Add(time.Hour)}); math.Abs(e.Rows-200) > 1 {
		t.Errorf("%+v, want 200 rows as of late", e)
	}
}

func TestSplitBySize(t *testing.T) {
	monday := at(t, "2026-10-05T00:00:00Z")
	rhythm := Measure([]Sample{history(monday, monday.AddDate(0, 0, 7), nightly)}, zone(t, "Europe/Berlin"))
	rapid.Check(t, func(t *rapid.T) {
		start := monday.Add(time.Duration(rapid.Int64Range(-1e9, 1e9).Draw(t, "start")) * time.Second)
		r := Range{start, start.Add(time.Duration(rapid.Int64Range(1, 90*86400).Draw(t, "length")) * time.Second)}
		target := math.Pow(10, rapid.Float64Range(0, 6).Draw(t, "target"))
		p, err := SplitBySize(r, rhythm, target)
		if err != nil {
			t.Fatal(err)
		}
		pieces := p.Page(0, p.Count())
		if !pieces[0].Start.Equal(r.Start) || !pieces[len(pieces)-1].End.Equal(r.End) {
			t.Fatalf("from %v to %v", pieces[0].Start, pieces[len(pieces)-1].End)
		}
		for i, piece := range pieces {
			if i > 0 && !piece.Start.Equal(pieces[i-1].End) || len(pieces) > 1 && piece.End.Sub(piece.Start) < quarter {
				t.Fatalf("chunk %d is %v", i, piece)
			}
			rows := rhythm.Rows(Range{piece.Start, piece.End}).Rows
			most := 1.6*target + 90 // what happens in five minutes
			if i == len(pieces)-1 {
				most += 250 // a quarter of an hour that is too short to stand alone
			}
			if piece.End.Sub(piece.Start) >= 2*quarter+grid && rows > most || len(pieces) > 1 && target > 600 && rows < target/1.6-90 {
				t.Fatalf("chunk %d of %d has %v rows, want about %v", i, len(pieces), rows, target)
			}
		}
	})
	if _, err := SplitBySize(Range{End: monday}, rhythm, 9); err == nil || !strings.Contains(err.Error(), "needs a start") {
		t.Errorf("an open range: %v", err)
	}
	if _, err := SplitBySize(Range{monday.AddDate(-9000/7, 0, 0), monday}, rhythm, 9); err == nil || !strings.Contains(err.Error(), "100 years") {
		t.Errorf("a millennium: %v", err)
	}
	if _, err := SplitBySize(Range{monday.AddDate(-50, 0, 0), monday}, rhythm, 1); err == nil || !strings.Contains(err.Error(), "at most 1000000") {
		t.Errorf("too many: %v", err)
	}
}

func TestPace(t *testing.T) {
	took := func(rows int64, seconds float64) Sample {
		return Sample{Rows: rows, Took: time.Duration(seconds * float64(time.Second))}
	}
	for _, test := range []struct {
		name    string
		samples []Sample
		exports int
		rows    float64
		want    float64 // seconds
	}{
		{"nothing known", []Sample{{Rows: 5}}, 10, 1000, 0},
		{"always the same", []Sample{took(100, 2), took(1000, 2), took(10000, 2)}, 30, 1e6, 60},
		{"by rows", []Sample{took(1000, 1), took(10000, 10), took(100000, 100)}, 30, 1e6, 1000},
		{"both", []Sample{took(1000, 6), took(10000, 15), took(100000, 105)}, 30, 1e6, 1150},
		{"faster with more", []Sample{took(100, 9), took(1000, 6), took(10000, 3)}, 10, 1e6, 60},
		{"one size", []Sample{took(1000, 110)}, 10, 20000, 2100},
		{"empty files", []Sample{took(0, 3), took(0, 5)}, 10, 0, 40},
	} {
		p := MeasurePace(test.samples)
		if got := p.Of(test.exports, test.rows).Seconds(); math.Abs(got-test.want) > 0.01*test.want || p.Known() != (test.want > 0) {
			t.Errorf("%s: %v s, want %v", test.name, got, test.want)
		}
	}
}
