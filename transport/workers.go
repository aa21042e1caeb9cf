package transport

import "time"

const (
	// idleWorkers is how many goroutines wait for work at most.
	idleWorkers = 32
	// workerLife is how long a goroutine waits before it ends.
	workerLife = 10 * time.Second
)

// workers run functions in goroutines that are used again, so that the stack that
// a call needs grows once and not for each call. They are safe for concurrent
// use.
type workers struct {
	work chan func()   // to a goroutine that waits
	idle chan struct{} // one for each goroutine that waits
}

// newWorkers returns workers without a goroutine.
func newWorkers() *workers {
	return &workers{work: make(chan func()), idle: make(chan struct{}, idleWorkers)}
}

// run runs f in another goroutine, at once and however many others run.
func (w *workers) run(f func()) {
	select {
	case w.work <- f:
	default:
		go w.loop(f)
	}
}

// loop runs f, and then other functions while there is room to wait for them.
func (w *workers) loop(f func()) {
	life := time.NewTimer(workerLife)
	defer life.Stop()
	for {
		f()
		select {
		case w.idle <- struct{}{}:
		default:
			return
		}
		life.Reset(workerLife)
		select {
		case f = <-w.work:
			<-w.idle
		case <-life.C:
			<-w.idle
			return
		}
	}
}
