package plan

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history returns one sample of a window, in which each hour of UTC has the
// number of rows that rows returns.
func history(from, to time.Time, rows func(time.Time) int64) Sample {
	s := Sample{Range: Range{from, to}, FirstHour: from.Truncate(time.Hour), ExportedAt: to.AddDate(0, 0, 2)}
	for at := s.FirstHour; at.Before(to); at = at.Add(time.Hour) {
		s.ByHour = append(s.ByHour, rows(at))
		s.Rows += rows(at)
	}
	s.Bytes = 20 * s.Rows
	return s
}

// nightly is a volume with quiet nights and weekends.
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
		t.Errorf("no samples gave the profile %+v", r)
	}
	if r := Measure([]Sample{history(monday, monday.Add(30*time.Minute), nightly)}, time.UTC); r != nil {
		t.Errorf("half an hour gave the profile %+v", r)
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

// TestMeasureOfLittle estimates from less than a week, from a total without
// hours, and from an empty file.
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
		t.Errorf("from a total without hours: %+v, want 18300", e)
	}
	empty := Sample{Range: Range{tuesday, tuesday.AddDate(0, 0, 7)}}
	none := Measure([]Sample{empty}, time.UTC)
	if e := none.Rows(night); e != (Estimate{}) {
		t.Errorf("without any rows: %+v", e)
	}
	if p, err := SplitBySize(night, none, 5); err != nil || p.Count() != 1 {
		t.Errorf("without any rows there are %v chunks, %v", p, err)
	}
}

// TestMeasureLatest checks that the sample exported last counts if windows
// overlap, and the latest weeks if there are many.
func TestMeasureLatest(t *testing.T) {
	monday := at(t, "2026-10-05T00:00:00Z")
	old := history(monday, monday.AddDate(0, 0, 7), func(time.Time) int64 { return 10 })
	late := history(monday, monday.AddDate(0, 0, 7), func(time.Time) int64 { return 30 })
	late.ExportedAt = old.ExportedAt.Add(time.Hour)
	for _, samples := range [][]Sample{{old, late}, {late, old}} {
		if e := Measure(samples, time.UTC).Rows(Range{monday, monday.Add(time.Hour)}); math.Abs(e.Rows-30) > 0.01 {
			t.Errorf("%+v, want 30 rows, as in the latest export", e)
		}
	}
	var years []Sample
	for week := range 60 {
		from := monday.AddDate(0, 0, 7*week)
		years = append(years, history(from, from.AddDate(0, 0, 7),
			func(time.Time) int64 { return int64(100 + 100*(week/50)) }))
	}
	r := Measure(years, time.UTC)
	if e := r.Rows(Range{monday, monday.Add(time.Hour)}); math.Abs(e.Rows-200) > 1 {
		t.Errorf("%+v, want 200 rows, as in the latest weeks", e)
	}
}

func TestSplitBySize(t *testing.T) {
	t.Parallel()
	monday := at(t, "2026-10-05T00:00:00Z")
	profile := Measure([]Sample{history(monday, monday.AddDate(0, 0, 7), nightly)}, zone(t, "Europe/Berlin"))
	rapid.Check(t, func(t *rapid.T) {
		start := monday.Add(time.Duration(rapid.Int64Range(-1e9, 1e9).Draw(t, "start")) * time.Second)
		r := Range{start, start.Add(time.Duration(rapid.Int64Range(1, 30*86400).Draw(t, "length")) * time.Second)}
		target := math.Pow(10, rapid.Float64Range(0, 6).Draw(t, "target"))
		p, err := SplitBySize(r, profile, target)
		if err != nil {
			t.Fatal(err)
		}
		chunks := p.Page(0, p.Count())
		if !chunks[0].Start.Equal(r.Start) || !chunks[len(chunks)-1].End.Equal(r.End) {
			t.Fatalf("from %v to %v", chunks[0].Start, chunks[len(chunks)-1].End)
		}
		for i, chunk := range chunks {
			if i > 0 && !chunk.Start.Equal(chunks[i-1].End) {
				t.Fatalf("chunk %d is %v", i, chunk)
			}
			checkSize(t, chunk, len(chunks), profile.Rows(Range{chunk.Start, chunk.End}).Rows, target)
		}
	})
	for says, test := range map[string]struct {
		start, end time.Time
		rows       float64
	}{
		"needs a start":   {time.Time{}, monday, 9},
		"100 years":       {monday.AddDate(-1000, 0, 0), monday, 9},
		"at most 1000000": {monday.AddDate(-50, 0, 0), monday, 1},
	} {
		_, err := SplitBySize(Range{test.start, test.end}, profile, test.rows)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v to %v by %v rows: %v, want an error with %q", test.start, test.end, test.rows, err, says)
		}
	}
}

// checkSize checks the length and the expected rows of one of count chunks that are
// cut to target rows each.
func checkSize(t *rapid.T, chunk Chunk, count int, rows, target float64) {
	length := chunk.End.Sub(chunk.Start)
	if count > 1 && length < shortestSized {
		t.Fatalf("chunk %d is %v", chunk.Index, chunk)
	}
	most := 1.6*target + 90 // five minutes, the step of the cuts, at the busiest hour
	if chunk.Index == count-1 {
		most += 250 // a remainder of up to 15 minutes joins the last chunk
	}
	if length >= 2*shortestSized+grid && rows > most || count > 1 && target > 600 && rows < target/1.6-90 {
		t.Fatalf("chunk %d of %d has %v rows, want about %v", chunk.Index, count, rows, target)
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
		if got := p.Of(test.exports, test.rows).Seconds(); math.Abs(got-test.want) > 0.01*test.want ||
			p.Known() != (test.want > 0) {
			t.Errorf("%s: %v s, want %v", test.name, got, test.want)
		}
	}
}
