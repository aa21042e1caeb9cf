package transport

import (
	"sync"
	"testing"
)

// TestWorkersRunAllAtOnce starts more functions than goroutines are kept, each of
// which ends only when all have begun, and counts the goroutines that stay.
func TestWorkersRunAllAtOnce(t *testing.T) {
	w := newWorkers()
	for range 3 {
		const n = 3 * idleWorkers
		var begun, ended sync.WaitGroup
		begun.Add(n)
		for range n {
			ended.Add(1)
			w.run(func() {
				defer ended.Done()
				begun.Done()
				begun.Wait()
			})
		}
		ended.Wait()
	}
	if n := len(w.idle); n > idleWorkers {
		t.Errorf("%d goroutines wait, want at most %d", n, idleWorkers)
	}
}

// TestWorkerIsUsedAgain runs functions one after the other.
func TestWorkerIsUsedAgain(t *testing.T) {
	w := newWorkers()
	again := 0
	for range 1000 {
		done := make(chan struct{})
		w.run(func() { close(done) })
		<-done
		if len(w.idle) > 0 {
			again++
		}
	}
	if again == 0 {
		t.Error("no goroutine waited for work")
	}
}
