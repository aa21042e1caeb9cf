package remote

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// New returns a server with Streamable HTTP at /mcp, the older transport at
// /sse and /message if it is wanted, /healthz, /readyz and /metrics.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{o: o, beat: heartbeat, large: make(chan struct{}, largeBodies), limits: newLimits(), hosts: map[string]bool{}, origins: map[string]bool{}}
	s.sessions = newSessions(o.Key, o.Sessions, o.Life, o.Ended)
	s.metrics = o.Metrics
	s.metrics.watch(s.sessions)
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
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/mcp", s.guard(s.serveMCP))
	if s.o.SSE {
		mux.Handle("GET /sse", s.guard(s.serveSSE))
		mux.Handle("POST /message", s.guard(s.message))
		mux.Handle("OPTIONS /sse", s.guard(nil))
		mux.Handle("OPTIONS /message", s.guard(nil))
	}
	if s.o.Issuer != nil {
		mux.HandleFunc("GET "+metadataPath, s.metadata)
		mux.HandleFunc("GET "+metadataPath+"/{path...}", s.metadata)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.Handle("GET /readyz", s.readiness())
	metrics := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
	mux.Handle("GET /metrics", s.guard(metrics.ServeHTTP))
	return mux
}

// metadata tells whose tokens are accepted. It is for anybody.
func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	data, err := json.Marshal(s.o.Issuer.metadata())
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "max-age=3600")
	answer(w, http.StatusOK, data)
}

// readiness answers whether the server can do its work. It looks once in a
// while, however often it is asked.
func (s *Server) readiness() http.Handler {
	const pause, limit = time.Second, 5 * time.Second
	var mu sync.Mutex
	var looked time.Time
	var problem error
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if time.Since(looked) > pause {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), limit)
			problem = s.o.Ready(ctx)
			cancel()
			looked = time.Now()
		}
		err := problem
		mu.Unlock()
		if s.stopping.Load() {
			err = s.o.Stopping
		}
		if err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ready\n"))
	})
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.Handler.ServeHTTP(w, r) }

// The steps of a graceful stop.
const (
	callTime  = 4 * time.Second // that running calls still have
	endTime   = 1 * time.Second // that they have to say that they were ended
	closeTime = 2 * time.Second // that connections have to take the last answers
)

// Serve answers requests on l, with TLS if there is a configuration, until ctx
// ends. Then it takes no more calls, closes the streams, lets running calls end
// for up to callTime, ends the others, and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener, config *tls.Config) error {
	failed := make(chan error, 1)
	go func() {
		if config == nil {
			failed <- s.http.Serve(l)
			return
		}
		s.http.TLSConfig = config
		failed <- s.http.ServeTLS(l, "", "")
	}()
	chores, stop := context.WithCancel(ctx)
	defer stop()
	go s.chores(chores)
	go s.hear(chores)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.stop()
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stop ends what runs, in an order in which every call can be answered.
func (s *Server) stop() {
	s.stopping.Store(true)
	s.http.SetKeepAlivesEnabled(false)
	s.work.cancel(listening, s.o.Stopping)
	if !s.work.wait(callTime) {
		s.work.cancel(calling, s.o.Stopping)
		s.work.wait(endTime)
	}
	for _, session := range s.sessions.all() {
		session.standing.finish() // what is queued is still written
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	for _, session := range s.sessions.all() {
		s.sessions.end(session)
	}
}

// chores looks after sessions that nobody uses and callers that change.
func (s *Server) chores(ctx context.Context) {
	tick := time.NewTicker(refreshPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			s.sessions.sweep(now)
			s.refresh()
		}
	}
}

// refresh reads the callers again if they changed. Streams that were opened
// with a token which is not valid any more are closed; sessions go on.
func (s *Server) refresh() {
	if s.o.Callers == nil {
		return
	}
	changed, err := s.o.Callers.Refresh()
	if err != nil {
		s.o.Log.Error("the callers stay as they were", "error", err)
	}
	if !changed {
		return
	}
	s.o.Log.Info("the callers were read again", "callers", s.o.Callers.Len())
	s.work.cut(func(token string) bool {
		_, ok := s.o.Callers.byHash(token)
		return ok
	})
	s.o.Changed()
}
