package query

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestAppendTime compares times with those of package time.
func TestAppendTime(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(micros int64) {
		t.Helper()
		want := time.UnixMicro(micros).UTC().Format(timeForm)
		if got := string(appendTime(nil, micros)); got != want {
			t.Errorf("%d is %s, want %s", micros, got, want)
		}
	}
	for _, micros := range []int64{0, -1, firstMicros, lastMicros, firstMicros - 1, lastMicros + 1, math.MaxInt64,
		math.MinInt64} {
		check(micros)
	}
	for range 100_000 {
		check(firstMicros + r.Int64N(lastMicros-firstMicros))
	}
}

// TestTimeKeys compares texts as isotime does.
func TestTimeKeys(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"2026-10-03 10:00:00.000000", "2026-10-03T10:00:00Z", 0}, {"2026-10-03T12:00:00+02:00", "2026-10-03T10:00:00Z", 0},
		{"2026-10-03", "2026-10-03 00:00:00.000000", 0}, {"2026-10-03 10:00", "2026-10-03T10:00:00.000Z", 0},
		{"2026-10-03T10:00:00.0000005Z", "2026-10-03 10:00:00.000000", 1}, {"2026-10-03T10:00:00.0000005Z",
			"2026-10-03 10:00:00.000001", -1},
		{"2026-10", "2026-10-01", -1}, {"", "2026-10-01", -1}, {"zzz", "2026-10-01", 1}, {"2026-02-30", "2026-02-30", 0},
	} {
		if got, back := compareTimes(c.a, c.b), compareTimes(c.b, c.a); got != c.want || back != -c.want {
			t.Errorf("%q and %q are %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}
