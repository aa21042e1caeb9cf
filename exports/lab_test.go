package exports

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/sandbox"
)

// lab is an engine with a simulated Fullstory of its own.
type lab struct {
	t       *testing.T
	url     string
	options bulk.Options
	ledger  *ledger.Ledger
	archive *archive.Archive
	engine  *Exports
	// reject, if set, returns the status that the API answers a request with; 0: the
	// request is not rejected.
	reject atomic.Pointer[func(*http.Request) int]
	// intercept, if set, changes the API's answers.
	intercept atomic.Pointer[interceptor]
}

var september = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

func newLab(t *testing.T, c sandbox.Config, change ...func(*bulk.Options)) *lab {
	t.Helper()
	place := filepath.Join(t.TempDir(), "ledger.db")
	empty, err := emptyLedger()
	if err == nil {
		err = os.WriteFile(place, empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return newLabOn(t, place, c, change...)
}

// emptyLedger returns the file of a new ledger. It is created once, because all the
// migrations take about 30 ms and there are over a hundred labs.
var emptyLedger = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	place := filepath.Join(dir, "ledger.db")
	l, err := ledger.Open(context.Background(), place)
	if err != nil {
		return nil, err
	}
	if err := l.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(place)
})

// newLabOn returns a lab whose ledger is at a place.
func newLabOn(t *testing.T, place string, c sandbox.Config, change ...func(*bulk.Options)) *lab {
	t.Helper()
	if c.Now.IsZero() {
		c.Now = time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC)
	}
	if c.OpTime == (sandbox.OpTime{}) {
		if err := c.OpTime.UnmarshalText([]byte("50ms")); err != nil {
			t.Fatal(err)
		}
	}
	c.Rate, c.Burst = 500, 1000
	if c.State == "" {
		c.State = t.TempDir()
	}
	simulated, err := sandbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { simulated.Close() })
	l := &lab{t: t}
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/sandbox/") {
			simulated.ServeHTTP(w, r)
			return
		}
		if reject := l.reject.Load(); reject != nil {
			if status := (*reject)(r); status != 0 {
				http.Error(w, `{"code":"rejected","message":"No."}`, status)
				return
			}
		}
		if i := l.intercept.Load(); i != nil {
			i.serve(simulated, w, r)
			return
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
	if l.ledger, err = ledger.Open(t.Context(), place); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.ledger.Close() })
	l.options = bulk.Options{Ledger: l.ledger, Client: api, Archive: l.archive, Account: "lab", Now: simulated.Now}
	for _, f := range change {
		f(&l.options)
	}
	l.engine = New(l.options)
	return l
}

// run runs the engine until the test ends or stop is called.
func (l *lab) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	engine := l.engine // a test may replace it
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

// faults sets the faults of the simulated Fullstory.
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

// books are counts of the simulated Fullstory.
type books struct {
	CreatesAccepted int `json:"creates_accepted"`
	Windows         int `json:"windows"` // distinct ones among the accepted
	Cancels         int `json:"cancels"`
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

// order returns a bulk export of the first hours of September, in chunks of an hour.
func order(hours int) Order {
	end := september.Add(time.Duration(hours) * time.Hour)
	o := Order{Name: "september", Chunk: "hour", Request: client.ExportRequest{
		SegmentID: "everyone", Type: client.TypeEvent, Format: client.FormatNDJSON, Timezone: "UTC",
		Now:       "2026-10-20T00:00:00Z",
		TimeRange: client.TimeRange{Start: september.Format(time.RFC3339), End: end.Format(time.RFC3339)},
	}}
	same := o.Request.TimeRange
	o.Request.SegmentTimeRange = &same
	for i := range hours {
		start := september.Add(time.Duration(i) * time.Hour)
		o.Windows = append(o.Windows, plan.Chunk{Index: i, Start: start, End: start.Add(time.Hour)})
	}
	return o
}

// start starts a bulk export that does not exist.
func (l *lab) start(o Order) ledger.Bulk {
	l.t.Helper()
	b, reused, err := l.engine.Start(l.t.Context(), o)
	if err != nil || reused {
		l.t.Fatalf("start: %v, %v", reused, err)
	}
	return b
}

// patience is how long a test waits for something that must happen. It is far more than
// an idle machine needs, so that tests do not fail on a loaded one.
const patience = max(5, slowness*2) * time.Minute

// await waits until the status of a bulk export is as wanted, which what describes.
func (l *lab) await(id, what string, wanted func(Status) bool) Status {
	l.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(25 * time.Millisecond) {
		s, err := l.engine.Status(l.t.Context(), id)
		if err != nil {
			l.t.Fatal(err)
		}
		if wanted(s) {
			return s
		}
		if time.Now().After(end) {
			l.t.Fatalf("not %s after %v: %s %v, %s %s",
				what, patience, s.Bulk.State, s.Counts.By, s.Bulk.Reason, s.BlockedReason)
		}
	}
}

// awaitState waits until a bulk export is in one of the states.
func (l *lab) awaitState(id string, states ...ledger.BulkState) Status {
	l.t.Helper()
	return l.await(id, string(states[0]), func(s Status) bool { return slices.Contains(states, s.Bulk.State) })
}

// checkFolder checks the folder of a complete bulk export: every file is intact, and
// together they cover the range.
func (l *lab) checkFolder(b ledger.Bulk) archive.Checked {
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

// rejectAll makes the API reject requests that match with a status, until end is called.
func (l *lab) rejectAll(status int, match func(*http.Request) bool) (end func()) {
	return l.rejectFrom(0, match, status, match)
}

// rejectFrom is rejectAll after n requests that midway matches.
func (l *lab) rejectFrom(
	n int32, midway func(*http.Request) bool, status int, match func(*http.Request) bool,
) (end func()) {
	var seen atomic.Int32
	answer := func(r *http.Request) int {
		begun := seen.Load() >= n || midway(r) && seen.Add(1) > n
		if begun && match(r) {
			return status
		}
		return 0
	}
	l.reject.Store(&answer)
	return func() { l.reject.Store(nil) }
}

func isAny(*http.Request) bool { return true }

func isCreate(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/exports")
}

func isResults(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/results") }
