package command

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/transport"
)

const (
	// workMaxAge is how long the work of accounts is reported before it is read again
	// from the ledgers.
	workMaxAge = 5 * time.Second
	// workTimeout bounds that reading; it is less than the usual timeout of a scrape.
	workTimeout = 3 * time.Second
)

// accountWork is the work of one account.
type accountWork struct {
	inFlight int            // exports that are running at Fullstory
	chunks   map[string]int // chunks of bulk exports that have not ended, by state
	stored   int64          // bytes of all stored chunks
	syncs    []exports.SyncProgress
	now      time.Time // by Fullstory's clock
}

// exportMetrics counts requests to Fullstory, and reports the work of accounts to
// Prometheus. It is safe for concurrent use. Make one with newExportMetrics.
type exportMetrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	inFlight *prometheus.Desc
	chunks   *prometheus.Desc
	stored   *prometheus.Desc
	syncs    syncMetrics
	read     func(context.Context) map[string]accountWork // by the name of the account

	mu    sync.Mutex // held while work is read, so that one scrape reads it
	known map[string]accountWork
	at    time.Time // when known was read
}

// newExportMetrics returns metrics that read the work of accounts when they are
// collected, at most once in workMaxAge.
func newExportMetrics(read func(context.Context) map[string]accountWork) *exportMetrics {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(transport.Namespace+"_"+name, help, labels, nil)
	}
	return &exportMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: transport.Namespace, Name: "fullstory_requests_total",
			Help: "Requests to Fullstory, by operation and status; none: no answer.",
		}, []string{"op", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: transport.Namespace, Name: "fullstory_request_seconds",
			Help:    "How long Fullstory took to answer.",
			Buckets: []float64{.01, .05, .2, .5, 1, 2, 5, 10, 30},
		}, []string{"op"}),
		inFlight: describe("exports_in_flight", "Exports that are running at Fullstory.", transport.AccountLabel),
		chunks: describe("chunks", "Chunks of bulk exports that have not ended, by state.",
			transport.AccountLabel, "state"),
		stored: describe("stored_bytes", "Bytes of the stored chunks of all bulk exports.", transport.AccountLabel),
		syncs:  newSyncMetrics(describe),
		read:   read,
	}
}

// request counts one request to Fullstory. op is a label, so it must have few values;
// status is 0 if there was no answer.
func (m *exportMetrics) request(op string, status int, took time.Duration) {
	code := "none"
	if status != 0 {
		code = strconv.Itoa(status)
	}
	m.requests.WithLabelValues(op, code).Inc()
	m.took.WithLabelValues(op).Observe(took.Seconds())
}

// Describe implements prometheus.Collector.
func (m *exportMetrics) Describe(out chan<- *prometheus.Desc) {
	m.requests.Describe(out)
	m.took.Describe(out)
	for _, d := range append(m.syncs.all(), m.inFlight, m.chunks, m.stored) {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *exportMetrics) Collect(out chan<- prometheus.Metric) {
	m.requests.Collect(out)
	m.took.Collect(out)
	for account, work := range m.work() {
		out <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(work.inFlight), account)
		out <- prometheus.MustNewConstMetric(m.stored, prometheus.GaugeValue, float64(work.stored), account)
		for state, n := range work.chunks {
			out <- prometheus.MustNewConstMetric(m.chunks, prometheus.GaugeValue, float64(n), account, state)
		}
		m.syncs.collect(account, work, out)
	}
}

// work returns the work of accounts, by name, at most workMaxAge old. Callers must not
// change the map.
func (m *exportMetrics) work() map[string]accountWork {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) > workMaxAge {
		ctx, cancel := context.WithTimeout(context.Background(), workTimeout)
		defer cancel()
		m.known, m.at = m.read(ctx), time.Now()
	}
	return m.known
}
