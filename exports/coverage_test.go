package exports

import (
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// TestSamples checks which stored files are measurements of volume.
func TestSamples(t *testing.T) {
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	request := client.ExportRequest{SegmentID: "everyone", Type: client.TypeEvent}
	file := func(folder string, start time.Time, rows int64, exported time.Time, last time.Time) storedFile {
		f := storedFile{folder: folder, request: request, window: plan.Range{Start: start, End: start.Add(time.Hour)}}
		f.file = archive.File{Rows: rows, ExportedAt: exported}
		if !last.IsZero() {
			f.file.LastEvent = last.Format(time.RFC3339Nano)
		}
		return f
	}
	night, none := now.Add(-12*time.Hour), time.Time{}
	for name, test := range map[string]struct {
		files []storedFile
		want  int
	}{
		"an hour": {[]storedFile{file("a", night, 5, now, night)}, 1},
		"an hour without rows beside another one": {[]storedFile{
			file("a", night, 0, now, none), file("a", night.Add(time.Hour), 5, now, night),
		}, 2},
		"a folder without rows": {[]storedFile{
			file("a", night, 0, now, none), file("a", night.Add(time.Hour), 0, now, none), file("b", night, 5, now, night),
		}, 1},
		"the present hour":        {[]storedFile{file("a", now.Add(-30*time.Minute), 5, now, now)}, 0},
		"exported before its end": {[]storedFile{file("a", night, 5, night.Add(59*time.Minute), night)}, 0},
		"next year":               {[]storedFile{file("a", now.AddDate(1, 0, 0), 5, now, none)}, 0},
		"exported in the future":  {[]storedFile{file("a", now.AddDate(1, 0, 0), 5, now.AddDate(2, 0, 0), none)}, 0},
		"of an unknown time": {[]storedFile{
			file("a", night, 5, none, night), file("a", now, 5, none, none),
		}, 1},
		"rows of the future": {[]storedFile{file("a", night, 5, now, now.Add(time.Second))}, 0},
		"other rows": {[]storedFile{{
			folder: "a", window: plan.Range{Start: night, End: now}, file: archive.File{Rows: 5, ExportedAt: now},
		}}, 0},
	} {
		if got := samples(test.files, request, now); len(got) != test.want {
			t.Errorf("%s: %d samples, want %d", name, len(got), test.want)
		}
	}
}

func TestConfirmedAt(t *testing.T) {
	now := time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
	token := func(at time.Time) string { return (confirmation{at: at}).stamp() + ".x" }
	for text, want := range map[string]bool{
		token(now): true, token(now.Add(-14 * time.Minute)): true, token(now.Add(-16 * time.Minute)): false,
		token(now.Add(time.Hour)): false, "": false, "zzz": false, "zzzzzzzzzzzzzzzzzzzz.x": false,
	} {
		if at, ok := confirmedAt(text, now); ok != want || ok && at.After(now) {
			t.Errorf("%q: %v, %v", text, at, ok)
		}
	}
}

func TestWhyEmpty(t *testing.T) {
	july := client.TimeRange{Start: "2026-07-01T00:00:00Z", End: "2026-08-01T00:00:00Z"}
	august := client.TimeRange{Start: "2026-08-01T00:00:00Z", End: "2026-09-01T00:00:00Z"}
	seen := map[string]bool{}
	for _, r := range []client.ExportRequest{
		{SegmentID: "x", Type: client.TypeEvent, TimeRange: july, Now: "2026-11-05T12:00:00Z"},
		{SegmentID: "x", Type: client.TypeEvent, TimeRange: july, SegmentTimeRange: &august},
		{SegmentID: "everyone", Type: client.TypeEvent, TimeRange: july, SegmentTimeRange: &july},
		{SegmentID: "x", Type: client.TypeIndividual, TimeRange: july, SegmentTimeRange: &july},
		{SegmentID: "x", Type: client.TypeEvent, TimeRange: july, SegmentTimeRange: &client.TimeRange{}},
		{SegmentID: "x", Type: client.TypePages, TimeRange: july, Now: "2026-07-15T12:00:00Z"},
	} {
		reason, try := WhyEmpty(r)
		if reason == "" || try == "" || seen[reason] {
			t.Errorf("%+v: %q, %q", r, reason, try)
		}
		seen[reason] = true
	}
}
