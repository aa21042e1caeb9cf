package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPersonsTime exports a week of Berlin: every answer has the times of that zone, and
// summaries have them in UTC too.
func TestPersonsTime(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t, "--sandbox-density", "20", "--sandbox-op-time", "300ms")...)
	request := map[string]any{
		"segment_id": "Checkout visitors", "type": "TYPE_EVENT", "time_range": window{"2026-10-20", "2026-10-27"},
		"timezone": "Europe/Berlin", "name": "week", "max_in_flight": 1, "segment_time_range": "range",
	}
	var started struct {
		Summary string
		Range   window
	}
	c.call("start_bulk_export", request, &started)
	const week = "from 2026-10-20T00:00:00+02:00 to 2026-10-27T00:00:00+01:00 (excluded), " +
		"in UTC 2026-10-19T22:00:00Z to 2026-10-26T23:00:00Z"
	if !strings.Contains(started.Summary, `7 chunks of one day of events of segment "Checkout visitors" (`) ||
		!strings.Contains(started.Summary, ", "+week) {
		t.Errorf("started: %s", started.Summary)
	}
	var s goneBulk
	estimated := false
	for ; s.State != "complete"; time.Sleep(20 * time.Millisecond) {
		var now struct {
			goneBulk
			ETA string
		}
		c.call("get_bulk_export", map[string]any{"bulk_id": "week"}, &now)
		if s = now.goneBulk; s.State == "running" && !strings.Contains(s.Summary, " It was started ") {
			t.Errorf("running: %s", s.Summary)
		}
		if now.ETA != "" {
			estimated = true
			_, utc, _ := strings.Cut(s.Summary, "done at about "+now.ETA+" (2026-11-05T")
			if !strings.HasSuffix(now.ETA, "+01:00") || !strings.HasPrefix(utc, "12:") {
				t.Errorf("expected at %s: %s", now.ETA, s.Summary)
			}
		}
	}
	if !estimated {
		t.Error("no status had an expected end")
	}
	c.call("get_bulk_export", map[string]any{"bulk_id": "week", "detail": "chunks"}, &s)
	first, last := s.Windows[0], s.Windows[6]
	if first.Start != "2026-10-20T00:00:00+02:00" || last.End != "2026-10-27T00:00:00+01:00" ||
		first.File != "20261019T220000Z_20261020T220000Z.ndjson.gz" {
		t.Errorf("the chunks are %+v", s.Windows)
	}
	if err := os.Remove(filepath.Join(c.folder("week"), first.File)); err != nil {
		t.Fatal(err)
	}
	c.call("get_bulk_export", map[string]any{"bulk_id": "week", "detail": "problems"}, &s)
	if !strings.Contains(s.Summary, "6 of 7 files; missing: 20 Oct (Europe/Berlin); ") ||
		s.Problems[0].Start != first.Start || s.Problems[0].End != first.End {
		t.Errorf("without a file: %+v", s)
	}

	var made created
	request = map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-10-20", "2026-10-21"},
		"timezone": "Europe/Berlin",
	}
	c.call("create_segment_export", request, &made)
	const day = "from 2026-10-20T00:00:00+02:00 to 2026-10-21T00:00:00+02:00 (excluded), " +
		"in UTC 2026-10-19T22:00:00Z to 2026-10-20T22:00:00Z"
	d := c.download(made.OperationID)
	c.call("create_segment_export", request, &made)
	if !strings.Contains(made.Summary, "events of segment everyone, "+day) || !strings.Contains(d.Summary, day) ||
		!strings.Contains(made.Summary, "+01:00 (2026-11-05T12:") {
		t.Errorf("created: %s\ndownloaded: %s", made.Summary, d.Summary)
	}
}

// folder returns the folder of a bulk export.
func (c *conversation) folder(bulk string) string {
	c.t.Helper()
	var s struct{ Folder string }
	c.call("get_bulk_export", map[string]any{"bulk_id": bulk}, &s)
	return s.Folder
}
