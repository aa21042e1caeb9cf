package ledger

import (
	"context"
	"time"
)

// TableFormat says what makes one table of the Parquet files of a bulk export.
type TableFormat string

// The formats. With none the Parquet files alone are the table.
const (
	NoTable    TableFormat = ""
	DeltaTable TableFormat = "delta" // a log of Delta Lake beside them
)

// Conversion is the making of Parquet files of the stored files of a bulk export. A bulk
// export for which nobody has requested them has none.
type Conversion struct {
	Bulk, Account string
	Table         TableFormat
	Wanted        int64     // how often files were stored or Parquet files requested; at least 1
	Made          int64     // what Wanted was when the last complete conversion began
	Files         int       // Parquet files that there are, as far as is known
	Rows          int64     // of them, when a conversion last ended
	Loaded        int       // windows that the destination has, as far as is known
	Tries         int       // conversions in a row that failed or did not end
	NextAt        time.Time // the next one begins no earlier; zero: at once
	Reason        string    // why the last one failed, in sentences; "": it did not
}

// Due reports whether files were stored or requested since the last complete conversion.
func (c Conversion) Due() bool { return c.Made < c.Wanted }

// conversionColumns and scanConversion have the columns in the same order.
const conversionColumns = "c.bulk, c.account, c.table_format, c.wanted, c.made, c.file_count, c.row_count, " +
	"c.loaded, c.tries, c.next_at, c.reason"

func scanConversion(row scanner) (c Conversion, err error) {
	var next int64
	err = row.Scan(&c.Bulk, &c.Account, &c.Table, &c.Wanted, &c.Made, &c.Files, &c.Rows, &c.Loaded, &c.Tries, &next,
		&c.Reason)
	c.NextAt = instant(next)
	return c, err
}

// RequestConversion requests Parquet files for a bulk export, or requests them anew. NoTable
// leaves the format of the table as it is: a table that others read does not end by itself.
func (t *Tx) RequestConversion(b Bulk, table TableFormat) error {
	_, err := t.tx.ExecContext(t.ctx, `INSERT INTO conversions
		(bulk, account, table_format, wanted, made, file_count, row_count, loaded, tries, next_at, reason)
		VALUES ($1, $2, $3, 1, 0, 0, 0, 0, 0, 0, '') ON CONFLICT (bulk) DO UPDATE SET table_format =
		CASE WHEN excluded.table_format = '' THEN conversions.table_format ELSE excluded.table_format END`,
		b.ID, b.Account, string(table))
	if err != nil {
		return err
	}
	return t.RenewConversion(b.ID)
}

// RenewConversion makes the conversion of a bulk export due again, with all its tries. It
// does nothing for one without a conversion.
func (t *Tx) RenewConversion(bulk string) error {
	_, err := t.tx.ExecContext(t.ctx,
		"UPDATE conversions SET wanted = wanted + 1, tries = 0, next_at = 0, reason = '' WHERE bulk = $1", bulk)
	return err
}

// HurryConversion makes the next try of a conversion that has failed begin at once. One with
// so many tries in a row gets all of them again.
func (t *Tx) HurryConversion(bulk string, tries int) error {
	_, err := t.tx.ExecContext(t.ctx, `UPDATE conversions SET next_at = 0, reason = '',
		tries = CASE WHEN tries >= $1 THEN 0 ELSE tries END
		WHERE bulk = $2 AND made < wanted AND (reason <> '' OR tries >= $1)`, tries, bulk)
	return err
}

// Conversion returns the conversion of a bulk export. It returns ErrNotFound if nobody has
// requested one.
func (l *Ledger) Conversion(ctx context.Context, bulk string) (Conversion, error) {
	c, err := one(l.read.QueryRowContext(l.uninterrupted(ctx),
		"SELECT "+conversionColumns+" FROM conversions c WHERE c.bulk = $1", bulk), scanConversion)
	return c, l.wrap(err)
}

// Conversions returns the conversions of an account that are due and had fewer tries in a
// row than tries, the next one first. They are of bulk exports that run, are complete or
// are partial.
func (l *Ledger) Conversions(ctx context.Context, account string, tries int) ([]Conversion, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT "+conversionColumns+` FROM conversions c JOIN bulks b ON b.id = c.bulk
		WHERE c.account = $1 AND c.made < c.wanted AND c.tries < $2 AND b.state IN ('running', 'complete', 'partial')
		ORDER BY c.next_at, c.bulk`, account, tries)
	due, err := all(rows, err, scanConversion)
	return due, l.wrap(err)
}

// SaveConversion records all but Wanted, which others may have raised meanwhile.
func (l *Ledger) SaveConversion(ctx context.Context, c Conversion) error {
	_, err := l.write.ExecContext(ctx, `UPDATE conversions SET made = $1, file_count = $2, row_count = $3, loaded = $4,
		tries = $5, next_at = $6, reason = $7 WHERE bulk = $8`,
		c.Made, c.Files, c.Rows, c.Loaded, c.Tries, micros(c.NextAt), sentence(c.Reason), c.Bulk)
	return l.wrap(err)
}
