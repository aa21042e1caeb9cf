package command

import (
	"bytes"
	"errors"
	"io"
	"time"
)

// lastWrite is how long a writer may still take once the program is to end.
const lastWrite = 500 * time.Millisecond

var errUnread = errors.New("interrupted: nobody reads the output")

// interruptible is a writer that does not block a program beyond its end, although nobody
// reads what it writes. After errUnread a write may still be under way. It is for one
// goroutine.
type interruptible struct {
	w      io.Writer
	done   <-chan struct{} // closed when the program is to end
	unread bool            // a write was given up, so every later one is
}

// Write implements io.Writer.
func (i *interruptible) Write(p []byte) (int, error) {
	if i.unread {
		return 0, errUnread
	}
	type result struct {
		n   int
		err error
	}
	written := make(chan result, 1)
	own := bytes.Clone(p) // the caller may change p after errUnread
	go func() {
		n, err := i.w.Write(own)
		written <- result{n, err}
	}()
	select {
	case r := <-written:
		return r.n, r.err
	case <-i.done:
	}
	select {
	case r := <-written:
		return r.n, r.err
	case <-time.After(lastWrite):
		i.unread = true
		return 0, errUnread
	}
}
