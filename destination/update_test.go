package destination

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestOverlappingWindows replaces a window by two that lie in it, at once or not at all.
func TestOverlappingWindows(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFolder(t, t.TempDir())
	d := opened(t, address(t))
	f.put(1, "{\"UserId\":1}\n{\"UserId\":2}\n")
	f.put(2, "{\"UserId\":3}\n")
	f.put(3, "{\"UserId\":4}\n")
	files := filesAt(f.convert()...)
	if r := d.updateFiles(t, s.table(), files[:1]); r.Loaded != 1 {
		t.Fatalf("%+v", r)
	}
	middle := files[0].Start.Add(12 * time.Hour)
	halves := []File{files[1], files[2]}
	halves[0].Start, halves[0].End = files[0].Start, middle
	halves[1].Start, halves[1].End = middle, files[0].End
	broken := []File{halves[0], halves[1]}
	broken[1].Path += ".none"
	if _, err := d.Update(t.Context(), s.table(), broken, nil); err == nil {
		t.Error("a file that is missing was loaded")
	}
	users := func() string { return s.text("string_agg(userid::text, ',' ORDER BY userid)", "") }
	if got := users(); got != "1,2" {
		t.Errorf("after a failure the rows are %s, want those of before", got)
	}
	if diff := cmp.Diff(Result{Loaded: 2, Removed: 1, Rows: 2}, d.updateFiles(t, s.table(), halves)); diff != "" {
		t.Error(diff)
	}
	if got := users(); got != "3,4" {
		t.Errorf("the rows are %s", got)
	}
}

// TestJoined joins steps whose windows overlap, and no others.
func TestJoined(t *testing.T) {
	t.Parallel()
	at := func(hour int) time.Time { return time.Date(2026, 10, 1, hour, 0, 0, 0, time.UTC) }
	of := func(name string, start, end int) step {
		s := step{start: at(start), remove: []string{name}}
		if end > 0 {
			s.end = at(end)
		}
		return s
	}
	for _, c := range []struct {
		name  string
		steps []step
		want  [][]string
	}{
		{"beside each other", []step{of("b", 2, 4), of("a", 0, 2)}, [][]string{{"a"}, {"b"}}},
		{"within", []step{of("a", 0, 4), of("b", 1, 2), of("c", 3, 5), of("d", 5, 6)}, [][]string{{"a", "b", "c"}, {"d"}}},
		{"open", []step{of("a", 0, 1), of("b", 2, 0), of("c", 9, 10)}, [][]string{{"a"}, {"b", "c"}}},
	} {
		var got [][]string
		for _, s := range joined(c.steps) {
			got = append(got, s.remove)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}
