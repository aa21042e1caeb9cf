package exports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/columnar"
	"fullstory-export-mcp/delta"
	"fullstory-export-mcp/landing"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/load"
)

// BulkParquet are the Parquet files of a bulk export.
type BulkParquet struct {
	Folder string             `json:"folder"`
	Table  ledger.TableFormat `json:"table,omitempty"` // that they make
	State  ParquetState       `json:"state"`
	Files  int                `json:"files"` // made so far
	Rows   int64              `json:"rows"`
	Loaded int                `json:"loaded,omitempty"` // windows that the database of the sync has
}

// ParquetState says whether each stored file has its Parquet file.
type ParquetState string

// The states.
const (
	ParquetPending   ParquetState = "pending" // not yet
	ParquetMade      ParquetState = "made"
	ParquetFailed    ParquetState = "failed"    // not all, and it is not tried again unless somebody asks
	ParquetCancelled ParquetState = "cancelled" // not all, because the bulk export was cancelled
)

// parquet returns whether Parquet files are requested.
func (in BulkRequest) parquet() bool {
	return in.Table != ledger.NoTable || in.Parquet != nil && *in.Parquet
}

// parquetToCome says in a sentence that Parquet files will be made; "" if they will not.
func (in BulkRequest) parquetToCome() string {
	if !in.parquet() {
		return ""
	}
	return "Once its chunks are stored, Parquet files are made of them, in " + landing.Folder + "/ of `folder`."
}

// requestParquet records that Parquet files of a bulk export are wanted, and wakes the
// process that works for the account.
func (e *Exports) requestParquet(ctx context.Context, b ledger.Bulk, table ledger.TableFormat) error {
	err := e.o.Ledger.Write(ctx, func(t *ledger.Tx) error {
		if err := t.RequestConversion(b, table); err != nil {
			return err
		}
		return t.Wake(b.Account)
	})
	e.engine.Wake()
	return err
}

// wantsParquet reports whether Parquet files were requested of a bulk export, and the format of
// the table that they make.
func (a *Account) wantsParquet(ctx context.Context, b ledger.Bulk) (bool, ledger.TableFormat, error) {
	l, err := a.Ledger(ctx)
	if err != nil {
		return false, ledger.NoTable, err
	}
	c, err := l.Conversion(ctx, b.ID)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, ledger.NoTable, nil
	}
	return err == nil, c.Table, err
}

// addConversion adds the conversion of the bulk export to its status.
func (s *Status) addConversion(ctx context.Context, l *ledger.Ledger) error {
	c, err := l.Conversion(ctx, s.Bulk.ID)
	switch {
	case err == nil:
		s.Conversion = &c
	case errors.Is(err, ledger.ErrNotFound):
		return nil
	}
	return err
}

// converting reports whether Parquet files are being made, or are about to be.
func (s Status) converting() bool {
	c, state := s.Conversion, s.Bulk.State
	ended := state == ledger.BulkComplete || state == ledger.BulkPartial
	return c != nil && c.Due() && c.Reason == "" && !bulk.GivenUp(*c) && s.Counts.Left() == 0 &&
		s.Counts.By[ledger.ChunkStored] > 0 && (ended || state == ledger.BulkRunning)
}

// parquet returns the Parquet files of a bulk export, nil if nobody requested them, and in
// sentences why they could not be made, or "".
func (e *Exports) parquet(s Status) (p *BulkParquet, problem string) {
	c := s.Conversion
	if c == nil {
		return nil, ""
	}
	p = &BulkParquet{
		Folder: filepath.Join(e.Folder(s.Bulk), landing.Folder), State: ParquetPending, Files: c.Files, Rows: c.Rows,
		Table: c.Table, Loaded: c.Loaded,
	}
	switch {
	case !c.Due():
		p.State = ParquetMade
		return p, ""
	case s.Bulk.State == ledger.BulkCancelled:
		p.State = ParquetCancelled
		return p, ""
	case bulk.GivenUp(*c):
		p.State = ParquetFailed
		reason := cmp.Or(client.Clean(c.Reason, problemLimit),
			"Parquet files could not be made: the program ended each time while it made them.")
		return p, reason +
			" `retry_failed` tries again, and so does `convert` in a terminal."
	case c.Reason == "":
		return p, ""
	}
	request, _ := requestOf(s.Bulk)
	return p, fmt.Sprintf("%s It is tried again at %s.",
		client.Clean(c.Reason, problemLimit), At(e.shown(c.NextAt), request))
}

// parquetInWords adds the state of the Parquet files to the summary and the next step of
// a bulk export whose chunks are stored.
func (o BulkSummary) parquetInWords(s Status, summary, next string) (string, string) {
	p := o.Parquet
	switch {
	case p == nil || s.Counts.Left() > 0:
	case p.State == ParquetMade:
		are := map[ledger.TableFormat]string{ledger.DeltaTable: ", as a Delta table"}[p.Table]
		summary = sentences(summary, fmt.Sprintf("Its folder %s has %s with %s%s.", landing.Folder,
			Counted(p.Files, "Parquet file"), Counted(int(p.Rows), "row"), are))
	case s.converting():
		summary = sentences(summary, fmt.Sprintf("Its Parquet files are being made, %d so far.", p.Files))
		next = "`get_bulk_export` with `wait_seconds` waits for the Parquet files. " + next
	case p.State == ParquetFailed, s.Conversion.Reason != "":
		summary = sentences(summary, "Its Parquet files are not complete; see problems.")
		if p.State == ParquetFailed {
			next = "`control_bulk_export` with `retry_failed` tries to make the Parquet files again. " + next
		}
	}
	return summary, next
}

// convert makes the Parquet files of a bulk export for the engine.
func (a *Account) convert(
	ctx context.Context, b ledger.Bulk, table ledger.TableFormat, manifest func() (archive.Manifest, error),
	report func(bulk.ConvertProgress),
) (bulk.Converted, error) {
	progress := func(p landing.Progress) { report(bulk.ConvertProgress{Files: p.Files, New: p.Converted}) }
	result, err := a.convertFiles(ctx, folderOf(b, table), manifest, progress)
	done := convertedOf(result)
	if err == nil && len(result.Problems) == 0 {
		loaded, failed := a.loadRows(ctx, b, result.Made, report)
		if done.Loaded = loaded; failed != nil {
			done.Problem = notLoaded(failed)
		}
	}
	return done, err
}

// convertedFolder is a folder whose files are converted.
type convertedFolder struct {
	name  string
	grow  bool // see landing.Source
	table ledger.TableFormat
}

// folderOf returns the folder of a bulk export. That of a sync grows for years.
func folderOf(b ledger.Bulk, table ledger.TableFormat) convertedFolder {
	return convertedFolder{b.Name, b.Sync != "", table}
}

// Statements returns the load statements for the Parquet files of a folder; see load.Statements. It
// is a landing.Statements.
func Statements(
	ctx context.Context, folder *archive.Derived, export string, columns func(path string) ([]columnar.Column, bool),
) (map[string]string, error) {
	return load.Statements(ctx, folder, export, columns)
}

// convertFiles makes the Parquet files of a folder. The exported files are read from disk or
// from the mirror.
func (a *Account) convertFiles(
	ctx context.Context, folder convertedFolder, manifest func() (archive.Manifest, error),
	progress func(landing.Progress),
) (landing.Result, error) {
	if a.Conversions != nil {
		if err := a.Conversions.Acquire(ctx, 1); err != nil {
			return landing.Result{}, err
		}
		defer a.Conversions.Release(1)
	}
	source := landing.Source{
		Manifest: manifest, Open: storedOpener(ctx, a.Archive, a.Mirror, folder.name), Grow: folder.grow,
	}
	source.Options = landing.Options{Delta: folder.table == ledger.DeltaTable, Statements: Statements}
	if a.Mirror != nil {
		source.Copies, source.CopiedTable = a.Mirror, delta.Bucket(a.Mirror, folder.name+"/"+landing.Folder)
	}
	return landing.ConvertFiles(ctx, a.Archive, folder.name, source, progress)
}

// convertedOf returns the result of a conversion as the engine records it.
func convertedOf(r landing.Result) bulk.Converted {
	c := bulk.Converted{Files: r.Converted + r.Kept, Rows: r.Rows}
	if n := len(r.Problems); n > 0 {
		c.Problem = fmt.Sprintf("Parquet files could not be made of %s; the first, %s, %s.", Counted(n, "file"),
			r.Problems[0].File, r.Problems[0].Text)
	}
	return c
}

// ConvertBulk makes the Parquet files of what a bulk export, given by id or name, has
// stored, as the engine does, and records the result. progress may be nil. It fails if ctx
// ends, or with the error of landing.ConvertFiles.
func (a *Account) ConvertBulk(
	ctx context.Context, id string, progress func(landing.Progress),
) (landing.Result, error) {
	engine, err := a.Engine(ctx)
	if err != nil {
		return landing.Result{}, err
	}
	s, err := engine.Status(ctx, id)
	if err != nil {
		return landing.Result{}, unknownBulk(id, err)
	}
	if s.Conversion == nil {
		if err = engine.requestParquet(ctx, s.Bulk, ledger.NoTable); err == nil {
			err = s.addConversion(ctx, engine.o.Ledger)
		}
		if err != nil {
			return landing.Result{}, err
		}
	}
	c, err := engine.engine.BeginConversion(ctx, *s.Conversion)
	if err != nil {
		return landing.Result{}, err
	}
	manifest := func() (archive.Manifest, error) { return engine.Manifest(ctx, s.Bulk) }
	result, err := a.convertFiles(ctx, folderOf(s.Bulk, c.Table), manifest, progress)
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	return result, errors.Join(err, engine.engine.SaveConverted(ctx, c, convertedOf(result), err))
}
