package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var seed = flag.Uint64("data-seed", 20260930, "seed of the random queries")

var clock = time.Date(2026, 9, 30, 15, 41, 7, 0, time.UTC)

func shop(t testing.TB, density float64) *data {
	t.Helper()
	d, err := openData(Config{Seed: 7, Density: density})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func segmentNamed(t testing.TB, d *data, name string) *segment {
	t.Helper()
	for _, s := range d.segments() {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no segment %q", name)
	return nil
}

func file(t testing.TB, d *data, q query) string {
	t.Helper()
	var b bytes.Buffer
	rows, err := d.write(context.Background(), &b, q)
	if err != nil {
		t.Fatal(err)
	}
	if got := int64(strings.Count(b.String(), "\n")); q.format == formatNDJSON && got != rows {
		t.Fatalf("write reports %d rows, the file has %d lines", rows, got)
	}
	return b.String()
}

// lines returns the rows of an NDJSON file, sorted, because their order has no
// meaning.
func lines(t testing.TB, d *data, q query) []string {
	t.Helper()
	q.format = formatNDJSON
	return slices.Sorted(strings.Lines(file(t, d, q)))
}

// reference holds all events before now in one list, and applies the definition of
// an export to it literally.
type reference struct {
	events []event
	texts  []string // rows of the events, encoded when row first needs them
	enc    *encoder[*event]
	now    time.Time
}

func newReference(t testing.TB, d *data, from, now time.Time) *reference {
	t.Helper()
	ref := &reference{now: now, enc: newEncoder(columnsFor(d.source.eventColumns(), nil), formatNDJSON)}
	all := span{from.UnixMilli(), now.UnixMilli()}
	later := now.Add(3 * time.Hour).UnixMilli() // so that the reference itself hides the future
	err := d.source.sessions(context.Background(), all, later, nil, func(s *session) error {
		kept := *s
		person := *s.person
		kept.person, kept.events, kept.pages = &person, slices.Clone(s.events), slices.Clone(s.pages)
		kept.events = slices.DeleteFunc(kept.events, func(e event) bool { return e.at >= now.UnixMilli() })
		for i := range kept.events {
			e := &kept.events[i]
			for n := range kept.pages {
				if kept.pages[n].id == e.page.id {
					e.page = &kept.pages[n]
				}
			}
			e.session = &kept
			ref.events = append(ref.events, *e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ref.texts = make([]string, len(ref.events))
	return ref
}

// row returns the row of the i-th event.
func (r *reference) row(i int) string {
	if r.texts[i] == "" {
		r.texts[i] = string(r.enc.append(nil, &r.events[i], 0)) + "\n"
	}
	return r.texts[i]
}

// scopeKey identifies the events that a scope exports together: those with equal keys.
type scopeKey struct{ user, session, page, person int64 }

// keyOf returns the key that an event shares with all events that its scope exports
// with it.
func keyOf(e *event, s scope) scopeKey {
	switch s {
	case scopePages:
		return scopeKey{user: e.session.userID, session: e.session.id, page: e.page.id}
	case scopeSessions:
		return scopeKey{user: e.session.userID, session: e.session.id}
	}
	return scopeKey{person: e.session.person.id}
}

// contains says literally what a window is; the sandbox itself compares spans.
func (w window) contains(t time.Time) bool {
	return (w.from.IsZero() || !t.Before(w.from)) && (w.to.IsZero() || t.Before(w.to))
}

// matches returns the indices of the segment's events inside the window.
func (r *reference) matches(s *segment, in window) (found []int) {
	for i := range r.events {
		e := &r.events[i]
		if in.contains(time.UnixMilli(e.at)) && (s.people == nil || s.people(e.session.person)) &&
			(s.session == nil || s.session(e.session)) && (s.event == nil || s.event(e)) {
			found = append(found, i)
		}
	}
	return found
}

func (r *reference) rows(q query) (rows []string) {
	exported := func(i int) bool {
		return q.exports.contains(time.UnixMilli(r.events[i].at)) && r.events[i].at < q.now.UnixMilli()
	}
	matches := r.matches(q.segment, q.matches)
	if q.scope == scopeEvents || q.segment.id == "everyone" {
		for _, i := range matches {
			if exported(i) {
				rows = append(rows, r.row(i))
			}
		}
	} else {
		keys := map[scopeKey]bool{}
		for _, i := range matches {
			keys[keyOf(&r.events[i], q.scope)] = true
		}
		for i := range r.events {
			if exported(i) && keys[keyOf(&r.events[i], q.scope)] {
				rows = append(rows, r.row(i))
			}
		}
	}
	slices.Sort(rows)
	return rows
}

func (r *reference) individuals(q query) []int64 {
	matching, rows := map[int64]bool{}, map[int64]bool{}
	for _, i := range r.matches(q.segment, q.matches) {
		matching[r.events[i].session.person.id] = true
	}
	for _, e := range r.events {
		if q.exports.contains(time.UnixMilli(e.at)) && matching[e.session.person.id] {
			rows[e.session.person.id] = true
		}
	}
	return slices.Sorted(maps.Keys(rows))
}

// randomWindow returns a window inside the last days. One in eight has no end, and
// one in eight is as short as a chunk.
func randomWindow(r *rand.Rand, days int) window {
	at := func() time.Time { return clock.Add(-time.Duration(r.Int64N(int64(days) * int64(24*time.Hour)))) }
	w := window{at(), at()}
	if w.from.After(w.to) {
		w.from, w.to = w.to, w.from
	}
	switch r.IntN(8) {
	case 0:
		w.to = time.Time{}
	case 1:
		w.to = w.from.Add(time.Duration(r.IntN(90)) * time.Minute)
	}
	return w
}

func TestWriteAgreesWithTheDefinition(t *testing.T) {
	t.Parallel()
	t.Logf("-data-seed=%d", *seed)
	r := rand.New(rand.NewPCG(*seed, 1))
	d := shop(t, 25)
	const days = 12
	ref := newReference(t, d, clock.AddDate(0, 0, -days-1), clock)
	scopes := []scope{scopeEvents, scopePages, scopeSessions, scopeIndividuals}
	queries, filled := 150, 0
	if *full {
		queries = 500
	}
	for n := range queries {
		q := query{segment: d.segments()[n%len(d.segments())], exports: randomWindow(r, days),
			matches: randomWindow(r, days), now: clock}
		name := fmt.Sprintf("%d %s %v %v", n, q.segment.name, q.exports, q.matches)
		q.rows, q.scope = eventRows, scopes[r.IntN(4)]
		want := ref.rows(q)
		if diff := difference(want, lines(t, d, q)); diff != "" {
			t.Fatalf("%s %s (-definition +written):\n%.2000s", name, q.scope, diff)
		}
		if len(want) > 0 {
			filled++
		}
		q.rows, q.scope, q.fields = individualRows, "", []string{"IndvId"}
		var ids []int64
		for _, line := range lines(t, d, q) {
			var row struct{ IndvId int64 }
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, row.IndvId)
		}
		slices.Sort(ids)
		if diff := cmp.Diff(ref.individuals(q), ids); diff != "" {
			t.Fatalf("%s individuals (-definition +written):\n%.2000s", name, diff)
		}
	}
	if filled < queries*9/20 {
		t.Errorf("only %d of the queries had rows", filled)
	}
}

// TestTotalsOfIndividuals compares the totals with a count of every person's events.
func TestTotalsOfIndividuals(t *testing.T) {
	d := shop(t, 20)
	from := clock.Add(-totalsReach)
	ref := newReference(t, d, from, clock)
	want := map[int64]int64{}
	for _, e := range ref.events { // the sessions with an event since from, and all of their events
		want[e.session.person.id]++
	}
	q := everyone(t, d, window{from: clock.AddDate(0, 0, -5)})
	q.rows, q.scope, q.matches = individualRows, "", q.exports
	rows := lines(t, d, q)
	if len(rows) < 10 {
		t.Fatalf("only %d individuals", len(rows))
	}
	for _, line := range rows {
		id := fieldOf[int64](t, line, "IndvId")
		if got := fieldOf[int64](t, line, "NumEvents"); got != want[id] {
			t.Errorf("individual %d has %d events, want %d", id, got, want[id])
		}
		average, longest := fieldOf[float64](t, line, "AvgSessionSec"), fieldOf[float64](t, line, "MaxSessionSec")
		if average > longest {
			t.Errorf("individual %d: average session %g s, longest %g s", id, average, longest)
		}
		var vars map[string]any
		if err := json.Unmarshal([]byte(fieldOf[string](t, line, "UserVars")), &vars); err != nil {
			t.Error(err)
		}
		if uid := fieldOf[string](t, line, "Uid"); (uid == "") != (len(vars) == 0) {
			t.Errorf("individual %q has the variables %v", uid, vars)
		}
		if c, last := fieldOf[string](t, line, "Created"), fieldOf[string](t, line, "LastSessionStart"); c > last {
			t.Errorf("individual %d created at %s, last session at %s", id, c, last)
		}
	}
	q.exports.from, q.matches.from = clock.AddDate(0, 0, -1), clock.AddDate(0, 0, -1)
	for _, line := range lines(t, d, q) {
		if _, same := slices.BinarySearch(rows, line); !same {
			t.Errorf("a shorter window changes the totals of a person: %s", line)
		}
	}
}

// difference returns how two lists differ, or "". cmp.Diff alone is slow for long
// lists that are equal.
func difference(want, got []string) string {
	if slices.Equal(want, got) {
		return ""
	}
	return cmp.Diff(want, got)
}

func everyone(t testing.TB, d *data, exports window) query {
	return query{segment: segmentNamed(t, d, "Everyone"), rows: eventRows, scope: scopeEvents, exports: exports,
		now: clock, format: formatNDJSON}
}

func TestChunksAddUp(t *testing.T) {
	d := shop(t, 150)
	from := time.Date(2026, 9, 27, 0, 0, 0, 0, time.UTC)
	whole := lines(t, d, everyone(t, d, window{from, from.AddDate(0, 0, 2)}))
	for _, size := range []time.Duration{24 * time.Hour, time.Hour, 17 * time.Minute} {
		var chunks []string
		// From the last to the first, because the order must not matter.
		for end := from.AddDate(0, 0, 2); end.After(from); end = end.Add(-size) {
			start := end.Add(-size)
			if start.Before(from) {
				start = from
			}
			chunks = append(chunks, lines(t, d, everyone(t, d, window{start, end}))...)
		}
		slices.Sort(chunks)
		if diff := difference(whole, chunks); diff != "" {
			t.Errorf("chunks of %v (-whole +chunks):\n%.1000s", size, diff)
		}
	}
	if len(whole) < 4_000 {
		t.Errorf("two days have %d rows", len(whole))
	}
}

func TestScopesGrow(t *testing.T) {
	t.Parallel()
	d := shop(t, 600)
	for _, name := range []string{"Rage clickers", "Abandoned carts", "Visitors with errors", "Big baskets"} {
		q := query{segment: segmentNamed(t, d, name), rows: eventRows, now: clock,
			exports: window{from: clock.AddDate(0, 0, -1)}}
		q.matches = window{from: clock.AddDate(0, 0, -7)}
		var last []string
		for _, reach := range []scope{scopeEvents, scopePages, scopeSessions, scopeIndividuals} {
			q.scope = reach
			rows := lines(t, d, q)
			if len(rows) <= len(last) {
				t.Errorf("%s: %s has %d rows, the scope before it %d", name, q.scope, len(rows), len(last))
			}
			for _, row := range last {
				if _, found := slices.BinarySearch(rows, row); !found {
					t.Fatalf("%s: %s lacks a row of the scope before it: %s", name, q.scope, row)
				}
			}
			last = rows
		}
	}
}

func TestNothingFromTheFuture(t *testing.T) {
	d := shop(t, 3000)
	q := everyone(t, d, window{from: clock.Add(-time.Hour)})
	early := lines(t, d, q)
	for _, line := range early {
		if at := fieldOf[string](t, line, "EventStart"); at >= clock.Format("2006-01-02T15:04:05.000Z") {
			t.Fatalf("a row of %s at %s", at, clock)
		}
	}
	q.now = clock.Add(time.Minute)
	if later := lines(t, d, q); len(later) <= len(early) {
		t.Errorf("%d rows, and %d a minute later", len(early), len(later))
	}
}

// TestFutureEventsDecideNothing exports while sessions are under way: a cart counts
// as abandoned until its order is completed.
func TestFutureEventsDecideNothing(t *testing.T) {
	t.Parallel()
	d := shop(t, 4000)
	changed := false
	for hours := range 12 {
		now := clock.Add(-time.Duration(hours) * 53 * time.Minute)
		ref := newReference(t, d, now.Add(-150*time.Minute), now)
		q := query{segment: segmentNamed(t, d, "Abandoned carts"), rows: eventRows, scope: scopeSessions, now: now}
		q.exports = window{from: now.Add(-20 * time.Minute)}
		q.matches = q.exports
		rows := lines(t, d, q)
		if diff := difference(ref.rows(q), rows); diff != "" {
			t.Fatalf("at %s (-definition +written):\n%.1000s", now, diff)
		}
		q.exports.to, q.matches.to, q.now = now, now, now.Add(3*time.Hour)
		changed = changed || !slices.Equal(rows, lines(t, d, q))
	}
	if !changed {
		t.Error("no session changed afterwards: the test proves nothing")
	}
}

func fieldOf[T any](t *testing.T, line, name string) T {
	t.Helper()
	var row map[string]json.RawMessage
	if err := json.Unmarshal([]byte(line), &row); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	var value T
	if err := json.Unmarshal(row[name], &value); err != nil {
		t.Fatalf("%s: %v: %s", name, err, line)
	}
	return value
}

func TestSameQuerySameBytes(t *testing.T) {
	q := everyone(t, shop(t, 600), window{from: clock.Add(-4 * time.Hour)})
	first, second := file(t, shop(t, 600), q), file(t, shop(t, 600), q)
	if first != second {
		t.Error("the same query gave different files")
	}
	inOrder := slices.IsSorted(startsOf(t, first))
	if inOrder {
		t.Error("the rows are in order of time, so readers could come to rely on it")
	}
	other, err := openData(Config{Seed: 8, Density: 600})
	if err != nil {
		t.Fatal(err)
	}
	if file(t, other, q) == first {
		t.Error("another seed gave the same file")
	}
}

func startsOf(t *testing.T, ndjson string) (starts []string) {
	for line := range strings.Lines(ndjson) {
		starts = append(starts, fieldOf[string](t, line, "EventStart"))
	}
	return starts
}

func TestFormatsHoldTheSameRows(t *testing.T) {
	d := shop(t, 600)
	q := everyone(t, d, window{from: clock.Add(-3 * time.Hour)})
	rows := lines(t, d, q)

	q.format = formatJSON
	var array []json.RawMessage
	if err := json.Unmarshal([]byte(file(t, d, q)), &array); err != nil {
		t.Fatal(err)
	}
	var fromArray []string
	for _, row := range array {
		fromArray = append(fromArray, string(row)+"\n")
	}
	slices.Sort(fromArray)
	if diff := difference(rows, fromArray); diff != "" {
		t.Errorf("JSON (-NDJSON +JSON):\n%.1000s", diff)
	}

	q.format = formatCSV
	table, err := csv.NewReader(strings.NewReader(file(t, d, q))).ReadAll() // equal column counts, or an error
	if err != nil {
		t.Fatal(err)
	}
	if len(table) != len(rows)+1 {
		t.Errorf("CSV has %d rows, NDJSON %d", len(table)-1, len(rows))
	}
	cells := map[string]int{}
	for _, record := range table[1:] {
		for i, cell := range record {
			cells[table[0][i]+"="+cell]++
		}
	}
	for _, line := range rows {
		dec := json.NewDecoder(strings.NewReader(line))
		dec.UseNumber()
		var row map[string]any
		if err := dec.Decode(&row); err != nil {
			t.Fatal(err)
		}
		for name, value := range row {
			if text, ok := value.(string); ok { // encoding/csv turns \r\n in a cell into \n
				key := name + "=" + strings.ReplaceAll(text, "\r\n", "\n")
				if cells[key]--; cells[key] < 0 {
					t.Fatalf("CSV lacks %q", key)
				}
			}
		}
	}
}

func TestFieldsOfARequest(t *testing.T) {
	d := shop(t, 600)
	q := everyone(t, d, window{from: clock.Add(-3 * time.Hour)})
	q.format = formatCSV
	q.fields = []string{"EventStart", "UserId", "evt_*", tokenizedSelector, "user_plan_str", "evt_nobodySends_int",
		"page_*"}
	header, _, _ := strings.Cut(file(t, d, q), "\r\n")
	const want = "EventStart,UserId,evt_cart.items_int,evt_cart.total_real,evt_note_str," +
		"evt_order.coupon_str,evt_order.deliveries_dates,evt_order.gift_bool,evt_order.id_str," +
		"evt_order.items_int,evt_order.placed_date,evt_order.prices_reals,evt_order.quantities_ints," +
		"evt_order.total_real,evt_order.wrapped_bools,evt_product.id_str,evt_product.name_str," +
		"evt_product.price_real,evt_quantity_int,evt_query_str,evt_rating_int,evt_results_int," +
		"EventTargetSelectorTok,user_plan_str,evt_nobodySends_int,page_category_str," +
		"page_experiment_str,page_product.id_str,page_product.price_real"
	if header != want {
		t.Errorf("header\n%s\nwant\n%s", header, want)
	}
	q.format, q.fields = formatNDJSON, []string{"PageUrl"}
	for line := range strings.Lines(file(t, d, q)) {
		if !strings.HasPrefix(line, `{"PageUrl":"`) && line != "{}\n" { // the app has no URLs
			t.Fatalf("a row of PageUrl alone: %s", line)
		}
	}
}

func TestEmptyFiles(t *testing.T) {
	d := shop(t, 600)
	q := everyone(t, d, window{clock, clock})
	wanted := map[format]string{formatNDJSON: "", formatJSON: "[]", formatCSV: "UserId,EventStart\r\n"}
	for f, want := range wanted {
		q.format, q.fields = f, []string{"UserId", "EventStart"}
		if got := file(t, d, q); got != want {
			t.Errorf("%s: %q, want %q", f, got, want)
		}
	}
}

func TestWriteStopsWithItsContext(t *testing.T) {
	d := shop(t, 600)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.write(ctx, io.Discard, everyone(t, d, window{})); err != context.Canceled {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func BenchmarkWrite(b *testing.B) {
	d := shop(b, 6000)
	for _, f := range []format{formatNDJSON, formatJSON, formatCSV} {
		b.Run(string(f), func(b *testing.B) {
			q := everyone(b, d, window{from: clock.AddDate(0, 0, -1)})
			q.format = f
			var size counter
			w := bufio.NewWriter(&size)
			for b.Loop() {
				if _, err := d.write(context.Background(), w, q); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(size) / int64(b.N))
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
