package command

import (
	"context"
	"crypto/rand"
	csvfile "encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/landing"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/query"
)

// queryCommand is `query`: SQL over the rows of stored exports.
type queryCommand struct {
	Source string `arg:"" help:"Name of a bulk export, or a folder with its manifest.json; several with a comma between."`
	SQL    string `arg:"" name:"sql" help:"One SELECT, in SQLite's SQL, over the table rows."`
	Limit  int    `help:"Most rows to print." default:"1000" placeholder:"N"`
	Mask   bool   `help:"Replace values of personal columns by hashes, which can be counted and compared, and what looks personal in texts by words."`
	CSV    bool   `help:"Print CSV." name:"csv" xor:"form"`
	JSON   bool   `help:"Print one JSON object on stdout." name:"json" xor:"form"`
}

// Help is the text that --help prints above the flags.
func (*queryCommand) Help() string {
	return "The table rows has the columns of the export, and day and bulk. Times are UTC texts such as\n" +
		"2026-10-03 10:00:05.701000; lists are JSON, for json_each(). Parquet files are made first, as convert does.\n" +
		"A query may take 20 s, 512 MB of memory and 256 MB of temporary storage for a sort. Exit status: 0 done;\n" +
		"1 failed; 2 wrong usage or SQL; 3 incomplete (interrupted, or rows of damaged files are missing)."
}

// Limits of an answer besides --limit.
const (
	mostColumns  = 2000
	mostBytes    = 64 << 20
	longestCell  = 8 << 20
	longestShown = 200 // of a table
	// widestTable is the most columns of a table; with more each row is a list.
	widestTable = 12
)

// Run answers a question. It needs no key and no network.
func (q *queryCommand) Run(ctx context.Context, a *app) error {
	if q.Limit < 1 {
		return &exitError{statusUsage, fmt.Errorf("--limit: got %d; give a whole number of 1 or more", q.Limit)}
	}
	if word, _, _ := strings.Cut(strings.TrimSpace(q.Source), " "); strings.EqualFold(word, "select") {
		return &exitError{statusUsage, fmt.Errorf("SOURCE: got SQL; the export comes first: fullstory-export-mcp query %s %s",
			shellWord(q.SQL), shellWord(q.Source))}
	}
	options := query.Options{SQL: q.SQL, Log: a.log, Limits: query.Limits{
		Rows: q.Limit, Columns: mostColumns, Bytes: mostBytes, Cell: longestCell,
	}}
	if !q.CSV && !q.JSON {
		options.Limits.Cell = longestShown
	}
	if q.Mask {
		options.MaskKey = make([]byte, 32)
		if _, err := rand.Read(options.MaskKey); err != nil {
			return err
		}
	}
	var missing error
	simulated := false // some of the rows
	for name := range strings.SplitSeq(q.Source, ",") {
		files, account, err := q.files(ctx, a, strings.TrimSpace(name))
		if exit, ok := errors.AsType[*exitError](err); ok && exit.status == statusIncomplete && ctx.Err() == nil {
			missing, err = exit, nil
		}
		if err != nil {
			return err
		}
		options.Files, simulated = append(options.Files, files...), simulated || exports.Simulated(account)
	}
	answer, err := query.Run(ctx, options)
	if err != nil {
		return queryError(ctx, err)
	}
	if err := q.print(a, answer); err != nil {
		return err
	}
	a.noteSimulated(simulated)
	return missing
}

// files returns the Parquet files of a source and the account that they are of, and makes those
// that are missing. If some could not be made, it returns the others with an exitError.
func (q *queryCommand) files(ctx context.Context, a *app, name string) (files []query.File, account string, err error) {
	folder, err := (&convertCommand{Name: name}).folder(a)
	if err != nil {
		return nil, "", err
	}
	done, err := converted(ctx, a, folder, ledger.NoTable, a.told(true))
	if err != nil {
		return nil, "", err
	}
	view := a.newView(a.stderr)
	for _, p := range done.Problems[:min(len(done.Problems), maxProblems)] {
		view.bad(local.Shown(p.File) + " " + p.Text)
	}
	files, account, err = parquetFiles(folder)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no rows yet: no file is stored", local.Shown(name))
	}
	if err != nil {
		return nil, "", err
	}
	return files, account, done.problem()
}

// parquetFiles returns the Parquet files with the rows of the folder of an export, and the account
// of its manifest. A Delta table keeps others for a while.
func parquetFiles(folder string) (files []query.File, account string, err error) {
	stored, err := archive.Open(filepath.Dir(folder))
	if err != nil {
		return nil, "", err
	}
	m, err := stored.Manifest(filepath.Base(folder))
	if err != nil {
		return nil, "", err
	}
	current := landing.Current(m.Files)
	files, err = query.Find(filepath.Join(folder, landing.Folder), filepath.Base(folder))
	files = slices.DeleteFunc(files, func(f query.File) bool { return !current(filepath.Base(f.Path)) })
	return files, m.Account, err
}

// queryError returns the error of a question with its exit status.
func queryError(ctx context.Context, err error) error {
	e, ok := errors.AsType[*query.Error](err)
	switch {
	case ctx.Err() != nil:
		return &exitError{statusIncomplete, errors.New("interrupted")}
	case ok && (e.Kind == query.Invalid || e.Kind == query.Denied):
		return &exitError{statusUsage, err}
	}
	return err
}

// queryAnswer is what `query --json` prints.
type queryAnswer struct {
	Columns   []string `json:"columns"`
	Rows      [][]any  `json:"rows"`
	Truncated bool     `json:"truncated"` // there are more rows or columns, or texts were cut
	TookMS    int64    `json:"took_ms"`
}

// print prints an answer as the flags say.
func (q *queryCommand) print(a *app, r query.Result) error {
	switch {
	case q.JSON:
		for _, row := range r.Rows {
			for i, v := range row {
				if f, ok := v.(float64); ok {
					row[i] = json.Number(query.Real(f))
				}
			}
		}
		return printableJSON{a.stdout}.print(queryAnswer{r.Columns, r.Rows, len(r.Cut) > 0, r.Took.Milliseconds()})
	case q.CSV:
		if err := printCSV(a.stdout, r); err != nil {
			return err
		}
	default:
		q.show(a.newView(a.stdout), r)
	}
	if len(r.Cut) > 0 {
		a.newView(a.stderr).warn(cutNotice(r))
	}
	return nil
}

// cutNotice says what an answer lacks.
func cutNotice(r query.Result) string {
	var parts []string
	if slices.Contains(r.Cut, query.CutRows) {
		parts = append(parts, fmt.Sprintf("There are more rows than %d: give a larger --limit.", len(r.Rows)))
	}
	if slices.Contains(r.Cut, query.CutColumns) {
		parts = append(parts, "There are more columns: name those you want.")
	}
	if slices.Contains(r.Cut, query.CutCells) {
		parts = append(parts, "Texts that end with … are longer; --json and --csv print all of them.")
	}
	return strings.Join(parts, " ")
}

// printCSV writes an answer as CSV. NULL is empty.
func printCSV(out io.Writer, r query.Result) error {
	w := csvfile.NewWriter(out)
	if err := w.Write(r.Columns); err != nil {
		return err
	}
	for _, row := range r.Rows {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = cellText(v, "")
		}
		if err := w.Write(cells); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// cellText returns a value as text.
func cellText(v any, null string) string {
	switch v := v.(type) {
	case nil:
		return null
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return query.Real(v)
	}
	return fmt.Sprint(v)
}

// show prints an answer as a table, or as lists if it has many columns.
func (q *queryCommand) show(v view, r query.Result) {
	if len(r.Columns) > widestTable {
		for i, row := range r.Rows {
			lines := make([][]string, len(row))
			for j, value := range row {
				lines[j] = []string{r.Columns[j], cellText(value, "–")}
			}
			v.line(fmt.Sprintf("row %d", i+1))
			v.table(nil, lines)
		}
	} else {
		v.table(r.Columns, tableOf(r), numbersOf(r)...)
	}
	v.line(fmt.Sprintf("%s in %.1f s", exports.Counted(len(r.Rows), "row"), r.Took.Seconds()))
}

func tableOf(r query.Result) [][]string {
	rows := make([][]string, len(r.Rows))
	for i, row := range r.Rows {
		for _, value := range row {
			rows[i] = append(rows[i], cellText(value, "–"))
		}
	}
	return rows
}

// numbersOf returns the columns of an answer that have numbers and no texts.
func numbersOf(r query.Result) (numbers []int) {
	for i := range r.Columns {
		found := false
		isText := slices.ContainsFunc(r.Rows, func(row []any) bool {
			_, text := row[i].(string)
			found = found || row[i] != nil
			return text
		})
		if found && !isText {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// queryWorkerCommand is the child process that answers the question of a query.
type queryWorkerCommand struct{}

// Run answers the question on stdin.
func (queryWorkerCommand) Run(a *app) error { return query.Work(a.stdin, a.stdout) }
