package transport

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// drainTime is how long calls may still run after the host has closed its
	// end. It is longer than any call takes.
	drainTime = 25 * time.Second
	// parallelCalls is how many requests are answered at once; further ones wait.
	parallelCalls = 64
)

// StdioOptions say what is served over a pair of pipes. Only MCP is required.
type StdioOptions struct {
	MCP      *MCPServer
	Stopping error                // ends the calls that still run when the server stops
	Ended    func(session string) // called when the conversation has ended
	Log      *slog.Logger         // nil discards
}

// stdio is one conversation over a pair of pipes.
type stdio struct {
	core         *core
	server       *MCPServer
	conversation *conversation
	out          *lineWriter
	in           *bufio.Reader // used by one goroutine at a time
	ended        chan error    // receives how the input ended, once
	slots        chan struct{} // one for each request that is being answered
}

// ServeStdio answers messages from in on out, one a line, until in or stop ends.
// At the end of input it waits for the calls that still run, at most drainTime;
// when stop ends it ends them with o.Stopping. It returns nil in both cases, and
// an error when in or out fails.
func ServeStdio(stop context.Context, o StdioOptions, in io.Reader, out io.Writer) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(stop))
	defer cancel(nil)
	defer context.AfterFunc(stop, func() { cancel(o.Stopping) })()
	lines := &lineWriter{out: out, failed: cancel}
	t := &stdio{
		core:         newCore(o.Log),
		server:       o.MCP,
		conversation: &conversation{id: "stdio-" + rand.Text()[:10], out: lines},
		out:          lines,
		in:           bufio.NewReaderSize(in, 64<<10),
		ended:        make(chan error, 1),
		slots:        make(chan struct{}, parallelCalls),
	}
	t.core.workers.run(func() { t.read(ctx) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-t.ended:
		t.core.work.cancel(listening, errGone)
		t.core.work.wait(drainTime, calling)
		t.conversation.end()
	}
	t.core.work.wait(drainTime, calling, listening)
	if failure := lines.close(); err == nil && stop.Err() == nil {
		err = failure
	}
	if o.Ended != nil {
		o.Ended(t.conversation.id)
	}
	return err
}

// read handles messages until ctx or the input ends, which it reports to t.ended. The
// goroutine that reads a request also answers it, while another one continues to
// read. So an answer waits for no other goroutine, and a later message, above all
// a cancellation, does not wait for the answer.
func (t *stdio) read(ctx context.Context) {
	for ctx.Err() == nil {
		line, err := readLine(t.in)
		long, isLong := errors.AsType[*tooLong](err)
		switch {
		case ctx.Err() != nil:
			return
		case isLong:
			m := message{id: long.id()}
			t.out.add(m.reject(&rejection{codeInvalid, fmt.Sprintf("The message is longer than %d MiB, "+
				"the most this server reads. Send less, or put the data in a file.", maxLine>>20)}), false)
		case errors.Is(err, io.EOF):
			t.ended <- nil
			return
		case err != nil:
			t.ended <- fmt.Errorf("read: %w", err)
			return
		case len(line) > 0:
			if answer := t.handle(ctx, line); answer != nil {
				t.core.workers.run(func() { t.read(ctx) })
				answer()
				return
			}
		}
	}
}

// handle handles one message. If that may take time, handle returns the function
// that does it.
func (t *stdio) handle(ctx context.Context, line []byte) (answer func()) {
	if line = trimMark(line); isBatch(line) {
		return t.handleBatch(ctx, line)
	}
	m, rejected := parseMessage(line)
	if rejected != nil {
		t.out.add(m.reject(rejected), false)
		return nil
	}
	c := t.newCall(m, line)
	switch m.method {
	case methodListen:
		c.kind = listening
		return t.core.start(ctx, c)
	case methodCallTool, methodRead, methodComplete:
		return t.start(ctx, c)
	}
	switch {
	case m.isResponse():
		if a, ok := parseAnswer(line); ok {
			t.conversation.answered(a)
		}
	case m.isCancel():
		t.conversation.cancel(m.cancelled)
	default:
		t.core.answer(ctx, c)
	}
	return nil
}

// handleBatch handles the messages of a batch in the same way.
func (t *stdio) handleBatch(ctx context.Context, line []byte) (answer func()) {
	all, rejected := splitBatch(line)
	if rejected == nil {
		rejected = checkBatch(all, t.conversation.versionOr(""))
	}
	if rejected != nil {
		t.out.add(message{}.reject(rejected), false)
		return nil
	}
	handled, cancelled := members(all)
	for _, id := range cancelled {
		t.conversation.cancel(id)
	}
	c := t.newCall(message{}, nil)
	c.batch = &batch{parallel: batchCalls}
	for _, m := range handled {
		one := t.newCall(m.message, m.raw)
		one.rejected = m.rejected
		c.batch.calls = append(c.batch.calls, one)
	}
	return t.start(ctx, c)
}

// newCall returns a call for a message.
func (t *stdio) newCall(m message, raw json.RawMessage) *call {
	return &call{conversation: t.conversation, message: m, raw: raw, server: t.server, out: t.out}
}

// start starts c and returns the function that answers it, once there is a slot.
func (t *stdio) start(ctx context.Context, c *call) (answer func()) {
	run := t.core.start(ctx, c)
	return func() {
		t.slots <- struct{}{}
		defer func() { <-t.slots }()
		run()
	}
}

// lineWriter is an outlet that writes one message a line. After a failure it
// drops messages, so that no call waits for it.
type lineWriter struct {
	out    io.Writer
	failed context.CancelCauseFunc // called with the first failure

	mu     sync.Mutex // held while a message is written
	err    error      // the first failure
	closed bool
}

func (w *lineWriter) add(data []byte, _ bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.err != nil {
		return
	}
	if _, err := w.out.Write(append(data, '\n')); err != nil {
		w.err = fmt.Errorf("write: %w", err)
		w.failed(w.err)
	}
}

// close drops what is added later, and returns the first failure.
func (w *lineWriter) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return w.err
}
