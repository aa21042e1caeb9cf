package remote

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are what the server counts. No label is taken from what a client
// sends. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	refused  *prometheus.CounterVec
	streams  *prometheus.GaugeVec
	cut      prometheus.Counter
	calls    *prometheus.CounterVec
	failures *prometheus.CounterVec
	took     *prometheus.HistogramVec
	running  prometheus.Gauge
	asked    *prometheus.CounterVec
	answered *prometheus.HistogramVec
}

const namespace = "fullstory_export"

// NewMetrics returns metrics of one server.
func NewMetrics() *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	make := promauto.With(r)
	return &Metrics{
		registry: r,
		requests: make.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "http_requests_total", Help: "HTTP requests that were answered."}, []string{"route", "code"}),
		refused:  make.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "http_refused_total", Help: "HTTP requests that were refused, by reason."}, []string{"reason"}),
		streams:  make.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "streams", Help: "Open event streams that outlive a call."}, []string{"transport"}),
		cut:      make.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "streams_cut_total", Help: "Event streams that were cut because nobody read them."}),
		calls:    make.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "calls_total", Help: "Tool calls, by outcome."}, []string{"tool", "outcome"}),
		failures: make.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "call_errors_total", Help: "Tool calls that failed, by what is to blame."}, []string{"tool", "kind"}),
		took:     make.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "call_seconds", Help: "How long tool calls took.", Buckets: []float64{.001, .005, .02, .1, .5, 2, 5, 10, 20}}, []string{"tool"}),
		running:  make.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "calls_running", Help: "Tool calls that run."}),
		asked:    make.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "fullstory_requests_total", Help: "Requests to Fullstory, by what for and status; none: no answer."}, []string{"op", "code"}),
		answered: make.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "fullstory_request_seconds", Help: "How long Fullstory took to answer.", Buckets: []float64{.01, .05, .2, .5, 1, 2, 5, 10, 30}}, []string{"op"}),
	}
}

// watch counts the sessions that are open.
func (m *Metrics) watch(open *sessions) {
	for _, over := range []transport{streamable, overSSE} {
		promauto.With(m.registry).NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "sessions", Help: "Open sessions.", ConstLabels: prometheus.Labels{"transport": string(over)},
		}, func() float64 { return float64(open.count(over)) })
	}
}

// Call counts one call of a tool, from now until done is called with the kind of
// its error, one of few words; "" if it did not fail.
func (m *Metrics) Call(tool string) (done func(failure string)) {
	began := time.Now()
	m.running.Inc()
	return func(failure string) {
		m.running.Dec()
		m.took.WithLabelValues(tool).Observe(time.Since(began).Seconds())
		outcome := "ok"
		if failure != "" {
			outcome = "error"
			m.failures.WithLabelValues(tool, failure).Inc()
		}
		m.calls.WithLabelValues(tool, outcome).Inc()
	}
}

// Fullstory counts one request to Fullstory. op is one of few words; status is
// 0 if there was no answer.
func (m *Metrics) Fullstory(op string, status int, took time.Duration) {
	code := "none"
	if status != 0 {
		code = strconv.Itoa(status)
	}
	m.asked.WithLabelValues(op, code).Inc()
	m.answered.WithLabelValues(op).Observe(took.Seconds())
}

// counted counts requests by route and status.
func (m *Metrics) counted(next *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := next.Handler(r)
		if pattern == "" {
			pattern = "none"
		}
		c := &counting{ResponseWriter: w, status: http.StatusOK}
		defer func() { m.requests.WithLabelValues(pattern, strconv.Itoa(c.status)).Inc() }()
		next.ServeHTTP(c, r)
	})
}

// counting notes the status of an answer. What is under it is reached by
// Unwrap, as http.ResponseController does.
type counting struct {
	http.ResponseWriter
	status int
	told   bool
}

func (c *counting) WriteHeader(status int) {
	if !c.told {
		c.status, c.told = status, true
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }
