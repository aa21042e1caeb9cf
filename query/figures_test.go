package query

import (
	"flag"
	"slices"
	"testing"
	"time"
)

var (
	figures = flag.String("figures", "", "folder parquet of an export of events, to measure queries over it")
	repeats = flag.Int("repeats", 5, "how often TestFigures runs each query; the median counts")
)

// TestFigures prints how much time of processors queries take beside count(*) in the same run,
// and the memory of their children.
func TestFigures(t *testing.T) {
	if *figures == "" {
		t.Skip("needs data; run with -figures FOLDER")
	}
	files, err := Find(*figures, "figures")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	base := time.Duration(0)
	for _, q := range []struct {
		name, sql string
		most      float64 // times count(*); 0: it is not compared
	}{
		{"count(*)", "SELECT count(*) FROM rows", 0},
		{"count, distinct users by type", "SELECT EventType, count(*), count(DISTINCT UserId) FROM rows GROUP BY " +
			"EventType", 1.3 * 17.8},
		{"clicks by date", "SELECT date(EventStart), count(*) FROM rows WHERE EventType = 'click' GROUP BY 1", 1.3 * 3.9},
		{"top 20 PageUrl", "SELECT PageUrl, count(*) FROM rows GROUP BY PageUrl ORDER BY 2 DESC LIMIT 20", 1.3 * 4.9},
		{"one hour, 5 columns", "SELECT EventStart, EventType, PageUrl, UserId, EventTargetText FROM rows " +
			"WHERE EventStart >= '2026-10-03T10:00:00Z' AND EventStart < '2026-10-03T11:00:00Z'", 0},
		// It takes the start of the child, all footers, and a page and dictionary of each of 100 columns.
		{"SELECT * LIMIT 20", "SELECT * FROM rows LIMIT 20", 0},
		{"self-join on SessionId", "SELECT count(*) FROM rows a JOIN rows b ON a.SessionId = b.SessionId " +
			"WHERE a.EventType = 'custom' AND b.EventType = 'navigate'", 1.3 * 8.5},
	} {
		var took []time.Duration
		memory := int64(0)
		for range *repeats {
			r, err := ask(t, files, q.sql, nil)
			if err != nil {
				t.Fatalf("%s: %v", q.name, err)
			}
			took, memory = append(took, r.cpu), max(memory, r.memory)
		}
		slices.Sort(took)
		median := took[len(took)/2]
		if base == 0 {
			base = median
		}
		ratio := median.Seconds() / base.Seconds()
		t.Logf("%-30s %8v  %5.2f × count(*), at most %.1f  %4d MB", q.name, median.Round(time.Millisecond), ratio, q.most,
			memory>>20)
		if q.most > 0 && ratio > q.most {
			t.Errorf("%s takes %.1f times as long as count(*), want at most %.1f", q.name, ratio, q.most)
		}
		if memory > 250<<20 {
			t.Errorf("%s takes %d MB", q.name, memory>>20)
		}
	}
}
