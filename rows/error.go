package rows

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"runtime/debug"
)

// Kind classifies the damage of a file. Two exports of one window that are damaged
// in the same way have the same Kind, although lines and values may differ.
type Kind string

// The kinds of damage.
const (
	KindGzip         Kind = "gzip"         // not gzip, cut off, or a wrong checksum
	KindTrailing     Kind = "trailing"     // bytes after the end of the gzip data
	KindFormat       Kind = "format"       // not the format that was requested
	KindRow          Kind = "row"          // a row that is not valid, or too long
	KindLineEnds     Kind = "line_ends"    // lines that end in a CR without LF
	KindSeparator    Kind = "separator"    // columns that are not separated by commas
	KindHeader       Kind = "header"       // no header
	KindColumns      Kind = "columns"      // a missing or extra column
	KindOrder        Kind = "column_order" // the columns in another order
	KindErrorObject  Kind = "error_object" // an error object in place of rows, or after some
	KindTime         Kind = "time"         // a time that cannot be read
	KindWindow       Kind = "window"       // a row outside the window
	KindNoTimes      Kind = "no_times"     // no row has a time
	KindSize         Kind = "size"         // larger than accepted, or than the store said
	KindVerification Kind = "internal"     // the verification itself failed
)

// Error reports a file that is not what was requested. Another download may help; if
// that fails with the same Kind, only a new export can.
type Error struct {
	Kind   Kind
	Reason string
	// Line is the line of the unpacked file, from 1; in a FORMAT_JSON file it is the
	// row. It is 0 if the damage is not in one line.
	Line     int64
	TooLarge bool   // the file is too large; an export of a smaller window may not be
	Kept     string // where an archive keeps the file, relative to its folder; "": it was removed
	Stack    []byte // value and stack of a panic, for the log only
}

func (e *Error) Error() string { return "the file failed verification: " + e.Reason }

// bad returns an Error without a line.
func bad(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

// recovered turns a panic into an *Error of the file that was being read, so that one
// file cannot end the process. The reason only has a random id, which the log has as
// well. It must be deferred.
func recovered(err *error) {
	v := recover()
	if v == nil {
		return
	}
	id := make([]byte, 4)
	rand.Read(id)
	e := bad(KindVerification, "internal error %s", hex.EncodeToString(id))
	e.Stack = fmt.Appendf(nil, "panic: %v\n\n%s", v, debug.Stack())
	*err = e
}
