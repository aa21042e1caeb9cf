package remote

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// kind is what a piece of work is.
type kind int

const (
	calling    kind = iota // a call, which is going to be answered
	listening              // a stream of what is announced; it lasts until somebody ends it
	conversing             // a stream on which calls are answered as well
)

// work is all that runs. It is safe for concurrent use; the zero value is
// ready.
type work struct {
	mu      sync.Mutex
	running map[*piece]bool
	calls   int
	idle    chan struct{} // closed when the last call ends; nil while nobody waits
}

type piece struct {
	kind   kind
	token  string // hash of the caller's token that began it; empty: of no caller in the file
	cancel context.CancelCauseFunc
}

// add notes that something runs, until done is called.
func (w *work) add(k kind, token string, cancel context.CancelCauseFunc) (done func()) {
	p := &piece{k, token, cancel}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		w.running = map[*piece]bool{}
	}
	w.running[p] = true
	if k == calling {
		w.calls++
	}
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.running, p)
		if k != calling {
			return
		}
		if w.calls--; w.calls == 0 && w.idle != nil {
			close(w.idle)
			w.idle = nil
		}
	})
}

// cancel ends all work of a kind.
func (w *work) cancel(k kind, cause error) {
	w.each(func(p *piece) bool { return p.kind == k }, cause)
}

// cut ends the streams whose token is not valid any more.
func (w *work) cut(valid func(token string) bool) {
	w.each(func(p *piece) bool { return p.kind != calling && p.token != "" && !valid(p.token) }, errRevoked)
}

func (w *work) each(concerned func(*piece) bool, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.running {
		if concerned(p) {
			p.cancel(cause)
		}
	}
}

// wait waits for all calls to end, and returns false if limit passes before.
func (w *work) wait(limit time.Duration) bool {
	w.mu.Lock()
	if w.calls == 0 {
		w.mu.Unlock()
		return true
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	w.mu.Unlock()
	select {
	case <-idle:
		return true
	case <-time.After(limit):
		return false
	}
}

// tokenOf returns the hash of a request's token, if it is of the file of
// callers.
func tokenOf(r *http.Request) string {
	if CallerOf(r.Context()).issued {
		return ""
	}
	token, _ := bearer(r.Header.Get("Authorization"))
	return hashOf(token)
}
