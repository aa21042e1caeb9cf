package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Text is cleaned where it enters the ledger: in the arguments of every statement.
// That includes lookups, so that an id is found as it was written. Text becomes
// valid UTF-8 without NUL, and is bounded in bytes, at the end of a rune:
//
//	kind      Go type of the argument                  bound, bytes  beyond it
//	key       string, and any type of that kind        800           cut
//	operation operation                                2,400         cut; package client rejects longer ids
//	sentence  sentence                                 4,000         cut
//	JSON      document, or a string longer than a key  4,194,304     tooLongError, and
//	          that is a JSON object or array                         nothing is written
//
// Everything else is kept as it is, including control characters that change the
// direction of text.
const (
	// maxKey bounds ids, names and other text that an index may have: three keys fit
	// an entry of an index of PostgreSQL, which has at most 2,704 bytes.
	maxKey = 800
	// maxOperation bounds the ids of Fullstory's operations. It is below that size too,
	// although on PostgreSQL they are in hash indexes, see operationIndexes.
	maxOperation = 2400
	// maxSentence bounds text for people, such as the reason of a failure.
	maxSentence = 4000
	// maxDocument bounds JSON, which is never cut.
	maxDocument = 4 << 20
)

type (
	// operation is an argument that is the id of an operation.
	operation string
	// sentence is an argument that is text for people.
	sentence string
	// document is an argument that is JSON.
	document string
)

// tooLongError says that JSON is too long for the ledger. Nothing was written.
type tooLongError struct {
	Bytes int // of the JSON
}

func (e *tooLongError) Error() string {
	return fmt.Sprintf("JSON of %d bytes is too long for the ledger, which keeps at most %d bytes", e.Bytes, maxDocument)
}

// cleanText returns text as the ledger keeps it, in at most limit bytes.
func cleanText(text string, limit int) string {
	text = validText(text)
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// validText returns text as valid UTF-8 without NUL.
func validText(text string) string {
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "")
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// literal returns text as SQL, for the few statements of which it must be a part.
func literal(text string) string {
	return "'" + strings.ReplaceAll(cleanText(text, maxKey), "'", "''") + "'"
}

// cleanDocument returns JSON as the ledger keeps it.
func cleanDocument(text string) (string, error) {
	text = validText(text)
	if len(text) > maxDocument {
		return "", &tooLongError{len(text)}
	}
	return text, nil
}

// cleanKey returns an argument of type string as the ledger keeps it: as a key, or as
// JSON if it is a long object or array.
func cleanKey(text string) (string, error) {
	if len(text) > maxKey && (text[0] == '{' || text[0] == '[') && json.Valid([]byte(text)) {
		return cleanDocument(text)
	}
	return cleanText(text, maxKey), nil
}

// clean cleans the arguments of a statement in place. An argument that is too long
// makes it fail and becomes empty; the others are cleaned all the same.
func clean(args []any) (err error) {
	for i, arg := range args {
		var failed error
		switch text := arg.(type) {
		case string:
			args[i], failed = cleanKey(text)
		case operation:
			args[i] = cleanText(string(text), maxOperation)
		case sentence:
			args[i] = cleanText(string(text), maxSentence)
		case document:
			args[i], failed = cleanDocument(string(text))
		case sql.NullString:
			text.String, failed = cleanKey(text.String)
			args[i] = text
		default:
			if v := reflect.ValueOf(arg); v.Kind() == reflect.String {
				args[i] = cleanText(v.String(), maxKey)
			}
		}
		if failed != nil {
			err = failed
		}
	}
	return err
}

// cleanDB is a database that cleans the arguments of its statements.
type cleanDB struct{ *sql.DB }

func (db cleanDB) ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	if err := clean(args); err != nil {
		return nil, err
	}
	return db.DB.ExecContext(ctx, statement, args...)
}

func (db cleanDB) QueryContext(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	if err := clean(args); err != nil {
		return nil, err
	}
	return db.DB.QueryContext(ctx, statement, args...)
}

// QueryRowContext ignores the error of clean: an argument that is too long has become
// empty, so the row is not found.
func (db cleanDB) QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row {
	clean(args)
	return db.DB.QueryRowContext(ctx, statement, args...)
}

// cleanTx is a transaction that cleans the arguments of its statements.
type cleanTx struct{ *sql.Tx }

func (tx cleanTx) ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	if err := clean(args); err != nil {
		return nil, err
	}
	return tx.Tx.ExecContext(ctx, statement, args...)
}

func (tx cleanTx) QueryContext(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	if err := clean(args); err != nil {
		return nil, err
	}
	return tx.Tx.QueryContext(ctx, statement, args...)
}

// QueryRowContext ignores the error of clean: an argument that is too long has become
// empty, so the row is not found.
func (tx cleanTx) QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row {
	clean(args)
	return tx.Tx.QueryRowContext(ctx, statement, args...)
}
