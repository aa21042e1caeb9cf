package sandbox

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"time"
)

// individual is a row of an individual export: a person with totals.
type individual struct {
	person                         person
	created                        int64
	sessions, pages, events        int64
	millis, activeMillis, longest  int64
	last                           visit
	ip, latLong, browser, device   string
	platform, operatingSystem, url string
}

// visit is the totals of one session. start and end are instants; millis and active
// are durations in milliseconds.
type visit struct {
	start, end, pages, events, millis, active int64
}

// totalsReach is the minimum time before now at which the totals of an individual
// begin. Either window of a request can move the beginning further back.
const totalsReach = 30 * 24 * time.Hour

// writeIndividuals writes one row for each person with a match inside q.matches and
// an event inside q.exports. The totals belong to the person, not to the window: they
// count every session with an event between now and the earliest of q.exports,
// q.matches and 30 days before now. So the chunks of a recent export agree on a
// person.
func (d *data) writeIndividuals(ctx context.Context, w io.Writer, q query) (int64, error) {
	exports := q.exports.before(q.now)
	members, err := d.members(ctx, q, exports)
	if err != nil {
		return 0, err
	}
	totals := window{from: q.now.Add(-totalsReach)}.before(q.now)
	totals.from = min(totals.from, exports.from, q.matches.before(q.now).from)
	rows := make(map[int64]*individual, len(members))
	err = d.source.sessions(ctx, totals, milliseconds(q.now), memberOf(members), func(s *session) error {
		if !s.touches(totals) {
			return nil
		}
		row := rows[s.person.id]
		if row == nil {
			row = &individual{created: s.start}
			rows[s.person.id] = row
		}
		row.count(s)
		return nil
	})
	if err != nil {
		return 0, err
	}
	file := d.newRowFile(w, q.format)
	fields := q.fields
	if d.csvVars && q.format == formatCSV {
		fields = varsFields(fields)
	}
	enc := newEncoder(columnsFor(d.individualColumns(len(fields) > 0), fields), q.format)
	if err := file.begin(enc.header); err != nil {
		return 0, err
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if err := file.row(func(dst []byte) []byte { return enc.append(dst, rows[id], 0) }); err != nil {
			return file.rows, err
		}
	}
	return file.rows, file.end()
}

// touches reports whether the session has an event in the span.
func (s *session) touches(in span) bool {
	return slices.ContainsFunc(s.events, func(e event) bool { return in.contains(e.at) })
}

// count adds a session to the totals. The texts of the row are those of the person's
// last session.
func (i *individual) count(s *session) {
	v := visit{start: s.start, events: int64(len(s.events))}
	pages := map[int64]struct{}{}
	for n := range s.events {
		e := &s.events[n]
		v.end = max(v.end, e.at)
		if _, again := pages[e.page.id]; !again {
			pages[e.page.id] = struct{}{}
			v.millis += e.page.duration
			v.active += e.page.active
		}
	}
	v.pages = int64(len(pages))
	i.sessions++
	i.pages += v.pages
	i.events += v.events
	i.millis += v.millis
	i.activeMillis += v.active
	i.longest = max(i.longest, v.millis)
	i.created = min(i.created, s.start)
	if s.userCreated != 0 {
		i.created = min(i.created, s.userCreated)
	}
	// Sessions of one person can overlap; at the same start the ids decide.
	if i.last.events > 0 && cmp.Or(cmp.Compare(v.start, i.last.start), cmp.Compare(v.end, i.last.end)) < 0 {
		return
	}
	i.last, i.person = v, *s.person
	i.ip, i.latLong = s.ip, s.latLong
	i.browser, i.device, i.platform, i.operatingSystem = s.platform.browser, s.platform.device, s.platform.name,
		s.platform.os
	i.url = s.events[len(s.events)-1].page.url
}
