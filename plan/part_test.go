package plan

import (
	"runtime"
	"testing"
	"time"
)

// largest is a range of 498,192 hours in a zone with changes of its clock.
func largest(t testing.TB) (Range, Cut) {
	berlin := zone(t, "Europe/Berlin")
	r := Range{at(t, "1970-01-01T00:00:00Z"), at(t, "2026-11-01T00:00:00Z")}
	return r, Cut{Granularity: Granularity{unit: "hour"}, Calendar: Calendar{berlin, time.Monday}}
}

// held returns how many bytes of memory what make returns takes.
func held(t *testing.T, make func() (*Plan, error)) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p, err := make()
	if err != nil {
		t.Fatal(err)
	}
	if p.Count() < 400_000 {
		t.Fatalf("only %d chunks", p.Count())
	}
	p.Uneven()
	p.Page(p.Count()-10, 500)
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(p)
	return after.TotalAlloc - before.TotalAlloc
}

// TestLargePlansCostLittle allocates under 2 MB for plans of half a million chunks, which
// 64 callers may make at the same time.
func TestLargePlansCostLittle(t *testing.T) {
	r, cut := largest(t)
	by := &Profile{zone: cut.Calendar.Zone}
	for i := range by.hourly {
		by.hourly[i] = 100
	}
	for name, make := range map[string]func() (*Plan, error){
		"by the hour": func() (*Plan, error) { return Split(r, cut) },
		"by size":     func() (*Plan, error) { return SplitBySize(r, by, 100) },
		"in windows": func() (*Plan, error) {
			middle := r.Start.Add(r.End.Sub(r.Start) / 2)
			return Windows{{r.Start, middle}, {middle.Add(time.Hour), r.End}}.Each(func(r Range) (*Plan, error) {
				return Split(r, cut)
			})
		},
	} {
		if bytes := held(t, make); bytes > 2_000_000 {
			t.Errorf("%s: a plan allocates %d bytes", name, bytes)
		}
	}
}

// TestPagesAreTheWhole compares pages that begin anywhere with the chunks from the start.
func TestPagesAreTheWhole(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	middle := at(t, "2026-06-01T00:30:00Z")
	start, end := at(t, "2025-10-01T00:10:00Z"), at(t, "2026-11-01T00:00:00Z")
	whole := Windows{{start, middle}, {middle.Add(100 * time.Minute), end}}
	by := &Profile{zone: berlin}
	for i := range by.hourly {
		by.hourly[i] = float64(i * i % 97)
	}
	cut := Cut{Granularity: Granularity{unit: "hour"}, Calendar: Calendar{berlin, time.Monday}}
	counted := cut
	counted.FromStart = true
	for name, split := range map[string]func(Range) (*Plan, error){
		"by the hour":    func(r Range) (*Plan, error) { return Split(r, cut) },
		"from the start": func(r Range) (*Plan, error) { return Split(r, counted) },
		"by size":        func(r Range) (*Plan, error) { return SplitBySize(r, by, 60) },
	} {
		p, err := whole.Each(split)
		if err != nil {
			t.Fatal(err)
		}
		all := p.Page(0, p.Count())
		if len(all) < 3*stride || len(all) != p.Count() || len(p.Page(p.Count(), 5)) != 0 {
			t.Fatalf("%s: %d chunks of %d", name, len(all), p.Count())
		}
		for i, chunk := range all {
			if page := p.Page(i, 1); len(page) != 1 || page[0] != chunk || chunk.Index != i {
				t.Fatalf("%s: chunk %d is %v, and %v as a page", name, i, chunk, page)
			}
			if c, ok := p.After(chunk.Start); !ok || c != chunk {
				t.Fatalf("%s: the chunk after the start of %v is %v", name, chunk, c)
			}
		}
		if again, err := whole.Each(split); err != nil || !p.Equal(again) {
			t.Errorf("%s: the same plan is another one", name)
		}
	}
}

// BenchmarkSplit plans 100,000 chunks, which must take under 50 ms, and lists 50.
func BenchmarkSplit(b *testing.B) {
	r, cut := largest(b)
	r.Start = r.End.Add(-100_000 * time.Hour)
	for b.Loop() {
		p, err := Split(r, cut)
		if err != nil {
			b.Fatal(err)
		}
		p.Uneven()
		p.Page(p.Count()/2, 50)
	}
}
