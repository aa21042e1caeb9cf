package plan

import (
	"archive/zip"
	"flag"
	"os/exec"
	"path/filepath"
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
	if err := flag.Set("rapid.checks", "10000"); err != nil {
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
		start := time.Date(rapid.IntRange(1970, 2037).Draw(t, "year"), 1, rapid.IntRange(1, 365).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), rapid.SampledFrom([]int{0, 0, 30, 59}).Draw(t, "minute"), 0, rapid.SampledFrom([]int{0, 0, 1, 5e8}).Draw(t, "ns"), time.UTC)
		count := rapid.SampledFrom([]int{0, 1, 9, 90, 400, 1900}).Draw(t, "chunks") + rapid.IntRange(0, 30).Draw(t, "more")
		until := time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC).Sub(start)
		length := min(time.Duration(count), until/c.nominal()) * c.nominal()
		r := Range{start, start.Add(length + time.Duration(rapid.IntRange(1, 1e9).Draw(t, "rest")))}
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
