//go:build unix

package command

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// at returns the session of h at another replica.
func (h *httpSession) at(s *served) *httpSession {
	other := &httpSession{client: h.client, url: s.url, id: h.id}
	other.last.Store(h.last.Load() + 1000)
	return other
}

// TestReplicasShareSessions has one replica asked for what concerns a session,
// and looks at another.
func TestReplicasShareSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, build(t), "--op-time", "1h")
	f := newFleet(w, 2, "--dir", t.TempDir(), "--database", database(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	here, err := f.replicas[0].open(ctx, newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	there := here.at(f.replicas[1])
	var made created
	request := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-05", "2026-09-06"}}
	if err := callTool(ctx, here, "create_segment_export", request, &made); err != nil {
		t.Fatal(err)
	}
	uri := "fullstory-export://operations/" + made.OperationID

	// What is followed at one is announced at the other, which knows the session
	// already, and at one that does not.
	stream, err := there.listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := here.call(ctx, "resources/subscribe", map[string]any{"uri": uri}, nil); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // it is told each second, and nothing else tells that it was
	if err := callTool(ctx, here, "cancel_export_operation", map[string]any{"operation_id": made.OperationID}, nil); err != nil {
		t.Fatal(err)
	}
	for e, err := range events(stream) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(e.data, "notifications/resources/updated") && strings.Contains(e.data, uri) {
			break
		}
	}

	// A call that runs at one is cancelled at the other.
	if err := callTool(ctx, here, "create_segment_export", map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-07", "2026-09-08"}}, &made); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	written, sent := sent(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- callTool(written, here, "get_export_operation", map[string]any{"operation_id": made.OperationID, "wait_seconds": 20}, nil)
	}()
	<-sent
	cancelled := rpcRequest(0, "notifications/cancelled", map[string]any{"requestId": here.last.Load()})
	r, err := there.post(ctx, cancelled)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if err := <-ended; time.Since(began) > 10*time.Second {
		t.Errorf("a call that was cancelled elsewhere took %v: %v", time.Since(began), err)
	}

	// A session that was ended at one has ended at the other.
	if err := here.end(ctx); err != nil {
		t.Fatal(err)
	}
	for {
		r, err := there.post(ctx, rpcRequest(99, "ping", nil))
		if err != nil {
			t.Fatal(errors.Join(err, errors.New("a session that was ended goes on at another replica")))
		}
		r.Body.Close()
		if r.StatusCode == http.StatusNotFound {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if bytes.Contains([]byte(f.replicas[1].said.String()), []byte(here.id)) {
		t.Error("the log has the id of a session")
	}
}
