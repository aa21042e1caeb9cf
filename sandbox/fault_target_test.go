package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestFaultsOfOneSegment aims faults at one segment, by id and by name, at each
// place. The requests of another segment must not be affected or counted.
func TestFaultsOfOneSegment(t *testing.T) {
	a := serveAPI(t, Config{})
	everyone := anHour("FORMAT_NDJSON")
	rage := strings.Replace(everyone, "everyone", "rageClicks", 1)
	ask := map[string]map[string]func() answered{}
	for segment, body := range map[string]string{"everyone": everyone, "rageClicks": rage} {
		id, location := a.create(body), a.link(body)
		operation := "/operations/v1/" + url.PathEscape(id)
		ask[segment] = map[string]func() answered{
			"create": func() answered { return a.ask("POST", createPath, KeyArchitect, body) },
			"status": func() answered { return a.ask("GET", operation, KeyArchitect, "") },
			"cancel": func() answered { return a.ask("POST", operation+"/cancel", KeyArchitect, "") },
			"results": func() answered {
				return a.ask("GET", "/search/v1/exports/"+exportID(id)+"/results", KeyArchitect, "")
			},
			"download": func() answered { return a.ask("GET", location, "", "") },
			"any":      func() answered { return a.ask("GET", "/segments/v1/"+segment, KeyArchitect, "") },
		}
	}
	for _, name := range []string{"rageClicks", "Rage clickers"} {
		for place := range ask["everyone"] {
			a.script(fmt.Sprintf(`{"on":%q,"nth":2,"do":"500","segment":%q}`, place, name))
			for n := 1; n <= 3; n++ {
				other, got := ask["everyone"][place](), ask["rageClicks"][place]()
				if (got.status == 500) != (n == 2) || other.status == 500 {
					t.Errorf("%s of %s, request %d: %d, of another segment %d", place, name, n, got.status,
						other.status)
				}
			}
		}
	}
	a.script(`{"on":"operation","nth":2,"do":"failed","segment":"rageClicks"}`)
	for i, body := range []string{everyone, rage, everyone, rage, rage} {
		want := map[bool]string{true: "FAILED", false: "COMPLETED"}[i == 3]
		if m := a.completed(a.create(body)); m["state"] != want {
			t.Errorf("export %d: %v, want %s", i+1, m, want)
		}
	}
	a.set(`{"rates":{"create:500@rageClicks":1}}`)
	if r := a.ask("POST", createPath, KeyArchitect, rage); r.status != 500 {
		t.Errorf("a rate for one segment: %d", r.status)
	}
	a.create(everyone)
}

// TestFaultsOfNeighbours injects faults into the routes of users and sessions.
func TestFaultsOfNeighbours(t *testing.T) {
	a := serveAPI(t, Config{})
	a.script(`{"on":"users","nth":1,"do":"429"},{"on":"sessions","nth":2,"do":"500"},{"on":"any","nth":5,"do":"404"}`)
	for i, want := range []struct {
		path   string
		status int
	}{{"/v2/users", 429}, {"/v2/sessions", 200}, {"/sessions/v2", 500}, {"/v2/users", 200}, {"/v2/users", 404}} {
		if r := a.ask("GET", want.path, KeyArchitect, ""); r.status != want.status {
			t.Errorf("request %d, of %s: %d, want %d", i+1, want.path, r.status, want.status)
		}
	}
	for _, place := range []string{"users", "sessions"} {
		r := a.ask("POST", "/sandbox/faults", "", `{"script":[{"on":"`+place+`","do":"429","segment":"everyone"}]}`)
		if r.status != 400 || !strings.Contains(r.body, "does not belong to a segment") {
			t.Errorf("a fault of a segment on %s: %d %s", place, r.status, r.body)
		}
	}
}

// TestFaultsThatEnd checks that faults end, and that their time counts from when
// they first happen.
func TestFaultsThatEnd(t *testing.T) {
	t.Parallel()
	a := serveAPI(t, Config{})
	const lasts = 150 * time.Millisecond
	a.script(`{"on":"me","nth":0,"do":"404","for":"150ms"}`)
	time.Sleep(lasts) // this time must not count: the fault has not happened yet
	ask := func() int { return a.ask("GET", "/me", KeyArchitect, "").status }
	began := time.Now()
	if got := ask(); got != 404 {
		t.Fatalf("the first request: %d", got)
	}
	for ask() == 404 && time.Since(began) < 9*time.Second {
		time.Sleep(5 * time.Millisecond)
	}
	if took := time.Since(began); took < lasts || took > 10*time.Second || ask() != 200 {
		t.Errorf("the fault lasted %v, want %v", took, lasts)
	}

	a.script(`{"on":"operation","nth":1,"do":"status_500","for":"150ms"},
		{"on":"operation","nth":2,"do":"stuck","for":"150ms"},
		{"on":"operation","nth":3,"do":"failed","for":"150ms"}`)
	began = time.Now()
	broken, stuck, failed := a.create(minimalCreate), a.create(minimalCreate), a.create(minimalCreate)
	r := a.ask("GET", "/operations/v1/"+url.PathEscape(broken), KeyStandard, "")
	if r.status != 500 && time.Since(began) < lasts {
		t.Errorf("status_500: %d", r.status)
	}
	for _, id := range []string{broken, stuck} {
		if m := a.completed(id); m["state"] != "COMPLETED" || time.Since(began) < lasts {
			t.Errorf("after %v: %v", time.Since(began), m)
		}
	}
	if m := a.completed(failed); m["state"] != "FAILED" {
		t.Errorf("the failed operation: %v", m)
	}
}

// TestAcceptedWithoutRows answers every create of a window without rows with 500
// after accepting it. Each create is an export of its own, complete and empty.
func TestAcceptedWithoutRows(t *testing.T) {
	a := serveAPI(t, Config{})
	later := strings.NewReplacer("2026-10-20T00", "2026-12-20T00", "2026-10-21T00", "2026-12-21T00")
	empty := later.Replace(minimalCreate)
	a.set(`{"rates":{"500_after_accept":1}}`)
	for n := 1; n <= 3; n++ {
		if r := a.ask("POST", createPath, KeyArchitect, empty); r.status != 500 {
			t.Errorf("create %d: %d", n, r.status)
		}
		if got := a.sandbox.report(); got.CreatesAccepted != n || got.Windows != 1 || got.CreatesRejected != 0 {
			t.Errorf("after create %d: %+v", n, got)
		}
	}
	operations := a.ask("GET", "/operations/v1", KeyStandard, "").fields()["operations"].([]any)
	if len(operations) != 3 {
		t.Fatalf("%d operations are listed, want 3", len(operations))
	}
	for _, o := range operations {
		results, _ := a.completed(o.(map[string]any)["id"].(string))["results"].(map[string]any)
		path := "/search/v1/exports/" + results["searchExportId"].(string) + "/results"
		link := a.ask("GET", path, KeyArchitect, "").fields()
		if r := a.ask("GET", link["location"].(string), "", ""); r.status != 200 || unzip(t, r.body) != "" {
			t.Errorf("the file: %d, %d bytes", r.status, len(r.body))
		}
	}
}

// TestStatsBySegment checks the counts for each segment. They include creates that
// were rejected before they were read.
func TestStatsBySegment(t *testing.T) {
	slow := OpTime{least: time.Hour, most: time.Hour}
	a := serveAPI(t, Config{Rate: 0.001, Burst: 8, OpTime: slow})
	rage := request("rageClicks", "TYPE_EVENT", "FORMAT_NDJSON")
	id := a.create(minimalCreate)
	a.create(minimalCreate)
	a.ask("POST", "/operations/v1/"+url.PathEscape(id)+"/cancel", KeyStandard, "")
	a.script(`{"on":"create","nth":1,"do":"reset"},{"on":"create","nth":2,"do":"200_error"},
		{"on":"create","nth":3,"do":"204_after_accept"}`)
	for range 3 {
		a.ask("POST", createPath, KeyArchitect, rage)
	}
	a.ask("POST", createPath, "", rage)          // 401
	a.ask("POST", createPath, KeyStandard, rage) // 403
	a.ask("POST", createPath, KeyArchitect, "{") // 400, without a segment
	a.ask("PUT", createPath, KeyArchitect, rage) // 405, not a POST
	for range 4 {                                // the last are 429
		a.ask("POST", createPath, KeyArchitect, strings.Replace(rage, "2026-10-21", "2026-10-22", 1))
	}
	var got fullReport
	if err := json.Unmarshal([]byte(a.ask("GET", "/sandbox/stats", "", "").body), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]segmentReport{
		"everyone":   {Creates: 2, CreatesAccepted: 2, Windows: 1, Cancels: 1},
		"rageClicks": {Creates: 9, CreatesAccepted: 3, Windows: 2},
		noSegment:    {Creates: 1},
	}
	if fmt.Sprint(got.BySegment) != fmt.Sprint(want) || got.CreatesAccepted != 5 {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	b := serveAPI(t, Config{})
	b.ask("GET", b.link(rage), "", "")
	if got := b.sandbox.fullReport().BySegment["rageClicks"]; got.Downloads != 1 {
		t.Errorf("downloads: %+v", got)
	}
}
