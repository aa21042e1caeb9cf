package client

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lister is an API whose list has n items. It ignores the limit that it is asked for
// while deaf is set.
type lister struct {
	n    int
	deaf bool
	odd  string // in front of its cursors
}

func (l *lister) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(strings.TrimPrefix(r.FormValue("paginationToken"), l.odd))
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || l.deaf {
		limit = 50
	}
	to := min(l.n, from+limit)
	var items []string
	for i := from; i < to; i++ {
		items = append(items, fmt.Sprintf(`{"id":"%d","name":"n"}`, i))
	}
	next := ""
	if to < l.n {
		next = l.odd + strconv.Itoa(to)
	}
	fmt.Fprintf(w, `{"segments":[%s],"nextPaginationToken":%q}`, strings.Join(items, ","), next)
}

// TestLimitIsKept walks a list of an API that ignores limits, never, always, or until the
// middle: no page has more than was asked for, and no item is lost or comes twice.
func TestLimitIsKept(t *testing.T) {
	var want []string
	for i := range 120 {
		want = append(want, strconv.Itoa(i))
	}
	for name, deaf := range map[string]func(page int) bool{
		"never":    func(int) bool { return false },
		"always":   func(int) bool { return true },
		"at first": func(page int) bool { return page < 3 },
		"later":    func(page int) bool { return page >= 3 },
	} {
		for _, odd := range []string{"", `{"after": "`, "~7."} {
			api := &lister{n: len(want), odd: odd}
			if got := api.walk(t, deaf); !slices.Equal(got, want) {
				t.Errorf("limits are ignored %s, cursors begin with %q: got %d items: %q", name, odd, len(got), got)
			}
		}
	}
}

// walk returns the ids of the whole list, read in pages of 20. deaf says on which of them
// the API ignores that.
func (l *lister) walk(t *testing.T, deaf func(page int) bool) (ids []string) {
	t.Helper()
	s := httptest.NewServer(l)
	defer s.Close()
	c := newClient(t, Options{BaseURL: s.URL})
	c.limiter.own = Bucket{Pace: paceMost, Tokens: 1000, At: time.Now().Add(time.Hour)} // does not limit
	q := SegmentQuery{Limit: 20}
	for page := range 30 {
		l.deaf = deaf(page)
		p, err := c.Segments(t.Context(), q)
		if err != nil || len(p.Segments) > q.Limit || p.Next != "" && !isToken(p.Next, cursorLimit) {
			t.Fatalf("page %d: %d segments, next %q, %v", page, len(p.Segments), p.Next, err)
		}
		for _, s := range p.Segments {
			ids = append(ids, s.ID)
		}
		if q.Cursor = p.Next; p.Next == "" {
			break
		}
	}
	return ids
}

// TestUnusableItems has lists with items whose id cannot be used: they are left out and
// counted. A walk that may have missed the operation that it looks for fails.
func TestUnusableItems(t *testing.T) {
	long := strings.Repeat("x", 501)
	body := `{"segments":[{"id":"a"},{"id":"` + long + `"},{"name":"no id"},{"id":"b c"}],
		"operations":[{"id":"a","createdAt":"2026-10-02T00:00:00Z"},
		{"id":"` + long + `","createdAt":"2026-10-01T00:00:00Z"}]}`
	c := answers(t, nil, 200, body)
	segments, err := c.Segments(t.Context(), SegmentQuery{})
	if err != nil || len(segments.Segments) != 2 || segments.Unusable != 2 || segments.Segments[1].ID != "~YiBj" {
		t.Errorf("segments: %+v, %v", segments, err)
	}
	page, err := c.Operations(t.Context(), OperationQuery{})
	if err != nil || len(page.Operations) != 1 || len(page.Unusable) != 1 {
		t.Errorf("operations: %+v, %v", page, err)
	}
	october := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for since, want := range map[time.Time]string{october: CodeUnusableID, october.Add(time.Second): ""} {
		seen := 0
		err := c.EachOperation(t.Context(), 5, since, func(Operation) (bool, error) { seen++; return true, nil })
		failed, _ := errors.AsType[*Error](err)
		if seen != 1 || (failed == nil) != (want == "") ||
			failed != nil && (failed.Code != want || failed.Kind() != ServiceFailed) {
			t.Errorf("since %v: saw %d, then %v", since, seen, err)
		}
	}
	if err := c.EachOperation(t.Context(), 5, october, func(Operation) (bool, error) { return false, nil }); err != nil {
		t.Errorf("a walk that found what it looks for: %v", err)
	}
	c = answers(t, nil, 200, `{"segments":[{"id":"a"}],"nextPaginationToken":"`+strings.Repeat("x", 1901)+`"}`)
	if _, err := c.Segments(t.Context(), SegmentQuery{}); err == nil {
		t.Error("a list whose next page cannot be asked for seems complete")
	}
}

// TestAnswersCostLittle reads answers that are made to cost memory or time.
func TestAnswersCostLittle(t *testing.T) {
	list := func(c *Client) error { _, err := c.Operations(t.Context(), OperationQuery{Limit: 100}); return err }
	one := func(c *Client) error { _, err := c.Operation(t.Context(), "op"); return err }
	me := func(c *Client) error { _, err := c.Me(t.Context()); return err }
	empty := strings.Repeat("{},", 350_000)
	var keys strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&keys, `"%d":1,`, i)
	}
	for _, test := range []struct {
		name string
		call func(*Client) error
		body string
		ok   bool
	}{
		{"1 MB of empty items", list, `{"operations":[` + empty[:1_000_000/3*3-1] + `]}`, true},
		{"8 MB of empty items", list, `{"operations":[` + strings.Repeat(empty, 8) + `{}]}`, false},
		{"nested lists", list, `{"operations":` + strings.Repeat("[", 1_000_000), false},
		{"nested objects", one, `{"state":"PENDING","x":` + strings.Repeat(`{"a":`, 200_000) + "1" +
			strings.Repeat("}", 200_000) + `}`, false},
		{"many keys", one, `{"state":"PENDING",` + keys.String() + `"id":"x"}`, true},
		{"a long number", one, `{"state":"PENDING","id":` + strings.Repeat("1", 1_000_000) + `}`, true},
		{"a long organisation", me, `{"orgId":"` + strings.Repeat("x", 60_000) + `"}`, false},
	} {
		c := answers(t, nil, 200, test.body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := test.call(c)
		runtime.ReadMemStats(&after)
		if (err == nil) != test.ok {
			t.Errorf("%s: %.200v", test.name, err)
		}
		if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 100 {
			t.Errorf("%s took %d MB", test.name, mb)
		}
	}
}

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, strings.Repeat(" ", len(p))), nil }

// TestAnswersEnd reads answers without an end: a body, one that was compressed, a header.
func TestAnswersEnd(t *testing.T) {
	var sent int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/me":
			io.Copy(w, zeros{})
		case "/operations/v1":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			sent, _ = io.Copy(z, io.LimitReader(zeros{}, 1<<30))
		default:
			for i := range 200 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
			}
		}
	}))
	defer s.Close()
	c := newClient(t, Options{BaseURL: s.URL, Tries: 1})
	_, me := c.Me(t.Context())
	_, list := c.Operations(t.Context(), OperationQuery{Limit: 1})
	_, header := c.Operation(t.Context(), "op")
	for want, err := range map[string]error{"larger than 64 KiB": me, "larger than 1024 KiB": list, "header": header} {
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	s.CloseClientConnections()
	if s.Close(); sent > 1<<29 {
		t.Errorf("%d MB were unpacked", sent>>20)
	}
}

// TestDuplicateKeys has a key in both spellings: the last one counts, each time.
func TestDuplicateKeys(t *testing.T) {
	c := answers(t, nil, 200, `{"id":"a","state":"PENDING","State":"FAILED","_state":"COMPLETED"}`)
	for range 20 {
		if op, err := c.Operation(t.Context(), "a"); err != nil || op.State != Completed {
			t.Fatalf("got %+v, %v", op, err)
		}
	}
}
