package destination

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"fullstory-export-mcp/columnar"
)

// Loaded is the outcome of loading a file.
type Loaded struct {
	Window   string
	Rows     int64
	Replaced int64 // see Copied
	Skipped  bool  // the window had been loaded from the same exported file
}

func (t table) windowKey(window string) int64 { return t.key("window\x00" + t.name + "\x00" + window) }

// recorded says whether the window of a file was loaded from the same exported file.
func (t table) recorded(ctx context.Context, tx pgx.Tx, f *columnar.File) (Loaded, error) {
	l := Loaded{Window: f.Window}
	err := tx.QueryRow(ctx, "SELECT rows FROM "+t.beside(loads)+
		" WHERE table_name = $1 AND window_name = $2 AND sha256 = $3", t.name, f.Window, f.SHA256).Scan(&l.Rows)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, nil
	}
	l.Skipped = err == nil
	return l, err
}

// replace puts the rows of a file in the place of those of its window.
func (t table) replace(ctx context.Context, tx pgx.Tx, f *columnar.File) (Loaded, error) {
	l := Loaded{Window: f.Window}
	if err := t.remove(ctx, tx, f.Window); err != nil {
		return l, err
	}
	columns := append([]string{WindowColumn}, Names(columnsOf(f.Columns))...)
	quoted := make([]string, len(columns))
	for i, name := range columns {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	r, w := io.Pipe()
	var copied Copied
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		copied, failed = CopyText(ctx, w, f, columns)
		w.CloseWithError(failed)
	}()
	sql := fmt.Sprintf("COPY %s (%s) FROM STDIN WITH (FORMAT text, HEADER MATCH, ENCODING 'UTF8')",
		t.quoted(), strings.Join(quoted, ", "))
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, r, sql)
	r.CloseWithError(context.Canceled) // ends the writer if the server has failed
	<-done
	if failed != nil && !errors.Is(failed, context.Canceled) {
		return l, failed
	}
	if err != nil {
		return l, err
	}
	if l.Rows, l.Replaced = copied.Rows, copied.Replaced; tag.RowsAffected() != f.Rows || copied.Rows != f.Rows {
		return l, &Error{
			OtherTable, fmt.Sprintf("The table %s took %d of the %d rows of the window", t.name, tag.RowsAffected(), f.Rows),
			"Remove its triggers and rules, or name another table.",
		}
	}
	_, err = tx.Exec(ctx, "INSERT INTO "+t.beside(loads)+`
		(table_name, window_name, window_start, window_end, sha256, rows, loaded_at) VALUES ($1, $2, $3, $4, $5, $6, now())`,
		t.name, f.Window, nullable(f.Start), nullable(f.End), f.SHA256, f.Rows)
	return l, err
}

// nullable returns a time, or nil for zero.
func nullable(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// remove removes the rows of a window and its entry.
func (t table) remove(ctx context.Context, tx pgx.Tx, window string) error {
	_, err := tx.Exec(ctx, "DELETE FROM "+t.quoted()+" WHERE "+WindowColumn+" = $1", window)
	if err == nil {
		_, err = tx.Exec(ctx, "DELETE FROM "+t.beside(loads)+" WHERE table_name = $1 AND window_name = $2", t.name, window)
	}
	return err
}
