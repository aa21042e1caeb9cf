package exports

import (
	"encoding/json"
	"fmt"
	"time"
)

// Counted writes a number of things with a regular plural, such as "1 chunk" or "2 chunks".
func Counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// listBytes is the most bytes of the rows of a list in a result.
const listBytes = 50_000

// usualBytes is the same for a list whose length the caller has not chosen.
const usualBytes = 7000

// Fitting returns how many of the first rows of a list have at most listBytes bytes as
// JSON; at least 1 if there are any.
func Fitting[Row any](rows []Row) int { return within(rows, listBytes) }

// FittingPage is Fitting for a page of at most limit rows. A page of the usual length or
// less has at most usualBytes.
func FittingPage[Row any](rows []Row, limit, usual int) int {
	if limit > usual {
		return Fitting(rows)
	}
	return within(rows, usualBytes)
}

// within returns how many of the first rows have at most most bytes as JSON; at least 1
// if there are any.
func within[Row any](rows []Row, most int) int {
	total := 0
	for i, row := range rows {
		raw, err := json.Marshal(row)
		if err != nil {
			return i
		}
		if total += len(raw) + len(","); total > most && i > 0 {
			return i
		}
	}
	return len(rows)
}

// leftOut says that items of a list of Fullstory are left out; "" if none are.
func leftOut(n int, thing string) string {
	if n == 0 {
		return ""
	}
	return " Left out: " + Counted(n, thing) + " with an id that cannot be used."
}

// Stamp writes an instant in UTC, to the second; "" for the zero time.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
