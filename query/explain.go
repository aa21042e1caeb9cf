package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func tooLong(deadline time.Duration) *Error {
	return &Error{TooLong, fmt.Sprintf("The query took longer than %.3g s. Read fewer days, such as WHERE day = "+
		"'2026-10-03', or fewer columns.", deadline.Seconds())}
}

func tooLarge() *Error {
	return &Error{TooLarge, fmt.Sprintf("The query needed more than %d MB of memory. Read fewer days or columns, or "+
		"group by a column with fewer values.", memoryLimit>>20)}
}

func noStorage() *Error {
	return &Error{TooLarge, fmt.Sprintf("The query needed more than %d MB of temporary storage to sort or group. "+
		"Read fewer days or columns, or group by a column with fewer values.", storageLimit>>20)}
}

// explain returns an error of SQLite with what to change. denied is what the authorizer
// said.
func (t *table) explain(err error, denied string) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return context.DeadlineExceeded // see question.explained
	}
	if t.err != nil {
		err = t.err
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_INTERRUPT:
		return context.DeadlineExceeded // see question.explained
	case sqlite3.SQLITE_NOMEM:
		large := tooLarge()
		large.Message = strings.Replace(large.Message, " of memory", " of memory, or the SQL is too complicated", 1)
		return large
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
		return noStorage()
	case sqlite3.SQLITE_TOOBIG:
		return &Error{TooLarge, fmt.Sprintf("A text in the query has more than %d MB. Use substr() to shorten it.",
			mostText>>20)}
	case sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY:
		return &Error{Denied, strings.TrimSpace(denied + " One SELECT over the table rows can be answered.")}
	}
	return &Error{Invalid, t.advice(message(e))}
}

// message returns the text of an error without its code and class.
func message(e *sqlite.Error) string {
	text := strings.TrimPrefix(e.Error(), "SQL logic error: ")
	if at := strings.LastIndex(text, " ("); at > 0 && strings.HasSuffix(text, ")") {
		text = text[:at]
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

// advice adds to the message of SQLite what there is.
func (t *table) advice(text string) string {
	if name, ok := strings.CutPrefix(text, "no such column: "); ok {
		name, _, _ = strings.Cut(name, " - ")
		if near := t.near(name); len(near) > 0 {
			return fmt.Sprintf("There is no column %s. Did you mean %s?", short(name), strings.Join(near, " or "))
		}
		return fmt.Sprintf("There is no column %s. A text is written in single quotes; SELECT * FROM rows LIMIT 1 shows "+
			"the columns.", short(name))
	}
	if name, ok := strings.CutPrefix(text, "no such table: "); ok {
		return fmt.Sprintf("There is no table %s. There is one table: rows.", short(name))
	}
	if name, ok := strings.CutPrefix(text, "no such function: "); ok {
		return fmt.Sprintf("There is no function %s. The dialect is that of SQLite.", short(name))
	}
	return "SQLite does not accept the SQL: " + text + "."
}

// near returns up to three columns with similar names, the most similar first.
func (t *table) near(name string) (names []string) {
	name = strings.ToLower(strings.Trim(name[strings.LastIndexByte(name, '.')+1:], `"`))
	if len(name) > longestName {
		return nil
	}
	distance := func(other string) int {
		other = strings.ToLower(other)
		if len(name) > 2 && strings.HasSuffix(other, name) { // PageUrl for url
			return 1
		}
		return levenshtein.ComputeDistance(name, other)
	}
	for _, c := range t.set.columns {
		names = append(names, c.name)
	}
	names = append(names, dayColumn, bulkColumn)
	names = slices.DeleteFunc(names, func(other string) bool { return distance(other) > max(2, len(name)/3) })
	slices.SortStableFunc(names, func(a, b string) int { return distance(a) - distance(b) })
	return names[:min(3, len(names))]
}
