package download

import (
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/rows"
)

// LinkError reports a link that is not followed, or that the store rejects although it
// is fresh.
type LinkError struct {
	Status   int    // of the answer; 0: the link was not followed
	Reason   string // does not contain the link
	Unlisted bool   // the host is not one that the operator allowed, or cannot be checked unless it is
}

func (e *LinkError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("the store rejected the link to the file with %d: %s", e.Status, e.Reason)
	}
	return "the link to the file is not followed: " + e.Reason
}

// Stale reports whether the link may have expired before it was used. A fresh one may
// then help.
func (e *LinkError) Stale() bool { return stale(e.Status) }

// TransferError reports a download that failed too often in a row. Another call with the
// same Sink resumes it.
type TransferError struct {
	Done, Total int64         // bytes; Total is -1 if it is not known
	Status      int           // of the last answer; 0: the last try failed without one
	RetryAfter  time.Duration // that the store asked for, at most an hour; 0: none
	Err         error         // of the last try
}

func (e *TransferError) Error() string {
	return fmt.Sprintf("the download failed after %s: %v", rows.FormatBytes(e.Done), e.Err)
}

func (e *TransferError) Unwrap() error { return e.Err }

// final is an error after which a retry is of no use: of the Sink, or of Source.Link,
// which retries on its own.
type final struct{ err error }

func (f *final) Error() string { return f.err.Error() }
func (f *final) Unwrap() error { return f.err }

// finally returns err as a final error; nil stays nil.
func finally(err error) error {
	if err == nil {
		return nil
	}
	return &final{err}
}

// retryable reports whether a retry may help.
func retryable(err error) bool {
	_, link := errors.AsType[*LinkError](err)
	_, end := errors.AsType[*final](err)
	return !link && !end
}

// tooLong returns the error of a file that is larger than accepted, which large says, or
// than the store announced.
func tooLong(large bool, format string, args ...any) error {
	return finally(&rows.Error{Kind: rows.KindSize, Reason: fmt.Sprintf(format, args...), TooLarge: large})
}
