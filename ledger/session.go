package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	// sessionLife is how long what is noted of a session is kept after its last
	// change.
	sessionLife = 7 * 24 * time.Hour
	// commitTime is by how much a change may become visible after the moment
	// that it carries.
	commitTime = 10 * time.Second
)

// Session returns what is noted of a session, "" if nothing is.
func (l *Ledger) Session(ctx context.Context, id string) (string, error) {
	var note string
	err := l.read.QueryRowContext(ctx, "SELECT note FROM sessions WHERE id = $1", id).Scan(&note)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return note, l.failed(err)
}

// ChangeSession changes what is noted of a session, in one transaction.
func (l *Ledger) ChangeSession(ctx context.Context, id string, change func(note string) string) error {
	return l.Write(ctx, func(t *Tx) error {
		now, err := t.now()
		if err != nil {
			return err
		}
		if _, err := t.tx.ExecContext(t.ctx, "INSERT INTO sessions (id, note, changed_at) VALUES ($1, '', $2) ON CONFLICT (id) DO NOTHING", id, micros(now)); err != nil {
			return err
		}
		var note string
		if err := t.tx.QueryRowContext(t.ctx, "SELECT note FROM sessions WHERE id = $1"+t.lock, id).Scan(&note); err != nil {
			return err
		}
		return t.exec(ErrMoved, "UPDATE sessions SET note = $1, changed_at = $2 WHERE id = $3", change(note), micros(now), id)
	})
}

// SessionsSince calls each with what was noted of sessions since an instant of
// the database's clock, and returns the instant to go on from; some are told
// again. The zero instant is now.
func (l *Ledger) SessionsSince(ctx context.Context, since time.Time, each func(id, note string)) (time.Time, error) {
	var now time.Time
	err := l.Write(ctx, func(t *Tx) (err error) {
		now, err = t.now()
		return err
	})
	if err != nil || since.IsZero() {
		return now, err
	}
	type row struct{ id, note string }
	rows, err := l.read.QueryContext(ctx, "SELECT id, note FROM sessions WHERE changed_at > $1", micros(since.Add(-commitTime)))
	changed, err := all(rows, err, func(s scanner) (r row, err error) {
		err = s.Scan(&r.id, &r.note)
		return r, err
	})
	for _, r := range changed {
		each(r.id, r.note)
	}
	if err == nil && now.Truncate(time.Hour) != since.Truncate(time.Hour) {
		_, err = l.write.ExecContext(ctx, "DELETE FROM sessions WHERE changed_at < $1", micros(now.Add(-sessionLife)))
	}
	if err != nil {
		return since, l.failed(err)
	}
	return now, nil
}
