package exports

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/landing"
	"fullstory-export-mcp/query"
)

// Question is SQL about stored data.
type Question struct {
	Source string // see Account.Stored; several, with commas between, are one table
	SQL    string // one SELECT over the table rows
	Limit  int    // most rows of the answer; 0: usualAnswer, within a smaller answer
}

// QueryAnswer is the answer to a Question.
type QueryAnswer struct {
	Summary   string   `json:"summary"`
	Columns   []string `json:"columns"`
	Rows      [][]any  `json:"rows" schema:"brief" jsonschema_description:"A list of values for each row: null, a number or a text."`
	Truncated bool     `json:"truncated"`
	TookMS    int64    `json:"took_ms"`
}

const (
	// usualAnswer is how many rows an answer has, and mostAnswer how many it may have.
	usualAnswer, mostAnswer = 50, 200
	// answerBytes is the most bytes of the values of an answer with a limit of rows.
	answerBytes = 30_000
	// answerCell is the most bytes of a text in an answer.
	answerCell = 1000
	// mostSources is the most exports of a question.
	mostSources = 20
	// leastQueryTime is the least time that a query gets after its files were made.
	leastQueryTime = 3 * time.Second
)

// Query answers a question in SQL about stored exports; see package query for the dialect.
// Personal data are masked. The Parquet files of the exports are made first where they are
// missing, which continues in the background if ctx ends before.
func (a *Account) Query(ctx context.Context, q Question) (QueryAnswer, error) {
	options := query.Options{SQL: q.SQL, Limits: answerLimits(q.Limit), Log: a.Log}
	var notes []string
	sources := strings.Split(q.Source, ",")
	if len(sources) > mostSources {
		return QueryAnswer{}, wrong("source", "%d are too many; give up to %d.", len(sources), mostSources)
	}
	for _, source := range sources {
		files, note, err := a.queried(ctx, strings.TrimSpace(source))
		if err != nil {
			return QueryAnswer{}, err
		}
		if options.Files = append(options.Files, files...); note != "" {
			notes = append(notes, note)
		}
	}
	var err error
	if options.MaskKey, err = a.maskKey(ctx); err != nil {
		return QueryAnswer{}, err
	}
	release, err := a.Hold(ctx) // the child process may take much memory
	if err != nil {
		return QueryAnswer{}, err
	}
	defer release()
	if end, ok := ctx.Deadline(); ok {
		options.Deadline = max(time.Second, time.Until(end)-answerReserve)
	}
	answer, err := query.Run(ctx, options)
	if err != nil {
		return QueryAnswer{}, queryFailed(err)
	}
	return answered(answer, notes), nil
}

// answerLimits returns the limits of an answer with at most n rows; 0 means the usual ones.
func answerLimits(n int) query.Limits {
	l := query.Limits{Rows: usualAnswer, Bytes: usualBytes - 500, Cell: answerCell}
	if n > 0 {
		l.Rows, l.Bytes = min(n, mostAnswer), answerBytes
	}
	return l
}

// maskKey returns the secret of the hashes of personal values. It is the same in all
// processes with the ledger, so that answers can be compared, and another one for each
// account.
func (a *Account) maskKey(ctx context.Context) ([]byte, error) {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return nil, err
	}
	secret, err := l.Secret(ctx, "mask", rand.Text)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(id))
	return mac.Sum(nil), nil
}

// queried returns the Parquet files of a source, and in a sentence what they lack; "" if
// nothing. It makes those that are missing.
func (a *Account) queried(ctx context.Context, source string) (files []query.File, note string, err error) {
	s, err := a.heldStored(ctx, source)
	if err != nil {
		return nil, "", err
	}
	if len(s.Manifest.Files) == 0 {
		return nil, "", wrong("source", "%s has no stored file yet. Call again once one is stored: "+
			"`get_bulk_export` with `wait_seconds` waits.", s.Name)
	}
	waiting, stop := context.WithCancel(ctx)
	if end, ok := ctx.Deadline(); ok {
		waiting, stop = context.WithDeadline(ctx, end.Add(-leastQueryTime-answerReserve))
	}
	defer stop()
	for range 2 { // once more if Parquet files were removed by somebody
		run, ended := a.landings.get(waiting, s.Folder, s.Manifest.Files, a.converter(s.Folder))
		switch {
		case !ended:
			return nil, "", preparing(s.Name, run.percent())
		case run.err != nil:
			return nil, "", run.err
		}
		if files, err = s.parquet(); err != nil {
			return nil, "", err
		}
		missing := len(s.Manifest.Files) - len(files)
		if missing == 0 || len(run.result.Problems) > 0 {
			return files, lacking(s, missing), nil
		}
		a.landings.forget(s.Folder)
	}
	return files, lacking(s, len(s.Manifest.Files)-len(files)), nil
}

// heldStored is Stored for the time of a reservation; see Hold.
func (a *Account) heldStored(ctx context.Context, source string) (Stored, error) {
	release, err := a.Hold(ctx)
	if err != nil {
		return Stored{}, err
	}
	defer release()
	return a.Stored(ctx, source)
}

// converter returns a function that makes the Parquet files of all files of a folder.
func (a *Account) converter(folder string) converter {
	return func(ctx context.Context, report func(landing.Progress)) (landing.Result, error) {
		manifest := func() (archive.Manifest, error) {
			s, err := a.Stored(ctx, folder)
			return s.Manifest, err
		}
		of := convertedFolder{name: folder}
		if a.HasLedger() {
			if b, err := a.startedAs(ctx, folder); err == nil {
				_, table, err := a.wantsParquet(ctx, b)
				if err != nil {
					return landing.Result{}, err
				}
				of = folderOf(b, table)
			}
		}
		return a.convertFiles(ctx, of, manifest, report)
	}
}

// parquet returns the Parquet files of the files of s.
func (s Stored) parquet() ([]query.File, error) {
	all, err := query.Find(filepath.Join(s.Archive.Dir(), s.Folder, landing.Folder), s.Name)
	if err != nil {
		return nil, &archive.DiskError{Path: filepath.Join(s.Folder, landing.Folder), Err: err}
	}
	current := landing.Current(s.Manifest.Files)
	return slices.DeleteFunc(all, func(f query.File) bool { return !current(filepath.Base(f.Path)) }), nil
}

// lacking says in a sentence what the rows of a source lack; "" if nothing.
func lacking(s Stored, missing int) string {
	switch {
	case missing > 0:
		return fmt.Sprintf("The rows of %s of %s are missing, because it is lost or damaged: `get_bulk_export` with "+
			"`detail` problems says what to do.", Counted(missing, "file"), s.Name)
	case s.Running:
		return s.Name + " has not ended: more rows follow."
	}
	return ""
}

// preparing is the error of a call whose Parquet files are still being made.
func preparing(name string, percent int64) error {
	return &Error{Explanation: Explanation{
		Kind: Ended, After: queuePause,
		Cause: fmt.Sprintf("%s is being prepared for queries, which is necessary once: %d %% of its files are read.",
			name, percent),
		Remedy: "Call again with the same arguments in a few seconds.",
	}}
}

// queryFailed explains an error of a query.
func queryFailed(err error) error {
	e, ok := errors.AsType[*query.Error](err)
	if !ok {
		return err
	}
	x := Explanation{Kind: Internal, Cause: e.Message}
	switch e.Kind {
	case query.Damaged:
		x.Kind = File
		x.Operator, x.Retry = true, RetryWorks
		x.Remedy = "Delete the folder parquet in that of the export; it is made again."
	case query.Internal:
	default:
		x = Explanation{Kind: Arguments, Wrong: []WrongArgument{{"sql", e.Message}}}
	}
	return &Error{Explanation: x, Err: err}
}

// answered returns an answer in the form of a result. notes are sentences about its rows.
func answered(r query.Result, notes []string) QueryAnswer {
	out := QueryAnswer{
		Columns: []string{}, Rows: r.Rows, Truncated: len(r.Cut) > 0, TookMS: r.Took.Milliseconds(),
	}
	for _, name := range r.Columns {
		out.Columns = append(out.Columns, client.Clean(name, longestShown))
	}
	for _, row := range r.Rows {
		for i, v := range row {
			switch v := v.(type) {
			case float64:
				row[i] = json.Number(query.Real(v))
			case string:
				row[i] = client.Clean(v, answerCell)
			}
		}
	}
	sentences := []string{fmt.Sprintf("%s of %s.", Counted(len(r.Rows), "row"), Counted(len(r.Columns), "column"))}
	if slices.Contains(r.Cut, query.CutRows) {
		sentences = append(sentences, "There are more rows: count or group them, or give a larger limit (at most 200).")
	}
	if slices.Contains(r.Cut, query.CutColumns) {
		sentences = append(sentences, "There are more columns: name those you want.")
	}
	if slices.Contains(r.Cut, query.CutCells) {
		sentences = append(sentences, "Texts that end with … are longer: use substr().")
	}
	out.Summary = strings.Join(append(sentences, notes...), " ")
	return out
}
