package plan

import (
	"archive/zip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

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

// allZones returns all zones of the Go distribution, or a few unusual ones if
// the distribution is not installed.
func allZones(t *testing.T) []string {
	root, _ := exec.Command("go", "env", "GOROOT").Output()
	files, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Logf("a few zones only: %v", err)
		return []string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe",
			"Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu", "America/St_Johns", "Africa/Cairo"}
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
	t.Parallel()
	names := allZones(t)
	granularities := []string{"hour", "day", "week", "month", "quarter", "PT6H", "PT90M", "P1D", "P2W", "P1DT12H"}
	rapid.Check(t, func(t *rapid.T) {
		z, err := Zone(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseGranularity(rapid.SampledFrom(granularities).Draw(t, "granularity"))
		if err != nil {
			t.Fatal(err)
		}
		// Drawn part by part, because a single large number is mostly drawn small.
		start := time.Date(rapid.IntRange(1970, 2037).Draw(t, "year"), 1, rapid.IntRange(1, 365).Draw(t, "day"),
			rapid.IntRange(0, 23).Draw(t, "hour"), rapid.SampledFrom([]int{0, 0, 30, 59}).Draw(t, "minute"), 0,
			rapid.SampledFrom([]int{0, 0, 1, 5e8}).Draw(t, "ns"), time.UTC)
		count := rapid.SampledFrom([]int{0, 1, 9, 90, 400, 1900}).Draw(t, "chunks") + rapid.IntRange(0, 30).Draw(t, "more")
		until := time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC).Sub(start)
		length := min(time.Duration(count), until/c.nominal()) * c.nominal()
		r := Range{start, start.Add(length + time.Duration(rapid.IntRange(1, 1e9).Draw(t, "rest")))}
		checkPlan(t, r, c, z)
	})
}

// TestEveryChange cuts the four days around each change of each zone's clock.
func TestEveryChange(t *testing.T) {
	t.Parallel()
	changes, least, all := 0, 30_000, allZones(t)
	if !*full { // a quarter of the zones
		all = slices.DeleteFunc(all, func(name string) bool { return len(name)%4 != 0 })
		least /= 5
	}
	for _, name := range all {
		z := zone(t, name)
		end := time.Date(2044, 1, 1, 0, 0, 0, 0, z)
		change := nextChange(time.Date(1970, 1, 1, 0, 0, 0, 0, z))
		for ; !change.IsZero() && change.Before(end); change = nextChange(change) {
			changes++
			for _, unit := range units[:3] {
				checkPlan(t, Range{change.AddDate(0, 0, -2), change.AddDate(0, 0, 2)}, Granularity{unit: unit}, z)
			}
		}
	}
	if changes < least {
		t.Errorf("only %d changes of clocks seen, want %d at least", changes, least)
	}
}

type failer interface{ Fatalf(string, ...any) }

// checkPlan checks that the chunks tile r and are cut at boundaries, and that
// every day without 24 hours is noted.
func checkPlan(t failer, r Range, c Granularity, z *time.Location) {
	p, err := Split(r, Cut{Granularity: c, Calendar: Calendar{z, time.Monday}})
	if err != nil {
		t.Fatalf("%v in %s by %s: %v", r, z, c, err)
	}
	chunks := p.Page(0, p.Count())
	if len(chunks) == 0 || len(chunks) != p.Count() {
		t.Fatalf("%d chunks of %d", len(chunks), p.Count())
	}
	if !chunks[0].Start.Equal(r.Start) || !chunks[len(chunks)-1].End.Equal(r.End) {
		t.Fatalf("the ends are %v and %v, want %v and %v", chunks[0].Start, chunks[len(chunks)-1].End, r.Start, r.End)
	}
	for i, chunk := range chunks {
		if chunk.Index != i || !chunk.Start.Before(chunk.End) {
			t.Fatalf("chunk %d is %+v", i, chunk)
		}
		if i == 0 {
			continue
		}
		if !chunk.Start.Equal(chunks[i-1].End) {
			t.Fatalf("chunk %d starts at %v, its predecessor ends at %v", i, chunk.Start, chunks[i-1].End)
		}
		checkBoundary(t, c, chunk.Start.In(z))
	}
	checkNotes(t, p, c)
}

// checkNotes checks that the notes of p are valid and, if p is cut by days, that
// every day without 24 hours is noted. The first and last may be clipped as well.
func checkNotes(t failer, p *Plan, c Granularity) {
	noted := map[int]float64{}
	for _, n := range p.Uneven() {
		noted[n.Index] = n.Hours
		if n.Index < 0 || n.Index >= p.Count() || n.Reason == "" || n.Hours <= 0 {
			t.Fatalf("invalid note %+v", n)
		}
	}
	if c.unit != "day" {
		return
	}
	for _, chunk := range p.Page(0, p.Count()) {
		clipped := chunk.Index == 0 || chunk.Index == p.Count()-1
		if hours, ok := noted[chunk.Index]; chunk.Hours() != 24 && (!ok || hours != chunk.Hours() && !clipped) {
			t.Fatalf("the day from %v to %v has %v hours, and the note says %v",
				chunk.Start, chunk.End, chunk.Hours(), hours)
		}
	}
}

// checkBoundary checks that b is a boundary of calendar chunks in its zone. It
// compares what the clock shows just before b and at b, so it does not repeat
// the code under test.
func checkBoundary(t failer, c Granularity, b time.Time) {
	before := b.Add(-time.Nanosecond)
	y, m, d := b.Date()
	py, pm, pd := before.Date()
	newDay := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).After(time.Date(py, pm, pd, 0, 0, 0, 0, time.UTC))
	for earlier := range 6 { // if midnight occurs twice, the first counts
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
		t.Fatalf("%v is not a boundary of a %s in %s", b, c.unit, b.Location())
	}
}
