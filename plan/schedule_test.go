package plan

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSchedule finds the next times by which tables of schedules are known.
func TestSchedule(t *testing.T) {
	for _, c := range []struct{ every, at, zone, after, want string }{
		{"day", "06:00", "UTC", "2026-10-01T05:59:59Z", "2026-10-01T06:00:00Z"},
		{"day", "06:00", "UTC", "2026-10-01T06:00:00Z", "2026-10-02T06:00:00Z"},
		{"day", "00:00", "Europe/Berlin", "2026-10-24T23:00:00Z", "2026-10-25T23:00:00Z"},
		// 02:30 comes twice: once, the first time.
		{"day", "02:30", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"day", "02:30", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		// 02:30 is skipped: the first instant after the gap.
		{"day", "02:30", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"day", "02:30", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		// Midnight is skipped.
		{"day", "00:00", "America/Santiago", "2026-09-05T12:00:00Z", "2026-09-06T04:00:00Z"},
		// 30 December 2011 does not exist.
		{"day", "06:00", "Pacific/Apia", "2011-12-29T16:00:00Z", "2011-12-30T10:00:00Z"},
		{"day", "06:00", "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T16:00:00Z"},
		{"week", "07:15", "America/New_York", "2026-10-05T11:15:00Z", "2026-10-12T11:15:00Z"},
		{"week", "07:15", "America/New_York", "2026-10-05T11:14:00Z", "2026-10-05T11:15:00Z"},
		{"month", "00:30", "Asia/Kolkata", "2026-01-31T19:00:00Z", "2026-02-28T19:00:00Z"},
		{"month", "00:30", "Asia/Kolkata", "2026-01-31T18:59:00Z", "2026-01-31T19:00:00Z"},
		{"hour", "00:10", "Asia/Kathmandu", "2026-10-01T00:00:00Z", "2026-10-01T00:25:00Z"},
		{"hour", "05:10", "UTC", "2026-10-01T00:10:00Z", "2026-10-01T01:10:00Z"},
		{"hour", "00:45", "Australia/Lord_Howe", "2026-04-04T14:46:00Z", "2026-04-04T15:15:00Z"},
	} {
		every, err := ParseEvery(c.every)
		if err != nil {
			t.Fatal(err)
		}
		at, err := ParseAt(c.at)
		if err != nil {
			t.Fatal(err)
		}
		s := Schedule{every, at, Calendar{mustZone(t, c.zone), time.Monday}}
		after, _ := time.Parse(time.RFC3339, c.after)
		if got := s.Next(after).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("every %s at %s in %s, after %s: got %s, want %s", c.every, c.at, c.zone, c.after, got, c.want)
		}
	}
}

func mustZone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// TestScheduleAdvances follows schedules of random zones for some years: each time is after
// the one before, by no more than a period and a day, and the clock shows the time of day
// unless it is skipped there.
func TestScheduleAdvances(t *testing.T) {
	r := seeded(t)
	names := strings.Fields(zoneNames)
	for range 100 {
		zone := mustUsable(names, r)
		s := Schedule{
			Every:    Granularity{unit: units[r.IntN(4)]},
			At:       time.Duration(r.IntN(24*60)) * time.Minute,
			Calendar: Calendar{zone, time.Monday},
		}
		at := time.Date(1970+r.IntN(70), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), 0, 0, 0, time.UTC)
		for range 200 {
			next := s.Next(at)
			longest := map[string]time.Duration{"hour": 0, "day": 24 * time.Hour, "week": 168 * time.Hour,
				"month": 744 * time.Hour}[s.Every.unit] + 51*time.Hour
			shown := time.Duration(next.Hour())*time.Hour + time.Duration(next.Minute())*time.Minute
			_, before := next.Add(-time.Nanosecond).Zone()
			_, offset := next.Zone()
			fits := shown == s.At || before < offset || s.Every.unit == "hour" && shown%time.Hour == s.At%time.Hour ||
				offset%60 != 0
			if !next.After(at) || next.Sub(at) > longest || !fits {
				t.Fatalf("%s at %v in %v: after %v comes %v", s.Every, s.At, zone, at, next)
			}
			at = next
		}
	}
}

// mustUsable returns a random zone.
func mustUsable(names []string, r *rand.Rand) *time.Location {
	for {
		if zone, err := Zone(names[r.IntN(len(names))]); err == nil {
			return zone
		}
	}
}

// seeded returns a random generator, and logs its seed.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestMissing lets random instants record what is missing then: late ones, early ones, ones that
// come twice, and others after weeks asleep. What is recorded in the end is what one cut of
// the whole range gives.
func TestMissing(t *testing.T) {
	r := seeded(t)
	names := strings.Fields(zoneNames)
	for range 50 {
		c := Calendar{mustUsable(names, r), time.Monday}
		g, step := anyGranularity(r)
		anchor := time.Date(2000+r.IntN(30), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), 0, 0, time.UTC)
		recorded, latest := recordMissing(t, r, anchor, g, c, step)
		if want := wholeChunks(t, Range{anchor, latest}, g, c); !slices.Equal(recorded, want) {
			t.Fatalf("%s in %v from %v to %v: recorded are %d windows, want %d\n%v\n%v", g, c.Zone, anchor, latest,
				len(recorded), len(want), recorded, want)
		}
	}
}

// anyGranularity returns a granularity, and how far apart instants are on average.
func anyGranularity(r *rand.Rand) (g Granularity, step time.Duration) {
	switch r.IntN(6) {
	case 0:
		return Granularity{length: time.Duration(1+r.IntN(50)) * time.Hour}, 36 * time.Hour
	case 1:
		return Granularity{unit: "hour"}, 3 * time.Hour
	}
	return Granularity{unit: units[1+r.IntN(len(units)-1)]}, 36 * time.Hour
}

// recordMissing records what is missing at random instants, and returns the windows and the latest
// of the instants.
func recordMissing(
	t *testing.T, r *rand.Rand, anchor time.Time, g Granularity, c Calendar, step time.Duration,
) (recorded []Range, latest time.Time) {
	t.Helper()
	until := anchor
	latest = anchor
	for range 120 {
		until = until.Add(time.Duration(r.Int64N(int64(2*step))) - step/2)
		if r.IntN(40) == 0 {
			until = until.Add(21 * 24 * time.Hour)
		}
		limit := 1 + r.IntN(60)
		for more := true; more; {
			var missing []Range
			missing, more = Missing(anchor, until, NewWindows(recorded...), g, c, limit)
			recorded = append(recorded, missing...)
			if len(missing) > limit {
				t.Fatalf("got %d windows of %d at most", len(missing), limit)
			}
		}
		if until.After(latest) {
			latest = until
		}
	}
	return recorded, latest
}

// wholeChunks returns the chunks of a range that end where the calendar does.
func wholeChunks(t *testing.T, whole Range, g Granularity, c Calendar) (chunks []Range) {
	t.Helper()
	if !whole.End.After(whole.Start) {
		return nil
	}
	p, err := Split(whole, Cut{Granularity: g, Calendar: c})
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range p.Page(0, p.Count()) {
		if g.next(chunk.Start, c.Week).Equal(chunk.End) {
			chunks = append(chunks, Range{chunk.Start.UTC(), chunk.End.UTC()})
		}
	}
	return chunks
}

// TestMissingFillsGaps cuts what lies between recorded windows, as after a change of the rules
// of a zone.
func TestMissingFillsGaps(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 10, d, 0, 0, 0, 0, time.UTC) }
	recorded := NewWindows(Range{day(1), day(3)}, Range{day(4).Add(5 * time.Hour), day(6)})
	c := Calendar{time.UTC, time.Monday}
	got, more := Missing(day(1), day(8).Add(time.Hour), recorded, Granularity{unit: "day"}, c, 9)
	want := []Range{{day(3), day(4)}, {day(4), day(4).Add(5 * time.Hour)}, {day(6), day(7)}, {day(7), day(8)}}
	if more || !slices.Equal(got, want) {
		t.Errorf("missing are %v, %v", got, more)
	}
}
