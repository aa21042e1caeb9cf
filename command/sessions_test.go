//go:build unix

package command

import (
	"context"
	"io"
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

// TestReplicasShareSessions uses one session at two replicas: subscriptions,
// cancellations and the end of the session must reach the other replica.
func TestReplicasShareSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, build(t), "--op-time", "1h")
	f := newFleet(w, 2, "--dir", t.TempDir(), "--database", database(t))
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	here, err := f.replicas[0].open(ctx, newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	there := here.at(f.replicas[1])
	shareSubscription(t, ctx, here, there)
	shareCancellation(t, ctx, here, there)
	shareEnd(t, ctx, here, there)
	if strings.Contains(f.replicas[1].stderr.String(), here.id) {
		t.Error("the log has the id of a session")
	}
}

// shareSubscription subscribes at one replica. The updates must arrive on the
// session stream at the other one, which has loaded the session before.
func shareSubscription(t *testing.T, ctx context.Context, here, there *httpSession) {
	t.Helper()
	var started struct {
		ID string `json:"bulk_id"`
	}
	err := callTool(ctx, here, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-05", "2026-09-06"},
	}, &started)
	if err != nil {
		t.Fatal(err)
	}
	uri := "fullstory-export://bulk/" + started.ID
	stream, err := there.listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	updated := make(chan error, 1)
	go func() {
		for e, err := range events(stream) {
			if err != nil || strings.Contains(e.data, "notifications/resources/updated") && strings.Contains(e.data, uri) {
				updated <- err
				return
			}
		}
		updated <- io.ErrUnexpectedEOF
	}()
	if err := here.call(ctx, "resources/subscribe", map[string]any{"uri": uri}, nil); err != nil {
		t.Fatal(err)
	}
	// The other replica learns of the subscription a little later, and announces only
	// later changes. So the test makes changes until one is announced.
	limit := time.After(patience)
	for n := 0; ; n++ {
		args := map[string]any{"bulk_id": started.ID, "action": []string{"pause", "resume"}[n%2]}
		if err := callTool(ctx, here, "control_bulk_export", args, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-updated:
			if err != nil {
				t.Fatal(err)
			}
			return
		case <-time.After(300 * time.Millisecond):
		case <-limit:
			t.Fatalf("no update at the other replica after %v and %d changes", patience, n)
		}
	}
}

// shareCancellation cancels a call of one replica at the other one.
func shareCancellation(t *testing.T, ctx context.Context, here, there *httpSession) {
	t.Helper()
	var made created
	err := callTool(ctx, here, "create_segment_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-07", "2026-09-08"},
	}, &made)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	written, sent := sent(ctx)
	ended := make(chan error, 1)
	go func() {
		args := map[string]any{"operation_id": made.OperationID, "wait_seconds": 20}
		ended <- callTool(written, here, "get_export_operation", args, nil)
	}()
	<-sent
	cancelled := rpcRequest(0, "notifications/cancelled", map[string]any{"requestId": here.last.Load()})
	r, err := there.post(ctx, cancelled)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	// A call that is not cancelled has a result after 20 s.
	if err := <-ended; err == nil {
		t.Errorf("a call that was cancelled at the other replica has a result after %v", time.Since(began))
	}
}

// shareEnd ends the session at one replica, which must end it at the other one.
func shareEnd(t *testing.T, ctx context.Context, here, there *httpSession) {
	t.Helper()
	if err := here.end(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a session that was ended has ended at the other replica", func() bool {
		r, err := there.post(ctx, rpcRequest(99, "ping", nil))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode == http.StatusNotFound
	})
}
