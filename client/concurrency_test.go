package client

import (
	"math/rand/v2"
	"testing"
	"time"
)

// simulate runs n exports under the limit l on a Fullstory that works on slots
// exports at once, each for as long as length returns. It returns the share of time
// in which the slots were busy during the second half of the exports, and the most
// exports that were in flight then.
func simulate(l *ConcurrencyLimit, slots, n int, length func() time.Duration) (busy float64, most int) {
	type export struct{ created, starts, ends time.Duration }
	free := make([]time.Duration, slots) // when each slot is free
	var flying []export
	var now, worked, half time.Duration
	for done := 0; done < n; {
		for len(flying) < l.Exports() {
			slot := 0
			for i := range free {
				if free[i] < free[slot] {
					slot = i
				}
			}
			starts := max(now, free[slot])
			ends := starts + length()
			free[slot] = ends
			flying = append(flying, export{now, starts, ends})
		}
		first := 0
		for i := range flying {
			if flying[i].ends < flying[first].ends {
				first = i
			}
		}
		x := flying[first]
		now = x.ends
		l.Done(time.Unix(0, 0).Add(now), x.ends-x.created, len(flying))
		flying = append(flying[:first], flying[first+1:]...)
		if done++; done == n/2 {
			half = now
		}
		if done > n/2 {
			worked += x.ends - x.starts
			most = max(most, len(flying)+1)
		}
	}
	return worked.Seconds() / (now - half).Seconds() / float64(slots), most
}

// TestLimitFindsTheSlots simulates a Fullstory with different numbers of slots: all
// slots are kept busy, and few exports wait.
func TestLimitFindsTheSlots(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, length := range map[string]func() time.Duration{
		"all alike":        func() time.Duration { return 2 * time.Second },
		"by night and day": func() time.Duration { return time.Second + time.Duration(random.Int64N(int64(4*time.Second))) },
	} {
		for _, slots := range []int{1, 3, 10, 40} {
			l := NewConcurrencyLimit("")
			busy, most := simulate(l, slots, 600, length)
			if busy < 0.9 || most > 3*slots+13 {
				t.Errorf("%s, %d slots: busy %.2f, %d in flight at most", name, slots, busy, most)
			}
			t.Logf("%s, %d slots: busy %.2f, %d in flight at most", name, slots, busy, most)
			if restored := NewConcurrencyLimit(l.Saved()); restored.Exports() != l.Exports() {
				t.Errorf("a limit of %d exports was restored as %d", l.Exports(), restored.Exports())
			}
		}
	}
}

// TestLimitYields checks that a 429 halves the limit, at most once a second.
func TestLimitYields(t *testing.T) {
	l, now := NewConcurrencyLimit(`{"size":40}`), time.Now()
	l.Throttled(now)
	l.Throttled(now.Add(100 * time.Millisecond))
	if l.Exports() != 20 {
		t.Errorf("%d in flight after a 429, want 20", l.Exports())
	}
	for i := range 100 {
		l.Throttled(now.Add(time.Duration(i+2) * time.Second))
	}
	if l.Exports() != limitLeast {
		t.Errorf("%d in flight after many, want %d", l.Exports(), limitLeast)
	}
}
