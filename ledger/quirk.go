package ledger

import (
	"context"
)

// mostQuirks bounds the quirks of an account that are read.
const mostQuirks = 100

// Quirks returns what a probe has found out about the API of an account, by name; empty
// before the first one.
func (l *Ledger) Quirks(ctx context.Context, account string) (map[string]string, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT name, value FROM quirks WHERE account = $1 ORDER BY name LIMIT $2",
		account, mostQuirks)
	quirks := map[string]string{}
	_, err = all(rows, err, func(row scanner) (name string, err error) {
		var value string
		if err = row.Scan(&name, &value); err == nil {
			quirks[name] = value
		}
		return name, err
	})
	return quirks, l.wrap(err)
}

// SetQuirk records what a probe has found out. An empty value removes the quirk.
func (l *Ledger) SetQuirk(ctx context.Context, account, name, value string) error {
	var err error
	if value == "" {
		_, err = l.write.ExecContext(ctx, "DELETE FROM quirks WHERE account = $1 AND name = $2", account, name)
	} else {
		_, err = l.write.ExecContext(ctx, `INSERT INTO quirks (account, name, value) VALUES ($1, $2, $3)
			ON CONFLICT (account, name) DO UPDATE SET value = excluded.value`, account, cleanText(name, maxKey),
			cleanText(value, maxKey))
	}
	return l.wrap(err)
}
