package delta

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// columns are those of the tables of tests.
func columns() Schema {
	return Schema{
		{Name: "id", Type: Long}, {Name: "at", Type: Timestamp}, {Name: "text", Type: String},
		{Name: "amount", Type: Double}, {Name: "ok", Type: Boolean}, {Name: "tags", Type: String, List: true},
		{Name: "day", Type: Date, Partition: true},
	}
}

// newFolder returns the store of a new folder.
func newFolder(t testing.TB) (Store, string) {
	t.Helper()
	dir := t.TempDir()
	return openFolder(t, dir), dir
}

func openFolder(t testing.TB, dir string) Store {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return Folder(root)
}

func create(t testing.TB, s Store) *Table {
	t.Helper()
	table, err := Create(t.Context(), s, "seed", "events", columns())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// window returns a file of a window, which need not exist.
func window(n, generation int) File {
	start := time.Date(2026, 10, 1, n, 0, 0, 0, time.UTC)
	day := start.Format(time.DateOnly)
	return File{
		Path: fmt.Sprintf("day=%s/%d-%d.parquet", day, n, generation), Size: int64(1000 + n), Modified: start,
		Stats:     fmt.Sprintf(`{"numRecords":%d,"minValues":{"id":%d},"maxValues":{"id":%d},"nullCount":{"id":0}}`, n, n, n),
		Partition: map[string]string{"day": day},
		Tags:      map[string]string{WindowTag: fmt.Sprint(n), "generation": fmt.Sprint(generation)},
	}
}

func commit(t testing.TB, table *Table, c Change) Snapshot {
	t.Helper()
	s, err := table.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkpoint(t testing.TB, table *Table) bool {
	t.Helper()
	done, err := table.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestTable makes commits past two checkpoints, and opens the table at each of them.
func TestTable(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		if _, err := Open(t.Context(), s); !errors.Is(err, ErrNoTable) {
			t.Fatalf("an empty store: %v", err)
		}
		table := create(t, s)
		checkpoints := 0
		for n := range 25 {
			c := Change{Add: []File{window(n, 0)}}
			if n > 2 {
				c.Add = append(c.Add, window(n-3, 1))
				c.Remove = []string{window(n-3, 0).Path}
			}
			got := commit(t, table, c)
			if got.Version != int64(n+1) || got.Len() != n+1 {
				t.Fatalf("version %d with %d files after commit %d", got.Version, got.Len(), n+1)
			}
			if checkpoint(t, table) {
				checkpoints++
			}
			other, err := Open(context.Background(), s)
			if err != nil {
				t.Fatal(err)
			}
			same(t, other.Snapshot(), got)
		}
		if checkpoints != 2 {
			t.Errorf("%d checkpoints, want 2", checkpoints)
		}
	})
}

// quantile returns a percentile of durations.
func quantile(all []time.Duration, percent int) time.Duration {
	all = slices.Sorted(slices.Values(all))
	if len(all) == 0 {
		return 0
	}
	return all[len(all)*percent/100].Round(10 * time.Microsecond)
}
