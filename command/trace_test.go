//go:build unix

package command

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"fullstory-export-mcp/sandbox"
)

// spans is an OTLP collector that keeps the spans.
type spans struct {
	*httptest.Server
	t *testing.T

	mu  sync.Mutex
	all []*traces.Span
}

func collectSpans(t *testing.T) *spans {
	s := &spans{t: t}
	s.Server = httptest.NewServer(http.HandlerFunc(s.take))
	t.Cleanup(s.Close)
	return s
}

func (s *spans) take(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(raw, &sent)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		s.t.Errorf("%s: %v", r.URL.Path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, resource := range sent.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			s.all = append(s.all, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// tree formats the spans of a trace, children indented below their parent.
func (s *spans) tree(trace string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	below := map[string][]*traces.Span{}
	for _, span := range s.all {
		if hex.EncodeToString(span.TraceId) == trace {
			parent := hex.EncodeToString(span.ParentSpanId)
			below[parent] = append(below[parent], span)
		}
	}
	var text strings.Builder
	var write func(parent, indent string)
	write = func(parent, indent string) {
		slices.SortFunc(below[parent], func(a, b *traces.Span) int {
			return cmp.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano)
		})
		for _, span := range below[parent] {
			fmt.Fprintf(&text, "%s%s%s\n", indent, span.Name, attributes(span))
			write(hex.EncodeToString(span.SpanId), indent+"  ")
		}
	}
	write(callersSpan, "")
	return text.String()
}

// attributes formats the attributes of a span for its caller and its outcome.
func attributes(span *traces.Span) (text string) {
	for _, a := range span.Attributes {
		switch a.Key {
		case "enduser.id":
			text += " by " + a.Value.GetStringValue()
		case "error.type":
			text += " " + a.Value.GetStringValue()
		case "http.response.status_code":
			text += fmt.Sprint(" ", a.Value.GetIntValue())
		}
	}
	return text
}

// The trace of the callers of TestTraces.
const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
	traceparent  = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// TestTraces creates exports through two servers with one ledger. Only one of them
// works for the account, so the trace of a call must continue in the other one.
func TestTraces(t *testing.T) {
	t.Parallel()
	program, place := build(t), filepath.Join(t.TempDir(), "ledger.db")
	if os.Getenv(postgresVariable) != "" {
		place = database(t)
	}
	w := newWorld(t, program, "--op-time", "200ms")
	got := collectSpans(t)
	c := newCallers(t)
	c.add("anna")
	var servers []*served
	for range 2 {
		command := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--dir", t.TempDir(), "--database", place,
			"--callers", c.file, "--api-url", w.url)
		command.Env = append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect, "OTEL_EXPORTER_OTLP_ENDPOINT="+got.URL,
			"OTEL_BSP_SCHEDULE_DELAY=50")
		servers = append(servers, serveCommandLine(t, command))
	}
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	for i, s := range servers {
		client := c.client("anna")
		client.Transport = tracing{client.Transport}
		h, err := s.open(ctx, client)
		if err != nil {
			t.Fatal(err)
		}
		day := fmt.Sprintf("2026-10-%02d", 10+i)
		err = callTool(ctx, h, "create_segment_export", map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{day, day},
		}, nil)
		if err == nil {
			t.Fatal("an empty range was accepted")
		}
		end := fmt.Sprintf("2026-10-%02d", 11+i)
		if err := callTool(ctx, h, "create_segment_export", map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{day, end},
		}, nil); err != nil {
			t.Fatal(err)
		}
	}
	const rejected = "tools/call create_segment_export by anna arguments\n"
	const accepted = "  create segment export 200\n"
	eventually(t, "the trace has all spans", func() bool {
		tree := got.tree(callersTrace)
		return strings.Count(tree, rejected) == 2 && strings.Count(tree, accepted) == 2
	})
	t.Logf("the trace:\n%s", got.tree(callersTrace))
	for _, s := range servers {
		if status, _ := s.terminate(patience); status != 0 {
			t.Errorf("exit status %d", status)
		}
		if !strings.Contains(s.stderr.String(), "trace_id="+callersTrace) {
			t.Error("the log has no trace id")
		}
	}
}

// tracing sends the trace of the caller with every request.
type tracing struct{ next http.RoundTripper }

func (g tracing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("traceparent", traceparent)
	return g.next.RoundTrip(r)
}
