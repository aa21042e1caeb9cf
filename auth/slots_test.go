package auth

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// taker takes slots and records who got one.
type taker struct {
	slots *Slots

	mu       sync.Mutex
	order    []string // names of callers, with ! before those that gave up
	releases []func()
}

// take waits for a slot in another goroutine.
func (k *taker) take(ctx context.Context, caller string, most int) {
	go func() {
		release, err := k.slots.Take(ctx, caller, most)
		k.mu.Lock()
		defer k.mu.Unlock()
		if err != nil {
			k.order = append(k.order, "!"+caller)
			return
		}
		k.order = append(k.order, caller)
		k.releases = append(k.releases, release)
	}()
	synctest.Wait()
}

// TestSlots has a greedy caller wait for many slots before others come.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &taker{slots: NewSlots(4)}
		ctx, cancel := context.WithCancel(t.Context())
		for range 6 {
			k.take(ctx, "greedy", 3)
		}
		for _, caller := range []string{"anna", "bert", "carl"} {
			k.take(t.Context(), caller, 0)
		}
		for i := range 3 {
			release := k.releases[i]
			release()
			release() // once more does no harm
			synctest.Wait()
		}
		want := []string{"greedy", "greedy", "greedy", "anna", "bert", "carl", "greedy"}
		if !slices.Equal(k.order, want) {
			t.Errorf("slots went to %v, want %v", k.order, want)
		}
		cancel()
		synctest.Wait()
		if got := k.order[len(want):]; !slices.Equal(got, []string{"!greedy", "!greedy"}) {
			t.Errorf("those that gave up: %v", got)
		}
		for _, release := range k.releases {
			release()
		}
		if s := k.slots; s.used != 0 || len(s.held) != 0 || len(s.waiting) != 0 {
			t.Errorf("at the end %d are used, %v held, %d wait", s.used, s.held, len(s.waiting))
		}
		if _, err := NewSlots(0).Take(ctx, "anna", 0); !errors.Is(err, context.Canceled) {
			t.Errorf("an ended context: %v", err)
		}
	})
}
