package remote

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Work is what an account's exports come to.
type Work struct {
	InFlight int            // exports that Fullstory works on
	Chunks   map[string]int // of bulk exports that have not ended, by state
	Stored   int64          // bytes of stored chunks
}

const (
	// reportLife is how long what was read is told again.
	reportLife = 5 * time.Second
	// reportTime bounds the reading.
	reportTime = 3 * time.Second
)

// report tells Prometheus of the work of accounts, which is read when it is
// asked for.
type report struct {
	read func(context.Context) map[string]Work // by the name of the account

	mu    sync.Mutex
	known map[string]Work
	at    time.Time
}

var (
	inFlightMetric = prometheus.NewDesc(namespace+"_exports_in_flight", "Exports that Fullstory works on.", []string{"account"}, nil)
	chunksMetric   = prometheus.NewDesc(namespace+"_chunks", "Chunks of bulk exports that have not ended, by state.", []string{"account", "state"}, nil)
	storedMetric   = prometheus.NewDesc(namespace+"_stored_bytes", "Bytes of the stored chunks of all bulk exports.", []string{"account"}, nil)
)

// Report has the work of accounts told. read is called at most once in
// reportLife, and has reportTime.
func (m *Metrics) Report(read func(context.Context) map[string]Work) {
	m.registry.MustRegister(&report{read: read})
}

// Describe says what is told.
func (r *report) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{inFlightMetric, chunksMetric, storedMetric} {
		out <- d
	}
}

// Collect tells it.
func (r *report) Collect(out chan<- prometheus.Metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) > reportLife {
		ctx, cancel := context.WithTimeout(context.Background(), reportTime)
		defer cancel()
		r.known, r.at = r.read(ctx), time.Now()
	}
	for account, work := range r.known {
		out <- prometheus.MustNewConstMetric(inFlightMetric, prometheus.GaugeValue, float64(work.InFlight), account)
		out <- prometheus.MustNewConstMetric(storedMetric, prometheus.GaugeValue, float64(work.Stored), account)
		for state, n := range work.Chunks {
			out <- prometheus.MustNewConstMetric(chunksMetric, prometheus.GaugeValue, float64(n), account, state)
		}
	}
}
