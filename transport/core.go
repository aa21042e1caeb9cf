package transport

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

var (
	// errCancelled ends a request that its client cancelled.
	errCancelled = fmt.Errorf("cancelled by the client: %w", context.Canceled)
	// errGone ends a request whose client went away.
	errGone = errors.New("the client went away")
)

// core runs, cancels and answers requests for all three transports. It is safe
// for concurrent use.
type core struct {
	log     *slog.Logger
	workers *workers
	work    work
}

func newCore(log *slog.Logger) *core { return &core{log: log, workers: newWorkers()} }

// start registers c as running and returns the function that answers it. The
// caller must call that function once, in any goroutine. Cancelling c, its
// conversation, or its kind of work ends the context in which c runs.
func (k *core) start(ctx context.Context, c *call) (answer func()) {
	ctx, c.cancel = context.WithCancelCause(ctx)
	k.work.add(&c.piece)
	c.conversation.add(c)
	return func() {
		defer func() {
			c.conversation.remove(c)
			k.work.remove(&c.piece)
			c.cancel(nil)
		}()
		k.answer(ctx, c)
	}
}

// answer answers c in the calling goroutine. It gives c.out the notifications of
// c first and then the answer. A request that its client cancelled or left gets
// no answer, as the protocol wants it, unless c.final is set.
func (k *core) answer(ctx context.Context, c *call) {
	data := k.handle(ctx, c)
	c.flush()
	if !c.final && abandoned(ctx) {
		data = nil
	}
	if data != nil || c.final {
		c.out.add(data, c.final)
	}
}

// abandoned reports whether the client of a request no longer wants its answer.
func abandoned(ctx context.Context) bool {
	if ctx.Err() == nil {
		return false
	}
	cause := context.Cause(ctx)
	return errors.Is(cause, errCancelled) || errors.Is(cause, errGone)
}

// handle returns the encoded answer of the library to c, or nil if c needs none.
// It turns a panic into an error with an id, and logs the stack under that id.
func (k *core) handle(ctx context.Context, c *call) (answer json.RawMessage) {
	defer func() {
		if v := recover(); v != nil {
			id := newErrorID()
			k.log.ErrorContext(ctx, "internal error",
				"id", id, "method", c.message.method, "panic", v, "stack", string(debug.Stack()))
			answer = c.message.reject(internalError(id))
		}
	}()
	c.began = time.Now()
	switch {
	case c.batch != nil:
		return k.answerBatch(ctx, c)
	case c.rejected != nil:
		return c.message.reject(c.rejected)
	}
	response, failed := c.handle(ctx)
	if response == nil {
		return nil
	}
	if !failed && c.succeeded != nil {
		c.succeeded(ctx)
	}
	encoded, err := json.Marshal(response)
	if err != nil {
		id := newErrorID()
		k.log.ErrorContext(ctx, "answer cannot be encoded", "id", id, "method", c.message.method, "error", err)
		return c.message.reject(internalError(id))
	}
	return c.message.answer(encoded)
}

// newErrorID returns a random id that connects an answer with a line of the log.
func newErrorID() string { return rand.Text()[:10] }

func internalError(id string) *rejection {
	return &rejection{codeInternal, internalErrorText(id)}
}

func internalErrorText(id string) string {
	return "internal error " + id + "; the server's log has the details"
}

// outlet takes messages to a client, in order. It is safe for concurrent use.
type outlet interface {
	// add takes one message, or none if data is nil. If last is set, the outlet
	// takes no more messages after it.
	add(data []byte, last bool)
}

// conversation is what the requests of one client have in common. It is safe
// for concurrent use.
type conversation struct {
	id    string       // of the session; what a client subscribes to is kept under it
	out   outlet       // takes notifications that belong to no request; nil drops them
	level atomic.Value // the mcp.LoggingLevel from which on the client wants log messages

	// version is the protocol version that initialize agreed on, a string. It is not set
	// before initialize, nor in a session that this process did not open.
	version atomic.Value

	apps atomic.Bool // the client shows MCP Apps
	asks atomic.Bool // the client said in initialize that it can ask its user

	mu        sync.Mutex
	running   map[*call]struct{}                              // started and not answered yet
	questions map[string]chan<- mcp.ElicitationResponseAction // that wait for an answer, by id
	ended     bool
}

func (v *conversation) add(c *call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.running == nil {
		v.running = map[*call]struct{}{}
	}
	v.running[c] = struct{}{}
	if v.ended {
		c.cancel(errGone)
	}
}

func (v *conversation) remove(c *call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.running, c)
}

// cancel ends the running requests with an id, in JSON as sent; there is more
// than one only if the client used the id twice. It returns false if there is
// none.
func (v *conversation) cancel(id json.RawMessage) (found bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for c := range v.running {
		if id != nil && string(c.message.id) == string(id) {
			c.cancel(errCancelled)
			found = true
		}
	}
	return found
}

// versionOr returns the protocol version of the conversation, or other if it is not
// known.
func (v *conversation) versionOr(other string) string {
	if version, ok := v.version.Load().(string); ok {
		return version
	}
	return other
}

// end ends all requests, those of the future as well.
func (v *conversation) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
	for c := range v.running {
		c.cancel(errGone)
	}
}
