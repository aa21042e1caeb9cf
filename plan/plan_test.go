package plan

import (
	"archive/zip"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// allZones are all zones of the Go distribution, or some odd ones without it.
func allZones(t *testing.T) []string {
	root, _ := exec.Command("go", "env", "GOROOT").Output()
	files, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Logf("a few zones only: %v", err)
		return []string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu", "America/St_Johns", "Africa/Cairo"}
	}
	defer files.Close()
	var names []string
	for _, f := range files.File {
		if !strings.HasSuffix(f.Name, "/") && unfit[f.Name] == "" {
			names = append(names, f.Name)
		}
	}
	if len(names) < 400 {
		t.Fatalf("only %d zones", len(names))
	}
	return names
}

func TestTiling(t *testing.T) {
	names := allZones(t)
	chunks := []string{"hour", "day", "week", "month", "quarter", "PT6H", "PT90M", "P1D", "P2W", "P1DT12H"}
	if err := flag.Set("rapid.checks", "1500"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		z, err := Zone(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseChunk(rapid.SampledFrom(chunks).Draw(t, "chunk"))
		if err != nil {
			t.Fatal(err)
		}
		// Drawn part by part, because a single large number is mostly drawn small.
		start := time.Date(rapid.IntRange(1970, 2044).Draw(t, "year"), 1, rapid.IntRange(1, 366).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), rapid.SampledFrom([]int{0, 0, 30, 59}).Draw(t, "minute"), 0, rapid.SampledFrom([]int{0, 0, 1, 5e8}).Draw(t, "ns"), time.UTC)
		count := rapid.SampledFrom([]int{0, 1, 9, 90, 400}).Draw(t, "chunks") + rapid.IntRange(0, 30).Draw(t, "more")
		r := Range{start, start.Add(time.Duration(count)*c.nominal() + time.Duration(rapid.IntRange(1, 1e9).Draw(t, "rest")))}
		checkPlan(t, r, c, z)
	})
}

// TestEveryChange plans the four days around each change of each zone's clock.
func TestEveryChange(t *testing.T) {
	changes := 0
	for _, name := range allZones(t) {
		z := zone(t, name)
		end := time.Date(2044, 1, 1, 0, 0, 0, 0, z)
		for change := nextChange(time.Date(1970, 1, 1, 0, 0, 0, 0, z)); !change.IsZero() && change.Before(end); change = nextChange(change) {
			changes++
			for _, unit := range units[:3] {
				checkPlan(t, Range{change.AddDate(0, 0, -2), change.AddDate(0, 0, 2)}, Chunk{unit: unit}, z)
			}
		}
	}
	if changes < 30_000 {
		t.Errorf("only %d changes of clocks seen", changes)
	}
}

type failer interface{ Fatalf(string, ...any) }

// checkPlan checks that the pieces tile r, and where they are cut.
func checkPlan(t failer, r Range, c Chunk, z *time.Location) {
	p, err := Split(r, Cut{Chunk: c, Calendar: Calendar{z, time.Monday}})
	if err != nil {
		t.Fatalf("%v in %s by %s: %v", r, z, c, err)
	}
	pieces := p.Page(0, p.Count())
	if len(pieces) == 0 || len(pieces) != p.Count() {
		t.Fatalf("%d pieces of %d", len(pieces), p.Count())
	}
	if !pieces[0].Start.Equal(r.Start) || !pieces[len(pieces)-1].End.Equal(r.End) {
		t.Fatalf("the ends are %v and %v, want %v and %v", pieces[0].Start, pieces[len(pieces)-1].End, r.Start, r.End)
	}
	for i, piece := range pieces {
		if piece.Index != i || !piece.Start.Before(piece.End) {
			t.Fatalf("piece %d is %+v", i, piece)
		}
		if i == 0 {
			continue
		}
		if !piece.Start.Equal(pieces[i-1].End) {
			t.Fatalf("piece %d starts at %v, the one before ends at %v", i, piece.Start, pieces[i-1].End)
		}
		checkBoundary(t, c, piece.Start.In(z))
	}
	noted := map[int]float64{}
	for _, n := range p.Uneven() {
		noted[n.Index] = n.Hours
		if n.Index < 0 || n.Index >= p.Count() || n.Reason == "" || n.Hours <= 0 {
			t.Fatalf("bad note %+v", n)
		}
	}
	if c.unit != "day" {
		return
	}
	for _, piece := range pieces {
		if hours, ok := noted[piece.Index]; piece.Hours() != 24 && (!ok || hours != piece.Hours() && piece.Index != 0 && piece.Index != len(pieces)-1) {
			t.Fatalf("the day from %v to %v in %s has %v hours, and the note says %v", piece.Start, piece.End, z, piece.Hours(), hours)
		}
	}
}

// checkBoundary checks that b is a boundary of calendar chunks in its zone by
// what the clock shows just before it and at it, apart from how it was found.
func checkBoundary(t failer, c Chunk, b time.Time) {
	before := b.Add(-time.Nanosecond)
	y, m, d := b.Date()
	py, pm, pd := before.Date()
	newDay := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).After(time.Date(py, pm, pd, 0, 0, 0, 0, time.UTC))
	for earlier := range 6 { // a midnight that comes twice is the first
		newDay = newDay && b.Add(-time.Duration(earlier+1)*30*time.Minute).Day() != d
	}
	var ok bool
	switch c.unit {
	case "":
		return
	case "hour":
		_, o1 := before.Zone()
		_, o2 := b.Zone()
		ok = o1 != o2 || b.Minute() == 0 && b.Second() == 0 && b.Nanosecond() == 0
	case "day":
		ok = newDay
	case "week":
		y1, w1 := before.ISOWeek()
		y2, w2 := b.ISOWeek()
		ok = newDay && (y1 != y2 || w1 != w2)
	case "month":
		ok = newDay && (m != pm || y != py)
	case "quarter":
		ok = newDay && ((m-1)/3 != (pm-1)/3 || y != py)
	}
	if !ok {
		t.Fatalf("%v is no boundary of a %s in %s", b, c.unit, b.Location())
	}
}

// TestKnownChunks are cases worked out by hand.
func TestKnownChunks(t *testing.T) {
	for _, test := range []struct {
		name, zone, start, end, chunk string
		hours                         []float64
	}{
		{"Berlin, clocks forward", "Europe/Berlin", "2026-03-28", "2026-03-31", "day", []float64{24, 23, 24}},
		{"Berlin, clocks back", "Europe/Berlin", "2026-10-24", "2026-10-27", "day", []float64{24, 25, 24}},
		{"New York, clocks forward", "America/New_York", "2026-03-08", "2026-03-09", "day", []float64{23}},
		{"Lord Howe, half an hour", "Australia/Lord_Howe", "2026-04-05", "2026-04-06", "day", []float64{24.5}},
		{"Lord Howe by the hour", "Australia/Lord_Howe", "2026-10-04", "2026-10-04T04:00:00+11:00", "hour", []float64{1, 1, 0.5, 1}},
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
		{"a clipped rest", "UTC", "2026-10-01", "2026-10-02", "PT10H", []float64{10, 10, 4}},
	} {
		t.Run(test.name, func(t *testing.T) {
			z := zone(t, test.zone)
			r, err := Resolve(test.start, test.end, Calendar{z, time.Monday}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			c, err := ParseChunk(test.chunk)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Split(r, Cut{Chunk: c, Calendar: Calendar{z, time.Monday}})
			if err != nil {
				t.Fatal(err)
			}
			var hours []float64
			for _, piece := range p.Page(0, 100) {
				hours = append(hours, piece.Hours())
			}
			if diff := cmp.Diff(test.hours, hours); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestUneven(t *testing.T) {
	z := zone(t, "Europe/Berlin")
	for _, test := range []struct {
		start, end, chunk string
		want              []string
	}{
		{"2026-10-01", "2026-11-01", "day", []string{"24 2026-10-25 has 25 hours in Europe/Berlin: clocks go back by 1h at 2026-10-25T02:00:00+01:00"}},
		{"2026-03-29", "2026-03-30", "day", []string{"0 2026-03-29 has 23 hours in Europe/Berlin: clocks go forward by 1h at 2026-03-29T03:00:00+02:00"}},
		{"2026-10-24", "2026-10-27", "P1D", []string{"1 2026-10-25 has 25 hours in Europe/Berlin: clocks go back by 1h at 2026-10-25T02:00:00+01:00; P1D counts 24 hours a day and keeps to them, so later chunks begin at another time of day than earlier ones; chunk day follows midnights", "3 the range ends at 2026-10-27T00:00:00+01:00, inside a chunk of P1D"}},
		{"2026-10-24", "2026-10-27", "PT36H", []string{"0 2026-10-25 has 25 hours in Europe/Berlin: clocks go back by 1h at 2026-10-25T02:00:00+01:00", "2 the range ends at 2026-10-27T00:00:00+01:00, inside a chunk of P1DT12H"}},
		{"2026-06-01T12:00:00+02:00", "2026-06-03T06:00:00+02:00", "day", []string{"0 the range starts at 2026-06-01T12:00:00+02:00, inside a day", "2 the range ends at 2026-06-03T06:00:00+02:00, inside a day"}},
		{"2026-06-01T12:00:00+02:00", "2026-06-01T13:00:00+02:00", "day", []string{"0 the range starts at 2026-06-01T12:00:00+02:00, inside a day"}},
		{"2026-06-01", "2026-06-03", "day", nil},
	} {
		r, err := Resolve(test.start, test.end, Calendar{z, time.Monday}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseChunk(test.chunk)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Split(r, Cut{Chunk: c, Calendar: Calendar{z, time.Monday}})
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
		// The range starts, or ends, where clocks are set.
		{"America/Sao_Paulo", "2018-11-04", "2018-11-05", []Note{{0, 23, "2018-11-04", "2018-11-04 has 23 hours in America/Sao_Paulo: clocks go forward by 1h at 2018-11-04T01:00:00-02:00"}}},
		{"America/Sao_Paulo", "2018-11-03", "2018-11-04", []Note{}},
		{"Africa/Algiers", "1971-04-25", "1971-04-26", []Note{{0, 23, "1971-04-25", "1971-04-25 has 23 hours in Africa/Algiers: clocks go forward by 1h at 1971-04-26T00:00:00+01:00"}}},
		{"Africa/Algiers", "1971-04-26", "1971-04-27", []Note{}},
		{"Pacific/Apia", "2011-12-31", "2012-01-01", []Note{}},
		{"Pacific/Apia", "2011-12-29", "2011-12-31", []Note{}},
		{"Pacific/Apia", "2011-12-29", "2012-01-01", []Note{{1, 24, "2011-12-31", "in Pacific/Apia clocks go forward by 24h at 2011-12-31T00:00:00+14:00, so that a date is missing before 2011-12-31"}}},
		{"Australia/Lord_Howe", "2026-04-05", "2026-04-06", []Note{{0, 24.5, "2026-04-05", "2026-04-05 has 24.5 hours in Australia/Lord_Howe: clocks go back by 30m at 2026-04-05T01:30:00+10:30"}}},
	} {
		z := zone(t, test.zone)
		r, err := Resolve(test.start, test.end, Calendar{z, time.Monday}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := Split(r, Cut{Chunk: Chunk{unit: "day"}, Calendar: Calendar{z, time.Monday}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, p.Uneven()); diff != "" {
			t.Errorf("%s to %s in %s (-want +got)\n%s", test.start, test.end, test.zone, diff)
		}
	}
	apia, err := Split(Range{at(t, "2011-12-28T10:00:00Z"), at(t, "2012-01-02T10:00:00Z")}, Cut{Chunk: Chunk{unit: "day"}, Calendar: Calendar{zone(t, "Pacific/Apia"), time.Monday}})
	if err != nil {
		t.Fatal(err)
	}
	if notes := apia.Uneven(); len(notes) != 1 || !strings.Contains(notes[0].Reason, "a date is missing before 2011-12-31") {
		t.Errorf("Samoa: %+v", notes)
	}
}

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

func TestResolveRefuses(t *testing.T) {
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
		var refused *Error
		if !errors.As(err, &refused) || refused.Field != test.field || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 400 {
			t.Errorf("%.40q to %q: got %.500v, want %s: … %s", test.start, test.end, err, test.field, test.says)
		}
	}
}

func TestZones(t *testing.T) {
	for name, says := range map[string]string{
		"": "name a zone", "Local": "name a zone", "local": "name a zone", "localtime": "name a zone", "Factory": "name a zone",
		"Europe/Atlantis": "no zone", "CEST": "abbreviation", "../etc/passwd": "no zone", "/etc/passwd": "no zone",
		"berlin": "did you mean Europe/Berlin?", "Europe/Berlim": "did you mean Europe/Berlin?", "America/Berlin": "Europe/Berlin",
		"new york": "America/New_York", "Sao Paolo": "America/Sao_Paulo", "gmt+5": "abbreviation", "+02:00": "offset",
		"EST": "America/New_York", "right/Europe/Berlin": "Europe/Berlin", strings.Repeat("x", 1<<20): "name a zone",
	} {
		var refused *Error
		if z, err := Zone(name); !errors.As(err, &refused) || refused.Field != "timezone" || !strings.Contains(refused.Message, says) || len(err.Error()) > 300 {
			t.Errorf("%.50q: got %v, %.300v, want %s", name, z, err, says)
		}
	}
	for name, want := range map[string]string{"UTC": "UTC", "utc": "UTC", "Europe/Berlin": "Europe/Berlin", "europe/BERLIN": "Europe/Berlin", "america/new york": "America/New_York", "america/port-au-prince": "America/Port-au-Prince", "gmt": "GMT", " Asia/Kolkata ": "Asia/Kolkata", "EST5EDT": "EST5EDT"} {
		if z, err := Zone(name); err != nil || z.String() != want {
			t.Errorf("%q: got %v, %v", name, z, err)
		}
	}
}

func TestParseChunk(t *testing.T) {
	for text, want := range map[string]string{
		"day": "day", " Week ": "week", "PT6H": "PT6H", "pt90m": "PT1H30M", "P1D": "P1D", "P7D": "P7D", "P2W": "P14D", "P1DT12H": "P1DT12H", "PT36H": "P1DT12H", "PT60S": "PT1M", "PT90S": "PT1M30S",
	} {
		c, err := ParseChunk(text)
		if err != nil || c.String() != want {
			t.Errorf("%s: got %v, %v", text, c, err)
			continue
		}
		if again, err := ParseChunk(c.String()); err != nil || again != c {
			t.Errorf("%s does not come back as it was: %v, %v", c, again, err)
		}
	}
	for text, says := range map[string]string{
		"": "not a chunk", "fortnight": "not a chunk", "P": "not a chunk", "PT": "not a chunk", "P1DT": "not a chunk", "6h": "did you mean PT6H?", "90m": "did you mean PT1H30M?", "1s": "not a chunk; valid", "days": "did you mean day?", "Daily": "did you mean day?", "monthly": "did you mean month?",
		"P1M": "use month or quarter", "P1Y": "use month or quarter", "PT30S": "at least a minute", "PT0H": "at least a minute",
		"P99999999999D": "at most 292 years", "-P1D": "not a chunk", "P1Y2M10DT2H": "use month or quarter", "PT1H1D": "not a chunk", "P1.5D": "not a chunk",
	} {
		var refused *Error
		if c, err := ParseChunk(text); !errors.As(err, &refused) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, %v, want %s", text, c, err, says)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	start, end := at(t, "2026-01-01T00:00:00Z"), at(t, "2027-01-01T00:00:00Z")
	for _, test := range []struct {
		r     Range
		chunk Chunk
		field string
	}{
		{Range{End: end}, Chunk{unit: "day"}, "start"},
		{Range{Start: start}, Chunk{unit: "day"}, "end"},
		{Range{end, start}, Chunk{unit: "day"}, "end"},
		{Range{start, start}, Chunk{unit: "day"}, "end"},
		{Range{start, end}, Chunk{}, "chunk"},
		{Range{start, start.Add(time.Minute * (maxChunks + 1))}, Chunk{length: time.Minute}, "chunk"},
		{Range{at(t, "0001-01-01T00:00:01Z"), at(t, "9999-12-31T00:00:00Z")}, Chunk{unit: "hour"}, "chunk"},
	} {
		var refused *Error
		if _, err := Split(test.r, Cut{Chunk: test.chunk, Calendar: Calendar{time.UTC, time.Monday}}); !errors.As(err, &refused) || refused.Field != test.field {
			t.Errorf("%v by %v: got %v, want one of %s", test.r, test.chunk, err, test.field)
		}
	}
}

func TestMostChunks(t *testing.T) {
	start := at(t, "2026-01-01T00:00:00Z")
	p, err := Split(Range{start, start.Add(time.Minute * maxChunks)}, Cut{Chunk: Chunk{length: time.Minute}, Calendar: Calendar{time.UTC, time.Monday}})
	if err != nil || p.Count() != maxChunks || len(p.Uneven()) != 0 {
		t.Errorf("got %v, %v", p, err)
	}
}

// TestOtherCuts cuts with weeks from Sunday, and counts from the start.
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
		{"2026-10-24T12:00:00+02:00", "2026-10-27T06:00:00+01:00", "day", time.Monday, true, "10-24T12 10-25T12 10-26T12 10-27T06"},
		{"2026-01-31", "2026-05-01", "month", time.Monday, true, "01-31T00 02-28T00 03-31T00 04-30T00 05-01T00"},
		{"2026-03-28T02:30:00+01:00", "2026-03-31", "day", time.Monday, true, "03-28T02 03-29T03 03-30T02 03-31T00"},
		{"2026-10-01", "2026-12-01", "quarter", time.Monday, true, "10-01T00 12-01T00"},
	} {
		c := Calendar{berlin, test.week}
		r, err := Resolve(test.start, test.end, c, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := Split(r, Cut{Chunk{unit: test.unit}, c, test.fromStart})
		if err != nil {
			t.Fatal(err)
		}
		bounds := []string{p.pieces[0].Start.Format("01-02T15")}
		for _, piece := range p.pieces {
			bounds = append(bounds, piece.End.Format("01-02T15"))
		}
		if got := strings.Join(bounds, " "); got != test.want {
			t.Errorf("%s to %s by %s: got %s, want %s", test.start, test.end, test.unit, got, test.want)
		}
	}
}

func TestPage(t *testing.T) {
	p, err := Split(Range{at(t, "2026-01-01T00:00:00Z"), at(t, "2026-01-08T00:00:00Z")}, Cut{Chunk: Chunk{unit: "day"}, Calendar: Calendar{time.UTC, time.Monday}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ offset, limit, first, count int }{{0, 3, 0, 3}, {5, 3, 5, 2}, {7, 3, 0, 0}, {99, 1, 0, 0}, {0, 0, 0, 0}} {
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
		p, err := Split(r, Cut{Chunk: Chunk{unit: "day"}, Calendar: Calendar{z, time.Monday}})
		if err != nil || p.Count() < 100_000 {
			b.Fatal(p.Count(), err)
		}
	}
}

var update = flag.Bool("update", false, "write zones.txt anew from the Go distribution")

// TestZoneList compares zones.txt with the Go distribution that runs the test,
// if that has its zones at hand.
func TestZoneList(t *testing.T) {
	root, _ := exec.Command("go", "env", "GOROOT").Output()
	files, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skipf("the Go distribution has no zoneinfo.zip: %v", err)
	}
	defer files.Close()
	var names []string
	for _, f := range files.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	want := strings.Join(names, "\n") + "\n"
	if *update {
		if err := os.WriteFile("zones.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if zoneNames != want {
		t.Error("zones.txt is not that of the Go distribution; run: go test ./plan -run ZoneList -update")
	}
	for _, name := range names {
		if z, err := Zone(strings.ToUpper(name)); unfit[name] == "" && (err != nil || z.String() != name && z != time.UTC) {
			t.Errorf("%s in capitals: %v, %v", name, z, err)
		}
	}
}

// FuzzExpressions reads whatever there is: it never panics, and what it reads is
// half-open and reads back as what it was.
func FuzzExpressions(f *testing.F) {
	for _, seed := range []string{"2026-10-01", "2026-Q3", "2026-W53", "now-30d/d", "2026-10-01/P1DT12H", "last_7_days", "03/04/2026", "P1D/now", "2026-10-01T00:00:00+02:00"} {
		f.Add(seed, "")
		f.Add("2026-01-01", seed)
	}
	berlin, err := Zone("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	c := Calendar{berlin, time.Monday}
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, start, end string) {
		r, err := Resolve(start, end, c, now)
		if err != nil {
			return
		}
		if !r.Start.IsZero() && !r.End.IsZero() && !r.Start.Before(r.End) {
			t.Fatalf("%q to %q is %v", start, end, r)
		}
		write := func(t time.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.UTC().Format(time.RFC3339Nano)
		}
		again, err := Resolve(write(r.Start), write(r.End), c, now)
		if err != nil || !again.Start.Equal(r.Start) || !again.End.Equal(r.End) {
			t.Fatalf("%q to %q is %v, which reads back as %v, %v", start, end, r, again, err)
		}
	})
}

// FuzzChunks reads durations: what is read writes back as what it was.
func FuzzChunks(f *testing.F) {
	for _, seed := range []string{"day", "PT6H", "P1DT12H", "P2W", "PT90S", "P1M", "6h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseChunk(text)
		if err != nil {
			return
		}
		if again, err := ParseChunk(c.String()); err != nil || again != c {
			t.Fatalf("%q is %s, which reads back as %v, %v", text, c, again, err)
		}
	})
}
