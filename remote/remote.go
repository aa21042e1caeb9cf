// Package remote is what HTTP adds to the server: its two transports, who may
// use them, and how much.
//
// The transports of the library are not used, for the reasons that its stdio
// is not: progress of one call comes out on the stream of another or after the
// result, the last notification of a call is mostly lost, sessions belong to
// whoever knows their id, and neither what waits for a slow reader nor what is
// kept for one that comes back is bounded.
package remote

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Options say what is served and to whom. All but MCP may be left out.
type Options struct {
	MCP      *server.MCPServer // all tools
	ReadOnly *server.MCPServer // what callers that are read-only are offered; nil: as MCP
	SSE      bool              // serve the older transport as well
	Callers  *Callers          // who may use the server by a token of their own
	Issuer   *Issuer           // whose tokens are accepted; without it and Callers, whoever reaches the server may use it
	Writes   []string          // tools that take ScopeWrite
	Hosts    []string          // names besides those of this machine that the server goes by
	Origins  []string          // of web pages that may use it, such as https://app.example.com
	Key      []byte            // secret that session ids are made with; nil: a new one
	Shared   Shared            // what replicas have in common; nil: there is one
	Sessions int               // most sessions at once; 0: 2000
	Life     time.Duration     // of a session that is not used; 0: 30 minutes
	Ready    func(context.Context) error
	Stopping error // what calls are told that a stopping server ends
	Ended    func(session string)
	Changed  func() // the callers changed
	Metrics  *Metrics
	Log      *slog.Logger
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.ReadOnly == nil {
		o.ReadOnly = o.MCP
	}
	if o.Key == nil {
		o.Key = make([]byte, 32)
		rand.Read(o.Key)
	}
	if o.Sessions == 0 {
		o.Sessions = 2000
	}
	if o.Life == 0 {
		o.Life = 30 * time.Minute
	}
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return nil }
	}
	if o.Stopping == nil {
		o.Stopping = errors.New("the server is stopping")
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// call is one message being answered, and the session that the library sees:
// what the server tells meanwhile goes to the stream of this very message.
type call struct {
	id      string // of the session, or of this call alone
	message Message
	raw     json.RawMessage
	caller  Caller
	session *session // nil: of protocol 2026-07-28 on there are none
	notes   chan mcp.JSONRPCNotification
}

func newCall(m Message, raw json.RawMessage, c Caller, s *session) *call {
	id := rand.Text()
	if s != nil {
		id = s.id
	}
	return &call{id: id, message: m, raw: raw, caller: c, session: s, notes: make(chan mcp.JSONRPCNotification, 100)}
}

// SessionID returns the id of the session. A call without one has an id of its
// own: the library cancels by session and request id, and requests of different
// callers may have the same.
func (c *call) SessionID() string { return c.id }

// NotificationChannel takes what belongs to this call.
func (c *call) NotificationChannel() chan<- mcp.JSONRPCNotification { return c.notes }

// Announce tells the session what belongs to no call.
func (c *call) Announce(n mcp.JSONRPCNotification) {
	if data, err := json.Marshal(n); err == nil && c.session != nil {
		c.session.standing.add(data, false)
	}
}

// Initialize is called by the library; a session needs nothing of it.
func (c *call) Initialize() {}

// Initialized tells that notifications may be sent.
func (c *call) Initialized() bool { return true }

// SetLogLevel keeps the level from which on the client wants log messages.
func (c *call) SetLogLevel(level mcp.LoggingLevel) {
	if c.session != nil {
		c.session.level.Store(level)
	}
}

// GetLogLevel returns it.
func (c *call) GetLogLevel() mcp.LoggingLevel {
	if c.session != nil {
		if level, ok := c.session.level.Load().(mcp.LoggingLevel); ok {
			return level
		}
	}
	return mcp.LoggingLevelError
}

var _ server.SessionWithLogging = (*call)(nil)

// run answers c on st: first what the server tells meanwhile, then the answer,
// with which st is over if last is set. Otherwise a call that its client has
// cancelled is not answered, as the protocol wants it. run returns when all is
// queued.
func (s *Server) run(ctx context.Context, c *call, st *stream, last bool) {
	answer := make(chan json.RawMessage, 1)
	go func() { answer <- s.handle(ctx, c) }()
	tell := func(n mcp.JSONRPCNotification) {
		if data, err := json.Marshal(n); err == nil {
			st.add(data, false)
		}
	}
	for {
		select {
		case n := <-c.notes:
			tell(n)
		case data := <-answer:
			for len(c.notes) > 0 {
				tell(<-c.notes)
			}
			if !last && errors.Is(context.Cause(ctx), errCancelled) {
				data = nil
			}
			st.add(data, last)
			return
		}
	}
}

// handle has the library answer c. It returns nil if there is nothing to
// answer. A panic becomes an error that names where the log has the rest.
func (s *Server) handle(ctx context.Context, c *call) (answer json.RawMessage) {
	defer func() {
		if v := recover(); v != nil {
			id := rand.Text()[:10]
			s.o.Log.Error("internal error", "id", id, "method", c.message.Method, "panic", v, "stack", string(debug.Stack()))
			answer = c.message.Refuse(&Refusal{codeInternal, "internal error " + id + "; the server's log has the details"})
		}
	}()
	response := s.answered(ctx, c)
	if response == nil {
		return nil
	}
	if _, failed := response.(mcp.JSONRPCError); !failed {
		s.share(ctx, c.session, c.message, c.raw)
	}
	encoded, err := json.Marshal(response)
	if err != nil {
		s.o.Log.Error("an answer cannot be encoded", "method", c.message.Method, "error", err)
		return c.message.Refuse(&Refusal{codeInternal, "internal error; the server's log has the details"})
	}
	return c.message.Answer(encoded)
}

// answered has the library answer c.
func (s *Server) answered(ctx context.Context, c *call) mcp.JSONRPCMessage {
	served := s.o.MCP
	if c.caller.ReadOnly {
		served = s.o.ReadOnly
	}
	return served.HandleMessage(served.WithContext(ctx, c), c.raw)
}

// isListen tells whether m opens a stream of announcements.
func isListen(m Message) bool { return m.Method == string(mcp.MethodSubscriptionsListen) }

// isCancel tells whether m ends another request.
func isCancel(m Message) bool { return m.Method == string(mcp.MethodNotificationCancelled) }

// isHello tells whether m opens a session.
func isHello(m Message) bool { return m.Method == string(mcp.MethodInitialize) }

// modern tells whether a message, or a request without one, is of protocol
// 2026-07-28 or later, which has no sessions.
func modern(h http.Header, m Message) bool {
	return mcp.IsModernProtocol(m.Version) || mcp.IsModernProtocol(h.Get(mcp.HeaderProtocolVersion))
}

// checkVersion returns what is wrong with the protocol version of a request of
// the time before 2026-07-28; none is taken for 2025-03-26.
func checkVersion(h http.Header) error {
	if v := h.Get(mcp.HeaderProtocolVersion); v != "" && !mcp.IsValidProtocolVersion(v) {
		return errors.New("This protocol version is not known here. Those that are: " + list(mcp.ValidProtocolVersions) + ".")
	}
	return nil
}

// checkModern returns the answer to a message of protocol 2026-07-28 or later
// whose headers do not say the same as its body; nil if they do.
func checkModern(h http.Header, m Message, raw json.RawMessage) json.RawMessage {
	header := h.Get(mcp.HeaderProtocolVersion)
	refuse := func(code int, text string) json.RawMessage { return m.Refuse(&Refusal{code, text}) }
	switch {
	case h.Get(mcp.HeaderLastEventID) != "":
		return refuse(mcp.HEADER_MISMATCH, "Last-Event-ID has no meaning from protocol version "+mcp.ProtocolVersion20260728+" on: send the request again under a new id.")
	case header == "":
		return refuse(mcp.HEADER_MISMATCH, "The header "+mcp.HeaderProtocolVersion+" is missing; _meta names "+m.Version+".")
	case m.Version == "":
		return refuse(mcp.INVALID_PARAMS, "params._meta lacks "+mcp.MetaKeyProtocolVersion+", or it is no string; the header names "+header+".")
	case header != m.Version:
		return refuse(mcp.HEADER_MISMATCH, "The header "+mcp.HeaderProtocolVersion+" says "+header+", and _meta "+m.Version+".")
	case !mcp.IsValidProtocolVersion(m.Version):
		wrong := mcp.UnsupportedProtocolVersionError{Version: m.Version, Supported: mcp.ValidProtocolVersions}
		if encoded, err := json.Marshal(wrong.JSONRPCError()); err == nil {
			return m.withID(encoded)
		}
	}
	var body struct {
		Params json.RawMessage `json:"params"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return nil
	}
	if err := mcp.ValidateStandardHeaders(h.Get, m.Version, mcp.MCPMethod(m.Method), body.Params); err != nil {
		return refuse(mcp.HEADER_MISMATCH, err.Error())
	}
	return nil
}

// modernStatus returns the HTTP status that protocol 2026-07-28 wants for an
// answer.
func modernStatus(answer json.RawMessage) int {
	var a struct {
		Error *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &a) != nil || a.Error == nil {
		return http.StatusOK
	}
	switch a.Error.Code {
	case mcp.METHOD_NOT_FOUND:
		return http.StatusNotFound
	case mcp.HEADER_MISMATCH, mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, mcp.UNSUPPORTED_PROTOCOL_VERSION, mcp.INVALID_REQUEST, mcp.INVALID_PARAMS, mcp.PARSE_ERROR:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// Server serves MCP over HTTP. Use New.
type Server struct {
	o        Options
	http     *http.Server
	sessions *sessions
	limits   *limits
	metrics  *Metrics
	large    chan struct{} // large bodies that are handled
	hosts    map[string]bool
	origins  map[string]bool
	work     work
	beat     time.Duration // between signs of life on a stream
	stopping atomic.Bool   // no new calls are taken
}
