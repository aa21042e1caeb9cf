package exports

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// TestAnswersAreShared asks the same and other questions at the same time and later.
func TestAnswersAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a answers[int]
		asked := 0
		var fails error
		ask := func(ctx context.Context) (int, error) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			asked++
			return asked, fails
		}
		together := func(question string) (got []int, failed []error) {
			var mu sync.Mutex
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					value, err := a.get(t.Context(), question, answerLife, ask)
					mu.Lock()
					defer mu.Unlock()
					got, failed = append(got, value), append(failed, err)
				})
			}
			all.Wait()
			return got, failed
		}
		expect := func(what, question string, value int, want error) {
			t.Helper()
			got, failed := together(question)
			for i := range got {
				if got[i] != value || failed[i] != want {
					t.Errorf("%s: %d, %v; want %d, %v", what, got[i], failed[i], value, want)
				}
			}
		}
		expect("at the same time", "one", 1, nil)
		expect("another question", "two", 2, nil)
		expect("within the life of an answer", "one", 1, nil)
		time.Sleep(answerLife)
		fails = errors.New("no")
		expect("after it, and it fails", "one", 3, fails)
		fails = nil
		expect("after a failure", "one", 4, nil)

		hurried, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		go a.get(hurried, "three", answerLife, ask)
		synctest.Wait()
		if got, err := a.get(t.Context(), "three", answerLife, ask); got != 5 || err != nil {
			t.Errorf("after a call with less time: %d, %v", got, err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := a.get(gone, "four", answerLife, ask); !errors.Is(err, context.Canceled) {
			t.Errorf("a call that was cancelled: %v", err)
		}
		expect("the request of a call that was cancelled", "four", 6, nil)
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a panic did not reach the call")
				}
			}()
			a.get(t.Context(), "five", answerLife, func(context.Context) (int, error) { panic("canary") })
		}()
		for i := range 2 * mostAnswers {
			a.get(t.Context(), fmt.Sprint("many", i), answerLife, func(context.Context) (int, error) { return 0, nil })
		}
		if len(a.flights) > mostAnswers {
			t.Errorf("%d answers are kept, of at most %d", len(a.flights), mostAnswers)
		}
	})
}

// TestReadsAreShared has forty calls list, find and check at the same time, three times.
func TestReadsAreShared(t *testing.T) {
	t.Parallel()
	l := newLab(t, sandbox.Config{})
	a := &Account{
		Client: l.options.Client, Archive: l.archive, Now: l.options.Now, Database: filepath.Join(t.TempDir(), "ledger.db"),
		OpenLedger: ledger.Open,
	}
	var lists, segments atomic.Int32
	count := func(r *http.Request) int {
		switch {
		case strings.HasSuffix(r.URL.Path, "/segments/v1"):
			lists.Add(1)
		case strings.HasSuffix(r.URL.Path, "/segments/v1/everyone"):
			segments.Add(1)
		}
		return 0
	}
	l.reject.Store(&count)
	began := time.Now()
	for range 3 {
		var calls sync.WaitGroup
		for range 40 {
			calls.Go(func() {
				for _, q := range []SegmentQuery{{Limit: 20}, {Text: "Checkout v", Limit: 20}, {Text: "everyone", Limit: 20}} {
					if page, err := a.Segments(t.Context(), q); err != nil || len(page.Segments) == 0 {
						t.Errorf("%+v: %+v, %v", q, page, err)
					}
				}
			})
		}
		calls.Wait()
	}
	if lives := int32(1 + time.Since(began)/answerLife); lists.Load() > 2*lives || segments.Load() > lives {
		t.Errorf("120 calls read the list %d times, and a segment %d times", lists.Load(), segments.Load())
	}
}
