package profile

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"
)

// TestDistinct estimates sets of many sizes: the error is that of 4096 registers, and two
// sketches give the estimate of their union.
func TestDistinct(t *testing.T) {
	const sets = 40
	for _, n := range []int{1, 100, 768, 769, 3000, 16_000, 100_000} {
		squares := 0.0
		for set := range sets {
			off := float64(estimated(t, set, n))/float64(n) - 1
			squares += off * off
		}
		deviation := math.Sqrt(squares / sets)
		t.Logf("%7d values: standard error %.2f %%", n, 100*deviation)
		most := 0.0163 * 1.35 // 40 sets estimate it to a ninth
		if n <= mostCodes {
			most = 0.0005
		}
		if deviation > most {
			t.Errorf("%d values: the standard error is %.2f %%", n, 100*deviation)
		}
	}
}

// estimated returns the estimate of a set of n values, and fails if that is not also the
// estimate of two parts together, and of the sketch that is read back.
func estimated(t *testing.T, set, n int) int64 {
	t.Helper()
	var whole, a, b Distinct
	for i := range n {
		h := xxh3.HashString(fmt.Sprint(set, "-", i))
		whole.add(h)
		whole.add(h)
		if i%3 > 0 {
			a.add(h)
		}
		if i%3 < 2 {
			b.add(h)
		}
	}
	a.merge(b)
	if a.sketch() != whole.sketch() {
		t.Fatalf("the union of two sketches of %d values differs from one", n)
	}
	read, err := parseSketch(whole.sketch())
	if err != nil || read.Estimate() != whole.Estimate() || read.sketch() != whole.sketch() {
		t.Fatalf("read back: %d, want %d, %v", read.Estimate(), whole.Estimate(), err)
	}
	return whole.Estimate()
}

// TestDamagedSketches reads what is no sketch.
func TestDamagedSketches(t *testing.T) {
	var d Distinct
	for i := range 1000 {
		d.add(xxh3.HashString(fmt.Sprint(i)))
	}
	whole := d.sketch()
	for _, text := range []string{
		"A", "AA==", "AQ==AA", "AQAA", "AQAAAAA=", "AgAA", whole[:400], whole + whole, "A/////" + whole[6:],
	} {
		if _, err := parseSketch(text); err == nil {
			t.Errorf("%.20s of %d characters was read", text, len(text))
		}
	}
}

// TestFrequent counts streams of values of which some are frequent: the bounds hold,
// every value with a share of 1/128 is there, and floor stays below that share.
func TestFrequent(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 1))
		zipf := rand.NewZipf(random, 1.05+random.Float64(), 1, 50_000)
		var c counter
		exact := map[uint64]int64{}
		budget := 1 << 20
		if seed%3 == 0 {
			budget = 0
		}
		const n = 30_000
		for i := range n {
			value := zipf.Uint64()
			if seed%2 == 0 && i%4 > 0 {
				value = uint64(1_000_000 + i) // once
			}
			exact[value]++
			hash := xxh3.HashString(fmt.Sprint(value))
			if v := c.find(hash); v != nil {
				v.count++
			} else {
				c.insert(hash, fmt.Append(nil, value), kindString, &budget)
			}
		}
		if share := int64(n / (mostCounters / 2)); budget > 0 && c.floor > share {
			t.Errorf("seed %d: floor is %d of %d values", seed, c.floor, n)
		}
		checkBounds(t, fmt.Sprint("seed ", seed), &c, exact)
	}
}

func checkBounds(t *testing.T, what string, c *counter, exact map[uint64]int64) {
	t.Helper()
	c.settle()
	found := map[uint64]*counted{}
	for i := range c.values {
		found[c.values[i].hash] = &c.values[i]
	}
	var all int64
	for value, n := range exact {
		all += n
		v := found[xxh3.HashString(fmt.Sprint(value))]
		switch {
		case v == nil && n > c.floor:
			t.Errorf("%s: %d occurs %d times and is not there; floor %d", what, value, n, c.floor)
		case v != nil && (v.count < n || v.count-v.over > n || string(v.text) != fmt.Sprint(value)):
			t.Errorf("%s: %d occurs %d times; counted %d, %d too many at most (%s)", what, value, n, v.count, v.over, v.text)
		}
	}
	if by, _ := c.tallied(); by[kindString] != all {
		t.Errorf("%s: %d values, counted %d", what, all, by[kindString])
	}
}

// TestUnescape compares unescape with encoding/json.
func TestUnescape(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{
			`\u00e9`, `\ud83d\ude00`, `\ud800`, `\udc00`, `\ud800\ud800`, `\uD83D\uDE00`, `\n`, `\"`, `\\`, `\/`, "é",
			"a", "\xff", "\xe2\x82", "\u2028", `\u0000`, `\ud83d\n`, `\ud83du`,
		})).Draw(t, "parts")
		text := ""
		for _, p := range parts {
			text += p
		}
		var want string
		if err := unmarshal(`"`+text+`"`, &want); err != nil {
			t.Skip(err)
		}
		if got := string(unescape(nil, []byte(text))); !reflect.DeepEqual(got, want) {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	})
}
