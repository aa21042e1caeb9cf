//go:build unix

package command

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// metric returns the value of a metric, whose name includes its labels. It returns
// 0 for an unknown metric.
func (s *served) metric(ctx context.Context, name string) float64 {
	s.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "fullstory_export_"+name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

// TestMetrics runs a bulk export and checks the metrics during and after it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir(), "--sandbox-op-time", "3s")
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	h, err := s.open(ctx, newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	var started struct {
		ID string `json:"bulk_id"`
	}
	err = callTool(ctx, h, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "PT1H", "max_in_flight": 8,
		"time_range": window{"2026-09-01", "2026-09-02"},
	}, &started)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "exports are in flight while others are planned", func() bool {
		return s.metric(ctx, `exports_in_flight{account="default"}`) > 0 &&
			s.metric(ctx, `chunks{account="default",state="planned"}`) > 0
	})
	var status bulkStatus
	for status.State != "complete" {
		if err := callTool(ctx, h, "get_bulk_export", map[string]any{
			"bulk_id": started.ID, "wait_seconds": 20,
		}, &status); err != nil {
			t.Fatal(err)
		}
	}
	answerOf(t, ctx, h, "get_bulk_export", map[string]any{"bulk_id": "nobody's"})
	// A call is counted just after its answer, and the work is read from the ledger
	// every few seconds.
	for name, want := range map[string]float64{
		`stored_bytes{account="default"}`:                                 float64(status.Bytes),
		`fullstory_requests_total{code="200",op="create segment export"}`: 24,
		`calls_total{outcome="ok",tool="start_bulk_export"}`:              1,
		`calls_total{outcome="error",tool="get_bulk_export"}`:             1,
		`sessions{transport="mcp"}`:                                       1,
		`calls_running`:                                                   0,
		`exports_in_flight{account="default"}`:                            0,
	} {
		var got float64
		for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
			if got = s.metric(ctx, name); got == want || time.Now().After(end) {
				break
			}
		}
		if got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
