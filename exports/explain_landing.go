package exports

import (
	"errors"

	"fullstory-export-mcp/delta"
	"fullstory-export-mcp/destination"
)

// explainTable covers a Delta table that cannot be read or written.
func explainTable(err error) (Explanation, bool) {
	const anew = "Move the folder parquet, or its copy in the mirror, away: the table is made again."
	x := Explanation{Kind: Table, Operator: true, Retry: RetryWorks, Remedy: anew}
	damaged, isDamaged := errors.AsType[*delta.LogError](err)
	switch {
	case isDamaged:
		x.Cause = "The log of the Delta table cannot be used: its file " + damaged.File + " is damaged, since " +
			damaged.Reason + "."
	case errors.Is(err, delta.ErrProtocol):
		x.Cause = "The Delta table cannot be written: another program gave it features that this one does not write."
	case errors.Is(err, delta.ErrSchema), errors.Is(err, delta.ErrChange):
		x.Cause = "The Delta table cannot take the Parquet files: " + err.Error() + "."
	case errors.Is(err, delta.ErrConflict):
		x.Cause, x.Retry = "Another process changed the Delta table again and again.", RetrySafeLater
		x.Remedy = "Check which programs write to it."
	case errors.Is(err, delta.ErrUncertain):
		x.Cause, x.Retry = "The store did not say whether it wrote the log of the Delta table.", RetrySafeLater
		x.Remedy = "Check the store."
	default:
		return Explanation{}, false
	}
	return x, true
}

// explainDatabase covers a database that rows cannot be loaded into.
func explainDatabase(err error) (Explanation, bool) {
	d, ok := errors.AsType[*destination.Error](err)
	if !ok {
		return Explanation{}, false
	}
	x := Explanation{Kind: Database, Cause: d.What + ".", Remedy: d.Next, Operator: true, Retry: RetryWorks}
	if d.Passing() {
		x.Retry = RetrySafeLater
	}
	return x, true
}
