package sandbox

import (
	"io"
	"net/http"
	"runtime"
	"testing"
)

// BenchmarkTenMillionEvents streams one window of ten million events as uncompressed
// NDJSON, and reports the peak memory of the process.
func BenchmarkTenMillionEvents(b *testing.B) {
	d := shop(b, 600)
	q := everyone(b, d, window{clock.AddDate(0, 0, -760), clock})
	q.format = formatNDJSON
	for b.Loop() {
		counted := &byteCounter{}
		var most uint64
		counted.each = func() {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.Sys)
		}
		rows, err := d.write(b.Context(), counted, q)
		if err != nil || rows < 10_000_000 {
			b.Fatalf("%d rows, %v", rows, err)
		}
		b.SetBytes(counted.n)
		b.ReportMetric(float64(rows), "rows")
		b.ReportMetric(float64(most)/1e6, "peak-MB")
	}
}

// byteCounter counts bytes, and calls each after every 100 MiB.
type byteCounter struct {
	n, last int64
	each    func()
}

func (c *byteCounter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	if c.n-c.last > 100<<20 {
		c.last = c.n
		c.each()
	}
	return len(p), nil
}

// TestServesInFlatMemory downloads a large file and checks that the heap hardly
// grows.
func TestServesInFlatMemory(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	location := a.link(`{"segmentId":"everyone","type":"TYPE_EVENT","format":"FORMAT_NDJSON",
		"timeRange":{"start":"2026-09-01T00:00:00Z","end":"2026-09-08T00:00:00Z"},
		"segmentTimeRange":{"start":"","end":""}}`)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, err := http.Get(location)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	n, err := io.Copy(io.Discard, r.Body)
	runtime.ReadMemStats(&after)
	if err != nil || n < 8<<20 || after.HeapSys-min(before.HeapSys, after.HeapSys) > 64<<20 {
		t.Errorf("%d bytes, %v; the heap grew by %d bytes", n, err, after.HeapSys-before.HeapSys)
	}
}
