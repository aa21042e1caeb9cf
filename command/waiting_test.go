//go:build unix

package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestMessagesWhileWaiting waits for a bulk export over each transport. Progress,
// log messages and resource updates must arrive before the result, and none after.
func TestMessagesWhileWaiting(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir(), "--sandbox-op-time", "1s", "--sandbox-slots", "2")
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	client := newHTTPClient(t)
	h, err := s.open(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.openSSE(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	sessionStream := make(chan string, 1000)
	stream, err := h.listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	go func() {
		for e, err := range events(stream) {
			if err != nil {
				return
			}
			sessionStream <- e.data
		}
	}()
	t.Run("mcp", func(t *testing.T) {
		request := waitFor(t, ctx, h, window{"2026-09-01", "2026-09-02"})
		received := h.receiveAll(t, ctx, request)
		if err := h.call(ctx, "ping", nil, nil); err != nil {
			t.Fatal(err)
		}
		checkMessages(t, received, pending(sessionStream))
		quiet(t, sessionStream)
	})
	t.Run("sse", func(t *testing.T) {
		request := waitFor(t, ctx, c, window{"2026-09-02", "2026-09-03"})
		checkMessages(t, c.receiveAll(t, ctx, request), nil)
		quiet(t, c.messages)
	})
}

// receiveAll posts a request, and returns the messages on its stream.
func (h *httpSession) receiveAll(t *testing.T, ctx context.Context, request []byte) (received []string) {
	t.Helper()
	r, err := h.post(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	for e, err := range events(r.Body) {
		if err != nil {
			t.Fatal(err)
		}
		received = append(received, e.data)
	}
	return received
}

// receiveAll posts a request with the id 1000, and returns the messages up to its
// answer.
func (c *sseSession) receiveAll(t *testing.T, ctx context.Context, request []byte) (received []string) {
	t.Helper()
	if err := c.send(ctx, request); err != nil {
		t.Fatal(err)
	}
	for len(received) == 0 || !strings.Contains(received[len(received)-1], `"id":1000`) {
		m, err := c.receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		received = append(received, m)
	}
	return received
}

// waitFor starts a bulk export, subscribes to it, and returns a request with the id
// 1000 that waits for it.
func waitFor(t *testing.T, ctx context.Context, c caller, day window) (request []byte) {
	t.Helper()
	var started struct {
		BulkID string `json:"bulk_id"`
	}
	err := callTool(ctx, c, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "PT3H", "time_range": day,
	}, &started)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.call(ctx, "logging/setLevel", map[string]any{"level": "info"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.call(ctx, "resources/subscribe", map[string]any{
		"uri": "fullstory-export://bulk/" + started.BulkID,
	}, nil); err != nil {
		t.Fatal(err)
	}
	params := toolCall("get_bulk_export", map[string]any{"bulk_id": started.BulkID, "wait_seconds": 20})
	params["_meta"] = map[string]any{"progressToken": "waiting"}
	return rpcRequest(1000, "tools/call", params)
}

// checkMessages checks the messages on the stream of a call, of which the result is
// the last, and those on the session stream meanwhile.
func checkMessages(t *testing.T, received, aside []string) {
	t.Helper()
	last := received[len(received)-1]
	if !strings.Contains(last, `"id":1000`) || !strings.Contains(last, `"state":"complete"`) {
		t.Fatalf("the last message is not the result: %s", last)
	}
	count := map[string]int{}
	progress := -1.0
	for _, m := range append(received[:len(received)-1], aside...) {
		var n struct {
			Method string
			Params struct {
				Token    string `json:"progressToken"`
				Progress float64
				Total    float64
			}
		}
		if err := json.Unmarshal([]byte(m), &n); err != nil {
			t.Fatal(err)
		}
		count[n.Method]++
		if n.Method != "notifications/progress" {
			continue
		}
		if n.Params.Token != "waiting" || n.Params.Progress <= progress || n.Params.Progress > n.Params.Total {
			t.Errorf("progress after %v: %s", progress, m)
		}
		progress = n.Params.Progress
	}
	for _, method := range []string{"notifications/progress", "notifications/message", "notifications/resources/updated"} {
		if count[method] == 0 {
			t.Errorf("no %s before the result: %v", method, count)
		}
	}
}

// pending returns the messages that arrive until there is none for a while. They
// come on another connection than the result, so they may arrive slightly later.
func pending(messages <-chan string) (all []string) {
	for {
		select {
		case m := <-messages:
			all = append(all, m)
		case <-time.After(200 * time.Millisecond):
			return all
		}
	}
}

// quiet checks that no message arrives for longer than the server's poll interval
// of subscribed resources.
func quiet(t *testing.T, messages <-chan string) {
	t.Helper()
	select {
	case m := <-messages:
		t.Errorf("message after the result: %s", m)
	case <-time.After(1500 * time.Millisecond):
	}
}

// TestCreateOutlivesItsCaller creates exports whose callers disconnect or cancel
// before Fullstory answers. Each must be known and must be created once.
func TestCreateOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	client := newHTTPClient(t)
	h, err := s.open(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		URL string `json:"api_url"`
	}
	if err := callTool(ctx, h, "check_connection", struct{}{}, &api); err != nil {
		t.Fatal(err)
	}
	fullstory := &world{t: t, url: api.URL}
	fullstory.faults(`{"create_delay":"1s"}`)
	cancelled := rpcRequest(0, "notifications/cancelled", map[string]any{"requestId": 1000})
	overSSE := func() *sseSession {
		c, err := s.openSSE(ctx, client)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	// Each sends the request and leaves once the sandbox has accepted the export.
	for i, leave := range []func(request []byte, accepted func()){
		func(request []byte, accepted func()) { // the connection breaks
			going, leave := context.WithCancel(ctx)
			go h.post(going, request)
			accepted()
			leave()
		},
		func(request []byte, accepted func()) { // cancelled over /mcp
			go h.post(ctx, request)
			accepted()
			h.post(ctx, cancelled)
		},
		func(request []byte, accepted func()) { // the stream breaks
			c := overSSE()
			c.send(ctx, request)
			accepted()
			c.close()
		},
		func(request []byte, accepted func()) { // cancelled over /sse
			c := overSSE()
			c.send(ctx, request)
			accepted()
			c.send(ctx, cancelled)
		},
	} {
		request := map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT",
			"time_range": window{fmt.Sprintf("2026-10-0%d", i+1), fmt.Sprintf("2026-10-0%d", i+2)},
		}
		call := rpcRequest(1000, "tools/call", toolCall("create_segment_export", request))
		leave(call, func() { fullstory.accepted(i + 1) })
		awaitKnown(t, ctx, h, i+1)
		var repeat struct{ Reused bool }
		if err := callTool(ctx, h, "create_segment_export", request, &repeat); err != nil || !repeat.Reused {
			t.Errorf("export %d: a repeat is answered %+v, %v", i+1, repeat, err)
		}
	}
	if b := fullstory.books(); b.CreatesAccepted != 4 {
		t.Errorf("%d exports were created, want 4", b.CreatesAccepted)
	}
}

// awaitKnown waits until n of the listed operations are known to the ledger.
func awaitKnown(t *testing.T, ctx context.Context, c caller, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d exports are known", n), func() bool {
		var list struct {
			Operations []struct{ Known bool }
		}
		if err := callTool(ctx, c, "list_export_operations", struct{}{}, &list); err != nil {
			t.Fatal(err)
		}
		known := 0
		for _, o := range list.Operations {
			if o.Known {
				known++
			}
		}
		return known >= n
	})
}

// accepted waits until the sandbox has accepted n exports.
func (w *world) accepted(n int) {
	w.t.Helper()
	for end := time.Now().Add(patience); w.books().CreatesAccepted < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("the sandbox has not accepted %d exports after %v", n, patience)
		}
	}
}
