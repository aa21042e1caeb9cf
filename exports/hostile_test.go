package exports

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// victim is the segment that gets the faults; the neighbour exports another one.
const victim = "rageClicks"

// hostile is an answer that the exports of the victim get, and what happens to them.
type hostile struct {
	faults  string // of the script of the sandbox
	hours   int    // of the victim's range; 0: 2
	ends    ledger.BulkState
	creates int    // most POSTs for the victim; 0: one for each window
	says    string // in the reason of the bulk export or of a chunk
	aged    bool   // its failures look old, so that the engine gives up
	csv     bool   // the victim's format is CSV
	fields  []string
	empty   bool // the export has no rows
	similar bool // another case has the same cause and the same end; tested with -full
}

// hostiles has every hostile answer by its name.
func hostiles() map[string]hostile {
	return map[string]hostile{
		"200 with an error": {
			faults: `{"on":"create","do":"200_error","message":"quota exceeded"}`,
			ends:   ledger.BulkPaused, creates: 6, says: "quota exceeded",
		},
		"200 with an error, accepted": {
			faults: `{"on":"create","do":"200_error_after_accept","message":"quota exceeded"}`,
			ends:   ledger.BulkPaused, creates: 6, says: "quota exceeded",
		},
		"200 {}":                  lostAnswer(`{"on":"create","do":"200_empty_object"}`),
		"200 {}, accepted":        harmless(`{"on":"create","do":"200_empty_object_after_accept"}`),
		"201":                     harmless(`{"on":"create","do":"201_after_accept"}`),
		"202":                     similar(harmless(`{"on":"create","do":"202_after_accept"}`)),
		"204":                     similar(lostAnswer(`{"on":"create","do":"204"}`)),
		"204, accepted":           similar(harmless(`{"on":"create","do":"204_after_accept"}`)),
		"200 with HTML":           similar(lostAnswer(`{"on":"create","do":"200_html"}`)),
		"200 with HTML, accepted": similar(harmless(`{"on":"create","do":"200_html_after_accept"}`)),
		"400 to a create":         {faults: `{"on":"create","do":"400"}`, ends: ledger.BulkPaused, creates: 1, says: "400"},
		"429 for a day": {
			faults: `{"on":"create","do":"429","after":"24h"}`,
			ends:   ledger.BulkRunning, creates: 3, says: "429",
		},
		"429 for a day, as a date": similar(hostile{
			faults: `{"on":"create","do":"429_date","after":"24h"}`,
			ends:   ledger.BulkRunning, creates: 3, says: "429",
		}),
		"an id with spaces":    similar(harmless(`{"on":"operation","do":"id_spaces"}`)),
		"an id with é":         similar(harmless(`{"on":"operation","do":"id_accent"}`)),
		"an id with a newline": harmless(`{"on":"operation","do":"id_newline"}`),
		"an id of 2 kB": { // nothing can follow the export, so it is not repeated
			faults: `{"on":"operation","do":"id_long"}`,
			ends:   ledger.BulkPaused, creates: 1, says: "its id of 2048 bytes cannot be used",
		},
		"a status of 500": harmless(`{"on":"operation","do":"status_500"}`),
		"a status of 500, unlisted": {
			faults: `{"on":"operation","do":"status_500_unlisted"}`,
			ends:   ledger.BulkRunning, says: "could not be read",
		},
		"unlisted":                 harmless(`{"on":"operation","do":"unlisted"}`),
		"results 404 for a while":  harmless(`{"on":"results","do":"404","for":"3s"}`),
		"results 400 for a while":  similar(harmless(`{"on":"results","do":"400","for":"3s"}`)),
		"results 307 for a while":  similar(harmless(`{"on":"results","do":"307_no_location","for":"3s"}`)),
		"results HTML for a while": similar(harmless(`{"on":"results","do":"200_html","for":"3s"}`)),
		"results 404":              unfetchable(`{"on":"results","do":"404"}`),
		"results 400":              similar(unfetchable(`{"on":"results","do":"400"}`)),
		"results 307 to a path":    unfetchable(`{"on":"results","do":"307_path"}`),
		"results 307 to a host":    similar(unfetchable(`{"on":"results","do":"307_host"}`)),
		"results HTML":             similar(unfetchable(`{"on":"results","do":"200_html"}`)),
		"a relative link":          unfetchable(`{"on":"results","do":"link_relative"}`),
		"an empty link":            similar(unfetchable(`{"on":"results","do":"link_empty"}`)),
		"a link of ftp":            similar(unfetchable(`{"on":"results","do":"link_scheme"}`)),
		"a link with a raw space":  harmless(`{"on":"results","do":"link_space"}`),
		"a store of 503": {
			faults: `{"on":"download","do":"503"}`,
			ends:   ledger.BulkRunning, says: "could not be fetched",
		},
		"a store of 503, for long": similar(unfetchable(`{"on":"download","do":"503"}`)),
		"another segment's name":   harmless(`{"on":"download","do":"disposition_other"}`),
		"a hostile name":           harmless(`{"on":"download","do":"disposition_hostile"}`),
		"a lost answer and another segment's name": lostAnswer(
			`{"on":"create","do":"500_after_accept"},{"on":"download","do":"disposition_other"}`),
		"a damaged file":              damaged(`corrupt`, false),
		"rows without a time":         damaged(`no_time`, false),
		"an error as a row":           damaged(`error_row`, false),
		"CSV with semicolons":         damaged(`csv_semicolon`, true),
		"CSV with tabs":               similar(damaged(`csv_tab`, true)),
		"CSV with lone CR":            similar(damaged(`csv_cr`, true)),
		"CSV without a header":        damaged(`csv_no_header`, true),
		"CSV without the time":        damaged(`csv_no_time_column`, true),
		"CSV in another order":        similar(damaged(`csv_reordered`, true, "EventStart", "UserId", "PageUrl")),
		"CSV without a column":        damaged(`csv_missing_column`, true, "EventStart", "UserId", "PageUrl"),
		"CSV with another column":     similar(damaged(`csv_extra_column`, true, "EventStart", "UserId", "PageUrl")),
		"a row outside of the window": damaged(`row_outside`, false),
		"the rows of another window":  damaged(`other_window`, false),
		"bytes after the end":         damaged(`trailing_bytes`, false),
		"a page in place of the file": damaged(`html`, false),
		"half of the file":            damaged(`truncate`, false),
		"zeros after the end":         harmless(`{"on":"operation","do":"zero_padding"}`),
		"invalid UTF-8":               harmless(`{"on":"operation","do":"invalid_utf8"}`),
		"lone surrogates":             harmless(`{"on":"operation","do":"lone_surrogate"}`),
		"keys twice in a row":         harmless(`{"on":"operation","do":"duplicate_keys"}`),
		"times with a space":          harmless(`{"on":"operation","do":"time_space"}`),
		"times without a zone":        similar(harmless(`{"on":"operation","do":"time_no_zone"}`)),
		"times without a fraction":    similar(harmless(`{"on":"operation","do":"time_digits"}`)),
		"an object of 0 bytes":        {faults: `{"on":"operation","do":"empty"}`, ends: ledger.BulkComplete, empty: true},
	}
}

// similar marks a hostile answer that has the same cause and end as another one.
func similar(h hostile) hostile {
	h.similar = true
	return h
}

// damaged is a file that fails verification each time: two exports are tried.
func damaged(do string, csv bool, fields ...string) hostile {
	return hostile{
		faults: `{"on":"operation","do":"` + do + `"}`, hours: 1, ends: ledger.BulkFailed, creates: 2, says: "damaged",
		csv: csv, fields: fields,
	}
}

// lostAnswer is a create whose operation is not found each time.
func lostAnswer(faults string) hostile {
	return hostile{
		faults: faults, hours: 1, ends: ledger.BulkFailed, creates: 6, says: "answer to the create was lost",
	}
}

// unfetchable is a file that cannot be fetched for longer than the engine is patient.
func unfetchable(faults string) hostile {
	return hostile{
		faults: faults, hours: 1, ends: ledger.BulkFailed, creates: 6, says: "could not be fetched", aged: true,
	}
}

// harmless is an odd answer with which the export completes.
func harmless(faults string) hostile { return hostile{faults: faults, ends: ledger.BulkComplete} }

// TestHostileAnswers gives one bulk export a hostile answer each time. It ends, or waits
// and says why, after a bounded number of creates. Another one completes meanwhile.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	all := hostiles()
	// Those with most creates wait longest, so they start first.
	longest := func(a, b string) int {
		return cmp.Or(cmp.Compare(all[b].creates, all[a].creates), cmp.Compare(a, b))
	}
	for _, name := range slices.SortedFunc(maps.Keys(all), longest) {
		h := all[name]
		t.Run(name, func(t *testing.T) {
			if h.similar {
				long(t)
			}
			t.Parallel()
			l := newLab(t, sandbox.Config{Density: 1000})
			l.run()
			l.faults(`{"script":[` + strings.ReplaceAll(h.faults, `{"on"`, `{"segment":"`+victim+`","on"`) + `]}`)
			hours := cmp.Or(h.hours, 2)
			o := orderOf(victim, hours)
			if o.Request.Fields = h.fields; h.csv {
				o.Request.Format = client.FormatCSV
			}
			v := l.start(o)
			l.await(v.ID, "begun", func(Status) bool { return l.createsOf(victim) > 0 })
			neighbour := l.start(order(4))
			l.awaitState(neighbour.ID, ledger.BulkComplete)
			l.checkFolder(neighbour)
			l.ends(v, h)
			if n, most := l.createsOf(victim), cmp.Or(h.creates, hours); n > most {
				t.Errorf("%d creates were sent for the victim, want at most %d", n, most)
			}
		})
	}
}

// orderOf returns a bulk export of another segment at another time than that of order.
func orderOf(segment string, hours int) Order {
	o := order(hours)
	o.Name, o.Request.SegmentID = "victim", segment
	start := september.Add(10*24*time.Hour + 18*time.Hour)
	for i := range o.Windows {
		o.Windows[i].Start = start.Add(time.Duration(i) * time.Hour)
		o.Windows[i].End = start.Add(time.Duration(i+1) * time.Hour)
	}
	end := start.Add(time.Duration(hours) * time.Hour)
	o.Request.TimeRange = client.TimeRange{Start: start.Format(time.RFC3339), End: end.Format(time.RFC3339)}
	o.Request.SegmentTimeRange = &o.Request.TimeRange
	return o
}

// ends waits until the victim is in the state that h wants, with its reason.
func (l *lab) ends(v ledger.Bulk, h hostile) {
	l.t.Helper()
	s := l.await(v.ID, string(h.ends)+", with a reason", func(s Status) bool {
		if h.ends != ledger.BulkRunning {
			l.hurryAll(v.ID, h.aged)
		}
		return s.Bulk.State == h.ends && strings.Contains(l.reasons(s.Bulk), h.says)
	})
	if h.ends == ledger.BulkComplete {
		l.checkFolder(v)
		if (s.Counts.Rows == 0) != h.empty {
			l.t.Errorf("the victim has %d rows", s.Counts.Rows)
		}
	}
	kept, err := filepath.Glob(filepath.Join(l.archive.Path(v.Name, ".rejected"), "*.gz"))
	if err != nil || (len(kept) > 0) != (h.says == "damaged") {
		l.t.Errorf("damaged files that were kept: %q, %v", kept, err)
	}
	if s.Bulk.State == ledger.BulkRunning {
		l.waits(v)
	}
}

// waits waits until a window of v waits for a retry whose time is known, and checks
// that the estimate of its end is no earlier.
func (l *lab) waits(v ledger.Bulk) {
	l.t.Helper()
	var retry time.Time
	l.await(v.ID, "waiting, with a time", func(s Status) bool {
		problems, err := l.engine.Problems(l.t.Context(), s, 10)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, p := range problems {
			if p.NextAt.After(l.options.Now()) && p.Text != "" {
				retry = p.NextAt
			}
		}
		return !retry.IsZero()
	})
	s, err := l.engine.Status(l.t.Context(), v.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	// Both are by Fullstory's clock, which is known to a second and may have been read anew.
	if !s.ETA.IsZero() && s.ETA.Before(retry.Add(-time.Second)) {
		l.t.Errorf("the end is estimated for %v, but a retry is at %v", s.ETA, retry)
	}
}

// reasons returns the reason of a bulk export and the texts of its problems.
func (l *lab) reasons(b ledger.Bulk) string {
	l.t.Helper()
	s, err := l.engine.StatusOf(l.t.Context(), b)
	if err != nil {
		l.t.Fatal(err)
	}
	problems, err := l.engine.Problems(l.t.Context(), s, 10)
	if err != nil {
		l.t.Fatal(err)
	}
	text := b.Reason
	for _, p := range problems {
		text += "\n" + p.Text
	}
	return text
}

// hurryAll ends all delays of a bulk export and of its chunks. With aged, it makes their
// failures look so old that the engine gives up.
func (l *lab) hurryAll(bulk string, aged bool) {
	l.t.Helper()
	l.hurryBulk(bulk)
	for _, state := range []ledger.ChunkState{ledger.ChunkPlanned, ledger.ChunkCreating, ledger.ChunkReady} {
		l.hurryChunks(bulk, state, aged)
	}
	l.engine.engine.Wake()
}

// hurryBulk ends the delay of a bulk export.
func (l *lab) hurryBulk(id string) {
	l.t.Helper()
	err := l.ledger.Write(l.t.Context(), func(t *ledger.Tx) error {
		b, err := t.Bulk(id) // read again: the engine counts rejections meanwhile
		if err != nil || b.NextAt.IsZero() {
			return err
		}
		return t.Pace(b.ID, b.Rejections, time.Time{})
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// hurryChunks ends the delays of chunks in a state. With aged, it moves the start of
// their present failure two hours back.
func (l *lab) hurryChunks(bulk string, state ledger.ChunkState, aged bool) {
	l.t.Helper()
	chunks, err := l.ledger.Chunks(l.t.Context(), bulk, 0, 100, state)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, c := range chunks {
		if c.NextAt.IsZero() {
			continue
		}
		err := l.ledger.Write(l.t.Context(), func(t *ledger.Tx) error {
			a, err := t.Attempt(c.Bulk, c.Number) // read again: the engine counts creates meanwhile
			if err != nil || a.State != state {
				return err
			}
			a.NextAt = time.Time{}
			if state == ledger.ChunkCreating { // the answer is lost: an accepted export would be visible now
				a.IntentAt = a.IntentAt.Add(-3 * time.Second)
			}
			if aged && !a.FailingSince.IsZero() {
				a.FailingSince = a.FailingSince.Add(-2 * time.Hour)
			}
			return t.SaveAttempt(a, state)
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

// createsOf returns how many creates Fullstory received for a segment.
func (l *lab) createsOf(segment string) int {
	l.t.Helper()
	r, err := http.Get(l.url + "/sandbox/stats")
	if err != nil {
		l.t.Fatal(err)
	}
	defer r.Body.Close()
	var stats struct {
		BySegment map[string]struct {
			Creates int `json:"creates"`
		} `json:"by_segment"`
	}
	if err := json.NewDecoder(r.Body).Decode(&stats); err != nil {
		l.t.Fatal(err)
	}
	return stats.BySegment[segment].Creates
}

// TestEmptyWindows loses the answer to every create of a window without rows. One empty
// file does not prove that a candidate is the right operation; a second one does.
func TestEmptyWindows(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{Density: 10})
	l.faults(`{"rates":{"500_after_accept":1}}`)
	l.run()
	o := orderOf(victim, 1)
	o.Windows[0].End = o.Windows[0].Start.Add(time.Minute) // a minute in which nothing happens
	o.Request.TimeRange.End = o.Windows[0].End.Format(time.RFC3339)
	b := l.start(o)
	s := l.await(b.ID, "complete", func(s Status) bool {
		l.hurryAll(b.ID, false)
		return s.Bulk.State == ledger.BulkComplete
	})
	l.checkFolder(b)
	if n := l.books(); s.Counts.Rows != 0 || n.CreatesAccepted > 2 {
		t.Errorf("%d rows, and the books say %+v; want none after at most 2 creates", s.Counts.Rows, n)
	}
}

// TestCancelFails makes Fullstory fail to cancel operations: each is cancelled a bounded
// number of times, at growing intervals, and the neighbour completes.
func TestCancelFails(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	l.hold()
	l.faults(`{"script":[{"on":"cancel","do":"500"}]}`)
	l.run()
	v := l.start(orderOf(victim, 3))
	l.await(v.ID, "running", func(s Status) bool { return s.Counts.By[ledger.ChunkRunning] == 3 })
	began := time.Now()
	if _, err := l.engine.Control(t.Context(), v.ID, Cancel); err != nil {
		t.Fatal(err)
	}
	neighbour := l.start(order(4))
	l.awaitState(neighbour.ID, ledger.BulkComplete)
	l.checkFolder(neighbour)
	var orphans []ledger.Operation
	l.await(v.ID, "asked twice to cancel each operation", func(Status) bool {
		var err error
		orphans, err = l.ledger.Orphans(t.Context(), "lab", time.Now().Add(time.Hour), 10)
		if err != nil || len(orphans) != 3 {
			t.Fatalf("orphans: %+v, %v", orphans, err)
		}
		return !slices.ContainsFunc(orphans, func(o ledger.Operation) bool { return o.Cancels < 2 })
	})
	for _, o := range orphans {
		// Half of five seconds is the shortest first delay, and each is twice the one before.
		least := began.Add(2500 * time.Millisecond * time.Duration(1<<o.Cancels-1))
		if o.Cancels > bulk.MostCancels || o.CancelAt.Before(least) {
			t.Errorf("%s was cancelled %d times, next at %v", o.ID, o.Cancels, o.CancelAt)
		}
	}
}
