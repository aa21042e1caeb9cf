package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	// sessionLife is how long the note of a session is kept after its last change.
	sessionLife = 7 * 24 * time.Hour
	// commitTime bounds how much later than its changed_at a change becomes visible: a
	// transaction sets the time before it commits.
	commitTime = 10 * time.Second
)

// Session returns the note of a session, "" if it has none.
func (l *Ledger) Session(ctx context.Context, id string) (string, error) {
	var note string
	err := l.read.QueryRowContext(ctx, "SELECT note FROM sessions WHERE id = $1", id).Scan(&note)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return note, l.wrap(err)
}

// ChangeSession replaces the note of a session by what change returns, in one
// transaction, and announces that to SessionChanges. change gets the present note,
// "" at first.
func (l *Ledger) ChangeSession(ctx context.Context, id string, change func(note string) string) error {
	return l.Write(ctx, func(t *Tx) error {
		now, err := t.now()
		if err != nil {
			return err
		}
		_, err = t.tx.ExecContext(t.ctx, `INSERT INTO sessions (id, note, changed_at) VALUES ($1, '', $2)
			ON CONFLICT (id) DO NOTHING`, id, micros(now)) // a row to lock
		if err != nil {
			return err
		}
		var note string
		err = t.tx.QueryRowContext(t.ctx, "SELECT note FROM sessions WHERE id = $1"+t.lock, id).Scan(&note)
		if err != nil {
			return err
		}
		if err := t.announce(sessionTopic); err != nil {
			return err
		}
		return t.exec(ErrConflict, "UPDATE sessions SET note = $1, changed_at = $2 WHERE id = $3",
			document(change(note)), micros(now), id)
	})
}

// SessionsSince calls each with the notes that changed since an instant by the clock
// of the ledger, and returns the instant from which to continue. It repeats notes
// that changed up to commitTime earlier. With a zero instant it calls nothing and
// returns the present one. Once an hour it removes notes older than sessionLife.
func (l *Ledger) SessionsSince(
	ctx context.Context, since time.Time, each func(id, note string),
) (time.Time, error) {
	now, err := l.now(ctx)
	if err != nil || since.IsZero() {
		return now, l.wrap(err)
	}
	type row struct{ id, note string }
	rows, err := l.read.QueryContext(ctx,
		"SELECT id, note FROM sessions WHERE changed_at > $1", micros(since.Add(-commitTime)))
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
		return since, l.wrap(err)
	}
	return now, nil
}
