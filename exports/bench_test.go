package exports

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
)

// bench returns an engine whose API cannot be reached.
func bench(b testing.TB, place string) *Exports {
	b.Helper()
	l, err := ledger.Open(b.Context(), place)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	api, err := client.New(client.Options{Key: "none", BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		b.Fatal(err)
	}
	files, err := archive.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	return New(bulk.Options{Ledger: l, Client: api, Archive: files, Account: "bench", Now: time.Now})
}

// places returns the databases for benchmarks and tests: SQLite, and a new database on
// the PostgreSQL that the environment names, if it names one.
func places(b testing.TB) map[string]string {
	b.Helper()
	places := map[string]string{"sqlite": filepath.Join(b.TempDir(), "ledger.db")}
	address := os.Getenv("FULLSTORY_EXPORT_TEST_POSTGRES")
	if address == "" {
		return places
	}
	server, err := sql.Open("pgx", address)
	if err != nil {
		b.Fatal(err)
	}
	name := fmt.Sprintf("bench_%d", time.Now().UnixNano())
	if _, err := server.Exec("CREATE DATABASE " + name); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		server.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		server.Close()
	})
	places["postgres"] = strings.Replace(address, "/postgres?", "/"+name+"?", 1)
	return places
}

// BenchmarkStart plans and enqueues 10,000 chunks. It must take under 5 s.
func BenchmarkStart(b *testing.B) {
	for kind, place := range places(b) {
		b.Run(kind, func(b *testing.B) {
			e := bench(b, place)
			for i := 0; b.Loop(); i++ {
				hour, err := plan.ParseGranularity("hour")
				if err != nil {
					b.Fatal(err)
				}
				whole := plan.Range{Start: september, End: september.Add(10_000 * time.Hour)}
				p, err := plan.Split(whole, plan.Cut{Granularity: hour, Calendar: plan.Calendar{Zone: time.UTC}})
				if err != nil {
					b.Fatal(err)
				}
				o := order(1)
				o.Name, o.Windows = fmt.Sprintf("bench-%d", i), p.Page(0, p.Count())
				if _, _, err := e.Start(b.Context(), o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStatus reads the status of a bulk export of 100,000 chunks while chunks are
// being stored. The 99th percentile must be under 50 ms.
func BenchmarkStatus(b *testing.B) {
	for kind, place := range places(b) {
		b.Run(kind, func(b *testing.B) {
			e := bench(b, place)
			bulk, _, err := e.Start(b.Context(), minutes(100_000))
			if err != nil {
				b.Fatal(err)
			}
			stop, ended := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				storeUntil(b, e, bulk.ID, stop)
			}()
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				s, err := e.Status(b.Context(), bulk.ID)
				if err != nil || s.Counts.All() != 100_000 {
					b.Fatalf("%+v, %v", s.Counts, err)
				}
				took = append(took, time.Since(began))
			}
			close(stop)
			<-ended
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkStatusOfFiles reads the status of a complete bulk export of 100,000 chunks, whose
// files are on disk. The 99th percentile must be under 35 ms: files are listed anew every
// ten seconds.
func BenchmarkStatusOfFiles(b *testing.B) {
	for _, chunks := range []int{30, 5000, 100_000} {
		b.Run(fmt.Sprint(chunks), func(b *testing.B) {
			place := filepath.Join(b.TempDir(), "ledger.db")
			e := bench(b, place)
			o := minutes(chunks)
			bulk, _, err := e.Start(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			storeAll(b, place, e.o.Archive, o)
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				s, err := e.Status(b.Context(), bulk.ID)
				if err != nil || s.Bulk.State != ledger.BulkComplete || s.Counts.By[ledger.ChunkStored] != chunks {
					b.Fatalf("%s, %d damaged, %+v, %v", s.Bulk.State, s.Damaged, s.Counts, err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
		})
	}
}

// minutes returns a bulk export of chunks of a minute.
func minutes(chunks int) Order {
	o := order(1)
	o.Windows = nil
	for i := range chunks {
		start := september.Add(time.Duration(i) * time.Minute)
		o.Windows = append(o.Windows, plan.Chunk{Start: start, End: start.Add(time.Minute)})
	}
	return o
}

// storeAll records all chunks of a bulk export as stored in a ledger of SQLite, and writes
// their files.
func storeAll(b *testing.B, place string, files *archive.Archive, o Order) {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+place+"?_pragma=busy_timeout(120000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, s := range []string{
		"UPDATE attempts SET state = 'stored', stored_at = 1, byte_count = 7", "UPDATE bulks SET state = 'complete'",
	} {
		if _, err := db.Exec(s); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.MkdirAll(files.Path(o.Name, ""), 0o700); err != nil {
		b.Fatal(err)
	}
	for _, w := range o.Windows {
		name := files.Path(o.Name, archive.FileName(w.Start, w.End, ".ndjson.gz"))
		if err := os.WriteFile(name, []byte("1234567"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

// storeUntil stores a hundred chunks a second, one after another, until stop is closed.
func storeUntil(b *testing.B, e *Exports, bulk string, stop <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		due, err := e.o.Ledger.Next(b.Context(), e.o.Account, ledger.ChunkPlanned, time.Now())
		if err != nil || len(due) == 0 {
			return
		}
		c := due[0]
		c.State, c.Rows, c.Bytes, c.StoredAt = ledger.ChunkStored, 600, 70_000, time.Now()
		err = e.o.Ledger.Write(b.Context(), func(t *ledger.Tx) error { return t.SaveAttempt(c, ledger.ChunkPlanned) })
		if err != nil {
			b.Error(err)
			return
		}
	}
}
