package rows

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// mostHours is the longest time over which rows are counted by the hour: more
// than a year.
const mostHours = 400 * 24

// Counts are numbers that JSON holds as one text, such as "12 0 7", so that they take
// one line of a manifest.
type Counts []int64

// MarshalText implements encoding.TextMarshaler.
func (c Counts) MarshalText() ([]byte, error) {
	var text []byte
	for i, n := range c {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	return text, nil
}

// longestCount is the most digits of a count.
const longestCount = 20

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Counts) UnmarshalText(text []byte) error {
	*c = nil
	words := 0
	for range bytes.FieldsSeq(text) {
		if words++; words > mostHours {
			return fmt.Errorf("more than %d counts", mostHours)
		}
	}
	if words == 0 {
		return nil
	}
	counts := make(Counts, 0, words)
	for word := range bytes.FieldsSeq(text) {
		if len(word) > longestCount {
			return fmt.Errorf("a count of more than %d digits", longestCount)
		}
		n, err := strconv.ParseInt(string(word), 10, 64)
		if err != nil {
			return err
		}
		counts = append(counts, n)
	}
	*c = counts
	return nil
}

// hourCount counts instants by the hour of UTC. Its zero value is ready to use.
type hourCount struct {
	counts  map[int64]int64 // by hours since 1970
	hour    int64           // of the last instant; rows are mostly in order, so the next is often in it
	pending int64           // instants of that hour that are not in counts yet
}

func (h *hourCount) add(t time.Time) {
	hour := t.Unix() / 3600
	if hour != h.hour {
		h.settle()
		h.hour = hour
	}
	h.pending++
}

// settle moves pending into counts, which grows to mostHours hours.
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

// between returns the counts of each hour from that of first to that of last. It
// returns nil if first is zero or they are mostHours or more apart.
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
