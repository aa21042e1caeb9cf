package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// realRows opens the real rows beside the project, and skips the test without them.
func realRows(t *testing.T) (*data, []json.RawMessage) {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", "fullstory-events-sample.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no real rows: %s is absent", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	d, err := openData(Config{Data: path})
	if err != nil {
		t.Fatal(err)
	}
	return d, rows
}

func TestRealRowsComeOutOnceAndUnchanged(t *testing.T) {
	d, rows := realRows(t)
	var want []string
	for _, row := range rows {
		want = append(want, string(row)+"\n")
	}
	slices.Sort(want)
	from := time.Date(2020, 8, 27, 0, 0, 0, 0, time.UTC)
	if diff := cmp.Diff(want, lines(t, d, everyone(t, d, window{from, from.AddDate(0, 0, 4)}))); diff != "" {
		t.Errorf("whole (-file +written):\n%.1000s", diff)
	}
	var byDay []string
	for day := range 4 {
		byDay = append(byDay, lines(t, d, everyone(t, d,
			window{from.AddDate(0, 0, day), from.AddDate(0, 0, day+1)}))...)
	}
	slices.Sort(byDay)
	if diff := cmp.Diff(want, byDay); diff != "" {
		t.Errorf("by day (-file +written):\n%.1000s", diff)
	}
}

func TestRealRowsInSegments(t *testing.T) {
	d, rows := realRows(t)
	has := func(name, value string) func(map[string]json.RawMessage) bool {
		return func(row map[string]json.RawMessage) bool {
			got, there := row[name]
			return there && (value == "" || string(got) == value)
		}
	}
	tests := map[string]func(map[string]json.RawMessage) bool{
		"Visitors with errors": func(row map[string]json.RawMessage) bool {
			return has("EventModError", "")(row) || has("EventType", `"custom_error"`)(row)
		},
		"Signed-in customers": func(row map[string]json.RawMessage) bool { return !has("UserAppKey", `""`)(row) },
		"Mobile app users":    has("AppName", ""),
		"Rage clickers":       has("EventModFrustrated", ""),
	}
	for name, match := range tests {
		want := 0
		for _, raw := range rows {
			var row map[string]json.RawMessage
			if err := json.Unmarshal(raw, &row); err != nil {
				t.Fatal(err)
			}
			if match(row) {
				want++
			}
		}
		q := everyone(t, d, window{})
		q.segment = segmentNamed(t, d, name)
		if got := len(lines(t, d, q)); got != want {
			t.Errorf("%s: %d rows, want %d", name, got, want)
		}
	}
}

func TestRealRowsAsOtherExports(t *testing.T) {
	d, rows := realRows(t)
	q := everyone(t, d, window{})
	q.format, q.fields = formatCSV, []string{"EventStart", "UserId", "evt_order.total_real", "EventTargetSelectorTok"}
	table, err := csv.NewReader(strings.NewReader(file(t, d, q))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(table) != len(rows)+1 || !slices.Equal(table[0], q.fields) {
		t.Errorf("CSV has %d rows under %v", len(table)-1, table[0])
	}
	people, events := map[int64]bool{}, int64(0)
	for _, row := range rows {
		people[fieldOf[int64](t, string(row), "IndvId")] = true
	}
	q.rows, q.scope, q.fields = individualRows, "", nil
	individuals := lines(t, d, q)
	for _, line := range individuals {
		events += fieldOf[int64](t, line, "NumEvents")
	}
	if len(individuals) != len(people) || events != int64(len(rows)) {
		t.Errorf("%d individuals with %d events, want %d with %d", len(individuals), events, len(people), len(rows))
	}
}

func dataFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const twoRows = `{"IndvId":9007199254740993,"UserId":9223372036854775807,"SessionId":1,"PageId":2,` +
	`"EventStart":"2026-09-01T10:00:00.5Z","Some New Key":{"a":[1.50,"x<y\u00e9"]},"PageUrl":null}` + "\n" +
	`{"IndvId":9007199254740993,"UserId":9223372036854775807,"SessionId":1,"PageId":2,` +
	`"EventStart":"2026-09-01T10:00:01Z","user_plan_str":"plus","evt_order.total_real":4.0}` + "\n"

func TestFilesOfAllShapes(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte(twoRows)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	array := " [\n" + strings.Replace(strings.TrimSpace(twoRows), "\n", ",\n  ", 1) + "\n]\n"
	files := map[string][]byte{"lines": []byte(twoRows), "array": []byte(array), "gzipped": packed.Bytes()}
	want := slices.Sorted(strings.Lines(twoRows))
	for name, content := range files {
		d, err := openData(Config{Data: dataFile(t, name, content)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, lines(t, d, everyone(t, d, window{}))); diff != "" {
			t.Errorf("%s (-file +written):\n%s", name, diff)
		}
		q := everyone(t, d, window{from: time.Date(2026, 9, 1, 10, 0, 1, 0, time.UTC)})
		q.fields = []string{"UserId", "user_*", "evt_order.total_real"}
		const row = `{"UserId":9223372036854775807,"user_plan_str":"plus","evt_order.total_real":4.0}` + "\n"
		if got := file(t, d, q); got != row {
			t.Errorf("%s: fields give %s, want %s", name, got, row)
		}
	}
}

func TestInvalidDataFiles(t *testing.T) {
	tests := map[string]string{
		`{"IndvId":1,"UserId":1,"SessionId":1,"PageId":1}`:                            "row 1: EventStart is absent",
		`{"EventStart":"2026-09-01T10:00:00Z"}`:                                       "row 1: IndvId is absent",
		`{"EventStart":"2026-09-01T10:00:00Z","IndvId":1.5}`:                          "row 1: IndvId is 1.5",
		`{"EventStart":"1 September","IndvId":1,"UserId":1,"SessionId":1,"PageId":1}`: "must be a time",
		"UserId,EventStart\n1,2026-09-01T10:00:00Z\n":                                 "one object a line",
		"[]\n":               "the file has no rows",
		"[{\"IndvId\":1},7]": "row 2: not an object",
		strings.TrimSpace(twoRows) + "\n{\"IndvId\":": "row 3",
		"[" + strings.Split(twoRows, "\n")[0]:         "EOF",
	}
	for content, want := range tests {
		path := dataFile(t, "rows", []byte(content))
		_, err := openData(Config{Data: path})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with %q and the path", content, err, want)
		}
	}
	if _, err := openData(Config{Data: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}
