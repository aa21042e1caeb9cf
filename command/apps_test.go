package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const (
	// helloApps is hello of a host that shows MCP Apps.
	helloApps = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":` +
		`{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}},` +
		`"clientInfo":{"name":"t","version":"1"}}}` + "\n" + `{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n"
	// startOfDay starts a bulk export of the 25 hours of a day in Berlin.
	startOfDay = `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"start_bulk_export","arguments":` +
		`{"segment_id":"everyone","type":"TYPE_EVENT","time_range":{"start":"2026-10-25",` +
		`"end":"2026-10-26"},"timezone":"Europe/Berlin","segment_time_range":"range","chunk":"hour","name":"day"}%s}}` + "\n"
	readView = `{"jsonrpc":"2.0","id":4,"method":"resources/read","params":{"uri":"ui://fullstory-export/view"}}` + "\n"
)

// modern is the _meta of a request of protocol 2026-07-28 from a client with capabilities.
func modern(capabilities string) string {
	return `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},` +
		`"io.modelcontextprotocol/clientCapabilities":` + capabilities + `}`
}

// drawnResult is a result with what the view draws.
type drawnResult struct {
	Content []struct{ Text string }
	Meta    struct {
		View *struct {
			Items     []struct{ Name, State string }
			Calendars map[string]struct{ States, Lengths, Timezone string }
			Can       []string
		} `json:"fullstory-export-mcp/view"`
	} `json:"_meta"`
}

// TestApps lists tools and starts a bulk export as hosts of both eras that show MCP Apps, and as
// hosts that do not: only the first get the view and what it draws, and texts are the same.
func TestApps(t *testing.T) {
	t.Parallel()
	const apps = `{"extensions":{"io.modelcontextprotocol/ui":{}}}`
	listModern := func(capabilities string) string {
		return `{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{` + modern(capabilities) + "}}\n"
	}
	for name, host := range map[string]struct {
		in    string
		shows bool
	}{
		"2025 with apps":    {helloApps + list + "\n" + fmt.Sprintf(startOfDay, ""), true},
		"2025 without":      {hello + list + "\n" + fmt.Sprintf(startOfDay, ""), false},
		"2026-07 with apps": {listModern(apps) + fmt.Sprintf(startOfDay, ","+modern(apps)), true},
		"2026-07 without":   {listModern("{}") + fmt.Sprintf(startOfDay, ","+modern("{}")), false},
	} {
		got := feed(t, strings.NewReader(host.in), "--dir", t.TempDir())
		want := map[bool]int{true: 12, false: 0}[host.shows] // two fields of six tools
		if n := strings.Count(string(got["2"].Result), "ui://fullstory-export/view"); n != want {
			t.Errorf("%s: tools/list has %d addresses of the view, want %d", name, n, want)
		}
		var r drawnResult
		if err := json.Unmarshal(got["3"].Result, &r); err != nil {
			t.Fatalf("%s: %v: %s", name, err, got["3"].Result)
		}
		if len(r.Content) != 1 || !strings.Contains(r.Content[0].Text, `"name":"day"`) ||
			strings.Contains(r.Content[0].Text, `"lengths"`) {
			t.Errorf("%s: text %+v", name, r.Content)
		}
		if (r.Meta.View != nil) != host.shows {
			t.Errorf("%s: drawing %+v", name, r.Meta.View)
		}
		if host.shows {
			checkDrawing(t, name, r)
		}
	}
}

// checkDrawing fails unless a result draws the day of startOfDay.
func checkDrawing(t *testing.T, name string, r drawnResult) {
	t.Helper()
	if len(r.Meta.View.Items) != 1 || r.Meta.View.Items[0].Name != "day" || len(r.Meta.View.Can) != 3 {
		t.Errorf("%s: %+v", name, r.Meta.View)
	}
	for _, c := range r.Meta.View.Calendars {
		if c.Lengths != "3600*25" || c.Timezone != "Europe/Berlin" || c.States == "" {
			t.Errorf("%s: calendar %+v", name, c)
		}
	}
	if len(r.Meta.View.Calendars) != 1 {
		t.Errorf("%s: %d calendars", name, len(r.Meta.View.Calendars))
	}
}

// TestViewOfApps reads the view as hosts do. It is served to all: what it shows comes with results.
func TestViewOfApps(t *testing.T) {
	t.Parallel()
	got := feed(t, strings.NewReader(helloApps+readView))
	if !strings.Contains(string(got["1"].Result), `"io.modelcontextprotocol/ui":{}`) {
		t.Errorf("initialize: %s", got["1"].Result)
	}
	var r struct {
		Contents []struct {
			URI, MimeType, Text string
			Meta                struct {
				UI struct {
					CSP struct{ ConnectDomains, ResourceDomains []string }
				}
			} `json:"_meta"`
		}
	}
	if err := json.Unmarshal(got["4"].Result, &r); err != nil || len(r.Contents) != 1 {
		t.Fatalf("%v: %s", err, got["4"].Result)
	}
	c := r.Contents[0]
	if c.URI != "ui://fullstory-export/view" || c.MimeType != "text/html;profile=mcp-app" ||
		!strings.HasPrefix(c.Text, "<!doctype html>") {
		t.Errorf("%s, %s, %.40s", c.URI, c.MimeType, c.Text)
	}
	if csp := c.Meta.UI.CSP; csp.ConnectDomains == nil || len(csp.ConnectDomains)+len(csp.ResourceDomains) > 0 {
		t.Errorf("policy: %+v", csp)
	}
}
