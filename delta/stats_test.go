package delta

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// row is a row of the data files of tests.
type row struct {
	ID     *int64     `parquet:"id"`
	At     *time.Time `parquet:"at,timestamp(microsecond)"`
	Text   *string    `parquet:"text"`
	Amount *float64   `parquet:"amount"`
	OK     *bool      `parquet:"ok"`
	Tags   []*string  `parquet:"tags,list,optional"`
}

// encodeRows returns a Parquet file with a group of rows for each slice.
func encodeRows[T any](t testing.TB, groups ...[]T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b)
	for _, rows := range groups {
		if _, err := w.Write(rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func describe(t testing.TB, file []byte) (Schema, string) {
	t.Helper()
	s, stats, err := Describe(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return s, stats
}

func ptr[T any](v T) *T { return &v }

// at returns a time by its microseconds.
func at(micros int64) *time.Time { return ptr(time.UnixMicro(micros).UTC()) }

// TestStats compares statistics with those written by hand.
func TestStats(t *testing.T) {
	long := strings.Repeat("é", 40)
	file := encodeRows(t,
		[]row{
			{ID: ptr(int64(1<<53 + 1)), At: at(-1500), Text: ptr("b"), Amount: ptr(-2.5), OK: ptr(true)},
			{Text: ptr(long), Tags: []*string{}},
		},
		[]row{{ID: ptr(int64(math.MinInt64)), At: at(1_790_000_000_123_001), Tags: []*string{nil, ptr("x"), nil}}},
		[]row{{}, {ID: ptr(int64(math.MaxInt64)), Amount: ptr(0.0)}},
	)
	schema, stats := describe(t, file)
	if d := cmp.Diff(schema, columns()[:6]); d != "" {
		t.Error(d)
	}
	want := `{"numRecords":5,` +
		`"minValues":{"amount":-2.5,"at":"1969-12-31T23:59:59.998Z","id":-9223372036854775808,"text":"b"},` +
		`"maxValues":{"amount":0.0,"at":"2026-09-21T14:13:20.124Z","id":9223372036854775807,` +
		`"text":"` + long[:31*2] + `ê"},"nullCount":{"amount":3,"at":3,"id":2,"ok":4,"tags":3,"text":3}}`
	if stats != want {
		t.Errorf("got  %s\nwant %s", stats, want)
	}
}

// TestNoStats has columns of which nothing is known, or nothing that JSON has.
func TestNoStats(t *testing.T) {
	for name, test := range map[string]struct {
		rows []row
		want string
	}{
		"no rows":  {nil, `{"numRecords":0,"minValues":{},"maxValues":{},"nullCount":{`},
		"all NULL": {make([]row, 3), `{"numRecords":3,"minValues":{},"maxValues":{},"nullCount":{"amount":3,`},
		"only NaN": {[]row{{Amount: ptr(math.NaN())}}, `"minValues":{},"maxValues":{}`},
		"a NaN": {
			[]row{{Amount: ptr(1.0)}, {Amount: ptr(math.NaN())}}, `"minValues":{"amount":1},"maxValues":{"amount":1}`,
		},
		"infinite": {[]row{{Amount: ptr(math.Inf(1))}, {Amount: ptr(1.0)}}, `"minValues":{"amount":1},"maxValues":{}`},
		"year 10000": {
			[]row{{At: at(time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC).UnixMicro())}},
			`"minValues":{"at":"9999-12-31T23:59:59.999Z"},"maxValues":{}`,
		},
		"all empty":   {[]row{{Text: ptr("")}}, `"minValues":{},"maxValues":{}`},
		"one empty":   {[]row{{Text: ptr("")}, {Text: ptr("a")}}, `"minValues":{"text":""},"maxValues":{"text":"a"}`},
		"not UTF-8":   {[]row{{Text: ptr("a")}, {Text: ptr("b\xff")}}, `"minValues":{},"maxValues":{}`},
		"both zeros":  {[]row{{Amount: ptr(0.0)}}, `"minValues":{"amount":-0.0},"maxValues":{"amount":0.0}`},
		"empty lists": {[]row{{Tags: []*string{}}, {Tags: []*string{}}}, `"tags":0`},
	} {
		_, stats := describe(t, encodeRows(t, test.rows))
		if !strings.Contains(stats, test.want) || !json.Valid([]byte(stats)) {
			t.Errorf("%s: %s\nlacks %s", name, stats, test.want)
		}
	}
}

// TestAbove checks that the bound of a text is one, for random texts, in the order of bytes.
func TestAbove(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("a", 32):                   strings.Repeat("a", 32),
		strings.Repeat("a", 33):                   strings.Repeat("a", 31) + "b",
		strings.Repeat("\U0010FFFF", 32):          strings.Repeat("\U0010FFFF", 32),
		strings.Repeat("a", 31) + "\U0010FFFFz":   strings.Repeat("a", 30) + "b",
		strings.Repeat("a", 31) + "\uD7FF" + "zz": strings.Repeat("a", 31) + "\uE000",
	} {
		if got, ok := above(text); !ok || got != want {
			t.Errorf("above %q: %q, want %q", text, got, want)
		}
	}
	if got, ok := above(strings.Repeat("\U0010FFFF", 33)); ok {
		t.Errorf("nothing is above 33 times the last character, but %q", got)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	letters := []rune("aé\uD7FF\uE000\uFFFF\U00010000\U0010FFFF")
	for range 20_000 {
		text := make([]rune, random.IntN(70))
		for i := range text {
			text[i] = letters[random.IntN(len(letters))]
		}
		got, ok := above(string(text))
		if ok && (got < string(text) || !utf8.ValidString(got) || utf8.RuneCountInString(got) > prefix) {
			t.Fatalf("above %q: %q", string(text), got)
		}
		if low := cut(string(text)); low > string(text) || utf8.RuneCountInString(low) > prefix {
			t.Fatalf("cut %q: %q", string(text), low)
		}
	}
}

// TestDescribeRejects reads files that are damaged, and columns of other types.
func TestDescribeRejects(t *testing.T) {
	good := encodeRows(t, []row{{ID: ptr(int64(1))}})
	for n := range len(good) {
		bad := bytes.Clone(good)
		bad[n] ^= 0x55
		_, _, _ = Describe(bytes.NewReader(bad), int64(len(bad))) // must return
	}
	if _, _, err := Describe(bytes.NewReader(good[:20]), 20); err == nil {
		t.Error("a file that is cut off was read")
	}
	type other struct {
		Small int32 `parquet:"small"`
	}
	file := encodeRows(t, []other{{1}})
	if _, _, err := Describe(bytes.NewReader(file), int64(len(file))); err == nil {
		t.Error("a column of 32 bits was taken")
	}
}
