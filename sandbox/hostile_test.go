package sandbox

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var hostileDuration = flag.Duration("hostile", 200*time.Millisecond,
	"how long 200 clients use the hostile sandbox at once")

// TestHostileUnderLoad runs 200 clients against a hostile sandbox for the time in
// -hostile, and until they have a hundred files. Whatever goes wrong, an intact file
// must have the right rows.
func TestHostileUnderLoad(t *testing.T) {
	t.Parallel()
	a := serveAPI(t, Config{Density: usual, Profile: "hostile",
		OpTime: OpTime{least: 5 * time.Millisecond, most: 50 * time.Millisecond}, Slots: 50})
	calm, err := openData(Config{Seed: 1, Density: usual, Late: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), *hostileDuration+time.Minute)
	defer cancel()
	until := time.Now().Add(*hostileDuration)
	var intact, damaged atomic.Int64
	enough := func() bool {
		return time.Now().After(until) && intact.Load()+damaged.Load() >= 50 && damaged.Load() > 0
	}
	callers := uint64(50)
	if *hostileDuration >= time.Second {
		callers = 200
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 200}
	defer transport.CloseIdleConnections()
	client := hostileClient{&http.Client{Transport: transport, Timeout: 10 * time.Second}, ctx, a.url}
	wanted := &sync.Map{} // sorted rows by the start of the window
	run := func(n uint64) {
		random := rand.New(rand.NewPCG(7, n))
		for ctx.Err() == nil && !enough() {
			from := noon.AddDate(0, 0, -9).Add(time.Duration(random.IntN(48)) * time.Hour)
			file := client.export(from, random)
			if file == nil {
				continue
			}
			got, ok := sortedRows(file)
			if !ok {
				damaged.Add(1)
				continue
			}
			intact.Add(1)
			if want := hourOf(t, calm, from, wanted); !slices.Equal(got, want) {
				t.Errorf("the hour from %s: %d rows, want %d", from, len(got), len(want))
			}
		}
	}
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() { run(n) })
	}
	all.Wait()
	t.Logf("%d intact files, %d damaged, %+v", intact.Load(), damaged.Load(), a.sandbox.report())
	if intact.Load() == 0 || damaged.Load() == 0 {
		t.Errorf("%d intact files, %d damaged: the test proves nothing", intact.Load(), damaged.Load())
	}
}

// hourOf returns the sorted rows of the hour from a time, and keeps them in known.
func hourOf(t *testing.T, d *data, from time.Time, known *sync.Map) []string {
	if rows, ok := known.Load(from); ok {
		return rows.([]string)
	}
	q := everyone(t, d, window{from, from.Add(time.Hour)})
	q.now, q.matches = noon, window{noon.AddDate(0, 0, -30), noon}
	rows := lines(t, d, q)
	known.Store(from, rows)
	return rows
}

// hostileClient is a client of a sandbox at url. Its requests end with ctx.
type hostileClient struct {
	http *http.Client
	ctx  context.Context
	url  string
}

// ask returns the status and body of an answer, or 0 without one. It sends the key to
// the API only, not to the store.
func (c hostileClient) ask(method, address, body string) (status int, answer []byte) {
	r, err := http.NewRequestWithContext(c.ctx, method, address, strings.NewReader(body))
	if err != nil {
		return 0, nil // the link of a fault
	}
	if strings.HasPrefix(address, c.url) && !strings.Contains(address, filePath) {
		r.Header.Set("Authorization", "Basic "+KeyArchitect)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, answer
}

// export exports the hour from a time and returns its file, or nil if a fault stops
// it. In between it sends other requests, drawn with random.
func (c hostileClient) export(from time.Time, random *rand.Rand) []byte {
	body := fmt.Sprintf(`{"segmentId":"everyone","type":"TYPE_EVENT","format":"FORMAT_NDJSON",`+
		`"timeRange":{"start":%q,"end":%q}}`, from.Format(time.RFC3339), from.Add(time.Hour).Format(time.RFC3339))
	var created struct{ OperationID string }
	if status, raw := c.ask("POST", c.url+createPath, body); status != 200 || json.Unmarshal(raw, &created) != nil {
		return nil
	}
	operation := c.url + "/operations/v1/" + url.PathEscape(created.OperationID)
	for range 500 {
		switch random.IntN(12) {
		case 0:
			c.ask("GET", c.url+"/operations/v1?limit=5", "")
		case 1:
			c.ask("GET", c.url+"/segments/v1", "")
		case 2:
			if random.IntN(10) == 0 {
				c.ask("POST", operation+"/cancel", "")
			}
		}
		var op struct {
			State   string
			Results struct{ SearchExportID string }
		}
		status, raw := c.ask("GET", operation, "")
		if status != 200 || json.Unmarshal(raw, &op) != nil || op.State != "COMPLETED" {
			if op.State == "FAILED" {
				return nil
			}
			time.Sleep(20 * time.Millisecond) // the pace at which a client polls
			continue
		}
		var link struct{ Location string }
		results := c.url + "/search/v1/exports/" + op.Results.SearchExportID + "/results"
		if status, raw := c.ask("GET", results, ""); status != 200 || json.Unmarshal(raw, &link) != nil {
			continue
		}
		if status, raw := c.ask("GET", link.Location, ""); status == 200 {
			return raw
		}
	}
	return nil
}

// sortedRows returns the rows of a gzip file; ok is false if it is damaged.
func sortedRows(file []byte) (rows []string, ok bool) {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, false
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		return nil, false
	}
	for line := range strings.Lines(string(plain)) {
		rows = append(rows, line)
	}
	slices.Sort(rows)
	return rows, true
}
