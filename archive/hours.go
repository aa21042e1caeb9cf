package archive

import "time"

// mostHours is the longest time over which rows are counted by the hour: more
// than a year.
const mostHours = 400 * 24

// hourCount counts instants by the hour of UTC.
type hourCount struct {
	counts  map[int64]int64 // by hours since 1970
	hour    int64           // of the last instant, which is often that of the next
	pending int64           // of that hour, not in counts yet
}

func (h *hourCount) add(t time.Time) {
	hour := t.Unix() / 3600
	if hour != h.hour {
		h.settle()
		h.hour = hour
	}
	h.pending++
}

func (h *hourCount) settle() {
	if h.pending == 0 {
		return
	}
	if h.counts == nil {
		h.counts = map[int64]int64{}
	}
	if _, known := h.counts[h.hour]; known || len(h.counts) < mostHours {
		h.counts[h.hour] += h.pending
	}
	h.pending = 0
}

// between returns the counts from the hour of first to that of last, or nil
// when they are too far apart.
func (h *hourCount) between(first, last time.Time) Counts {
	h.settle()
	from, to := first.Unix()/3600, last.Unix()/3600
	if first.IsZero() || to-from >= mostHours {
		return nil
	}
	counts := make(Counts, to-from+1)
	for i := range counts {
		counts[i] = h.counts[from+int64(i)]
	}
	return counts
}
