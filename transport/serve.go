package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"
)

// The steps of a graceful stop.
const (
	callTime  = 4 * time.Second // for running calls to end
	endTime   = 1 * time.Second // for cancelled calls to answer
	closeTime = 2 * time.Second // for connections to carry the last answers

	// lateTime is for the connections that were accepted last.
	lateTime = 200 * time.Millisecond
)

const (
	// refreshPause is between two checks whether the file of callers changed.
	refreshPause = time.Second
	// sweepPause is between two looks for idle sessions, if there is no such file and
	// sessions live long enough. An idle server wakes up for little else.
	sweepPause = 5 * time.Second
)

// Serve answers requests on l, with TLS if config is set, until ctx ends. Then it
// rejects new calls, closes the streams, waits up to callTime for running calls,
// ends the others with Options.Stopping, and returns nil. It fails if l does.
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
	background, end := context.WithCancel(ctx)
	defer end()
	go s.maintain(background)
	go s.poll(background)
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

// stop ends everything in an order in which every call can be answered.
func (s *Server) stop() {
	s.stopping.Store(true)
	s.http.SetKeepAlivesEnabled(false)
	s.core.work.cancel(listening, s.o.Stopping)
	if !s.core.work.wait(callTime, calling) {
		s.core.work.cancel(calling, s.o.Stopping)
		s.core.work.wait(endTime, calling)
	}
	for _, session := range s.sessions.all() {
		session.sessionStream.finish() // queued messages are still written
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	// Shutdown does not know connections whose goroutine has not run yet. They are
	// answered that the server stops, rather than cut by the end of the process.
	time.Sleep(s.lateTime)
	for _, session := range s.sessions.all() {
		s.sessions.end(session)
	}
}

// maintain closes idle sessions and follows changes of the callers until ctx
// ends.
func (s *Server) maintain(ctx context.Context) {
	pause := refreshPause
	if s.o.Callers == nil && s.o.Life > time.Minute {
		pause = sweepPause
	}
	tick := time.NewTicker(pause)
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
