package delta

import (
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// figures is how many commits TestFigures measures.
var figures = flag.Int("figures", 0, "commits to a table of 8,760 files that are measured")

// TestFigures measures commits, checkpoints and memory of a table of a year of hours, whose files
// have the statistics of 32 columns.
func TestFigures(t *testing.T) {
	if *figures == 0 {
		t.Skip("give -figures COMMITS")
	}
	eachStore(t, func(t *testing.T, s Store) {
		var schema Schema
		for i := range 100 {
			schema = append(schema, Column{Name: fmt.Sprintf("a_column_of_events_%d", i), Type: String})
		}
		table, err := Create(t.Context(), s, "figures", "", schema)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		const files = 8760
		var c Change
		for n := range files {
			c.Add = append(c.Add, wideFile(schema, n, 0))
		}
		commit(t, table, c)
		var commits, checkpoints []time.Duration
		for n := range *figures {
			old, _ := table.Snapshot().Window(fmt.Sprint(n % files))
			c := Change{Add: []File{wideFile(schema, n%files, 1+n/files)}, Remove: []string{old.Path}}
			began := time.Now()
			commit(t, table, c)
			commits = append(commits, time.Since(began))
			began = time.Now()
			if checkpoint(t, table) {
				checkpoints = append(checkpoints, time.Since(began))
			}
		}
		c = Change{}
		runtime.GC()
		runtime.ReadMemStats(&after)
		began := time.Now()
		if _, err := Open(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%d commits: p50 %v, p99 %v; %d checkpoints of %d kB: p50 %v, p99 %v; opening %v; %d MB of memory\n",
			len(commits), quantile(commits, 50), quantile(commits, 99), len(checkpoints), table.buffers.content.Len()>>10,
			quantile(checkpoints, 50), quantile(checkpoints, 99), time.Since(began).Round(time.Millisecond),
			(int64(after.HeapAlloc)-int64(before.HeapAlloc))>>20)
	})
}

// wideFile returns a file of a window, with statistics of 32 columns.
func wideFile(schema Schema, n, generation int) File {
	f := window(n, generation)
	f.Partition = nil
	s := statistics{int64(n), map[string]json.RawMessage{}, map[string]json.RawMessage{}, map[string]int64{}}
	for i, c := range schema[:indexedColumns] {
		s.MinValues[c.Name], _ = quoted(fmt.Sprintf("text %x", n*7919+i))
		s.MaxValues[c.Name], _ = quoted(fmt.Sprintf("text %x with more of it", n*7919+i*i))
		s.NullCount[c.Name] = int64(n * i % 1000)
	}
	text, _ := json.Marshal(s)
	f.Stats = string(text)
	return f
}
