package bulk

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/sandbox"
)

// lab is an engine beside a simulated Fullstory of its own.
type lab struct {
	t       *testing.T
	url     string
	options Options
	ledger  *ledger.Ledger
	archive *archive.Archive
	engine  *Engine
	// refuse, if set, is what the API answers to a request instead.
	refuse atomic.Pointer[func(*http.Request) int]
}

var september = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

func newLab(t *testing.T, c sandbox.Config, change ...func(*Options)) *lab {
	t.Helper()
	if c.Now.IsZero() {
		c.Now = time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC)
	}
	if c.OpTime == (sandbox.OpTime{}) {
		if err := c.OpTime.UnmarshalText([]byte("50ms")); err != nil {
			t.Fatal(err)
		}
	}
	c.Rate, c.Burst, c.State = 500, 1000, t.TempDir()
	simulated, err := sandbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { simulated.Close() })
	l := &lab{t: t}
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse := l.refuse.Load(); refuse != nil && !strings.HasPrefix(r.URL.Path, "/sandbox/") {
			if status := (*refuse)(r); status != 0 {
				http.Error(w, `{"code":"refused","message":"No."}`, status)
				return
			}
		}
		simulated.ServeHTTP(w, r)
	}))
	t.Cleanup(served.Close)
	l.url = served.URL
	dir := t.TempDir()
	api, err := client.New(client.Options{Key: sandbox.KeyArchitect, BaseURL: l.url, Tries: 2, Budget: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if l.archive, err = archive.Open(filepath.Join(dir, "files")); err != nil {
		t.Fatal(err)
	}
	if l.ledger, err = ledger.Open(t.Context(), filepath.Join(dir, "ledger.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.ledger.Close() })
	l.options = Options{Ledger: l.ledger, Client: api, Archive: l.archive, Account: "lab", Now: simulated.Now}
	for _, f := range change {
		f(&l.options)
	}
	l.engine = New(l.options)
	return l
}

// run lets the engine work until the test ends or stop is called.
func (l *lab) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	engine := l.engine // which a test may replace by another
	go func() {
		defer close(ended)
		engine.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-ended
	}
	l.t.Cleanup(stop)
	return stop
}

func (l *lab) faults(body string) {
	l.t.Helper()
	r, err := http.Post(l.url+"/sandbox/faults", "application/json", strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode/100 != 2 {
		l.t.Fatalf("faults: %s", r.Status)
	}
}

// books are what the simulated Fullstory counts.
type books struct {
	CreatesAccepted int `json:"creates_accepted"`
	CreatesRefused  int `json:"creates_refused"`
	Windows         int `json:"windows"`
	Cancels         int `json:"cancels"`
	Downloads       int `json:"downloads"`
	RunningMax      int `json:"running_max"`
}

func (l *lab) books() (b books) {
	l.t.Helper()
	r, err := http.Get(l.url + "/sandbox/stats")
	if err != nil {
		l.t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		l.t.Fatal(err)
	}
	return b
}

// order is a bulk export of so many hours of September.
func order(hours int) Order {
	end := september.Add(time.Duration(hours) * time.Hour)
	o := Order{Name: "september", Chunk: "hour", Request: client.ExportRequest{
		SegmentID: "everyone", Type: client.TypeEvent, Format: client.FormatNDJSON, Timezone: "UTC", Now: "2026-10-20T00:00:00Z",
		TimeRange: client.TimeRange{Start: september.Format(time.RFC3339), End: end.Format(time.RFC3339)},
	}}
	same := o.Request.TimeRange
	o.Request.SegmentTimeRange = &same
	for i := range hours {
		start := september.Add(time.Duration(i) * time.Hour)
		o.Windows = append(o.Windows, plan.Piece{Index: i, Start: start, End: start.Add(time.Hour)})
	}
	return o
}

func (l *lab) start(o Order) ledger.Bulk {
	l.t.Helper()
	b, again, err := l.engine.Start(l.t.Context(), o)
	if err != nil || again {
		l.t.Fatalf("start: %v, %v", again, err)
	}
	return b
}

// await waits until a bulk export is as wanted.
func (l *lab) await(id, what string, wanted func(Status) bool) Status {
	l.t.Helper()
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := l.engine.Status(l.t.Context(), id)
		if err != nil {
			l.t.Fatal(err)
		}
		if wanted(s) {
			return s
		}
		if time.Now().After(end) {
			l.t.Fatalf("still not %s: %s %v, %s %s", what, s.Bulk.State, s.Counts.By, s.Bulk.Reason, s.Held)
		}
	}
}

func (l *lab) awaitState(id string, states ...ledger.BulkState) Status {
	l.t.Helper()
	return l.await(id, string(states[0]), func(s Status) bool { return slices.Contains(states, s.Bulk.State) })
}

// whole checks the folder of a complete bulk export.
func (l *lab) whole(b ledger.Bulk) archive.Checked {
	l.t.Helper()
	checked, err := archive.Check(l.t.Context(), l.archive.Path(b.Name, ""), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range checked.Faults {
		l.t.Errorf("%s %s", f.Name, f.Problem)
	}
	if c := checked.Manifest.Coverage; c == nil || len(c.Missing) > 0 || len(c.Settled)+len(c.Provisional) != 1 {
		l.t.Errorf("coverage: %+v", c)
	}
	return checked
}

// refuseAll makes the API answer requests that fit with a status.
func (l *lab) refuseAll(status int, fits func(*http.Request) bool) (end func()) {
	answer := func(r *http.Request) int {
		if fits(r) {
			return status
		}
		return 0
	}
	l.refuse.Store(&answer)
	return func() { l.refuse.Store(nil) }
}

func isCreate(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/exports")
}
