package sandbox

import (
	"context"
	"io"
)

// write writes the uncompressed file of an accepted export and returns its number of
// rows. The order of rows has no meaning, but equal queries yield equal bytes. Memory
// does not grow with the window: rows are written as they are computed, and only the
// ids of individuals, or their totals, are kept.
//
// It fails if w fails or ctx ends; what it has written by then is not a valid file.
func (d *data) write(ctx context.Context, w io.Writer, q query) (int64, error) {
	if q.rows == individualRows {
		return d.writeIndividuals(ctx, w, q)
	}
	file := d.newRowFile(w, q.format)
	all, fields := d.source.eventColumns(), q.fields
	if d.csvVars && q.format == formatCSV {
		all, fields = withVars(all), varsFields(fields)
	}
	enc := newEncoder(columnsFor(all, fields), q.format)
	if err := file.begin(enc.header); err != nil {
		return 0, err
	}
	exports := q.exports.before(q.now)
	show := func(e *event) error {
		return file.row(func(dst []byte) []byte {
			if e.record != nil && len(q.fields) == 0 && q.format != formatCSV {
				return append(dst, e.record.line...)
			}
			return enc.append(dst, e, e.page.id)
		})
	}
	if err := d.exported(ctx, q, exports, show); err != nil {
		return file.rows, err
	}
	return file.rows, file.end()
}

// exported calls show with each event of an event export.
func (d *data) exported(ctx context.Context, q query, exports span, show func(*event) error) error {
	m := newMatcher(q)
	reach, wanted := q.scope, q.segment.people
	if q.segment.matchesEverything() {
		// Every event matches, so every scope is the events themselves.
		reach = scopeEvents
	}
	if reach == scopeEvents {
		exports = exports.and(m.in)
	}
	var members map[int64]struct{}
	if reach == scopeIndividuals {
		var err error
		if members, err = d.members(ctx, q, exports); err != nil {
			return err
		}
		wanted = memberOf(members)
	}
	return d.source.sessions(ctx, exports, milliseconds(q.now), wanted, func(s *session) error {
		if reach != scopeIndividuals && !m.session(s) {
			return nil
		}
		for i := range s.events {
			e := &s.events[i]
			if !exports.contains(e.at) || reach == scopeEvents && !m.event(e) ||
				reach == scopePages && !m.page(s, e.page.id) {
				continue
			}
			if err := show(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// members returns the ids of the individuals who match inside q.matches and have an
// event inside the exported window. It finds the latter first: they are few when a
// long history is exported in chunks, and the sessions of all others can be skipped.
func (d *data) members(ctx context.Context, q query, exports span) (map[int64]struct{}, error) {
	m, now := newMatcher(q), milliseconds(q.now)
	active, found := map[int64]struct{}{}, map[int64]struct{}{}
	unseen := func(p *person) bool {
		_, seen := active[p.id]
		return !seen && (q.segment.people == nil || q.segment.people(p))
	}
	err := d.source.sessions(ctx, exports, now, unseen, func(s *session) error {
		for i := range s.events {
			if exports.contains(s.events[i].at) {
				active[s.person.id] = struct{}{}
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	open := func(p *person) bool {
		_, candidate := active[p.id]
		_, done := found[p.id]
		return candidate && !done
	}
	err = d.source.sessions(ctx, m.in, now, open, func(s *session) error {
		if m.session(s) {
			found[s.person.id] = struct{}{}
		}
		return nil
	})
	return found, err
}

// memberOf returns the criterion that a person's id is in the set.
func memberOf(set map[int64]struct{}) func(*person) bool {
	return func(p *person) bool { _, in := set[p.id]; return in }
}

// matcher decides which events match a segment: those inside its window that satisfy
// its criteria for sessions and events. The source has checked the people before.
type matcher struct {
	segment *segment
	in      span
}

func newMatcher(q query) matcher { return matcher{q.segment, q.matches.before(q.now)} }

// event reports whether an event matches, if its session satisfies the criteria for
// sessions.
func (m matcher) event(e *event) bool {
	return m.in.contains(e.at) && (m.segment.event == nil || m.segment.event(e))
}

// session reports whether any event of a session matches.
func (m matcher) session(s *session) bool {
	if m.segment.session != nil && !m.segment.session(s) {
		return false
	}
	for i := range s.events {
		if m.event(&s.events[i]) {
			return true
		}
	}
	return false
}

// page reports whether any event of a page matches, if its session satisfies the
// criteria for sessions.
func (m matcher) page(s *session, id int64) bool {
	for i := range s.events {
		if s.events[i].page.id == id && m.event(&s.events[i]) {
			return true
		}
	}
	return false
}
