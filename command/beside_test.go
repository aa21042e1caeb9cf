package command

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// savedSegment is a segment that another program saves during a test.
const savedSegment = `{"id":"N3wS3gm3nt77","name":"Struggled at checkout","creator":"ana@example.com",` +
	`"created":"2026-11-05T11:59:00Z","url":"https://app.fullstory.com/ui/ORG/segments/N3wS3gm3nt77"}`

// withSavedSegment returns the URL of a Fullstory that has savedSegment once saved is set.
func withSavedSegment(t *testing.T, saved *atomic.Bool) string {
	t.Helper()
	simulated, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case saved.Load() && r.URL.Path == "/segments/v1/N3wS3gm3nt77":
			w.Write([]byte(savedSegment))
		case saved.Load() && r.URL.Path == "/segments/v1":
			recorded := httptest.NewRecorder()
			simulated.ServeHTTP(recorded, r)
			w.Write([]byte(strings.Replace(recorded.Body.String(), `"segments":[`, `"segments":[`+savedSegment+",", 1)))
		default:
			simulated.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { served.Close(); simulated.Close() })
	return served.URL
}

// TestSegmentSavedElsewhere looks for a segment before another program saves it, and
// at once afterwards, by each text that may name it.
func TestSegmentSavedElsewhere(t *testing.T) {
	t.Parallel()
	const link = "https://app.fullstory.com/ui/ORG/segments/N3wS3gm3nt77/people:search:now/0"
	for _, text := range []string{"N3wS3gm3nt77", "struggled at checkout", link} {
		t.Run(text[:8], func(t *testing.T) {
			t.Parallel()
			var saved atomic.Bool
			env, args := remoteKey(t, withSavedSegment(t, &saved), sandbox.KeyArchitect)
			c := converse(t, env, args...)
			var found struct{ Segments []struct{ ID, Name string } }
			query := map[string]any{"query": text}
			c.call("list_segments", map[string]any{"limit": 100}, &found)
			if c.call("list_segments", query, &found); len(found.Segments) != 0 {
				t.Fatalf("before it is saved: %+v", found)
			}
			request := map[string]any{
				"segment_id": text, "type": "TYPE_INDIVIDUAL", "time_range": "last_7_days", "segment_time_range": "range",
				"dry_run": true,
			}
			c.rejected("create_segment_export", request, "segment_id: no segment has the id or name")
			saved.Store(true)
			var made created
			if c.call("create_segment_export", request, &made); made.Request.SegmentID != "N3wS3gm3nt77" {
				t.Errorf("resolved as %+v", made.Request)
			}
			if c.call("list_segments", query, &found); len(found.Segments) != 1 || found.Segments[0].ID != "N3wS3gm3nt77" {
				t.Errorf("found %+v", found)
			}
		})
	}
}

// TestSegmentListedElsewhere looks for a saved segment in list_segments first, while the
// list of a moment ago is remembered.
func TestSegmentListedElsewhere(t *testing.T) {
	t.Parallel()
	var saved atomic.Bool
	env, args := remoteKey(t, withSavedSegment(t, &saved), sandbox.KeyArchitect)
	c := converse(t, env, args...)
	var found struct{ Segments []struct{ ID, Name string } }
	query := map[string]any{"query": "Struggled"}
	if c.call("list_segments", query, &found); len(found.Segments) != 0 {
		t.Fatalf("before it is saved: %+v", found)
	}
	saved.Store(true)
	if c.call("list_segments", query, &found); len(found.Segments) != 1 {
		t.Errorf("found %+v", found)
	}
}
