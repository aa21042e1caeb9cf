package auth

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// TestSlots has a greedy caller wait for many slots before others come.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(4)
		var mu sync.Mutex
		var order []string
		var releases []func()
		take := func(ctx context.Context, caller string, most int) {
			go func() {
				release, err := s.Take(ctx, caller, most)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					order = append(order, "!"+caller)
					return
				}
				order = append(order, caller)
				releases = append(releases, release)
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		for range 6 {
			take(ctx, "greedy", 3)
		}
		for _, caller := range []string{"anna", "bert", "carl"} {
			take(t.Context(), caller, 0)
		}
		for i := 0; i < 3; i++ {
			releases[i]()
			releases[i]() // once more does no harm
			synctest.Wait()
		}
		want := []string{"greedy", "greedy", "greedy", "anna", "bert", "carl", "greedy"}
		if !slices.Equal(order, want) {
			t.Errorf("slots went to %v, want %v", order, want)
		}
		cancel()
		synctest.Wait()
		if got := order[len(want):]; !slices.Equal(got, []string{"!greedy", "!greedy"}) {
			t.Errorf("those that gave up: %v", got)
		}
		for _, release := range releases {
			release()
		}
		if s.used != 0 || len(s.held) != 0 || len(s.waiting) != 0 {
			t.Errorf("at the end %d are used, %v held, %d wait", s.used, s.held, len(s.waiting))
		}
		ended, end := context.WithCancel(t.Context())
		end()
		full := NewSlots(0)
		if _, err := full.Take(ended, "anna", 0); !errors.Is(err, context.Canceled) {
			t.Errorf("an ended context: %v", err)
		}
	})
}
