// Package transport carries MCP over the wire: stdio, Streamable HTTP and the
// older HTTP+SSE. One core runs, cancels and answers the requests of all three.
//
// The transports of the library are not used: they send the progress of one call
// on the stream of another or after the result, lose the last notification of a
// call, give a session to anybody who knows its id, and bound neither what waits
// for a slow client nor what is kept for one that reconnects.
package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"fullstory-export-mcp/auth"
)

// Options say what is served over HTTP, and to whom. Only MCP is required.
type Options struct {
	MCP      *MCPServer    // all tools
	ReadOnly *MCPServer    // for read-only callers; nil: MCP
	SSE      bool          // also serve the older transport
	Callers  *auth.Callers // who may call with a token of the file
	Issuer   *auth.Issuer  // whose tokens are accepted; without it and Callers, anybody may call
	Writes   []string      // tools that need auth.ScopeWrite
	Hosts    []string      // names of this server besides those of this machine
	Origins  []string      // of web pages that may use it, such as https://app.example.com
	Key      []byte        // secret for session ids; nil: a new one
	Shared   Shared        // what replicas have in common; nil: there is one replica
	Sessions int           // most sessions at once, of which a caller may have a quarter; 0: 2000
	Life     time.Duration // of an unused session; 0: 30 minutes
	Ready    func(context.Context) error
	Stopping error                // ends the calls that still run when the server stops
	Files    *Files               // nil: none are served
	Pages    *Pages               // nil: there are none
	Limits   *auth.Limits         // of callers; nil: new ones
	Ended    func(session string) // called when a session has ended
	Changed  func()               // called when the callers have changed
	Metrics  *Metrics
	Log      *slog.Logger // nil discards
}

// withDefaults returns o with every field set that New needs.
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
	if o.Limits == nil {
		o.Limits = auth.NewLimits()
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

// Server serves MCP over HTTP. Use New.
type Server struct {
	o         Options
	core      *core
	gate      auth.Gate
	http      *http.Server
	sessions  *sessions
	limits    *auth.Limits
	metrics   *Metrics
	reading   *auth.Slots  // of large bodies that are read or wait to be handled
	handling  *auth.Slots  // of large bodies that are handled
	arriving  atomic.Int64 // bodies that are read and not large
	turns     *auth.Slots  // of calls that use the processor; see turn
	downloads *auth.Slots  // of files that are being sent
	hosts     map[string]bool
	origins   map[string]bool
	// These limit the lines of the log that anybody can cause.
	strangers  *rate.Sometimes
	rejections map[string]*rate.Sometimes // by kind; not changed later

	heartbeat time.Duration
	writeTime time.Duration
	lateTime  time.Duration
	stopping  atomic.Bool // new calls are rejected
}

// New returns a server with Streamable HTTP at /mcp, the older transport at /sse
// and /message if o.SSE is set, /healthz, /readyz and /metrics.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		o:          o,
		core:       newCore(o.Log),
		gate:       auth.Gate{Callers: o.Callers, Issuer: o.Issuer},
		sessions:   newSessions(o.Key, o.Sessions, o.Life, o.Ended),
		limits:     o.Limits,
		metrics:    o.Metrics,
		reading:    auth.NewSlots(readBodies),
		handling:   auth.NewSlots(largeBodies),
		turns:      auth.NewSlots(turnsPerCPU * runtime.GOMAXPROCS(0)),
		downloads:  auth.NewSlots(allDownloads),
		hosts:      map[string]bool{},
		origins:    map[string]bool{},
		strangers:  &rate.Sometimes{First: 10, Interval: 10 * time.Second},
		rejections: map[string]*rate.Sometimes{},
		heartbeat:  heartbeat,
		writeTime:  writeTime,
		lateTime:   lateTime,
	}
	s.sessions.kept = func(c auth.Caller) budget {
		return budget{s.limits.Kept(c), &s.sessions.bytes, int64(s.part(allBytes))}
	}
	s.metrics.watch(s.sessions)
	s.metrics.watchIssuer(o.Issuer)
	for _, kind := range auth.RejectionKinds() {
		s.rejections[kind] = &rate.Sometimes{First: 10, Interval: time.Second}
	}
	for _, h := range o.Hosts {
		s.hosts[hostname(h)] = true
	}
	for _, origin := range o.Origins {
		s.origins[strings.ToLower(strings.TrimSuffix(origin, "/"))] = true
	}
	s.http = &http.Server{
		Handler:           s.recovered(s.metrics.counted(s.routes())),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ConnState:         newConnections(2*o.Sessions + spareConnections).changed,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// part returns how many of a number that callers share one of them may have: a quarter,
// or all if there is only one caller.
func (s *Server) part(all int) int {
	if s.gate.Single() {
		return all
	}
	return max(1, all/4)
}

// readiness answers whether the server can do its work. It checks at most once a
// second, however often it is requested.
func (s *Server) readiness() http.Handler {
	const pause, limit = time.Second, 5 * time.Second
	var mu sync.Mutex // held during a check
	var checked time.Time
	var problem error
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if time.Since(checked) > pause {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), limit)
			problem = s.o.Ready(ctx)
			cancel()
			checked = time.Now()
		}
		err := problem
		mu.Unlock()
		if s.stopping.Load() {
			err = s.o.Stopping
		}
		callers := s.callersProblem()
		switch {
		case err != nil:
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		case callers != "" && s.o.Issuer == nil:
			http.Error(w, "not ready: "+callers, http.StatusServiceUnavailable)
		case callers != "": // those of the issuer are served
			w.Write([]byte("ready for tokens of the issuer alone: " + callers + "\n"))
		default:
			w.Write([]byte("ready\n"))
		}
	})
}
