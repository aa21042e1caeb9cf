package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUneven(t *testing.T) {
	for _, test := range []struct {
		start, end, chunk string
		want              []string
	}{
		{"2026-10-01", "2026-11-01", "day", []string{"24 2026-10-25 has 25 hours in Europe/Berlin: clocks go back by " +
			"1h at 2026-10-25T02:00:00+01:00"}},
		{"2026-03-29", "2026-03-30", "day", []string{"0 2026-03-29 has 23 hours in Europe/Berlin: clocks go forward " +
			"by 1h at 2026-03-29T03:00:00+02:00"}},
		{"2026-10-24", "2026-10-27", "P1D", []string{"1 2026-10-25 has 25 hours in Europe/Berlin: clocks go back by " +
			"1h at 2026-10-25T02:00:00+01:00; P1D counts days of 24 hours, so later chunks begin at " +
			"another time of day than earlier ones; chunk day follows midnights",
			"3 the range ends at 2026-10-27T00:00:00+01:00, inside a chunk of P1D"}},
		{"2026-10-24", "2026-10-27", "PT36H", []string{"0 2026-10-25 has 25 hours in Europe/Berlin: clocks go back " +
			"by 1h at 2026-10-25T02:00:00+01:00",
			"2 the range ends at 2026-10-27T00:00:00+01:00, inside a chunk of P1DT12H"}},
		{"2026-06-01T12:00:00+02:00", "2026-06-03T06:00:00+02:00", "day",
			[]string{"0 the range starts at 2026-06-01T12:00:00+02:00, inside a day",
				"2 the range ends at 2026-06-03T06:00:00+02:00, inside a day"}},
		{"2026-06-01T12:00:00+02:00", "2026-06-01T13:00:00+02:00", "day",
			[]string{"0 the range starts at 2026-06-01T12:00:00+02:00, inside a day"}},
		{"2026-06-01", "2026-06-03", "day", nil},
	} {
		p, err := cutWords(t, []string{"Europe/Berlin", test.start, test.end, test.chunk})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range p.Uneven() {
			got = append(got, string(rune('0' + n.Index/10))[:min(1, n.Index/10)]+string(rune('0'+n.Index%10))+" "+n.Reason)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s to %s by %s (-want +got)\n%s", test.start, test.end, test.chunk, diff)
		}
	}
	for _, test := range []struct {
		zone, start, end string
		want             []Note
	}{
		// The range starts or ends at a clock change.
		{"America/Sao_Paulo", "2018-11-04", "2018-11-05", []Note{{0, 23, "2018-11-04",
			"2018-11-04 has 23 hours in America/Sao_Paulo: clocks go forward by 1h at 2018-11-04T01:00:00-02:00"}}},
		{"America/Sao_Paulo", "2018-11-03", "2018-11-04", []Note{}},
		{"Africa/Algiers", "1971-04-25", "1971-04-26", []Note{{0, 23, "1971-04-25",
			"1971-04-25 has 23 hours in Africa/Algiers: clocks go forward by 1h at 1971-04-26T00:00:00+01:00"}}},
		{"Africa/Algiers", "1971-04-26", "1971-04-27", []Note{}},
		{"Pacific/Apia", "2011-12-31", "2012-01-01", []Note{}},
		{"Pacific/Apia", "2011-12-29", "2011-12-31", []Note{}},
		{"Pacific/Apia", "2011-12-29", "2012-01-01", []Note{{1, 24, "2011-12-31",
			"in Pacific/Apia clocks go forward by 24h at 2011-12-31T00:00:00+14:00, which is not daylight saving " +
				"time but a permanent change of the zone's offset, so that a date is missing before 2011-12-31"}}},
		{"Africa/Casablanca", "2026-02-15", "2026-02-16", []Note{{0, 25, "2026-02-15",
			"2026-02-15 has 25 hours in Africa/Casablanca: clocks go back by 1h at 2026-02-15T02:00:00Z"}}},
		{"Asia/Pyongyang", "2018-05-04", "2018-05-06", []Note{{0, 23.5, "2018-05-04",
			"2018-05-04 has 23.5 hours in Asia/Pyongyang: clocks go forward by 30m at 2018-05-05T00:00:00+09:00, " +
				"which is not daylight saving time but a permanent change of the zone's offset"}}},
		{"Australia/Lord_Howe", "2026-04-05", "2026-04-06", []Note{{0, 24.5, "2026-04-05",
			"2026-04-05 has 24.5 hours in Australia/Lord_Howe: clocks go back by 30m at 2026-04-05T01:30:00+10:30"}}},
	} {
		p, err := cutWords(t, []string{test.zone, test.start, test.end, "day"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, p.Uneven()); diff != "" {
			t.Errorf("%s to %s in %s (-want +got)\n%s", test.start, test.end, test.zone, diff)
		}
	}
	apia, err := Split(Range{at(t, "2011-12-28T10:00:00Z"), at(t, "2012-01-02T10:00:00Z")},
		Cut{Granularity: Granularity{unit: "day"}, Calendar: Calendar{zone(t, "Pacific/Apia"), time.Monday}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "a date is missing before 2011-12-31"
	if notes := apia.Uneven(); len(notes) != 1 || !strings.Contains(notes[0].Reason, want) {
		t.Errorf("Samoa: %+v", notes)
	}
}
