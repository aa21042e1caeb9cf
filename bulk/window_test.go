package bulk

import (
	"math/rand/v2"
	"testing"
	"time"

	"fullstory-export-mcp/ledger"
)

// simulate lets a window feed a Fullstory that works on so many exports at once,
// each as long as length tells, and returns how busy the slots were over the
// last half of n exports, and the most that were in flight then.
func simulate(w *window, slots, n int, length func() time.Duration) (busy float64, most int) {
	type export struct{ created, starts, ends time.Duration }
	free := make([]time.Duration, slots) // when each slot is free
	var flying []export
	var now, worked, half time.Duration
	for done := 0; done < n; {
		for len(flying) < w.exports() {
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
		w.done(time.Unix(0, 0).Add(now), x.ends-x.created, len(flying))
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

// TestWindowFindsTheSlots feeds Fullstories of different breadth: every slot is
// kept busy, and little waits.
func TestWindowFindsTheSlots(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, length := range map[string]func() time.Duration{
		"all alike":        func() time.Duration { return 2 * time.Second },
		"by night and day": func() time.Duration { return time.Second + time.Duration(random.Int64N(int64(4*time.Second))) },
	} {
		for _, slots := range []int{1, 3, 10, 40} {
			w := newWindow("")
			busy, most := simulate(w, slots, 600, length)
			if busy < 0.9 || most > 3*slots+13 {
				t.Errorf("%s, %d slots: busy %.2f, %d in flight at most", name, slots, busy, most)
			}
			t.Logf("%s, %d slots: busy %.2f, %d in flight at most", name, slots, busy, most)
			if kept := newWindow(w.saved()); kept.exports() != w.exports() {
				t.Errorf("%d exports in flight were kept as %d", w.exports(), kept.exports())
			}
		}
	}
}

// TestWindowYields halves the window for a 429, once a second.
func TestWindowYields(t *testing.T) {
	w, now := newWindow(`{"size":40}`), time.Now()
	w.refused(now)
	w.refused(now.Add(100 * time.Millisecond))
	if w.exports() != 20 {
		t.Errorf("%d in flight after a 429, want 20", w.exports())
	}
	for i := range 100 {
		w.refused(now.Add(time.Duration(i+2) * time.Second))
	}
	if w.exports() != windowLeast {
		t.Errorf("%d in flight after many, want %d", w.exports(), windowLeast)
	}
}

// TestTransitions holds the table of states to what is relied on: every state is
// in it, nothing leaves what is final, and whatever has something left to do can
// be cancelled.
func TestTransitions(t *testing.T) {
	all := []ledger.ChunkState{
		ledger.ChunkPlanned, ledger.ChunkCreating, ledger.ChunkUncertain, ledger.ChunkRunning, ledger.ChunkReady,
		ledger.ChunkDownloading, ledger.ChunkStored, ledger.ChunkFailed, ledger.ChunkSplit, ledger.ChunkCancelled,
	}
	if len(transitions) != len(all) {
		t.Errorf("the table has %d states, want %d", len(transitions), len(all))
	}
	for _, from := range all {
		to, known := transitions[from]
		final := from == ledger.ChunkSplit || from == ledger.ChunkCancelled
		if !known || final != (len(to) == 0) {
			t.Errorf("from %s to %v", from, to)
		}
		cancels := false
		for _, next := range to {
			if _, known := transitions[next]; !known {
				t.Errorf("from %s to %s, which is no state", from, next)
			}
			cancels = cancels || next == ledger.ChunkCancelled
		}
		if over := final || from == ledger.ChunkStored || from == ledger.ChunkFailed; cancels == over {
			t.Errorf("%s can be cancelled: %v", from, cancels)
		}
	}
}

// TestRhythm is how often operations are looked at.
func TestRhythm(t *testing.T) {
	var r rhythm
	if first := r.next(); first != fastest {
		t.Errorf("while nothing is known: %v", first)
	}
	for range 50 {
		r.next()
	}
	if last := r.next(); last != slowest/2 {
		t.Errorf("while nothing is known for long: %v", last)
	}
	for length, want := range map[time.Duration]time.Duration{time.Second: fastest, 40 * time.Second: 10 * time.Second, time.Hour: slowest} {
		var r rhythm
		for range 30 {
			r.done(length)
		}
		if got := r.next(); got != want {
			t.Errorf("exports of %v are looked at every %v, want %v", length, got, want)
		}
	}
}
