package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/remote"
	"fullstory-export-mcp/tools"
)

const (
	// drainTime is how long calls may still run once the host has closed its
	// end. It is longer than any call takes.
	drainTime = 25 * time.Second
	// parallel is the most requests answered at once; a further one waits.
	parallel = 64
)

// stdio is one conversation over a pair of pipes. The library's own stdio
// server is not used because there a notification may come after the result it
// belongs to, a call that runs at the end of input is cut off, the last line
// is lost when it is not terminated, and sessions are shared by all servers of
// a process.
type stdio struct {
	server  *server.MCPServer
	session *server.InProcessSession
	log     *slog.Logger

	answers chan json.RawMessage // to the writer, which sends notifications first
	done    chan struct{}        // closed when nothing more is written
	slots   chan struct{}
	running sync.WaitGroup

	mu      sync.Mutex
	cancels map[string]context.CancelFunc // of running requests, by id as sent
}

// serveStdio answers messages of in on out, one a line, until in ends or stop
// does. At the end of input it waits for the calls that still run, so that
// what was asked is answered; when stop ends they are told so. It returns nil
// in both cases, and an error when in or out fails.
func serveStdio(stop context.Context, s *server.MCPServer, in io.Reader, out io.Writer, log *slog.Logger) error {
	t := &stdio{
		server:  s,
		session: server.NewInProcessSession("stdio-"+newSessionID(), nil),
		log:     log,
		answers: make(chan json.RawMessage),
		done:    make(chan struct{}),
		slots:   make(chan struct{}, parallel),
		cancels: map[string]context.CancelFunc{},
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(stop))
	defer cancel(nil)
	defer context.AfterFunc(stop, func() { cancel(tools.ErrStopping) })()
	if err := s.RegisterSession(ctx, t.session); err != nil {
		return fmt.Errorf("register session: %w", err)
	}
	defer s.UnregisterSession(context.WithoutCancel(ctx), t.session.SessionID())
	sessionCtx := s.WithContext(ctx, t.session)

	written := make(chan struct{})
	go func() {
		defer close(written)
		if err := t.write(out); err != nil {
			cancel(fmt.Errorf("write: %w", err))
		}
	}()
	ended := make(chan error, 1)
	go func() { ended <- t.read(sessionCtx, in) }()

	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
		t.drain(ctx)
	}
	cancel(nil)
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, tools.ErrStopping) {
		err = cause
	}
	t.running.Wait()
	close(t.done)
	<-written
	return err
}

// drain waits for the running calls, but not for ever.
func (t *stdio) drain(ctx context.Context) {
	done := make(chan struct{})
	go func() { t.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(drainTime):
	}
}

// write sends answers and notifications until done is closed. A notification
// that was queued before an answer goes out before it. After a failure it goes
// on taking answers, so that no call is held up.
func (t *stdio) write(out io.Writer) (err error) {
	send := func(message any) {
		line, e := json.Marshal(message)
		if e == nil && err == nil {
			_, e = out.Write(append(line, '\n'))
		}
		err = errors.Join(err, e)
	}
	notes := t.session.ClientNotifications()
	flush := func() {
		for len(notes) > 0 {
			send(<-notes)
		}
	}
	for {
		select {
		case n := <-notes:
			send(n)
		case answer := <-t.answers:
			flush()
			send(answer)
		case <-t.done:
			flush()
			return err
		}
	}
}

// send hands an answer to the writer.
func (t *stdio) send(answer json.RawMessage) {
	select {
	case t.answers <- answer:
	case <-t.done:
	}
}

// read takes messages until in ends. What a host listens to ends with it.
func (t *stdio) read(ctx context.Context, in io.Reader) error {
	listening, stop := context.WithCancel(ctx)
	defer stop()
	r := bufio.NewReaderSize(in, 64<<10)
	for ctx.Err() == nil {
		line, err := readLine(r)
		var long *tooLong
		switch {
		case errors.As(err, &long):
			m := remote.Message{ID: long.id()}
			t.send(m.Refuse(&remote.Refusal{Code: mcp.INVALID_REQUEST, Text: fmt.Sprintf("The message is longer than %d MiB, the most this server reads. Send less, or put the data in a file.", maxLine>>20)}))
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case len(line) > 0:
			t.take(ctx, listening, line)
		}
	}
	return nil
}

// take passes one message on. What may take time runs beside the reading, so
// that a later message, above all a cancellation, is not held up.
func (t *stdio) take(ctx, listening context.Context, line []byte) {
	m, err := remote.ParseMessage(line)
	var refused *remote.Refusal
	if errors.As(err, &refused) {
		t.send(m.Refuse(refused))
		return
	}
	switch mcp.MCPMethod(m.Method) {
	case mcp.MethodNotificationCancelled:
		t.cancel(string(m.Cancelled))
	case mcp.MethodToolsCall, mcp.MethodResourcesRead, mcp.MethodCompletionComplete:
		t.start(ctx, m, line)
	case mcp.MethodSubscriptionsListen:
		t.start(listening, m, line)
	default:
		t.answer(ctx, m, line)
	}
}

// start answers one message beside the reading.
func (t *stdio) start(ctx context.Context, m remote.Message, line []byte) {
	ctx, cancel := context.WithCancel(ctx)
	key := string(m.ID)
	t.mu.Lock()
	t.cancels[key] = cancel
	t.mu.Unlock()
	t.running.Go(func() {
		defer t.cancel(key)
		t.slots <- struct{}{}
		defer func() { <-t.slots }()
		t.answer(ctx, m, line)
	})
}

// cancel ends the request with that id, if it runs.
func (t *stdio) cancel(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if cancel, ok := t.cancels[id]; ok {
		cancel()
		delete(t.cancels, id)
	}
}

// answer handles one message and queues what it is answered. A cancelled
// request gets no answer, as the protocol wants it.
func (t *stdio) answer(ctx context.Context, m remote.Message, line []byte) {
	defer func() {
		if v := recover(); v != nil {
			t.log.Error("internal error", "panic", v, "stack", string(debug.Stack()))
			t.send(m.Refuse(internalError))
		}
	}()
	response := t.server.HandleMessage(ctx, line)
	if response == nil || ctx.Err() != nil && !errors.Is(context.Cause(ctx), tools.ErrStopping) {
		return
	}
	encoded, err := json.Marshal(response)
	if err != nil {
		t.log.Error("an answer cannot be encoded", "error", err)
		t.send(m.Refuse(internalError))
		return
	}
	t.send(m.Answer(encoded))
}

var internalError = &remote.Refusal{Code: mcp.INTERNAL_ERROR, Text: "internal error; the log has the details"}
