// Package download copies a file from a signed link to a Sink: it resumes after a
// broken connection, asks for a fresh link when one expires, and rejects links that
// lead to private networks. It does not look at the content of the file.
package download

import (
	"context"
	"io"
	"time"
)

// Source is a file at the store to which an API gives links.
type Source struct {
	// Link returns a fresh link to the file. It is called again when a link has
	// expired, and must retry on its own. Links are secrets; no error contains one.
	Link func(context.Context) (string, error)
	// AllowLoopback lets links lead to this machine, also without TLS. It is for an API
	// that runs here as well.
	AllowLoopback bool
	// Stores are the hosts that links may name; nil: every public one.
	Stores *Stores
	// Tries is the number of tries in a row without progress after which the download
	// fails; 0 means 5. A fresh link after one has expired is not counted as a try.
	Tries int
	// Progress, if set, is called as bytes arrive, with the number of bytes stored and
	// in all; total is -1 if it is not known.
	Progress func(done, total int64)

	net network
}

// Sink stores the bytes of a file. If it has some from an earlier download, this one
// only asks for the rest, and begins anew if the object of the store has changed. An
// error of a Sink ends the download without a retry.
type Sink interface {
	io.Writer
	// Has returns how many bytes are stored, and of which object: its strong ETag,
	// "" if the bytes cannot be continued, and its length, -1 if that is not known.
	Has() (size int64, etag string, length int64)
	// Begin identifies the object whose bytes follow; Has returns it from then on. The
	// Sink is empty.
	Begin(etag string, length int64) error
	// Reset empties the Sink.
	Reset() error
	// Reserve returns an error if n more bytes do not fit.
	Reserve(n int64) error
}

// Result describes a file as the store does.
type Result struct {
	Attachment string // the name that the store gave the file, if any
	Empty      bool   // the file has 0 bytes, as two answers confirmed
}

// limits of a download. Tests use smaller ones.
type limits struct {
	answer  time.Duration // from a request to the header of its answer, over all redirects
	stall   time.Duration // a connection without a byte for so long is closed
	period  time.Duration // in which at least slowest bytes must arrive
	slowest int64
	wait    time.Duration // before the second try; it doubles with each one
	tries   int           // in a row without progress
	largest int64         // bytes of one file
}

// To downloads the file into a Sink. If it fails or is cancelled, another call with the
// same Sink continues with the bytes that are stored.
//
// It fails with a *LinkError, a *TransferError, a *rows.Error of a file that is too
// large, the error of Link or of the Sink, or that of ctx.
func (s Source) To(ctx context.Context, sink Sink) (Result, error) {
	return s.to(ctx, sink, limits{
		answer: 2 * time.Minute, stall: time.Minute, period: 5 * time.Minute, slowest: 64 << 10,
		wait: 500 * time.Millisecond, tries: 5, largest: 200 << 30,
	})
}

// guarded is a Sink whose errors are final.
type guarded struct{ Sink }

func (g guarded) Write(b []byte) (int, error) {
	n, err := g.Sink.Write(b)
	return n, finally(err)
}

func (g guarded) Begin(etag string, length int64) error { return finally(g.Sink.Begin(etag, length)) }
func (g guarded) Reset() error                          { return finally(g.Sink.Reset()) }
func (g guarded) Reserve(n int64) error                 { return finally(g.Sink.Reserve(n)) }
