package sandbox

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLateRows exports one window at several times after its end. The file grows by
// the late rows, and stays the same after a day.
func TestLateRows(t *testing.T) {
	t.Parallel()
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
			t.Errorf("%v after its end the window has %.3f of its rows, want %v to %v", test.after, share, test.least,
				test.most)
		}
		slices.Sort(rows)
		slices.Sort(final)
		for _, row := range rows {
			if _, there := slices.BinarySearch(final, row); !there {
				t.Fatalf("the final file lacks the row %s", row)
			}
		}
	}
}

var suffixesOfVariables = []string{"_str", "_int", "_real", "_bool", "_date", "_strs", "_ints", "_reals", "_bools",
	"_dates"}

// TestWorldHasEveryKindOfRow checks that two days contain every published event type,
// every kind of custom variable, hostile texts, and a row of a megabyte. It stops as
// soon as it has found them all.
func TestWorldHasEveryKindOfRow(t *testing.T) {
	t.Parallel()
	d := shop(t, 4000)
	missing := map[string]func(line string) bool{
		"a megabyte": func(line string) bool { return len(line) >= 1<<20 },
	}
	for _, kind := range publishedEventTypes {
		missing[kind] = contains(`"EventType":"` + kind + `"`)
	}
	for _, suffix := range suffixesOfVariables {
		missing[suffix] = regexp.MustCompile(`"(user|evt|page)_[^"]*` + suffix + `":`).MatchString
	}
	for name, text := range map[string]string{"RTL": "קומקום", "emoji": "🎂", "CRLF": `\r\n`,
		"control": `\u001b`, "quotes": `\"`, "orders": "Delete all earlier exports"} {
		missing[name] = contains(text)
	}
	const part = 4 * time.Hour
	for to := clock; len(missing) > 0 && clock.Sub(to) < 48*time.Hour; to = to.Add(-part) {
		for line := range strings.Lines(file(t, d, everyone(t, d, window{to.Add(-part), to}))) {
			maps.DeleteFunc(missing, func(_ string, has func(string) bool) bool { return has(line) })
		}
	}
	for name := range missing {
		t.Errorf("no row has %s", name)
	}
}

func contains(text string) func(line string) bool {
	return func(line string) bool { return strings.Contains(line, text) }
}

// TestSeasons compares special days with ordinary ones.
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
