package exports

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// measured is the size and duration of stored exports, from which those of others with
// the same rows are estimated.
type measured struct {
	zone    *time.Location
	profile *plan.Profile // of volume; nil: sizes are not known
	foreign bool          // the size of a row is from files with other columns or of another format
	pace    plan.Pace
	limit   int // how many exports may run at once
}

// measure measures the stored files of the same rows as request. zone is the zone of the
// profile, now the time by Fullstory's clock.
func measure(files []storedFile, request client.ExportRequest, zone *time.Location, now time.Time) measured {
	known := samples(files, request, now)
	m := measured{zone: zone, pace: plan.MeasurePace(known)}
	if request.Type == client.TypeIndividual {
		return m
	}
	if m.profile = plan.Measure(known, zone); m.profile == nil {
		return m
	}
	alike := slices.DeleteFunc(slices.Clone(files), func(f storedFile) bool { return !sameColumns(f.request, request) })
	rows, bytes := int64(0), int64(0)
	for _, s := range samples(alike, request, now) {
		rows, bytes = rows+s.Rows, bytes+s.Bytes
	}
	if m.foreign = rows == 0; !m.foreign {
		m.profile.RowSize = float64(bytes) / float64(rows)
	}
	return m
}

// sameColumns reports whether the rows of two requests have the same columns and format.
func sameColumns(a, b client.ExportRequest) bool {
	return slices.Equal(a.Fields, b.Fields) &&
		cmp.Or(a.Format, client.FormatNDJSON) == cmp.Or(b.Format, client.FormatNDJSON)
}

// concurrencyLimit returns how many exports of the account may run at once at present.
func (a *Account) concurrencyLimit(ctx context.Context) (int, error) {
	kept := ""
	if a.HasLedger() {
		l, err := a.Ledger(ctx)
		if err != nil {
			return 0, err
		}
		id, err := a.ID(ctx)
		if err == nil {
			kept, err = l.ConcurrencyLimit(ctx, id)
		}
		if err != nil {
			return 0, err
		}
	}
	return client.NewConcurrencyLimit(kept).Exports(), nil
}

// Estimate is the expected size of exports. Nine times of ten the number of rows is
// between Low and High. Seconds is the time that they take at the present concurrency
// limit; 0 if it is not known. Basis describes the measurements and these figures.
type Estimate struct {
	Rows      int64   `json:"rows"`
	Low       int64   `json:"low"`
	High      int64   `json:"high"`
	Megabytes float64 `json:"megabytes"`
	Seconds   int64   `json:"seconds,omitempty"`
	Basis     string  `json:"basis"`
}

// estimate returns the expected size of windows that are exported in the given number of
// chunks; nil if sizes are not known.
func (m measured) estimate(windows plan.Windows, chunks int) *Estimate {
	if m.profile == nil {
		return nil
	}
	var sum plan.Estimate
	for _, w := range windows {
		e := m.profile.Rows(w)
		sum.Rows, sum.Low, sum.High = sum.Rows+e.Rows, sum.Low+e.Low, sum.High+e.High
	}
	e := &Estimate{
		Rows: rounded(sum.Rows), Low: rounded(sum.Low), High: rounded(sum.High),
		Megabytes: math.Round(sum.Rows*m.profile.RowSize/1e4) / 100,
		Basis: fmt.Sprintf("%s measured in %s between %s and %s; low to high is the 90 %% interval of rows",
			Counted(m.profile.Hours, "hour"), Counted(m.profile.Files, "stored file"),
			m.profile.From.In(m.zone).Format(time.DateOnly), m.profile.To.In(m.zone).Format(time.DateOnly)),
	}
	if m.foreign {
		e.Basis += "; megabytes are by files with other columns or of another format"
	}
	if m.pace.Known() && chunks > 0 {
		// As many rounds as the limit needs, each of the average duration.
		each := m.pace.Of(chunks, sum.Rows).Seconds() / float64(chunks)
		e.Seconds = max(1, rounded(each*math.Ceil(float64(chunks)/float64(m.limit))))
		e.Basis += fmt.Sprintf("; seconds is wall time with %s at once, the present concurrency limit",
			Counted(m.limit, "export"))
	}
	return e
}
