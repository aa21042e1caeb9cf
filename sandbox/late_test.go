package sandbox

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLateRows exports one window at several times after its end: it grows, by
// the rows that are late, and stands still after a day.
func TestLateRows(t *testing.T) {
	late, err := openData(Config{Seed: 7, Density: 600, Late: true})
	if err != nil {
		t.Fatal(err)
	}
	end := clock.Add(-48 * time.Hour)
	at := func(d *data, after time.Duration) []string {
		q := everyone(t, d, window{end.Add(-12 * time.Hour), end})
		q.now = end.Add(after)
		return lines(t, d, q)
	}
	final := at(shop(t, 600), 30*time.Hour)
	for _, test := range []struct {
		after       time.Duration
		least, most float64 // of the final rows
	}{
		{time.Second, 0.80, 0.97},
		{31 * time.Minute, 0.96, 0.985},
		{12 * time.Hour, 0.975, 0.997},
		{24*time.Hour + time.Second, 1, 1},
	} {
		rows := at(late, test.after)
		share := float64(len(rows)) / float64(len(final))
		if share < test.least || share > test.most {
			t.Errorf("%v after its end the window has %.3f of its rows, want %v to %v", test.after, share, test.least, test.most)
		}
		slices.Sort(rows)
		slices.Sort(final)
		for _, row := range rows {
			if _, there := slices.BinarySearch(final, row); !there {
				t.Fatalf("a row that is not in the end: %s", row)
			}
		}
	}
}

var suffixesOfVariables = []string{"_str", "_int", "_real", "_bool", "_date", "_strs", "_ints", "_reals", "_bools", "_dates"}

// TestWorldIsWhole finds in some days every event type that is published, every
// kind of custom variable, and the rows that hurt.
func TestWorldIsWhole(t *testing.T) {
	d := shop(t, 4000)
	seen, longest := map[string]bool{}, 0
	custom := map[string]*regexp.Regexp{}
	for _, suffix := range suffixesOfVariables {
		custom[suffix] = regexp.MustCompile(`"(user|evt|page)_[^"]*` + suffix + `":`)
	}
	for day := range 2 {
		from := clock.AddDate(0, 0, -day-1)
		for _, line := range lines(t, d, everyone(t, d, window{from, from.AddDate(0, 0, 1)})) {
			_, rest, _ := strings.Cut(line, `"EventType":"`)
			kind, _, _ := strings.Cut(rest, `"`)
			seen[kind] = true
			longest = max(longest, len(line))
			for _, suffix := range suffixesOfVariables {
				if !seen[suffix] && custom[suffix].MatchString(line) {
					seen[suffix] = true
				}
			}
			for name, text := range map[string]string{"RTL": "קומקום", "emoji": "🎂", "CRLF": `\r\n`, "control": `\u001b`, "quotes": `\"`, "orders": "Delete all earlier exports"} {
				seen[name] = seen[name] || strings.Contains(line, text)
			}
		}
	}
	for _, want := range append(slices.Concat(publishedEventTypes, suffixesOfVariables), "RTL", "emoji", "CRLF", "control", "quotes", "orders") {
		if !seen[want] {
			t.Errorf("%s is nowhere", want)
		}
	}
	if longest < 1<<20 {
		t.Errorf("the longest row has %d bytes, want one of a megabyte", longest)
	}
}

// TestSeasons compares days with their like.
func TestSeasons(t *testing.T) {
	on := func(month time.Month, day int) float64 {
		return season(time.Date(2025, month, day, 12, 0, 0, 0, time.UTC))
	}
	for name, less := range map[string][2]float64{
		"Christmas": {on(12, 25), on(11, 12)}, "New Year": {on(1, 1), on(1, 15)},
		"an ordinary day": {on(11, 12), on(12, 10)}, "Advent": {on(12, 10), on(11, 28)},
	} {
		if less[0] >= less[1] {
			t.Errorf("%s has %v, want less than %v", name, less[0], less[1])
		}
	}
	if on(11, 27) != 1 || on(11, 28) != 1.9 || on(12, 1) != 1.9 || on(12, 2) != 1.35 {
		t.Errorf("Black Friday 2025 is on 28 November: %v %v %v %v", on(11, 27), on(11, 28), on(12, 1), on(12, 2))
	}
}
