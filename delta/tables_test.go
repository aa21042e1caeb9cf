package delta

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/mirror"
)

// tables names a folder to write tables into, for readers that others wrote; see .ci/delta.
var tables = flag.String("tables", "", "folder to write tables into")

// parquetOf names a folder of Parquet files of the program, which TestTables makes a table of.
var parquetOf = flag.String("parquet", "", "folder of Parquet files that convert made")

// wide is row with a column that earlier files lack.
type wide struct {
	row
	Later *int64 `parquet:"later"`
}

// rowsOf returns the rows of an hour. Each generation has other values.
func rowsOf(hour, generation int) (rows []row) {
	start := time.Date(2026, 10, 1, hour, 0, 0, 0, time.UTC).UnixMicro()
	for i := range 20 {
		r := row{
			ID:   ptr(int64(1<<53) + int64(hour*1000+generation*100+i)),
			Text: ptr(fmt.Sprintf("%s %02d'é", strings.Repeat("t", 40), i)),
			At:   at(start + int64(i)*180_000_000 + 999_999), Amount: ptr(float64(i) - 3.25), OK: ptr(i%2 == 0),
		}
		switch i % 4 {
		case 0:
			r.Tags = []*string{ptr("a"), nil, ptr(fmt.Sprint(hour))}
		case 1:
			r.Tags = []*string{}
		case 2:
			r.Amount, r.OK = nil, nil
		}
		rows = append(rows, r)
	}
	return rows
}

// written is a table in a folder or bucket with its data files.
type writer struct {
	t     testing.TB
	put   func(path string, content []byte)
	table *Table
	live  map[string][]row // rows by path, as they must be read
}

// put writes an hour's data file and returns it.
func (w *writer) file(hour, generation int) File {
	f := window(hour, generation)
	rows := rowsOf(hour, generation)
	if generation%2 == 1 {
		f.Path = strings.ReplaceAll(f.Path, ".parquet", " 100% ä+#?.parquet")
	}
	content := encodeRows(w.t, rows[:7], rows[7:])
	if hour >= 40 {
		var more []wide
		for i, r := range rows {
			more = append(more, wide{r, ptr(int64(i))})
		}
		content = encodeRows(w.t, more)
	}
	w.put(f.Path, content)
	_, f.Stats = describe(w.t, content)
	f.Size = int64(len(content))
	w.live[f.Path] = rows
	return f
}

// write makes a table of 48 hours in 60 commits, of which some replace hours.
func (w *writer) write() {
	for n := range 60 {
		var c Change
		switch {
		case n < 48:
			c.Add = []File{w.file(n, 0)}
		default: // an earlier hour and one with the new column
			for _, hour := range []int{n - 48, n - 12} {
				old, _ := w.table.Snapshot().Window(fmt.Sprint(hour))
				c.Remove = append(c.Remove, old.Path)
				c.Add = append(c.Add, w.file(hour, 1))
				delete(w.live, old.Path)
			}
		}
		if n >= 40 {
			c.Schema = append(columns(), Column{Name: "later", Type: Long})
		}
		commit(w.t, w.table, c)
		checkpoint(w.t, w.table)
	}
}

// sums are what readers must find in a table.
type sums struct {
	Files            []string
	Rows             int
	IDs, Least, Most string // exact
	Lists, Elements  int
	Amount           float64
	Truths           int
	Later            int   // sum of the added column
	FirstAt, LastAt  int64 // microseconds
	HourRows         int   // of 2026-10-01T05
	DayRows          int   // of 2026-10-02
	TextAbove        int
}

// expected writes what readers must find.
func (w *writer) expected(file string) {
	e := sums{FirstAt: 1 << 62}
	sum, least, most := int64(0), int64(1)<<62, int64(0)
	for p, rows := range w.live {
		e.Files = append(e.Files, p)
		for i, r := range rows {
			e.add(i, r)
			sum += *r.ID - 1<<53
			least, most = min(least, *r.ID), max(most, *r.ID)
		}
	}
	e.IDs, e.Least, e.Most = fmt.Sprint(sum), fmt.Sprint(least), fmt.Sprint(most)
	content, err := json.Marshal(e)
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// add adds the row at place i of its file.
func (e *sums) add(i int, r row) {
	e.Rows++
	if r.Tags != nil {
		e.Lists++
		e.Elements += len(r.Tags)
	}
	if r.Amount != nil {
		e.Amount += *r.Amount
	}
	if r.OK != nil && *r.OK {
		e.Truths++
	}
	micros := r.At.UnixMicro()
	e.FirstAt, e.LastAt = min(e.FirstAt, micros), max(e.LastAt, micros)
	switch {
	case r.At.Day() == 2:
		e.DayRows++
		if r.At.Hour() >= 16 { // hour 40
			e.Later += i
		}
	case r.At.Hour() == 5:
		e.HourRows++
	}
	if *r.Text > strings.Repeat("t", 40)+" 15" {
		e.TextAbove++
	}
}

// putIn returns a function that writes data files into a folder.
func putIn(t testing.TB, dir string) func(string, []byte) {
	return func(p string, content []byte) {
		file := filepath.Join(dir, filepath.FromSlash(p))
		err := os.MkdirAll(filepath.Dir(file), 0o700)
		if err == nil {
			err = os.WriteFile(file, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTables writes the tables that .ci/delta reads.
func TestTables(t *testing.T) {
	if *tables == "" {
		t.Skip("give -tables FOLDER")
	}
	dir := filepath.Join(*tables, "hours")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := &writer{t: t, put: putIn(t, dir), table: create(t, openFolder(t, dir)), live: map[string][]row{}}
	w.write()
	w.expected(filepath.Join(*tables, "hours.json"))
	if os.Getenv(storeVariable) != "" {
		inBucket(t, filepath.Join(*tables, "bucket.txt"))
	}
	if *parquetOf != "" {
		registered(t, *parquetOf)
	}
	year(t, filepath.Join(*tables, "year"), 8760)
}

// inBucket writes the table of hours into a bucket, and its address below the store into a file.
func inBucket(t *testing.T, file string) {
	o := options(t)
	m, err := mirror.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	put := func(p string, content []byte) {
		sum := sha256.Sum256(content)
		err := m.Put(t.Context(), "hours/"+p, bytes.NewReader(content), int64(len(content)), hex.EncodeToString(sum[:]))
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &writer{t: t, put: put, table: create(t, Bucket(m, "hours")), live: map[string][]row{}}
	w.write()
	address := strings.TrimPrefix(o.URL, "s3://") + "/hours"
	if err := os.WriteFile(file, []byte(address), 0o600); err != nil {
		t.Fatal(err)
	}
}

// registered makes a table of the Parquet files of the program, in their folder.
func registered(t *testing.T, dir string) {
	var c Change
	files, err := filepath.Glob(filepath.Join(dir, "day=*", "*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(dir, file)
		p := filepath.ToSlash(rel)
		schema, stats := describe(t, content)
		c.Schema = append(schema, Column{Name: "day", Type: Date, Partition: true})
		c.Add = append(c.Add, File{
			Path: p, Size: int64(len(content)), Modified: time.Now(), Stats: stats,
			Partition: map[string]string{"day": strings.TrimPrefix(path.Dir(p), "day=")},
			Tags:      map[string]string{WindowTag: path.Base(p)},
		})
	}
	table, err := Create(t.Context(), openFolder(t, dir), "registered", "events", c.Schema)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, table, c)
}

// year makes a table of n hours, whose files have one row: most in one commit, the last 500 in one
// each. It prints how long these took.
func year(t *testing.T, dir string, n int) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	table := create(t, openFolder(t, dir))
	put := putIn(t, dir)
	var most Change
	var commits, checkpoints []time.Duration
	for hour := range n {
		f := window(hour, 0)
		content := encodeRows(t, rowsOf(hour, 0)[:1])
		put(f.Path, content)
		_, f.Stats = describe(t, content)
		f.Size = int64(len(content))
		if most.Add = append(most.Add, f); hour < n-500 {
			continue
		}
		began := time.Now()
		commit(t, table, most)
		most.Add = nil
		commits = append(commits, time.Since(began))
		began = time.Now()
		if checkpoint(t, table) {
			checkpoints = append(checkpoints, time.Since(began))
		}
	}
	began := time.Now()
	again, err := Open(t.Context(), openFolder(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	opened := time.Since(began)
	same(t, again.Snapshot(), table.Snapshot())
	log, _ := filepath.Glob(filepath.Join(dir, LogFolder, "*"))
	size := int64(0)
	for _, file := range log {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	fmt.Printf("%d commits to %d files: p50 %v, p99 %v; %d checkpoints: p50 %v, p99 %v; opening %v; log %d files, %d MB\n",
		len(commits), n, quantile(commits, 50), quantile(commits, 99), len(checkpoints), quantile(checkpoints, 50),
		quantile(checkpoints, 99), opened.Round(time.Millisecond), len(log), size>>20)
}
