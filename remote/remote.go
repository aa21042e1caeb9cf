// Package remote is what HTTP adds to the server: its routes, and who may use
// them. It serves programs on this machine.
package remote

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/mark3labs/mcp-go/server"
)

const (
	// sessionLife is how long a session may be idle before it is forgotten.
	sessionLife = 30 * time.Minute
	// heartbeat keeps a listening session alive; it must be well under half of
	// sessionLife, because an idle stream does not count as use.
	heartbeat = 25 * time.Second
)

// Server serves MCP over HTTP. Use New.
type Server struct {
	http   *http.Server
	stream *server.StreamableHTTPServer
	sse    *server.SSEServer // nil when turned off
}

// New returns a server of s with Streamable HTTP at /mcp and /healthz, and, if
// sse is set, the older transport at /sse and /message.
func New(s *server.MCPServer, sse bool, log *slog.Logger) *Server {
	r := &Server{stream: server.NewStreamableHTTPServer(s,
		server.WithStateful(true),
		server.WithSessionIdleTTL(sessionLife),
		server.WithHeartbeatInterval(heartbeat),
		server.WithStreamableHTTPLogger(log),
	)}
	mux := http.NewServeMux()
	mux.Handle("/mcp", guard(r.stream))
	if sse {
		r.sse = server.NewSSEServer(s,
			server.WithKeepAlive(true),
			server.WithKeepAliveInterval(heartbeat),
			server.WithUseFullURLForMessageEndpoint(false),
			// Without an origin that is allowed the library allows all of them.
			server.WithSSECORS(server.WithCORSAllowedOrigins("https://none.invalid")),
		)
		mux.Handle("GET /sse", guard(r.sse.SSEHandler()))
		mux.Handle("POST /message", guard(r.sse.MessageHandler()))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("ok\n"))
	})
	r.http = &http.Server{Handler: recovered(mux, log), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	return r
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.Handler.ServeHTTP(w, r) }

// stopTime bounds a graceful stop: calls that still run then are cut off.
const stopTime = 8 * time.Second

// Serve answers requests on l until ctx ends, then closes the streams, lets
// running calls finish for up to stopTime, and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	// Streams first: a server that shuts down waits for them, and they never
	// end by themselves.
	if s.sse != nil {
		s.sse.CloseSessions()
	}
	s.stream.Shutdown(ctx)
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// recovered answers a panic of a handler with an error instead of a closed
// connection.
func recovered(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil || v == http.ErrAbortHandler {
				return
			}
			log.Error("internal error", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			http.Error(w, "internal error; the server's log has the details", http.StatusInternalServerError)
		}()
		next.ServeHTTP(w, r)
	})
}
