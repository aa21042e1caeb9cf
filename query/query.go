// Package query answers SQL questions about Parquet files, read-only. SQLite runs the SQL in
// a child process that can read these files and nothing else, for 20 s at most.
package query

import (
	"log/slog"
	"time"
)

// File is a Parquet file as package landing makes it.
type File struct {
	Path string `json:"path"` // absolute
	Day  string `json:"day"`  // its partition, as YYYY-MM-DD; "" if it has none, which is NULL in SQL
	Bulk string `json:"bulk"` // name of the export it belongs to
}

// Options is a question.
type Options struct {
	// Files are the rows of the table. All of them together have at most 2^31 rows.
	Files []File
	// SQL is one SELECT, in the dialect of SQLite, over the table rows.
	SQL string
	// Limits of the answer.
	Limits
	// MaskKey is the secret, of 16 bytes at least, by which personal data are masked, see
	// package personal. In SQL a personal column, and one that holds JSON objects, is a text: a
	// hash of the value by the key, equal for equal values, so that counts and joins work. NULL
	// and '' stay. In the other texts the parts that look like personal data are replaced.
	// Empty: nothing is masked.
	MaskKey []byte
	// Log has what a child wrote to stderr, at level debug. Nil means that it is not logged.
	Log *slog.Logger

	// Deadline is how long the question may take: 20 s at most, and if it is 0.
	Deadline time.Duration

	noPushDown bool // the table hands all rows to SQLite, in their order
}

// Limits bound an answer. Zero values mean 200 rows, 40 columns, 30,000 bytes and 2,000
// bytes a cell.
type Limits struct {
	Rows    int `json:"rows"`
	Columns int `json:"columns"`
	Bytes   int `json:"bytes"` // of the values as JSON
	Cell    int `json:"cell"`  // of a text
}

// or returns limits with the usual ones where there is none.
func (l Limits) or() Limits {
	pick := func(n, usual int) int {
		if n <= 0 {
			return usual
		}
		return n
	}
	return Limits{pick(l.Rows, 200), pick(l.Columns, 40), pick(l.Bytes, 30_000), pick(l.Cell, 2_000)}
}

// Result is an answer.
type Result struct {
	Columns []string
	// Rows have a value for each column: nil, int64, float64 or string. A text is valid
	// UTF-8; a blob is a text like x'00ff'.
	Rows [][]any
	// Cut says what the limits left out, such as "rows"; it is empty if nothing.
	Cut  []string
	Took time.Duration

	memory int64         // of the child at its peak, in bytes; 0 if the system does not tell
	cpu    time.Duration // that the child took; likewise
}

// The parts of an answer that limits can leave out.
const (
	CutRows    = "rows"    // there are more rows
	CutColumns = "columns" // there are more columns
	CutCells   = "cells"   // texts end with … where they were cut
)

// Kind is what is wrong with a question.
type Kind string

// The kinds of errors.
const (
	Invalid  Kind = "invalid"   // the SQL: another one may work
	Denied   Kind = "denied"    // the SQL wants what questions may not do
	TooLong  Kind = "too_long"  // no answer before the deadline
	TooLarge Kind = "too_large" // more memory or temporary storage than a question may have
	Damaged  Kind = "damaged"   // a Parquet file cannot be read
	Internal Kind = "internal"  // a fault of this program or this machine
)

// Error is why there is no answer. Its message says what to change.
type Error struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }
