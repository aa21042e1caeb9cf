package bulk

import (
	"context"
	"errors"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
)

const (
	// MostConversions bounds the tries in a row to make the Parquet files of a bulk export.
	// A try that makes a file and then ends with its process does not count.
	MostConversions = 12
	// conversionRetry is the delay before the second of them. It doubles, up to
	// longestDelay, so that the last comes after about two hours.
	conversionRetry = 2 * time.Second
	// reportEvery is the least time between two records of how far a conversion is.
	reportEvery = time.Second
)

// Converted is the result of a conversion of the stored files of a bulk export.
type Converted struct {
	Files   int   // Parquet files that there are now
	Rows    int64 // of them
	Loaded  int   // windows that the destination has now
	Problem string
}

// ConvertProgress says how far a conversion is.
type ConvertProgress struct {
	Files  int // of the manifest, that have a Parquet file
	Loaded int // windows that the destination has
	New    int // of both, those that this conversion has made or loaded
}

// Convert makes the Parquet files of the files in a manifest that are missing, in the folder of b,
// with their table, and removes those of other files; then it loads the rows into the destination,
// if there is one. Problem, in sentences, says what could not be done. It calls report as it gets
// on.
type Convert func(
	ctx context.Context, b ledger.Bulk, table ledger.TableFormat, manifest func() (archive.Manifest, error),
	report func(ConvertProgress),
) (Converted, error)

// convert makes the Parquet files that were requested, of one bulk export after the other,
// each once none of its chunks is under way: all files of a bulk export have the same
// columns, and any chunk may bring another one.
func (w *worker) convert(ctx context.Context) {
	if w.o.Convert == nil {
		return
	}
	for {
		wait, err := w.convertDue(ctx)
		if err != nil && ctx.Err() == nil { // of the ledger, which blocks other loops too
			w.o.Log.Debug("bulk", "convert", err)
			wait = retryPause
		}
		if !await(ctx, w.converts, wait) {
			return
		}
	}
}

// convertDue carries out the conversions that are due, and returns the time until the next
// one is.
func (w *worker) convertDue(ctx context.Context) (wait time.Duration, err error) {
	due, err := w.o.Ledger.Conversions(ctx, w.o.Account, MostConversions)
	wait = idle
	for _, c := range due {
		if later := Waits(c); later > 0 {
			wait = min(wait, later)
			continue
		}
		next, err := w.convertOne(ctx, c)
		if err != nil {
			return 0, err
		}
		wait = min(wait, next)
	}
	return wait, err
}

// convertOne carries out a conversion, unless chunks of its bulk export are under way or
// none is stored. It returns the time until the next try; idle if none is needed.
func (w *worker) convertOne(ctx context.Context, c ledger.Conversion) (next time.Duration, err error) {
	b, err := w.o.Ledger.Bulk(ctx, c.Account, c.Bulk)
	if err != nil {
		return 0, err
	}
	n, err := w.o.Ledger.Count(ctx, c.Bulk)
	if err != nil || n.Left() > 0 || n.By[stored] == 0 {
		return idle, err
	}
	before := c
	if c, err = w.BeginConversion(ctx, c); err != nil {
		return 0, err
	}
	done, err := w.convertFiles(ctx, b, c)
	if ctx.Err() != nil { // the next leaseholder continues at once
		return 0, w.o.Ledger.SaveConversion(context.WithoutCancel(ctx), before)
	}
	if err := w.SaveConverted(ctx, c, done, err); err != nil {
		return 0, err
	}
	if err == nil && done.Problem == "" {
		return idle, nil
	}
	return time.Until(c.NextAt), nil
}

// BeginConversion records a try of a conversion before it begins, so that one which ends the
// process counts as well. It returns c with that try.
func (e *Engine) BeginConversion(ctx context.Context, c ledger.Conversion) (ledger.Conversion, error) {
	c.Tries++
	c.NextAt, c.Reason = time.Now().Add(min(longestDelay, conversionRetry<<(c.Tries-1))), ""
	return c, e.o.Ledger.SaveConversion(ctx, c)
}

// Waits returns how long the next try of a conversion waits; at most 0 if it may begin. One that
// waits for longer than any does was recorded before the clock was set back.
func Waits(c ledger.Conversion) time.Duration {
	if later := time.Until(c.NextAt); later <= longestDelay {
		return later
	}
	return 0
}

// GivenUp reports whether a conversion is not tried again unless somebody asks.
func GivenUp(c ledger.Conversion) bool {
	underWay := c.Reason == "" && time.Now().Before(c.NextAt) // the last try
	return c.Due() && c.Tries >= MostConversions && !underWay
}

// convertFiles calls Convert. An error may be that of a panic.
func (w *worker) convertFiles(ctx context.Context, b ledger.Bulk, c ledger.Conversion) (done Converted, err error) {
	manifest := func() (archive.Manifest, error) { return w.Manifest(ctx, b) }
	if w.o.Archive.ChangedAt(b.Name).IsZero() { // another machine stored the files
		m, err := manifest()
		if err == nil {
			err = w.o.Archive.WriteManifest(ctx, b.Name, m)
		}
		if err != nil {
			return done, err
		}
	}
	reported := time.Now()
	report := func(p ConvertProgress) {
		if time.Since(reported) < reportEvery {
			return
		}
		reported = time.Now()
		if c.Files, c.Loaded = p.Files, p.Loaded; p.New > 0 {
			c.Tries, c.NextAt = 0, time.Time{}
		}
		if err := w.o.Ledger.SaveConversion(ctx, c); err != nil {
			w.o.Log.Debug("bulk", "convert", err)
		}
	}
	panicked := w.catchPanic(func() { done, err = w.o.Convert(ctx, b, c.Table, manifest, report) })
	if panicked != nil {
		return done, panicked
	}
	return done, err
}

// notLanded says which part of a conversion failed, before the reason.
func notLanded(err error) string {
	if _, copying := errors.AsType[*mirror.Error](err); copying {
		return "Parquet files could not be copied: "
	}
	return "Parquet files could not be made: "
}

// SaveConverted records the result of a conversion that began as c, or its error.
func (e *Engine) SaveConverted(ctx context.Context, c ledger.Conversion, done Converted, failed error) error {
	if c.Files, c.Rows, c.Loaded, c.Reason = done.Files, done.Rows, done.Loaded, done.Problem; failed != nil {
		e.o.Log.Warn("Parquet files could not be made", "bulk", c.Bulk, "try", c.Tries, "error", failed)
		c.Reason = notLanded(failed) + e.explain(ctx, failed)
	}
	if c.Reason == "" {
		c.Made, c.Tries, c.NextAt = c.Wanted, 0, time.Time{}
	}
	return e.o.Ledger.SaveConversion(ctx, c)
}
