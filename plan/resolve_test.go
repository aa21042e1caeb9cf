package plan

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestResolve(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for _, test := range []struct{ start, end, from, to string }{
		{"2026-10-01", "2026-11-01", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"},
		{"2026-10", "", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"},
		{"2026-10", "2026-11", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"},
		{"2026-Q3", "2026-12-24", "2026-07-01T00:00:00+02:00", "2026-12-24T00:00:00+01:00"},
		{"2026-10-01/P1D", "", "2026-10-01T00:00:00+02:00", "2026-10-02T00:00:00+02:00"},
		{"2026-10-01", "now", "2026-10-01T00:00:00+02:00", "2026-11-05T12:00:00Z"},
		{"now-1d/d", "now/d", "2026-11-04T00:00:00+01:00", "2026-11-05T00:00:00+01:00"},
		{"now-1d/d", "", "2026-11-04T00:00:00+01:00", ""},
		{"", "last_month", "", "2026-10-01T00:00:00+02:00"},
		{" 2026-10-25 ", "", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
		{"2026-10-01T00:00:00Z", "", "2026-10-01T00:00:00Z", ""},
		{"", "2026-10-01", "", "2026-10-01T00:00:00+02:00"},
		{"", "", "", ""},
		{"2026-10-01t00:00:00z", "2026-10-01t01:00:00z", "2026-10-01T00:00:00Z", "2026-10-01T01:00:00Z"},
		{"9999-12-30", "", "9999-12-29T23:00:00Z", "9999-12-30T23:00:00Z"},
		{"2026-10-01T00:00:00.25+02:00", "2026-10-01T00:00:00.5+02:00", "2026-09-30T22:00:00.25Z", "2026-09-30T22:00:00.5Z"},
	} {
		r, err := Resolve(test.start, test.end, Calendar{berlin, time.Monday}, time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC))
		if err != nil {
			t.Errorf("%q to %q: %v", test.start, test.end, err)
			continue
		}
		for _, side := range []struct {
			got  time.Time
			want string
		}{{r.Start, test.from}, {r.End, test.to}} {
			if side.want == "" && !side.got.IsZero() || side.want != "" && !side.got.Equal(at(t, side.want)) {
				t.Errorf("%q to %q: got %v, want %s", test.start, test.end, side.got, side.want)
			}
		}
	}
}

func TestResolveRejects(t *testing.T) {
	for _, test := range []struct{ zone, start, end, field, says string }{
		{"UTC", "03/04/2026", "", "start", "2026-04-03 (day first) or 2026-03-04 (month first)"},
		{"UTC", "13/04/2026", "", "start", "write the date as 2026-04-13"},
		{"UTC", "04.04.2026", "", "start", "write the date as 2026-04-04"},
		{"UTC", "45/45/2026", "", "start", "no such date"},
		{"Europe/Berlin", "2026-10-01T00:00:00", "", "start", "2026-10-01T00:00:00+02:00"},
		{"Europe/Berlin", "2026-10-01 08:30", "", "start", "2026-10-01T08:30:00+02:00"},
		{"UTC", "2026-02-30", "", "start", "no such date"},
		{"UTC", "2026-10-01T25:00:00Z", "", "start", "no such time"},
		{"UTC", "last tuesday", "", "start", "not understood"},
		{"UTC", "2026-10-02", "2026-10-01", "end", "before the start"},
		{"UTC", "2026-10-01", "2026-10-01", "end", "write 2026-10-02"},
		{"UTC", "2026-10-01T00:00:00Z", "2026-10-01T02:00:00+02:00", "end", "the range is empty"},
		{"UTC", "2026/10/01", "", "start", "write the date as 2026-10-01"},
		{"UTC", "20261001", "", "start", "write the date as 2026-10-01"},
		{"UTC", "2026-1-5", "", "start", "write the date as 2026-01-05"},
		{"UTC", "2026-13-01", "", "start", "no such date"},
		{"UTC", "2026/13/01", "", "start", "no such date"},
		{"UTC", "2026-10", "2026-10", "end", "write 2026-11-01"},
		{"UTC", "2026-12-31T23:59:60Z", "", "start", "no such time"},
		{"UTC", "0000-01-01", "", "start", "outside the years"},
		{"UTC", "0001-01-01", "", "start", "outside the years"}, // would be an open side
		{"Europe/Berlin", "0001-01-01T00:00:00+02:00", "", "start", "outside the years"},
		{"America/New_York", "", "9999-12-31T23:00:00-05:00", "end", "outside the years"},
		{"UTC", "9999-12-31", "", "start", "beyond the year 9999"},
		{"UTC", "", "tomorrow", "end", "not understood"},
		{"Pacific/Apia", "2011-12-30", "", "start", "skipped this date"},
		{"UTC", strings.Repeat("x", 1<<20), "", "start", "..."},
	} {
		_, err := Resolve(test.start, test.end, Calendar{zone(t, test.zone), time.Monday}, time.Time{})
		var rejected *Error
		if !errors.As(err, &rejected) || rejected.Field != test.field || !strings.Contains(err.Error(), test.says) ||
			len(err.Error()) > 400 {
			t.Errorf("%.40q to %q: got %.500v, want %s: … %s", test.start, test.end, err, test.field, test.says)
		}
	}
}

// TestTimesWithoutOffset has times without an offset that clocks show once, twice and never.
func TestTimesWithoutOffset(t *testing.T) {
	for _, test := range []struct{ zone, text, says string }{
		{"Europe/Berlin", "2026-10-24T02:30", "may be 2026-10-24T02:30:00+02:00, in UTC 2026-10-24T02:30:00Z"},
		{
			"Europe/Berlin", "2026-10-25T02:30",
			"show this time twice, at 2026-10-25T02:30:00+02:00 and at 2026-10-25T02:30:00+01:00",
		},
		{"Europe/Berlin", "2026-10-25T03:00", "may be 2026-10-25T03:00:00+01:00"},
		{"Europe/Berlin", "2026-10-25T01:59:59", "may be 2026-10-25T01:59:59+02:00"},
		{"Europe/Berlin", "2026-03-29T02:30", "skip this time; give 2026-03-29T01:30:00+01:00 or 2026-03-29T03:30:00+02:00"},
		{"Europe/Berlin", "2026-03-29T03:00", "may be 2026-03-29T03:00:00+02:00"},
		{
			"Australia/Lord_Howe", "2026-04-05T01:45",
			"show this time twice, at 2026-04-05T01:45:00+11:00 and at 2026-04-05T01:45:00+10:30",
		},
		{"Pacific/Apia", "2011-12-30T12:00", "skip this time; give 2011-12-29T12:00:00-10:00 or 2011-12-31T12:00:00+14:00"},
		{"UTC", "2026-10-25 02:30:15", "may be 2026-10-25T02:30:15Z"},
	} {
		_, err := Resolve(test.text, "", Calendar{zone(t, test.zone), time.Monday}, time.Now())
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s in %s: %v, want an error with %q", test.text, test.zone, err, test.says)
		}
	}
}
