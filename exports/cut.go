package exports

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
)

// cut says how a range is cut into chunks: by a granularity, or by the size that files
// should have. Exactly one field is set.
type cut struct {
	chunk     string  // granularity, such as day or PT6H
	rows      int     // about, of a file
	megabytes float64 // likewise, as stored
}

// The endings of the text of a cut by size.
const (
	rowsUnit      = " rows"
	megabytesUnit = " MB"
)

// readCut returns the cut that arguments ask for; without any, it is by the day. chunk
// may be the text of a cut. It fails with a *plan.Error if there are two of them, or if
// the rows of exports of type of cannot be cut by size.
func readCut(chunk string, rows int, megabytes float64, of client.Type) (cut, error) {
	switch {
	case rows > 0 && megabytes > 0:
		return cut{}, wrong("target_megabytes", "`target_rows` is given as well; a plan has one target.")
	case (rows > 0 || megabytes > 0) && chunk != "":
		return cut{}, wrong("chunk",
			"a target size is given as well. Leave `chunk` out to cut by size, or the target to cut by %s.", chunk)
	case chunk == "" && rows == 0 && megabytes == 0:
		chunk = "day"
	}
	c := cut{chunk, rows, megabytes}
	if digits, ok := strings.CutSuffix(chunk, rowsUnit); ok {
		if n, err := strconv.Atoi(digits); err == nil && n > 0 {
			c = cut{rows: n}
		}
	}
	if digits, ok := strings.CutSuffix(chunk, megabytesUnit); ok {
		if n, err := strconv.ParseFloat(digits, 64); err == nil && n > 0 {
			c = cut{megabytes: n}
		}
	}
	if c.sized() && of == client.TypeIndividual {
		return cut{}, wrong("type", "rows of individuals do not add up over time (one row a person, whatever the window), "+
			"so they cannot be cut by size. Leave the target out and export the whole range at once.")
	}
	return c, nil
}

// sized reports whether c cuts by the size of files.
func (c cut) sized() bool { return c.chunk == "" }

// String returns c as the ledger and the manifest keep it, such as "day", "PT6H",
// "500000 rows" or "100 MB". readCut reads it.
func (c cut) String() string {
	switch {
	case c.rows > 0:
		return strconv.Itoa(c.rows) + rowsUnit
	case c.megabytes > 0:
		return strconv.FormatFloat(c.megabytes, 'f', -1, 64) + megabytesUnit
	}
	return c.chunk
}

// target returns how many rows a chunk should have, or 0 if c is not by size, or if
// sizes are not known. profile may be nil.
func (c cut) target(profile *plan.Profile) float64 {
	switch {
	case profile == nil || profile.RowSize == 0:
		return 0
	case c.megabytes > 0:
		return c.megabytes * 1e6 / profile.RowSize
	}
	return float64(c.rows)
}

// sizing returns how c cuts. profile may be nil.
func (c cut) sizing(profile *plan.Profile) preflight.Sizing {
	switch {
	case !c.sized():
		return preflight.ByTime
	case c.target(profile) == 0:
		return preflight.Unmeasured
	}
	return preflight.BySize
}

// granularity returns the length of the chunks. Without known sizes it is a day for a
// cut by size.
func (c cut) granularity() (plan.Granularity, error) {
	if c.sized() {
		return plan.ParseGranularity("day")
	}
	return plan.ParseGranularity(c.chunk)
}

// split cuts r by c. fallback says how it is cut if c is not by size, or if sizes are
// not known.
func (c cut) split(r plan.Range, profile *plan.Profile, fallback plan.Cut) (*plan.Plan, error) {
	rows := c.target(profile)
	if rows == 0 {
		return plan.Split(r, fallback)
	}
	p, err := plan.SplitBySize(r, profile, rows)
	if failed, ok := errors.AsType[*plan.Error](err); ok && failed.Field == "target_rows" && c.megabytes > 0 {
		named := *failed
		named.Field = "target_megabytes"
		err = &named
	}
	return p, err
}

// count writes a number of chunks of c, such as "31 day chunks" or "12 chunks of about
// 5000 rows".
func (c cut) count(n int, profile *plan.Profile) string {
	switch rows := c.target(profile); {
	case rows > 0:
		return fmt.Sprintf("%s of about %d rows", Counted(n, "chunk"), rounded(rows))
	case c.sized():
		return chunksOf(n, "day")
	}
	return chunksOf(n, c.chunk)
}
