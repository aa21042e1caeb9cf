package transport

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"fullstory-export-mcp/auth"
)

// Metrics counts requests, streams and calls. No label comes from what a client
// sends. It is safe for concurrent use; use NewMetrics.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	rejected *prometheus.CounterVec
	tokens   *prometheus.CounterVec // rejected ones
	streams  *prometheus.GaugeVec
	cut      prometheus.Counter
	calls    *prometheus.CounterVec
	failures *prometheus.CounterVec
	took     *prometheus.HistogramVec
	running  prometheus.Gauge
}

// Namespace begins the name of every metric of the program.
const Namespace = "fullstory_export"

// NewMetrics returns metrics of one server.
func NewMetrics() *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	make := promauto.With(r)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return make.NewCounterVec(prometheus.CounterOpts{Namespace: Namespace, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: Namespace, Name: name, Help: help}
	}
	m := &Metrics{
		registry: r,
		requests: counter("http_requests_total", "HTTP requests that were answered.", "route", "code"),
		rejected: counter("http_rejected_total", "HTTP requests that were rejected, by reason.", "reason"),
		tokens:   counter("tokens_rejected_total", "Tokens that were rejected, by kind of reason.", "kind"),
		streams:  make.NewGaugeVec(gauge("streams", "Open event streams that outlive a call."), []string{"transport"}),
		cut: make.NewCounter(prometheus.CounterOpts{Namespace: Namespace, Name: "streams_cut_total",
			Help: "Event streams that were closed because their client did not read."}),
		calls:    counter("calls_total", "Tool calls, by outcome.", "tool", "outcome"),
		failures: counter("call_errors_total", "Tool calls that failed, by kind of error.", "tool", "kind"),
		took: make.NewHistogramVec(prometheus.HistogramOpts{Namespace: Namespace, Name: "call_seconds",
			Help: "How long tool calls took.", Buckets: []float64{.001, .005, .02, .1, .5, 2, 5, 10, 20}}, []string{"tool"}),
		running: make.NewGauge(gauge("calls_running", "Tool calls that are running.")),
	}
	for _, kind := range auth.RejectionKinds() {
		m.tokens.WithLabelValues(kind) // 0, so that the first one is an increase
	}
	return m
}

// Metrics with AccountLabel belong to one account: its name, or UnnamedAccount.
const (
	AccountLabel   = "account"
	UnnamedAccount = "default"
)

const metricsRoute = "/metrics"

// serveMetrics shows a caller the metrics of its account alone, which have that label.
// Those without the label are about all accounts: they belong to a caller whose account has
// no name, since then there is no other. A caller for metrics, and anybody where there are
// no callers, sees all.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	gather := prometheus.Gatherer(s.metrics.registry)
	if caller := auth.CallerOf(r.Context()); !caller.SeesAllMetrics() {
		gather = ofAccount(gather, caller.Account)
	}
	promhttp.HandlerFor(gather, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// ofAccount gathers the metrics of one account.
func ofAccount(all prometheus.Gatherer, account string) prometheus.Gatherer {
	isOther := func(m *dto.Metric) bool {
		for _, l := range m.GetLabel() {
			if l.GetName() == AccountLabel {
				return l.GetValue() != cmp.Or(account, UnnamedAccount)
			}
		}
		return account != ""
	}
	return prometheus.GathererFunc(func() (own []*dto.MetricFamily, err error) {
		families, err := all.Gather()
		for _, f := range families {
			if f.Metric = slices.DeleteFunc(f.Metric, isOther); len(f.Metric) > 0 {
				own = append(own, f)
			}
		}
		return own, err
	})
}

// watchIssuer reports how often the keys of the issuer, which may be nil, were read.
func (m *Metrics) watchIssuer(i *auth.Issuer) {
	for outcome, n := range map[string]func(auth.Reads) int{
		"ok":     func(r auth.Reads) int { return r.Succeeded },
		"failed": func(r auth.Reads) int { return r.Failed },
	} {
		promauto.With(m.registry).NewCounterFunc(prometheus.CounterOpts{
			Namespace: Namespace, Name: "issuer_reads_total", Help: "Reads of the keys of the issuer of tokens, by outcome.",
			ConstLabels: prometheus.Labels{"outcome": outcome},
		}, func() float64 {
			if i == nil {
				return 0
			}
			return float64(n(i.Reads()))
		})
	}
}

// watch reports the number of open sessions.
func (m *Metrics) watch(open *sessions) {
	for _, over := range []protocol{streamable, overSSE} {
		promauto.With(m.registry).NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: Namespace, Name: "sessions", Help: "Open sessions.",
			ConstLabels: prometheus.Labels{"transport": string(over)},
		}, func() float64 { return float64(open.count(over)) })
	}
}

// Call counts one call of a tool that begins now. done must be called when it
// ends, with the kind of its error, one of few words, or "" for none.
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

// Register adds what another part of the program counts. A name that is taken
// makes it panic.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// counted counts requests by route and status.
func (m *Metrics) counted(next *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &counting{ResponseWriter: w, status: http.StatusOK}
		defer func() { m.requests.WithLabelValues(routeOf(r.Pattern), strconv.Itoa(c.status)).Inc() }()
		next.ServeHTTP(c, r) // sets the pattern of r
	})
}

// counting records the status of an answer.
type counting struct {
	http.ResponseWriter
	status int
	known  bool // status is final
}

func (c *counting) WriteHeader(status int) {
	if !c.known {
		c.status, c.known = status, true
	}
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }
