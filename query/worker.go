package query

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"
)

// WorkerCommand is the hidden command of this program that calls Work.
const WorkerCommand = "query-worker"

// question is what the child reads.
type question struct {
	Files    []File        `json:"files"`
	SQL      string        `json:"sql"`
	Limits   Limits        `json:"limits"`
	MaskKey  []byte        `json:"mask_key"`
	Deadline time.Duration `json:"deadline"`
	// NoPushDown makes the table hand all rows to SQLite, in their order.
	NoPushDown bool `json:"no_push_down"`
}

// Exit statuses of the child that are not those of a panic.
const (
	statusTooLong   = 11
	statusTooLarge  = 12
	statusNoStorage = 13
	statusOrphan    = 14
)

const (
	// grace is how long after the deadline the child ends if SQLite cannot be interrupted.
	grace = 500 * time.Millisecond
	// mostQuestion is the longest question, in bytes: 100,000 files of 300 bytes.
	mostQuestion = 32 << 20
)

// Work reads a question, answers it and returns. It is the whole of a child process: it limits
// what this process may do, and ends it when time or memory is over or stdin ends. Errors of
// the question are part of the answer.
func Work(stdin io.Reader, stdout io.Writer) error {
	var q question
	if err := json.NewDecoder(io.LimitReader(stdin, mostQuestion)).Decode(&q); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // until the parent ends
		os.Exit(statusOrphan)
	}()
	ctx, stop := context.WithTimeout(context.Background(), q.Deadline)
	defer stop()
	time.AfterFunc(q.Deadline+grace, func() { os.Exit(statusTooLong) })
	if err := confine(); err != nil {
		return err
	}
	a, err := q.answer(ctx)
	if err != nil {
		a = answer{Error: q.explained(err)}
	}
	a.Memory, a.CPU = peakMemory(), usedTime()
	return json.NewEncoder(stdout).Encode(a)
}

// answer answers a question in this process.
func (q question) answer(ctx context.Context) (a answer, err error) {
	if err := checkSQL(q.SQL); err != nil {
		return a, err
	}
	t, err := openTable(ctx, q.Files, q.MaskKey)
	if err != nil {
		return a, interrupted(ctx, err)
	}
	defer t.close()
	t.pushDown = !q.NoPushDown
	d, err := openDatabase(ctx, t)
	if err != nil {
		return a, interrupted(ctx, err)
	}
	defer d.close()
	if a, err = d.run(ctx, q.SQL, q.Limits); err != nil {
		return a, t.explain(interrupted(ctx, err), d.authorizer.denied)
	}
	return a, nil
}

// interrupted returns the error of ctx if it has ended, which is then the reason for err.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// explained returns an error with its kind.
func (q question) explained(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return tooLong(q.Deadline)
	}
	return &Error{Internal, "The query failed: " + err.Error()}
}
