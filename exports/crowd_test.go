package exports

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"golang.org/x/time/rate"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestBulkWorkInACrowd has forty people send requests as fast as they may: the bulk
// export of the account continues, and its status says why it is slow.
func TestBulkWorkInACrowd(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{}, func(o *bulk.Options) { o.Client.ShareLimits(sharedBucket(o.Ledger, o.Account)) })
	accepted := rate.NewLimiter(10, 10) // few enough that forty people reach it on a slow machine
	throttle := func(r *http.Request) int {
		if r.URL.Path == "/me" && !accepted.Allow() {
			return http.StatusTooManyRequests
		}
		return 0
	}
	l.reject.Store(&throttle)
	l.run()
	crowd, leave := context.WithCancel(t.Context())
	var people sync.WaitGroup
	for range 40 {
		people.Go(func() {
			for crowd.Err() == nil {
				l.options.Client.Me(crowd)
			}
		})
	}
	b := l.start(order(720)) // more than can be exported before the crowd is noticed
	s := l.await(b.ID, "slow", func(s Status) bool { return s.SlowReason != "" })
	shown := summarize(l.engine, s)
	if len(shown.Problems) != 1 || !strings.Contains(shown.Problems[0].Problem, "requests per second") ||
		!strings.Contains(shown.Summary, "slow at present: other calls") {
		t.Errorf("the status of a slow export: %q, %+v", shown.Summary, shown.Problems)
	}
	l.await(b.ID, "making progress", func(s Status) bool { return s.Counts.By[ledger.ChunkStored] >= 2 })
	leave()
	people.Wait()
	l.await(b.ID, "slow no longer", func(s Status) bool { return s.SlowReason == "" })
	if _, err := l.engine.Control(t.Context(), b.ID, Cancel); err != nil {
		t.Error(err)
	}
}
