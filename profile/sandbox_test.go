package profile

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/sandbox"
)

var (
	from  = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	until = from.AddDate(0, 0, 1)
)

// exported returns the gzip file of an export of everyone from a sandbox of its own with
// that many events an hour.
func exported(t testing.TB, density float64, r client.ExportRequest) []byte {
	t.Helper()
	c := sandbox.Config{Density: density, Now: from.AddDate(0, 0, 19), State: t.TempDir()}
	if err := c.OpTime.UnmarshalText([]byte("10ms")); err != nil {
		t.Fatal(err)
	}
	simulated, err := sandbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(simulated)
	defer func() {
		server.Close()
		simulated.Close()
	}()
	api, err := client.New(client.Options{Key: "na1.sandbox-architect/ARCH", BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	r.SegmentID = "everyone"
	r.SegmentTimeRange = &r.TimeRange
	id, err := api.CreateSegmentExport(t.Context(), r)
	for ; err == nil; time.Sleep(time.Millisecond) {
		var o client.Operation
		if o, err = api.Operation(t.Context(), id); err == nil && o.State.Ended() {
			var link client.Link
			if link, err = api.ExportResults(t.Context(), o.ExportID); err == nil {
				return get(t, link.URL)
			}
		}
	}
	t.Fatal(err)
	return nil
}

func get(t testing.TB, url string) []byte {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
	return content
}

// eventsOf returns the request for the events of a range.
func eventsOf(start, end time.Time, format client.Format, fields ...string) client.ExportRequest {
	return client.ExportRequest{
		Type: client.TypeEvent, Format: format, Fields: slices.Clone(fields),
		TimeRange: client.TimeRange{Start: start.Format(time.RFC3339), End: end.Format(time.RFC3339)},
	}
}

func unzip(t testing.TB, content []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func pack(w io.Writer, plain []byte) {
	z := gzip.NewWriter(w)
	z.Write(plain)
	z.Close()
}
