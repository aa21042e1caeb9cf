package rows

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2026-10-01T10:00:00Z":                "2026-10-01T10:00:00Z",
		"2026-10-01T10:00:00.1Z":              "2026-10-01T10:00:00.1Z",
		"2026-10-01T10:00:00.123456789Z":      "2026-10-01T10:00:00.123456789Z",
		"2026-10-01t10:00:00z":                "2026-10-01T10:00:00Z",
		"2026-10-01 10:00:00Z":                "2026-10-01T10:00:00Z",
		"2026-10-01 10:00:00":                 "2026-10-01T10:00:00Z no zone",
		"2026-10-01T10:00:00.5":               "2026-10-01T10:00:00.5Z no zone",
		"2026-10-01T10:00:00+00":              "2026-10-01T10:00:00Z",
		"2026-10-01T10:00:00+0000":            "2026-10-01T10:00:00Z",
		"2026-10-01T10:00:00-00:00":           "2026-10-01T10:00:00Z",
		"2026-10-01T10:00:00.25+02:30":        "2026-10-01T07:30:00.25Z",
		"2026-10-01T10:00:00-0530":            "2026-10-01T15:30:00Z",
		"2024-02-29T10:00:00Z":                "2024-02-29T10:00:00Z",
		"2026-02-29T10:00:00Z":                "",
		"1900-02-29T10:00:00Z":                "",
		"2026-13-01T10:00:00Z":                "",
		"2026-10-00T10:00:00Z":                "",
		"2026-10-01T24:00:00Z":                "",
		"2026-10-01T10:60:00Z":                "",
		"2026-10-01T10:00:60Z":                "",
		"2026-10-01T10:00:00.Z":               "",
		"2026-10-01T10:00:00,5Z":              "",
		"2026-10-01T10:00:00.1234567890Z":     "",
		"2026-10-01T10:00:00+2":               "",
		"2026-10-01T10:00:00+02:":             "",
		"2026-10-01T10:00:00+02:0":            "",
		"2026-10-01T10:00:00+020":             "",
		"2026-10-01T10:00:00+0:200":           "",
		"2026-10-01T10:00:00+24:00":           "",
		"2026-10-01T10:00:00+00:60":           "",
		"2026-10-01T10:00:00+00:00:00":        "",
		"2026-10-01T10:00:00ZZ":               "",
		"2026-10-01T10:00:00 ":                "",
		" 2026-10-01T10:00:00Z":               "",
		"2026-10-01":                          "",
		"2026-10-01_10:00:00":                 "",
		"١٢٣٤-10-01T10:00:00Z":                "",
		"":                                    "",
		"2026-10-01T10:00:00Z\x00":            "",
		"2026-10-01T10:00:00.000000000+00:00": "2026-10-01T10:00:00Z",
	} {
		at, zoned, ok := ParseTime(text)
		got := ""
		if ok {
			got = at.Format(time.RFC3339Nano)
		}
		if ok && !zoned {
			got += " no zone"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestParseTimeAgrees compares ParseTime with package time over times that both
// accept.
func TestParseTimeAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.Int64Range(-62135596800, 253402300799-86400).Draw(t, "seconds") // years 1 to 9999
		at := time.Unix(seconds, rapid.Int64Range(0, 999_999_999).Draw(t, "nanos"))
		offset := rapid.IntRange(-23*60-59, 23*60+59).Draw(t, "offset")
		at = at.In(time.FixedZone("", 60*offset))
		if at.Year() < 0 || at.Year() > 9999 {
			return
		}
		text := at.Format(rapid.SampledFrom([]string{
			time.RFC3339, time.RFC3339Nano, "2006-01-02 15:04:05.000Z0700", "2006-01-02T15:04:05.999999Z07:00",
		}).Draw(t, "layout"))
		layout := strings.Replace("2006-01-02T15:04:05Z07:00", "T", text[10:11], 1)
		if text[len(text)-3] != ':' && !strings.HasSuffix(text, "Z") {
			layout = strings.Replace(layout, "Z07:00", "Z0700", 1)
		}
		want, err := time.Parse(layout, text)
		if err != nil {
			t.Fatal(err)
		}
		if got, zoned, ok := ParseTime(text); !ok || !zoned || !got.Equal(want) {
			t.Fatalf("%q: got %s, want %s (%t)", text, got, want, ok)
		}
	})
}

// TestTimesAsSpelled checks that FirstText and LastText are spelled as in the rows,
// which may be in any order.
func TestTimesAsSpelled(t *testing.T) {
	r := Rules{Format: NDJSON, TimeColumn: "EventStart"}
	r.Start, r.End = from, until
	for _, test := range []struct{ plain, first, last string }{
		{
			`{"EventStart":"2026-10-01 10:00:00.500"}` + "\n" + `{"EventStart":"2026-10-01T03:00:00.50+02:00"}` + "\n" +
				`{"EventStart":"2026-10-01T05:00:00Z"}`,
			"2026-10-01T03:00:00.50+02:00", "2026-10-01 10:00:00.500",
		},
		{`{"EventStart":"2026-10-01T05:00:00.120Z"}`, "2026-10-01T05:00:00.120Z", "2026-10-01T05:00:00.120Z"},
		{`{"EventStart":"2026-10-01T05:00:00\u002e120Z"}`, "2026-10-01T05:00:00.120Z", "2026-10-01T05:00:00.120Z"},
	} {
		got, err := readRows(strings.NewReader(test.plain), r)
		if err != nil || got.FirstText != test.first || got.LastText != test.last {
			t.Errorf("%s: got %q to %q, %v, want %q to %q",
				test.plain, got.FirstText, got.LastText, err, test.first, test.last)
		}
	}
}
