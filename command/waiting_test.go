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

// TestToldWhileWaiting waits for a bulk export over each transport: its progress,
// what is logged, and the change of what is subscribed to come before the
// result, and nothing of it after.
func TestToldWhileWaiting(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir(), "--sandbox-op-time", "1s", "--sandbox-slots", "2")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
	standing := make(chan string, 1000)
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
			standing <- e.data
		}
	}()
	t.Run("mcp", func(t *testing.T) {
		request := waitFor(t, ctx, h, window{"2026-09-01", "2026-09-02"})
		r, err := h.post(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var told []string
		for e, err := range events(r.Body) {
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, e.data)
		}
		if err := h.call(ctx, "ping", nil, nil); err != nil {
			t.Fatal(err)
		}
		aside := pending(standing)
		toldBefore(t, told, aside)
		quiet(t, standing)
	})
	t.Run("sse", func(t *testing.T) {
		request := waitFor(t, ctx, c, window{"2026-09-02", "2026-09-03"})
		if err := c.send(ctx, request); err != nil {
			t.Fatal(err)
		}
		var told []string
		for len(told) == 0 || !strings.Contains(told[len(told)-1], `"id":1000`) {
			m, err := c.receive(ctx)
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, m)
		}
		toldBefore(t, told, nil)
		quiet(t, c.messages)
	})
}

// waitFor starts a bulk export, follows it, and returns a request that waits for
// it, of the id 1000.
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
	if err := c.call(ctx, "resources/subscribe", map[string]any{"uri": "fullstory-export://bulk/" + started.BulkID}, nil); err != nil {
		t.Fatal(err)
	}
	params := toolCall("get_bulk_export", map[string]any{"bulk_id": started.BulkID, "wait_seconds": 20})
	params["_meta"] = map[string]any{"progressToken": "waiting"}
	return rpcRequest(1000, "tools/call", params)
}

// toldBefore checks what was told up to the result, which is last, and aside of
// it.
func toldBefore(t *testing.T, told, aside []string) {
	t.Helper()
	last := told[len(told)-1]
	if !strings.Contains(last, `"id":1000`) || !strings.Contains(last, `"state":"complete"`) {
		t.Fatalf("the last message is %s", last)
	}
	count := map[string]int{}
	progress := -1.0
	for _, m := range append(told[:len(told)-1], aside...) {
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
			t.Errorf("after progress %v comes %s", progress, m)
		}
		progress = n.Params.Progress
	}
	for _, method := range []string{"notifications/progress", "notifications/message", "notifications/resources/updated"} {
		if count[method] == 0 {
			t.Errorf("no %s before the result: %v", method, count)
		}
	}
}

// pending returns what has arrived.
func pending(messages <-chan string) (all []string) {
	for {
		select {
		case m := <-messages:
			all = append(all, m)
		default:
			return all
		}
	}
}

// quiet checks that nothing is told for longer than between two looks at what is
// subscribed to.
func quiet(t *testing.T, messages <-chan string) {
	t.Helper()
	select {
	case m := <-messages:
		t.Errorf("after the result comes %s", m)
	case <-time.After(1500 * time.Millisecond):
	}
}

// TestCreateOutlivesItsCaller creates exports whose callers go away, or want
// them no more, while Fullstory takes its time to answer: each is there, is
// known, and was created once.
func TestCreateOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
	for i, leave := range []func(request []byte){
		func(request []byte) { // the connection breaks
			going, leave := context.WithCancel(ctx)
			go h.post(going, request)
			fullstory.accepted(1)
			leave()
		},
		func(request []byte) { // cancelled over /mcp
			go h.post(ctx, request)
			fullstory.accepted(2)
			h.post(ctx, cancelled)
		},
		func(request []byte) { // the stream breaks
			c, err := s.openSSE(ctx, client)
			if err != nil {
				t.Fatal(err)
			}
			c.send(ctx, request)
			fullstory.accepted(3)
			c.close()
		},
		func(request []byte) { // cancelled over /sse
			c, err := s.openSSE(ctx, client)
			if err != nil {
				t.Fatal(err)
			}
			c.send(ctx, request)
			fullstory.accepted(4)
			c.send(ctx, cancelled)
		},
	} {
		request := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{fmt.Sprintf("2026-10-0%d", i+1), fmt.Sprintf("2026-10-0%d", i+2)}}
		leave(rpcRequest(1000, "tools/call", toolCall("create_segment_export", request)))
		var operations struct {
			Operations []struct{ Known bool }
		}
		for known := 0; known <= i; {
			if err := callTool(ctx, h, "list_export_operations", struct{}{}, &operations); err != nil {
				t.Fatalf("export %d is not known: %v", i+1, err)
			}
			known = 0
			for _, o := range operations.Operations {
				if o.Known {
					known++
				}
			}
		}
		var again struct{ Reused bool }
		if err := callTool(ctx, h, "create_segment_export", request, &again); err != nil || !again.Reused {
			t.Errorf("export %d: a repeat is answered %+v, %v", i+1, again, err)
		}
	}
	if b := fullstory.books(); b.CreatesAccepted != 4 {
		t.Errorf("%d exports were created of 4", b.CreatesAccepted)
	}
}

// accepted waits until so many exports were accepted.
func (w *world) accepted(n int) {
	for b := w.books(); b.CreatesAccepted < n; b = w.books() {
		if w.t.Failed() || w.t.Context().Err() != nil {
			return
		}
	}
}
