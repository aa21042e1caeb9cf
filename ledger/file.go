package ledger

import (
	"context"
	"encoding/json"
)

// File is a verified file of a bulk export.
type File struct {
	Account, Folder, Name string
	Bulk                  string
	Number                int64           // of its chunk
	Detail                json.RawMessage // its entry in the manifest
}

const fileColumns = "account, folder, name, bulk, number, detail"

func scanFile(row scanner) (f File, err error) {
	var detail string
	err = row.Scan(&f.Account, &f.Folder, &f.Name, &f.Bulk, &f.Number, &detail)
	f.Detail = json.RawMessage(detail)
	return f, err
}

// PutFile records a file and replaces one of the same name. It makes the manifest of
// the bulk export due.
func (t *Tx) PutFile(f File) error {
	_, err := t.tx.ExecContext(t.ctx, "UPDATE bulks SET manifest_due = 1 WHERE id = $1 AND manifest_due <> 1", f.Bulk)
	if err != nil {
		return err
	}
	return t.exec(ErrConflict, "INSERT INTO files ("+fileColumns+`) VALUES ($1,$2,$3,$4,$5,$6)
		ON CONFLICT (account, folder, name) DO UPDATE
		SET bulk = excluded.bulk, number = excluded.number, detail = excluded.detail`,
		f.Account, f.Folder, f.Name, f.Bulk, f.Number, document(f.Detail))
}

// Files calls each with every file of a bulk export, in order of the numbers of their
// chunks, until each fails.
func (l *Ledger) Files(ctx context.Context, bulk string, each func(File) error) error {
	rows, err := l.read.QueryContext(ctx, "SELECT "+fileColumns+" FROM files WHERE bulk = $1 ORDER BY number", bulk)
	if err != nil {
		return l.wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		f, err := scanFile(rows)
		if err != nil {
			return err
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return l.wrap(rows.Err())
}

// FileOf returns the file of a chunk. It returns ErrNotFound if there is none.
func (l *Ledger) FileOf(ctx context.Context, bulk string, number int64) (File, error) {
	rows, err := l.read.QueryContext(ctx,
		"SELECT "+fileColumns+" FROM files WHERE bulk = $1 AND number = $2", bulk, number)
	files, err := all(rows, err, scanFile)
	if err == nil && len(files) == 0 {
		return File{}, ErrNotFound
	}
	if err != nil {
		return File{}, l.wrap(err)
	}
	return files[0], nil
}
