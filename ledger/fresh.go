package ledger

import (
	"context"
	_ "embed"
	"fmt"
)

// fresh makes the tables that all migrations together make in an empty SQLite file, and
// records these migrations as applied. TestFresh writes and checks it.
//
//go:embed fresh.sql
var fresh string

// create makes an empty SQLite file a ledger in one transaction: the migrations one after
// another take several times as long, with a write to the disk after each.
func (l *Ledger) create(ctx context.Context) error {
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after the commit
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id=%d;\n", applicationID)+fresh); err != nil {
		return err
	}
	return tx.Commit()
}
