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

// questions asks questions that take a second to answer.
type questions struct {
	t       *testing.T
	answers answers[int]
	asked   int
	fails   error
}

func (q *questions) ask(ctx context.Context) (int, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	q.asked++
	return q.asked, q.fails
}

// together asks the same question twenty times at the same time.
func (q *questions) together(what, question string, value int, want error) {
	q.t.Helper()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := q.answers.get(q.t.Context(), question, answerLife, q.ask); got != value || err != want {
				q.t.Errorf("%s: %d, %v; want %d, %v", what, got, err, value, want)
			}
		})
	}
	all.Wait()
}

// TestAnswersAreShared asks the same and other questions at the same time and later.
func TestAnswersAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &questions{t: t}
		q.together("at the same time", "one", 1, nil)
		q.together("another question", "two", 2, nil)
		q.together("within the life of an answer", "one", 1, nil)
		time.Sleep(answerLife)
		q.fails = errors.New("no")
		q.together("after it, and it fails", "one", 3, q.fails)
		q.fails = nil
		q.together("after a failure", "one", 4, nil)

		hurried, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		go q.answers.get(hurried, "three", answerLife, q.ask)
		synctest.Wait()
		if got, err := q.answers.get(t.Context(), "three", answerLife, q.ask); got != 5 || err != nil {
			t.Errorf("after a call with less time: %d, %v", got, err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := q.answers.get(gone, "four", answerLife, q.ask); !errors.Is(err, context.Canceled) {
			t.Errorf("a call that was cancelled: %v", err)
		}
		q.together("the request of a call that was cancelled", "four", 6, nil)
	})
}

// TestAnswersAreBounded asks more questions than there are answers kept, and one whose
// answer is a panic.
func TestAnswersAreBounded(t *testing.T) {
	var a answers[int]
	for i := range 2 * mostAnswers {
		a.get(t.Context(), fmt.Sprint(i), answerLife, func(context.Context) (int, error) { return 0, nil })
	}
	if len(a.flights) > mostAnswers {
		t.Errorf("%d answers are kept, of at most %d", len(a.flights), mostAnswers)
	}
	defer func() {
		if recover() == nil {
			t.Error("a panic did not reach the call")
		}
	}()
	a.get(t.Context(), "panic", answerLife, func(context.Context) (int, error) { panic("canary") })
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
