package command

import (
	"bytes"
	"io"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// logQueueLines is how many lines of the log wait for a reader at most.
	logQueueLines = 1000
	// logFlushTime bounds how long the end of the process waits for a reader.
	logFlushTime = time.Second
)

// logQueue is a writer that never blocks: it passes what is written on to another one,
// and drops it while too much waits there. A host may start a server and never read its
// stderr; that must not stop the calls. It is safe for concurrent use.
type logQueue struct {
	lines   chan []byte // each is one line of the log
	dropped atomic.Int64
	end     chan struct{} // closed by close
	ended   chan struct{} // closed when everything is written
}

// newLogQueue returns a queue in front of out. tell writes to out how many lines were
// dropped. Call close once.
func newLogQueue(out io.Writer, tell func(lines int64)) *logQueue {
	q := &logQueue{
		lines: make(chan []byte, logQueueLines), end: make(chan struct{}), ended: make(chan struct{}),
	}
	go q.run(out, tell)
	return q
}

// Write implements io.Writer. It never fails.
func (q *logQueue) Write(line []byte) (int, error) {
	select {
	case q.lines <- bytes.Clone(line):
	default:
		q.dropped.Add(1)
	}
	return len(line), nil
}

// run writes lines until close, and what waits then.
func (q *logQueue) run(out io.Writer, tell func(int64)) {
	defer close(q.ended)
	write := func(line []byte) {
		if n := q.dropped.Swap(0); n > 0 {
			tell(n)
		}
		_, _ = out.Write(line) // there is nobody to report an error to
	}
	for {
		select {
		case line := <-q.lines:
			write(line)
		case <-q.end:
			for len(q.lines) > 0 {
				write(<-q.lines)
			}
			return
		}
	}
}

// close writes what waits, for at most logFlushTime. Later lines are dropped.
func (q *logQueue) close() {
	close(q.end)
	select {
	case <-q.ended:
	case <-time.After(logFlushTime):
	}
}

// tellDropped returns the function that logs how many lines were dropped.
func tellDropped(log *slog.Logger) func(int64) {
	return func(n int64) { log.Warn("lines of the log were dropped, because nobody read them in time", "lines", n) }
}
