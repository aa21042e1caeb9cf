package command

import (
	"github.com/prometheus/client_golang/prometheus"

	"fullstory-export-mcp/transport"
)

// syncMetrics report the exports that are kept up to date.
type syncMetrics struct{ age, missing, failed, lastRun *prometheus.Desc }

// newSyncMetrics returns metrics that describe makes.
func newSyncMetrics(describe func(name, help string, labels ...string) *prometheus.Desc) syncMetrics {
	of := func(name, help string) *prometheus.Desc {
		return describe("sync_"+name, help, transport.AccountLabel, "sync")
	}
	return syncMetrics{
		age: of("age_seconds", "Age of the instant before which every window of a sync is stored and has settled, "+
			"or of its first window if none has."),
		missing: of("missing_windows", "Windows of a sync that are over and not stored."),
		failed:  of("failed_windows", "Windows of a sync that failed."),
		lastRun: of("last_run_timestamp_seconds", "When a sync last looked for windows; 0: not yet."),
	}
}

func (m syncMetrics) all() []*prometheus.Desc {
	return []*prometheus.Desc{m.age, m.missing, m.failed, m.lastRun}
}

// collect reports the syncs of an account. Paused ones are left out: nobody waits for them.
func (m syncMetrics) collect(account string, work accountWork, out chan<- prometheus.Metric) {
	for _, s := range work.syncs {
		if s.Paused {
			continue
		}
		until := s.CompleteUntil
		if until.IsZero() {
			until = s.From
		}
		last := 0.0
		if !s.LastRun.IsZero() {
			last = float64(s.LastRun.Unix())
		}
		for metric, value := range map[*prometheus.Desc]float64{
			m.age: work.now.Sub(until).Seconds(), m.missing: float64(s.Windows.Missing), m.failed: float64(s.Windows.Failed),
			m.lastRun: last,
		} {
			out <- prometheus.MustNewConstMetric(metric, prometheus.GaugeValue, value, account, s.Name)
		}
	}
}
