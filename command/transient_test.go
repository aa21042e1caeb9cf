//go:build unix

package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"fullstory-export-mcp/sandbox"
)

// withFaults sets the faults of a sandbox.
func withFaults(t *testing.T, api, faults string) {
	t.Helper()
	r, err := http.Post(api+"/sandbox/faults", "application/json", strings.NewReader(faults))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode/100 != 2 {
		t.Fatalf("faults %s: %s", faults, r.Status)
	}
}

// requestsDuring returns how many requests a sandbox receives while do runs.
func requestsDuring(t *testing.T, api string, do func()) int {
	t.Helper()
	before, err := requestsTo(t.Context(), api)
	if err != nil {
		t.Fatal(err)
	}
	do()
	after, err := requestsTo(t.Context(), api)
	if err != nil {
		t.Fatal(err)
	}
	return after - before
}

// quickAPI returns a sandbox whose exports take 20 ms and whose limits are wide.
func quickAPI(t *testing.T) *httptest.Server {
	t.Helper()
	c := sandbox.Config{Rate: 1000, Burst: 1000}
	if err := c.OpTime.UnmarshalText([]byte("20ms")); err != nil {
		t.Fatal(err)
	}
	return fullstory(t, c)
}

// onReads returns a script with a fault of each kind of read.
func onReads(fault string) string {
	var script []string
	for _, place := range []string{"me", "segments", "status", "results", "list"} {
		script = append(script, fmt.Sprintf(`{"on":%q,"do":%q,"for":"1s"}`, place, fault))
	}
	return strings.Join(script, ",")
}

// TestTransientFaultsAreAbsorbed has each call meet a fault that lasts for a second from
// its first request: no call fails, and none sends more than a few requests.
func TestTransientFaultsAreAbsorbed(t *testing.T) {
	t.Parallel()
	const most = 20 // requests of one call
	for name, script := range map[string]string{
		"429":                     `{"on":"any","do":"429","for":"1s"}`,
		"429 without Retry-After": `{"on":"any","do":"429_no_retry_after","for":"1s"}`,
		"503":                     onReads("503"),
		"500":                     onReads("500"),
		"reset":                   onReads("reset"),
		"expired link":            `{"on":"download","nth":1,"do":"expired_link"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := quickAPI(t)
			env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
			c := converse(t, env, args...)
			met := func(tool string, arguments map[string]any, out any) {
				t.Helper()
				withFaults(t, api.URL, `{"script":[`+script+`]}`)
				n := requestsDuring(t, api.URL, func() { c.call(tool, arguments, out) })
				if n > most {
					t.Errorf("%s sent %d requests, want at most %d", tool, n, most)
				}
			}
			var made created
			met("create_segment_export", octoberFirst, &made)
			var ignored struct{}
			met("list_segments", map[string]any{"limit": 3}, &ignored)
			met("list_export_operations", nil, &ignored)
			handle := map[string]any{"operation_id": made.OperationID, "wait_seconds": 20}
			var d downloaded
			met("download_export", handle, &d)
			if d.State != "stored" {
				t.Errorf("the file is %s: %s", d.State, d.Summary)
			}
			var op struct {
				State string
				URL   string `json:"download_url"`
			}
			met("get_export_operation", map[string]any{
				"operation_id": made.OperationID, "wait_seconds": 20, "include_download_url": true,
			}, &op)
			if op.State != "COMPLETED" || op.URL == "" {
				t.Errorf("the operation is %+v", op)
			}
			checkWindows(t, api.URL, 1)
		})
	}
}

// checkWindows fails unless a sandbox accepted exactly n creates, each of another window.
func checkWindows(t *testing.T, api string, n int) {
	t.Helper()
	r, err := http.Get(api + "/sandbox/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var b books
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		t.Fatal(err)
	}
	if b.CreatesAccepted != n || b.Windows != n {
		t.Errorf("%d creates were accepted, of %d windows, want %d", b.CreatesAccepted, b.Windows, n)
	}
}

// failure calls a tool that must fail, and returns its text and its structured content.
func (c *conversation) failure(tool string, args any) (text string, content map[string]any) {
	c.t.Helper()
	r := mcp.CallToolRequest{}
	r.Params.Name, r.Params.Arguments = tool, args
	result, err := c.CallTool(c.t.Context(), r)
	if err != nil || !result.IsError {
		c.t.Fatalf("%s of %v did not fail: %+v %v", tool, args, result, err)
	}
	content, _ = result.StructuredContent.(map[string]any)
	return result.Content[0].(mcp.TextContent).Text, content
}

// TestRemainingFaultsSayWhen has Fullstory ask for a longer pause than a call can wait: calls
// fail at once, say until when, and send nothing during the pause.
func TestRemainingFaultsSayWhen(t *testing.T) {
	t.Parallel()
	api := quickAPI(t)
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	withFaults(t, api.URL, `{"script":[{"on":"any","do":"429","after":"45s"}]}`)
	began := time.Now()
	for i, call := range []struct {
		tool string
		args map[string]any
	}{
		{"list_segments", map[string]any{"limit": 3}},
		{"create_segment_export", octoberFirst},
		{"list_export_operations", nil},
		{"get_export_operation", map[string]any{"operation_id": "x", "wait_seconds": 20}},
		{"download_export", map[string]any{"operation_id": "x", "wait_seconds": 20}},
		{"cancel_export_operation", map[string]any{"operation_id": "x"}},
	} {
		var text string
		var content map[string]any
		n := requestsDuring(t, api.URL, func() { text, content = c.failure(call.tool, call.args) })
		if n > 1 || i > 0 && n > 0 {
			t.Errorf("%s sent %d requests in a pause", call.tool, n)
		}
		seconds, _ := content["retry_after_seconds"].(float64)
		if seconds < 20 || seconds > 45 || content["summary"] != text {
			t.Errorf("%s: structured content is %v", call.tool, content)
		}
		until := time.Now().UTC().Add(time.Duration(seconds) * time.Second)
		found := false
		for off := -2; off <= 2; off++ {
			at := until.Add(time.Duration(off) * time.Second).Format("15:04:05")
			found = found || strings.Contains(text, "accepts requests again at "+at+" UTC")
		}
		if !found {
			t.Errorf("%s does not say until when, about %s: %s", call.tool, until.Format("15:04:05"), text)
		}
	}
	if took := time.Since(began); took > patience {
		t.Errorf("the calls took %v", took)
	}
}

// bulkView is a bulk export that was started, or its state.
type bulkView struct {
	BulkID         string `json:"bulk_id"`
	State, Summary string
	Problems       []struct{ Problem string }
}

// bulkNamed returns the arguments of a bulk export of everyone.
func bulkNamed(name string, period window) map[string]any {
	return map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "name": name, "time_range": period, "chunk": "PT6H",
	}
}

// awaitBulkState waits until a bulk export has a state.
func (c *conversation) awaitBulkState(id, state string) {
	c.t.Helper()
	var b bulkView
	for end := time.Now().Add(patience); b.State != state && time.Now().Before(end); {
		c.call("get_bulk_export", map[string]any{"bulk_id": id, "wait_seconds": 10}, &b)
	}
	if b.State != state {
		var chunks any
		c.call("get_bulk_export", map[string]any{"bulk_id": id, "detail": "chunks"}, &chunks)
		c.t.Errorf("%s is %+v, want %s: %v\n%s", id, b, state, chunks, lastLines(c.stderr.String(), 30))
	}
}

// TestStartWhileFullstoryIsAway starts bulk exports while Fullstory throttles or fails: they
// are recorded, start later, and are exported once. A new process knows as much as one that
// has asked before.
func TestStartWhileFullstoryIsAway(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"throttled": `{"on":"any","do":"429","after":"2s"}`,
		"failing":   `{"on":"any","do":"503"}`,
		"reset":     `{"on":"any","do":"reset"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := quickAPI(t)
			env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
			first := converse(t, env, args...)
			request := func(segment, bulk, start, end string) map[string]any {
				return map[string]any{
					"segment_id": segment, "type": "TYPE_EVENT", "name": bulk, "time_range": window{start, end},
					"segment_time_range": window{Start: "range"}, "chunk": "PT6H",
				}
			}
			var b bulkView
			first.call("start_bulk_export", request("Checkout visitors", "known", "2026-10-01", "2026-10-02"), &b)
			first.awaitBulkState(b.BulkID, "complete")
			first.end()

			c := converse(t, env, args...)
			withFaults(t, api.URL, `{"script":[`+script+`]}`)
			n := 4
			for segment, start := range map[string]string{"everyone": "2026-10-03", "tz81RtIU1Rw8": "2026-10-05"} {
				began := time.Now()
				c.call("start_bulk_export", request(segment, "away-"+segment, start, start+"T12:00:00Z"), &b)
				if took := time.Since(began); took > 19*time.Second {
					t.Errorf("the start took %v", took)
				}
				if b.BulkID == "" || !strings.Contains(b.Summary, "It starts once Fullstory accepts requests") {
					t.Errorf("%s: got %+v", segment, b)
				}
				n += 2
			}
			withFaults(t, api.URL, `{}`)
			for _, segment := range []string{"everyone", "tz81RtIU1Rw8"} {
				c.awaitBulkState("away-"+strings.ToLower(segment), "complete")
			}
			checkWindows(t, api.URL, n)
		})
	}
}

// TestRelativeStartNeedsTheClock rejects relative words of a start while Fullstory, which has
// the clock, was never heard, and accepts them with `now`.
func TestRelativeStartNeedsTheClock(t *testing.T) {
	t.Parallel()
	api := quickAPI(t)
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	first := converse(t, env, args...)
	first.call("start_bulk_export", bulkNamed("known", window{"2026-10-01", "2026-10-02"}), &bulkView{})
	first.end()
	api.Close()
	c := converse(t, env, args...)
	text, content := c.failure("start_bulk_export", bulkNamed("relative", window{Start: "yesterday"}))
	if !strings.Contains(text, "could not be reached") || content["retry_after_seconds"] == nil {
		t.Errorf("got %s %v", text, content)
	}
	request := bulkNamed("pinned", window{Start: "yesterday"})
	request["now"] = "2026-10-05T00:00:00Z"
	var b bulkView
	c.call("start_bulk_export", request, &b)
	if !strings.Contains(b.Summary, "Today is 2026-10-05 in UTC.") {
		t.Errorf("got %+v", b)
	}
}

// TestCreateIsThrottledForLong has creates throttled for longer than the engine tries one:
// the call still succeeds, within its 20 s, with one export.
func TestCreateIsThrottledForLong(t *testing.T) {
	t.Parallel()
	api := quickAPI(t)
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	withFaults(t, api.URL, `{"script":[{"on":"create","do":"429_no_retry_after","for":"8s"}]}`)
	began := time.Now()
	var made created
	n := requestsDuring(t, api.URL, func() { c.call("create_segment_export", octoberFirst, &made) })
	if took := time.Since(began); made.OperationID == "" || took < 8*time.Second || took > 20*time.Second || n > 16 {
		t.Errorf("got %+v after %v and %d requests", made, took, n)
	}
	checkWindows(t, api.URL, 1)
}
