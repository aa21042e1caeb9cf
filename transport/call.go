package transport

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// MCPServer is the server of the library. It answers messages; the transports only
// carry them.
type MCPServer = server.MCPServer

// callNotifications is how many notifications of one call wait for its outlet;
// the library drops those beyond.
const callNotifications = 100

// call is one message that is being answered. It is also the session that the
// library sees, so that a notification goes out with the very request that it
// belongs to. Its fields are set before it is started.
type call struct {
	piece
	conversation *conversation
	message      message
	raw          json.RawMessage
	server       *MCPServer
	out          outlet
	final        bool                  // out ends with the answer, which is given even to a cancelled request
	succeeded    func(context.Context) // called before a successful answer goes out; may be nil
	batch        *batch                // the calls that c consists of; nil for a single message
	rejected     *rejection            // the answer to a member of a batch that could not be accepted

	began time.Time // of its handling
	asks  bool      // its client can ask its user, from protocol 2026-07-28 on; see conversation.asks
	mute  bool      // its client receives nothing but the answer

	failure *failure // what is answered instead of what the library answers; see Reject

	once    sync.Once                    // makes the fields below, or prevents that at the end
	notes   chan mcp.JSONRPCNotification // notifications on their way to out
	handled chan struct{}                // closed when there are no more
	passed  chan struct{}                // closed when out has all of them
}

// handle returns the answer of the library to c, nil if there is none, and whether
// it is an error. A notification gets no answer, even if its params are invalid.
func (c *call) handle(ctx context.Context) (response any, failed bool) {
	raw, invalid := checkParams(c.message, c.raw)
	switch {
	case invalid != nil && invalid.code == codeParams && c.message.id == nil:
		return nil, true
	case invalid != nil:
		return c.message.reject(invalid), true
	}
	answer := c.server.HandleMessage(c.server.WithContext(ctx, c), raw)
	switch {
	case c.message.id == nil:
		return nil, false
	case c.failure != nil:
		return c.message.fail(c.failure), true
	}
	if e, ok := answer.(mcp.JSONRPCError); ok { // its text can repeat the method
		text := strings.ReplaceAll(e.Error.Message, c.message.method, cleaned(c.message.method, longestEcho))
		return c.message.fail(&failure{e.Error.Code, text, e.Error.Data}), true
	}
	if r, ok := answer.(mcp.JSONRPCResponse); ok {
		if result, ok := r.Result.(mcp.InitializeResult); ok {
			c.conversation.version.Store(result.ProtocolVersion)
		}
	}
	return answer, false
}

// failure is a JSON-RPC error.
type failure struct {
	Code int    `json:"code"`
	Text string `json:"message"`
	Data any    `json:"data,omitempty"`
}

// fail returns the answer to m that it failed, with cleaned texts.
func (m message) fail(f *failure) any {
	shown := *f
	if shown.Text = cleaned(f.Text, longestText); f.Data != nil {
		shown.Data = cleanedData(f.Data)
	}
	return struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   *failure        `json:"error"`
	}{"2.0", m.idOrNull(), &shown}
}

// Reject has c answered with an error, whatever the library answers, and drops its
// later notifications. data may be nil. Hooks and handlers call it before they return:
// the library lets them choose neither the code nor the data of an error.
func (c *call) Reject(code int, text string, data any) { c.failure = &failure{code, text, data} }

// SessionID returns the id of the conversation.
func (c *call) SessionID() string { return c.conversation.id }

// ProtocolVersion returns the protocol version that the client speaks; "" if this replica
// does not know it.
func (c *call) ProtocolVersion() string {
	if c.message.version != "" {
		return c.message.version
	}
	return c.conversation.versionOr("")
}

// NotificationChannel takes notifications that belong to this call. Most calls
// send none, so the channel is made when the library asks for it.
func (c *call) NotificationChannel() chan<- mcp.JSONRPCNotification {
	if c.failure != nil {
		return make(chan mcp.JSONRPCNotification, callNotifications)
	}
	c.once.Do(func() {
		c.notes = make(chan mcp.JSONRPCNotification, callNotifications)
		c.handled, c.passed = make(chan struct{}), make(chan struct{})
		go c.pass()
	})
	return c.notes
}

// pass gives notifications to c.out until the call is handled.
func (c *call) pass() {
	defer close(c.passed)
	for {
		select {
		case n := <-c.notes:
			c.notify(c.out, n)
		case <-c.handled:
			for len(c.notes) > 0 {
				c.notify(c.out, <-c.notes)
			}
			return
		}
	}
}

func (c *call) notify(out outlet, n mcp.JSONRPCNotification) {
	if data, err := json.Marshal(n); err == nil {
		out.add(data, false)
	}
}

// flush returns when c.out has all notifications that were sent so far. Later
// ones are lost.
func (c *call) flush() {
	c.once.Do(func() {})
	if c.handled != nil {
		close(c.handled)
		<-c.passed
	}
}

// Announce sends the client a notification that belongs to no call.
func (c *call) Announce(n mcp.JSONRPCNotification) {
	if c.conversation.out != nil {
		c.notify(c.conversation.out, n)
	}
}

// Initialize is part of the library's interface and does nothing.
func (c *call) Initialize() {}

// Initialized reports that notifications may be sent.
func (c *call) Initialized() bool { return true }

// SetLogLevel sets the level from which on the client wants log messages.
func (c *call) SetLogLevel(level mcp.LoggingLevel) { c.conversation.level.Store(level) }

// GetLogLevel returns that level: error, until the client sets another.
func (c *call) GetLogLevel() mcp.LoggingLevel {
	if level, ok := c.conversation.level.Load().(mcp.LoggingLevel); ok {
		return level
	}
	return mcp.LoggingLevelError
}

var _ server.SessionWithLogging = (*call)(nil)
