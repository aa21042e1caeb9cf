//go:build unix

package command

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// panel is the part of a panel that these tests check; .ci/dashboard checks the
// rest.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Grid        grid   `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// grid is the place of a panel, in units of the dashboard's 24 columns.
type grid struct{ X, Y, W, H int }

// fits reports whether the place is not empty and lies inside the columns.
func (g grid) fits() bool { return g.X >= 0 && g.Y >= 0 && g.W > 0 && g.H > 0 && g.X+g.W <= 24 }

func (g grid) overlaps(o grid) bool {
	return g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H
}

// dashboard returns the panels of grafana.json, and its text.
func dashboard(t *testing.T) ([]panel, string) {
	t.Helper()
	raw, err := os.ReadFile("../deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) == 0 {
		t.Fatal("the dashboard has no panels")
	}
	return d.Panels, string(raw)
}

func TestPanels(t *testing.T) {
	panels, _ := dashboard(t)
	for i, p := range panels {
		if !p.Grid.fits() {
			t.Errorf("%q lies outside the 24 columns: %+v", p.Title, p.Grid)
		}
		for _, other := range panels[:i] {
			if p.Grid.overlaps(other.Grid) {
				t.Errorf("%q overlaps %q", p.Title, other.Title)
			}
			if p.ID == other.ID || p.Title == other.Title {
				t.Errorf("%q and %q have the same id or title", p.Title, other.Title)
			}
		}
		if p.ID <= 0 || p.Title == "" {
			t.Errorf("panel %d lacks an id or a title", i)
		}
		if p.Type != "row" && (p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0) {
			t.Errorf("%q lacks a description, a unit or an expression", p.Title)
		}
	}
}

// TestMetricNames compares the metrics on the dashboard with those of a server that
// has counted something of every kind.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	_, text := dashboard(t)
	shown := names(text)
	base := strings.TrimSuffix(serveProgram(t, build(t), t.TempDir(), "--sandbox-op-time", "1h").url, "/mcp")
	use(t, base)
	var served []string
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		// The server reads the metrics of exports from the ledger every five seconds.
		if served = names(scrape(t, base+"/metrics")); slices.Equal(served, shown) || time.Now().After(deadline) {
			break
		}
	}
	for _, name := range shown {
		if !slices.Contains(served, name) {
			t.Errorf("%s is on the dashboard, but the server does not have it", name)
		}
	}
	for _, name := range served {
		if !slices.Contains(shown, name) {
			t.Errorf("the server has %s, which is not on the dashboard", name)
		}
	}
}

var metricName = regexp.MustCompile(`\b(fullstory_export|process|go)_[a-z_]+\b`)

// names returns the metrics in a text, sorted, without the suffixes of histograms.
// Of the metrics of the process it returns only those in ofProcess.
func names(text string) []string {
	found := map[string]bool{}
	for _, name := range metricName.FindAllString(text, -1) {
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		if strings.HasPrefix(name, "fullstory_export_") || slices.Contains(ofProcess, name) {
			found[name] = true
		}
	}
	var sorted []string
	for name := range found {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// ofProcess are the metrics of the process that a dashboard needs.
var ofProcess = []string{
	"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds",
	"process_start_time_seconds", "go_memstats_heap_inuse_bytes", "go_goroutines",
}

// use makes the server count something of every kind.
func use(t *testing.T, base string) {
	t.Helper()
	stream, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, stream, http.StatusOK) // left open until the test ends
	hello := post(t, base, "", `{"jsonrpc":"2.0","id":0,"method":"initialize","params":
		{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"deploy","version":"1"}}}`)
	session := send(t, hello, http.StatusOK).Header.Get("Mcp-Session-Id")
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"check_connection","arguments":{}}}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"start_bulk_export","arguments":
			{"segment_id":"everyone","type":"TYPE_EVENT","time_range":{"start":"2026-01-01","end":"2026-01-04"}}}}`,
	} {
		answer, err := io.ReadAll(send(t, post(t, base, session, body), http.StatusOK).Body)
		if err != nil || strings.Contains(string(answer), `"isError":true`) ||
			!strings.Contains(string(answer), `"structuredContent"`) {
			t.Fatalf("%s: got %s (%v)", body, answer, err)
		}
	}
	fails := post(t, base, session, `{"jsonrpc":"2.0","id":4,"method":"tools/call","params":
		{"name":"get_bulk_export","arguments":{"bulk_id":"none"}}}`)
	if answer, err := io.ReadAll(send(t, fails, http.StatusOK).Body); err != nil ||
		!strings.Contains(string(answer), `"isError":true`) {
		t.Fatalf("an unknown bulk export: %s (%v)", answer, err)
	}
	stranger := post(t, base, session, `{"jsonrpc":"2.0","id":3,"method":"ping"}`)
	stranger.Host = "elsewhere.example.com"
	send(t, stranger, http.StatusForbidden)
}

func post(t *testing.T, base, session, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	return r
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(send(t, r, http.StatusOK).Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// send sends a request and checks the status of the answer. It closes the body when
// the test ends.
func send(t *testing.T, r *http.Request, status int) *http.Response {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != status {
		t.Fatalf("%s %s: got %s", r.Method, r.URL.Path, answer.Status)
	}
	return answer
}
