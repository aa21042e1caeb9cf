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

var hostileTime = flag.Duration("hostile", 3*time.Second, "how long the hostile sandbox is asked by 200 clients at once")

// TestHostileUnderLoad has 200 clients ask a hostile sandbox for everything at
// once. Whatever goes wrong, the rows of a file that is whole are the right
// ones. The time is for -hostile to say.
func TestHostileUnderLoad(t *testing.T) {
	a := serveAPI(t, Config{Profile: "hostile", OpTime: OpTime{least: 5 * time.Millisecond, most: 50 * time.Millisecond}, Slots: 50})
	quiet, err := openData(Config{Seed: 1, Density: 600, Late: true})
	if err != nil {
		t.Fatal(err)
	}
	wanted := &sync.Map{} // body of the create: its rows, sorted
	rows := func(body string, from int) []string {
		if known, ok := wanted.Load(body); ok {
			return known.([]string)
		}
		q := query{segment: segmentNamed(t, quiet, "Everyone"), rows: eventRows, scope: scopeEvents, format: formatNDJSON, now: noon}
		at := noon.AddDate(0, 0, -9).Add(time.Duration(from) * time.Hour)
		q.exports = window{at, at.Add(time.Hour)}
		q.matches = window{noon.AddDate(0, 0, -30), noon}
		got := lines(t, quiet, q)
		slices.Sort(got)
		wanted.Store(body, got)
		return got
	}
	ctx, cancel := context.WithTimeout(t.Context(), *hostileTime+time.Minute)
	defer cancel()
	until := time.Now().Add(*hostileTime)
	var whole, spoilt atomic.Int64
	enough := func() bool { return time.Now().After(until) && whole.Load()+spoilt.Load() >= 100 }
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}, Timeout: 10 * time.Second}
	ask := func(method, address, body string) (int, []byte) {
		r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return 0, nil
		}
		if strings.HasPrefix(address, a.url) && !strings.Contains(address, filePath) {
			r.Header.Set("Authorization", "Basic "+KeyArchitect)
		}
		response, err := client.Do(r)
		if err != nil {
			return 0, nil
		}
		defer response.Body.Close()
		raw, err := io.ReadAll(response.Body)
		if err != nil {
			return 0, nil
		}
		return response.StatusCode, raw
	}
	var all sync.WaitGroup
	for n := range 200 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(n)))
			for ctx.Err() == nil && !enough() {
				from := random.IntN(48)
				at := noon.AddDate(0, 0, -9).Add(time.Duration(from) * time.Hour)
				body := fmt.Sprintf(`{"segmentId":"everyone","type":"TYPE_EVENT","format":"FORMAT_NDJSON","timeRange":{"start":%q,"end":%q}}`, at.Format(time.RFC3339), at.Add(time.Hour).Format(time.RFC3339))
				file := fetchOnce(ask, a.url, body, random)
				if file == nil {
					continue
				}
				got, ok := sortedRows(file)
				if !ok {
					spoilt.Add(1)
					continue
				}
				whole.Add(1)
				if !slices.Equal(got, rows(body, from)) {
					t.Errorf("%s: %d rows, want %d", body, len(got), len(rows(body, from)))
				}
			}
		})
	}
	all.Wait()
	client.CloseIdleConnections()
	t.Logf("%d whole files, %d spoilt, %+v", whole.Load(), spoilt.Load(), a.sandbox.report())
	if whole.Load() == 0 || spoilt.Load() == 0 {
		t.Errorf("%d whole files, %d spoilt: the test shows nothing", whole.Load(), spoilt.Load())
	}
}

// fetchOnce goes the way of an export as far as it gets.
func fetchOnce(ask func(method, address, body string) (int, []byte), api, body string, random *rand.Rand) []byte {
	var created struct{ OperationID string }
	if status, raw := ask("POST", api+createPath, body); status != 200 || json.Unmarshal(raw, &created) != nil {
		return nil
	}
	operation := api + "/operations/v1/" + url.PathEscape(created.OperationID)
	for range 500 {
		switch random.IntN(12) {
		case 0:
			ask("GET", api+"/operations/v1?limit=5", "")
		case 1:
			ask("GET", api+"/segments/v1", "")
		case 2:
			if random.IntN(10) == 0 {
				ask("POST", operation+"/cancel", "")
			}
		}
		var op struct {
			State   string
			Results struct{ SearchExportID string }
		}
		status, raw := ask("GET", operation, "")
		if status != 200 || json.Unmarshal(raw, &op) != nil || op.State != "COMPLETED" {
			if op.State == "FAILED" {
				return nil
			}
			time.Sleep(20 * time.Millisecond) // as a client polls
			continue
		}
		var link struct{ Location string }
		if status, raw := ask("GET", api+"/search/v1/exports/"+op.Results.SearchExportID+"/results", ""); status != 200 || json.Unmarshal(raw, &link) != nil {
			continue
		}
		if status, raw := ask("GET", link.Location, ""); status == 200 {
			return raw
		}
	}
	return nil
}

// sortedRows unpacks a file, if it is one.
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
