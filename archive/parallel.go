package archive

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// task is one call that inOrder makes. result and err may be read once done is closed.
type task[T any] struct {
	number int
	result T
	err    error
	done   chan struct{} // closed when it has ended
}

// inOrder calls work for 0 to n-1, as many at a time as there are cores, and returns the
// results in that order. It stops after the first error in that order. When it stops, or
// the caller does, it cancels the context of the running calls and waits for them. It
// buffers a few results more than there are cores, whatever n is.
func inOrder[T any](ctx context.Context, n int, work func(context.Context, int) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var workers sync.WaitGroup
		defer workers.Wait()
		defer cancel()
		cores := runtime.GOMAXPROCS(0)
		queue := make(chan *task[T], cores)   // read by the workers
		ordered := make(chan *task[T], cores) // read here
		workers.Go(func() { dispatch(ctx, n, ordered, queue) })
		for range min(cores, n) {
			workers.Go(func() {
				for t := range queue {
					t.result, t.err = work(ctx, t.number)
					close(t.done)
				}
			})
		}
		count := 0
		for t := range ordered {
			<-t.done
			count++
			if !yield(t.result, t.err) || t.err != nil {
				return
			}
		}
		if count < n {
			var none T
			yield(none, ctx.Err()) // dispatch stopped early
		}
	}
}

// dispatch sends n tasks to both channels, until ctx ends, and closes them. ordered
// bounds how far the workers get ahead of the caller.
func dispatch[T any](ctx context.Context, n int, ordered, queue chan<- *task[T]) {
	defer close(ordered)
	defer close(queue)
	for i := range n {
		t := &task[T]{number: i, done: make(chan struct{})}
		select {
		case ordered <- t:
			queue <- t // never blocks for good: workers read until it is closed
		case <-ctx.Done():
			return
		}
	}
}
