package transport

import (
	"context"
	"slices"
	"sync"
	"time"

	"fullstory-export-mcp/auth"
)

// kind says what a piece of work is.
type kind int

const (
	calling    kind = iota // a request that ends with its answer
	listening              // a stream of announcements, which lasts until somebody ends it
	conversing             // a stream that carries answers as well
	serving                // a file that is being sent
)

// work is all requests and streams of a server. It is safe for concurrent use;
// the zero value is ready.
type work struct {
	mu      sync.Mutex
	running map[*piece]struct{}
	removed chan struct{} // closed by the next removal; nil while nobody waits
}

// piece is one request or stream.
type piece struct {
	kind   kind
	caller auth.Caller
	cancel context.CancelCauseFunc
}

// add registers p until remove.
func (w *work) add(p *piece) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		w.running = map[*piece]struct{}{}
	}
	w.running[p] = struct{}{}
}

func (w *work) remove(p *piece) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, p)
	if w.removed != nil {
		close(w.removed)
		w.removed = nil
	}
}

// cancel ends all work of a kind.
func (w *work) cancel(k kind, cause error) {
	w.cancelIf(func(p *piece) bool { return p.kind == k }, cause)
}

// revoke ends the streams and downloads whose token of the file is no longer valid.
func (w *work) revoke(valid func(auth.Caller) bool) {
	w.cancelIf(func(p *piece) bool {
		return p.kind != calling && p.caller.Token != "" && !valid(p.caller)
	}, auth.ErrRevoked)
}

func (w *work) cancelIf(concerned func(*piece) bool, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.running {
		if concerned(p) {
			p.cancel(cause)
		}
	}
}

// wait waits until no work of these kinds runs. It returns false if that takes
// longer than limit.
func (w *work) wait(limit time.Duration, kinds ...kind) bool {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		removed := w.next(kinds)
		if removed == nil {
			return true
		}
		select {
		case <-removed:
		case <-timeout.C:
			return false
		}
	}
}

// next returns a channel that the next removal closes, or nil if no work of
// these kinds runs.
func (w *work) next(kinds []kind) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.running {
		if slices.Contains(kinds, p.kind) {
			if w.removed == nil {
				w.removed = make(chan struct{})
			}
			return w.removed
		}
	}
	return nil
}
