//go:build unix

package command

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// TestLiesInMetricsAndTraces serves a Fullstory that lies over HTTP, and looks at the
// metrics and the traces.
func TestLiesInMetricsAndTraces(t *testing.T) {
	t.Parallel()
	got := collectSpans(t)
	o := output{}
	for _, l := range []lie{{path: "texts", text: hostileTexts()[4]}, {path: "*", text: hostileTexts()[0], status: 400}} {
		command := exec.Command(build(t), "serve", "--addr", "127.0.0.1:0", "--dir", t.TempDir(), "--api-url",
			newLiar(t, l).URL)
		command.Env = append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect, "OTEL_EXPORTER_OTLP_ENDPOINT="+got.URL,
			"OTEL_BSP_SCHEDULE_DELAY=50")
		s := serveCommandLine(t, command)
		ctx, cancel := context.WithTimeout(t.Context(), testLimit)
		defer cancel()
		h, err := s.open(ctx, newHTTPClient(t))
		if err != nil {
			t.Fatal(err)
		}
		var segments, operations map[string]any
		callTool(ctx, h, "list_segments", map[string]any{}, &segments) // fails if every answer is an error
		callTool(ctx, h, "list_export_operations", map[string]any{}, &operations)
		o.value("result", segments)
		o.value("result", operations)
		r, err := http.Get(s.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		o.lines("metrics", string(raw))
		if status, _ := s.terminate(patience); status != 0 {
			t.Errorf("exit status %d", status)
		}
		o.lines("log", s.stderr.String())
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	if len(got.all) == 0 {
		t.Error("there are no traces")
	}
	for _, span := range got.all {
		// The identifiers are random bytes, which may spell any character.
		span.TraceId, span.SpanId, span.ParentSpanId = nil, nil, nil
		o.lines("traces", span.String())
	}
	o.checkTexts(t)
}
