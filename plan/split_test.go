package plan

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKnownChunks compares the lengths of chunks with values worked out by hand.
func TestKnownChunks(t *testing.T) {
	for _, test := range []struct {
		name, zone, start, end, chunk string
		hours                         []float64
	}{
		{"Berlin, clocks forward", "Europe/Berlin", "2026-03-28", "2026-03-31", "day", []float64{24, 23, 24}},
		{"Berlin, clocks back", "Europe/Berlin", "2026-10-24", "2026-10-27", "day", []float64{24, 25, 24}},
		{"New York, clocks forward", "America/New_York", "2026-03-08", "2026-03-09", "day", []float64{23}},
		{"Lord Howe, half an hour", "Australia/Lord_Howe", "2026-04-05", "2026-04-06", "day", []float64{24.5}},
		{"Lord Howe by the hour", "Australia/Lord_Howe", "2026-10-04", "2026-10-04T04:00:00+11:00", "hour",
			[]float64{1, 1, 0.5, 1}},
		{"São Paulo, midnight missing", "America/Sao_Paulo", "2018-11-03", "2018-11-06", "day", []float64{24, 23, 24}},
		{"São Paulo, clocks back at midnight", "America/Sao_Paulo", "2018-02-16", "2018-02-19", "day", []float64{24, 25, 24}},
		{"Samoa, no 30 December", "Pacific/Apia", "2011-12-29", "2012-01-01", "day", []float64{24, 24}},
		{"St. John's, midnight twice", "America/St_Johns", "2010-11-06", "2010-11-08", "day", []float64{24, 25}},
		{"Cairo, midnight missing", "Africa/Cairo", "2026-04-23", "2026-04-25", "day", []float64{24, 23}},
		{"leap day", "UTC", "2028-02-28", "2028-03-02", "day", []float64{24, 24, 24}},
		{"weeks start on Monday", "UTC", "2026-10-01", "2026-10-15", "week", []float64{4 * 24, 7 * 24, 3 * 24}},
		{"months", "UTC", "2026-01-15", "2026-04-01", "month", []float64{17 * 24, 28 * 24, 31 * 24}},
		{"quarters", "UTC", "2026-01-01", "2027-01-01", "quarter", []float64{90 * 24, 91 * 24, 92 * 24, 92 * 24}},
		{"inside one chunk", "UTC", "2026-10-01T10:00:00Z", "2026-10-01T10:00:00.5Z", "day", []float64{0.5 / 3600}},
		{"hours from a half", "UTC", "2026-10-01T10:30:00Z", "2026-10-01T12:15:00Z", "hour", []float64{0.5, 1, 0.25}},
		{"Kathmandu by the hour", "Asia/Kathmandu", "2026-10-01", "2026-10-01T02:00:00+05:45", "hour", []float64{1, 1}},
		{"elapsed time over a change", "Europe/Berlin", "2026-10-24", "2026-10-27", "P1D", []float64{24, 24, 24, 1}},
		{"a clipped remainder", "UTC", "2026-10-01", "2026-10-02", "PT10H", []float64{10, 10, 4}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := cutWords(t, []string{test.zone, test.start, test.end, test.chunk})
			if err != nil {
				t.Fatal(err)
			}
			var hours []float64
			for _, chunk := range p.Page(0, 100) {
				hours = append(hours, chunk.Hours())
			}
			if diff := cmp.Diff(test.hours, hours); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestSplitRejects(t *testing.T) {
	start, end := at(t, "2026-01-01T00:00:00Z"), at(t, "2027-01-01T00:00:00Z")
	for _, test := range []struct {
		r     Range
		chunk Granularity
		field string
	}{
		{Range{End: end}, Granularity{unit: "day"}, "start"},
		{Range{Start: start}, Granularity{unit: "day"}, "end"},
		{Range{end, start}, Granularity{unit: "day"}, "end"},
		{Range{start, start}, Granularity{unit: "day"}, "end"},
		{Range{start, end}, Granularity{}, "chunk"},
		{Range{start, start.Add(time.Minute * (maxChunks + 1))}, Granularity{length: time.Minute}, "chunk"},
		{Range{at(t, "0001-01-01T00:00:01Z"), at(t, "9999-12-31T00:00:00Z")}, Granularity{unit: "hour"}, "chunk"},
	} {
		var rejected *Error
		if _, err := Split(test.r, Cut{Granularity: test.chunk,
			Calendar: Calendar{time.UTC, time.Monday}}); !errors.As(err, &rejected) || rejected.Field != test.field {
			t.Errorf("%v by %v: got %v, want an error about %s", test.r, test.chunk, err, test.field)
		}
	}
}

func TestMostChunks(t *testing.T) {
	start := at(t, "2026-01-01T00:00:00Z")
	p, err := Split(Range{start, start.Add(time.Minute * maxChunks)},
		Cut{Granularity: Granularity{length: time.Minute}, Calendar: Calendar{time.UTC, time.Monday}})
	if err != nil || p.Count() != maxChunks || len(p.Uneven()) != 0 {
		t.Errorf("got %v, %v", p, err)
	}
}

// TestOtherCuts cuts with weeks that begin on Sunday and with chunks that count
// from the start.
func TestOtherCuts(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for _, test := range []struct {
		start, end, unit string
		week             time.Weekday
		fromStart        bool
		want             string
	}{
		{"2026-10-01", "2026-10-12", "week", time.Sunday, false, "10-01T00 10-04T00 10-11T00 10-12T00"},
		{"2026-10-01", "2026-10-12", "week", time.Monday, false, "10-01T00 10-05T00 10-12T00"},
		{"2026-10-01", "2026-10-12", "week", time.Monday, true, "10-01T00 10-08T00 10-12T00"},
		{"2026-10-24T12:00:00+02:00", "2026-10-27T06:00:00+01:00", "day", time.Monday, true,
			"10-24T12 10-25T12 10-26T12 10-27T06"},
		{"2026-01-31", "2026-05-01", "month", time.Monday, true, "01-31T00 02-28T00 03-31T00 04-30T00 05-01T00"},
		{"2026-03-28T02:30:00+01:00", "2026-03-31", "day", time.Monday, true, "03-28T02 03-29T03 03-30T02 03-31T00"},
		{"2026-10-01", "2026-12-01", "quarter", time.Monday, true, "10-01T00 12-01T00"},
	} {
		c := Calendar{berlin, test.week}
		r, err := Resolve(test.start, test.end, c, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := Split(r, Cut{Granularity{unit: test.unit}, c, test.fromStart})
		if err != nil {
			t.Fatal(err)
		}
		bounds := []string{p.Page(0, 1)[0].Start.Format("01-02T15")}
		for _, chunk := range p.Page(0, p.Count()) {
			bounds = append(bounds, chunk.End.Format("01-02T15"))
		}
		if got := strings.Join(bounds, " "); got != test.want {
			t.Errorf("%s to %s by %s: got %s, want %s", test.start, test.end, test.unit, got, test.want)
		}
	}
}

func TestPage(t *testing.T) {
	p, err := Split(Range{at(t, "2026-01-01T00:00:00Z"), at(t, "2026-01-08T00:00:00Z")},
		Cut{Granularity: Granularity{unit: "day"}, Calendar: Calendar{time.UTC, time.Monday}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ offset, limit, first, count int }{{0, 3, 0, 3}, {5, 3, 5, 2}, {7, 3, 0, 0},
		{99, 1, 0, 0}, {0, 0, 0, 0}} {
		got := p.Page(test.offset, test.limit)
		if len(got) != test.count || test.count > 0 && got[0].Index != test.first {
			t.Errorf("page %d, %d: %v", test.offset, test.limit, got)
		}
	}
}

func BenchmarkSplit100kDays(b *testing.B) {
	z := zone(b, "Europe/Berlin")
	r := Range{time.Date(1800, 1, 1, 0, 0, 0, 0, z), time.Date(2074, 1, 1, 0, 0, 0, 0, z)}
	b.ReportAllocs()
	for b.Loop() {
		p, err := Split(r, Cut{Granularity: Granularity{unit: "day"}, Calendar: Calendar{z, time.Monday}})
		if err != nil || p.Count() < 100_000 {
			b.Fatal(p.Count(), err)
		}
	}
}
