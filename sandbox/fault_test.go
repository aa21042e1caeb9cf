package sandbox

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// set posts faults.
func (a *api) set(faults string) {
	a.Helper()
	if r := a.ask("POST", "/sandbox/faults", "", faults); r.status != 200 {
		a.Fatalf("faults %s: %d %s", faults, r.status, r.body)
	}
}

// script posts faults of a script.
func (a *api) script(faults string) {
	a.Helper()
	a.set(`{"script":[` + faults + `]}`)
}

// TestFaultsOfRequests triggers each fault of a request and sees its effect,
// and that the next request is well.
func TestFaultsOfRequests(t *testing.T) {
	a := serveAPI(t, Config{})
	for _, test := range []struct {
		do    string
		check func(answered) bool
	}{
		{"429", func(r answered) bool { return r.status == 429 && r.header.Get("Retry-After") == "1" }},
		{"429_no_retry_after", func(r answered) bool { return r.status == 429 && r.header.Get("Retry-After") == "" }},
		{"500", func(r answered) bool { return r.status == 500 && strings.Contains(r.body, "server_error") }},
		{"502_html", func(r answered) bool {
			return r.status == 502 && strings.HasPrefix(r.header.Get("Content-Type"), "text/html") && strings.HasPrefix(r.body, "<!DOCTYPE")
		}},
		{"reset", func(r answered) bool { return r.err != nil }},
		{"extra_keys", func(r answered) bool { return r.status == 200 && strings.Contains(r.body, "addedLater") }},
	} {
		for place, ask := range map[string]func() answered{
			"me":       func() answered { return a.ask("GET", "/me", KeyArchitect, "") },
			"segments": func() answered { return a.ask("GET", "/segments/v1", KeyArchitect, "") },
			"list":     func() answered { return a.ask("GET", "/operations/v1", KeyArchitect, "") },
			"create":   func() answered { return a.ask("POST", "/segments/v1/exports", KeyArchitect, least) },
		} {
			before := a.sandbox.report().CreatesAccepted
			a.script(`{"on":"` + place + `","nth":2,"do":"` + test.do + `"}`)
			first, second, third := ask(), ask(), ask()
			if first.status != 200 || !test.check(second) || third.status != 200 || strings.Contains(third.body, "addedLater") {
				t.Errorf("%s on %s: %d, then %d %s %v, then %d", test.do, place, first.status, second.status, second.body, second.err, third.status)
			}
			accepted := a.sandbox.report().CreatesAccepted - before
			want := 0
			if place == "create" {
				if want = 2; test.do == "extra_keys" {
					want = 3
				}
			}
			if accepted != want {
				t.Errorf("%s on %s: %d exports accepted, want %d", test.do, place, accepted, want)
			}
		}
	}
}

func TestSlowAndHanging(t *testing.T) {
	a := serveAPI(t, Config{})
	a.script(`{"on":"any","nth":1,"do":"slow","delay":"100ms"},{"on":"any","nth":2,"do":"hang"}`)
	began := time.Now()
	if r := a.ask("GET", "/me", KeyAdmin, ""); r.status != 200 || time.Since(began) < 100*time.Millisecond {
		t.Errorf("slow: %d after %v", r.status, time.Since(began))
	}
	for _, do := range []string{"hang", "hang_after_accept"} {
		a.script(`{"on":"create","do":"` + do + `"}`)
		before := a.sandbox.report().CreatesAccepted
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		r := newRequest(ctx, t, a.url+"/segments/v1/exports", least)
		if _, err := transport(r); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", do, err)
		}
		cancel()
		want := map[string]int{"hang": 0, "hang_after_accept": 1}[do]
		if got := a.sandbox.report().CreatesAccepted - before; got != want {
			t.Errorf("%s: %d exports accepted, want %d", do, got, want)
		}
	}
}

// TestFaultsAfterAcceptance breaks creates that were accepted.
func TestFaultsAfterAcceptance(t *testing.T) {
	a := serveAPI(t, Config{})
	a.script(`{"on":"create","nth":1,"do":"500_after_accept"},{"on":"create","nth":2,"do":"reset_after_accept"}`)
	if r := a.ask("POST", createPath, KeyArchitect, least); r.status != 500 {
		t.Errorf("500_after_accept: %d", r.status)
	}
	if r := a.ask("POST", createPath, KeyArchitect, least); r.err == nil {
		t.Errorf("reset_after_accept: %d", r.status)
	}
	if got := a.sandbox.report().CreatesAccepted; got != 2 {
		t.Errorf("%d exports accepted, want 2", got)
	}
	a.script(`{"on":"create","do":"500_after_accept"}`)
	if r := a.ask("POST", createPath, KeyArchitect, "{"); r.status != 400 || a.sandbox.report().CreatesAccepted != 2 {
		t.Errorf("a create that is refused: %d %s", r.status, r.body)
	}
	a.set(`{"create_delay":"150ms"}`)
	began := time.Now()
	a.create(least)
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("create_delay: answered after %v", took)
	}
}

func TestRoleChangedMidway(t *testing.T) {
	a := serveAPI(t, Config{})
	a.script(`{"on":"create","nth":2,"do":"role","role":"USER"}`)
	a.create(least)
	for range 2 {
		if r := a.ask("POST", createPath, KeyArchitect, least); r.status != 403 {
			t.Errorf("after the change: %d", r.status)
		}
	}
	if r := a.ask("GET", "/me", KeyArchitect, ""); !strings.Contains(r.body, `"role":"USER"`) {
		t.Errorf("/me says %s", r.body)
	}
	if r := a.ask("POST", createPath, KeyAdmin, least); r.status != 200 {
		t.Errorf("another key: %d", r.status)
	}
}

func TestFaultsOfOperations(t *testing.T) {
	a := serveAPI(t, Config{OpTime: OpTime{least: 200 * time.Millisecond, most: 200 * time.Millisecond}})
	a.script(`{"on":"operation","nth":1,"do":"failed","message":"too much"},{"on":"operation","nth":2,"do":"stuck","percent":40},{"on":"operation","nth":3,"do":"unknown_state"}`)
	failed, stuck, unknown, well := a.create(least), a.create(least), a.create(least), a.create(least)
	status := func(id string) map[string]any {
		return a.ask("GET", "/operations/v1/"+url.PathEscape(id), KeyStandard, "").fields()
	}
	if m := status(unknown); m["state"] != "PAUSED_FOR_MAINTENANCE" {
		t.Errorf("unknown_state: %v", m)
	}
	if m := a.completed(failed); m["state"] != "FAILED" || m["errorDetails"] != "too much" || m["results"] != nil {
		t.Errorf("failed: %v", m)
	}
	if r := a.ask("GET", "/search/v1/exports/"+exportID(failed)+"/results", KeyArchitect, ""); r.status != 404 {
		t.Errorf("results of a failed one: %d", r.status)
	}
	for _, id := range []string{unknown, well} {
		if m := a.completed(id); m["state"] != "COMPLETED" {
			t.Errorf("in the end: %v", m)
		}
	}
	if m := status(stuck); m["state"] != "PENDING" || m["estimatePctComplete"].(interface{ String() string }).String() == "100" {
		t.Errorf("stuck: %v", m)
	}
	x, _, err := a.sandbox.journal.get(exportID(stuck))
	if o := a.sandbox.describe(x, x.created.Add(24*365*50*time.Hour)); err != nil || o.State != "PENDING" || o.Percent != 40 {
		t.Errorf("stuck, years later: %+v", o)
	}
}

// TestFaultsOfDownloads triggers each fault of a file, once each.
func TestFaultsOfDownloads(t *testing.T) {
	a := serveAPI(t, Config{})
	location := a.link(request("everyone", "TYPE_EVENT", "FORMAT_NDJSON"))
	whole := a.ask("GET", location, "", "")
	rows := unzip(t, whole.body)
	bad := func(r answered) error {
		z, err := gzip.NewReader(strings.NewReader(r.body))
		if err == nil {
			_, err = io.Copy(io.Discard, z)
		}
		return err
	}
	etag := whole.header.Get("ETag")
	for _, test := range []struct {
		do    string
		check func(answered) bool
	}{
		{"truncate", func(r answered) bool {
			return r.status == 200 && len(r.body) == len(whole.body)/2 && errors.Is(bad(r), io.ErrUnexpectedEOF) && r.header.Get("ETag") != etag
		}},
		{"corrupt", func(r answered) bool { return r.status == 200 && len(r.body) == len(whole.body) && bad(r) != nil }},
		{"checksum", func(r answered) bool {
			return r.body[:len(r.body)-8] == whole.body[:len(whole.body)-8] && errors.Is(bad(r), gzip.ErrChecksum)
		}},
		{"empty", func(r answered) bool { return r.status == 200 && r.body == "" }},
		{"html", func(r answered) bool { return r.status == 200 && strings.HasPrefix(r.body, "<!DOCTYPE html>") }},
		{"changed", func(r answered) bool {
			return r.header.Get("ETag") != etag && r.body != whole.body && unzip(t, r.body) == rows
		}},
		{"expired_link", func(r answered) bool { return r.status == 403 && strings.Contains(r.body, "ExpiredToken") }},
		{"500", func(r answered) bool { return r.status == 500 && strings.Contains(r.body, "<Code>InternalError") }},
		{"reset", func(r answered) bool { return r.err != nil && r.status == 0 }},
		{"cut", func(r answered) bool { return r.err != nil && r.body == whole.body[:len(whole.body)/2] }},
	} {
		a.script(`{"on":"download","nth":1,"do":"` + test.do + `"}`)
		if r := a.ask("GET", location, "", ""); !test.check(r) {
			t.Errorf("%s: %d, %d bytes of %d, %v", test.do, r.status, len(r.body), len(whole.body), r.err)
		}
		if r := a.ask("GET", location, "", ""); r.body != whole.body || r.header.Get("ETag") != etag {
			t.Errorf("after %s the file is another", test.do)
		}
	}
	a.script(`{"on":"download","nth":1,"do":"cut","at":1000},{"on":"download","nth":2,"do":"ignore_range"},{"on":"download","nth":3,"do":"slow_body","rate":200000}`)
	if r := a.ask("GET", location, "", ""); r.err == nil || r.body != whole.body[:1000] {
		t.Errorf("cut at 1000: %d bytes, %v", len(r.body), r.err)
	}
	if r := a.ask("GET", location, "", "", "Range", "bytes=5-"); r.status != 200 || r.body != whole.body {
		t.Errorf("ignore_range: %d", r.status)
	}
	began := time.Now()
	if r := a.ask("GET", location, "", "", "Range", "bytes=0-39999"); r.status != 206 || time.Since(began) < 150*time.Millisecond {
		t.Errorf("slow_body: %d, 40 kB at 200 kB/s after %v", r.status, time.Since(began))
	}
	// A fault of the export is there at each of its downloads.
	a.script(`{"on":"operation","nth":1,"do":"corrupt"}`)
	spoilt := a.link(least)
	for range 2 {
		if r := a.ask("GET", spoilt, "", ""); bad(r) == nil {
			t.Error("the file of a corrupt export is well")
		}
	}
}

func TestClockSkew(t *testing.T) {
	a := serveAPI(t, Config{})
	a.set(`{"clock_skew":"3h"}`)
	if now := a.sandbox.Now(); now.Sub(noon).Round(time.Minute) != 3*time.Hour {
		t.Errorf("the clock shows %v", now)
	}
}

// TestRates draws faults from a seed: the same one gives the same, about as
// often as asked.
func TestRates(t *testing.T) {
	var runs []string
	for range 2 {
		b := newFaultBox(Faults{Rates: map[string]float64{"429": 0.2, "500": 0.1, "cut": 0.5, "download:500": 0.1, "failed": 0.3, "truncate": 0.1}}, 42)
		var seen strings.Builder
		count := map[string]int{}
		for range 10_000 {
			for _, place := range []string{onMe, onDownload, onOperation} {
				if f := b.at(place); f != nil {
					count[place+" "+f.Do]++
					seen.WriteString(place + f.Do)
				}
			}
		}
		for what, want := range map[string][2]int{"me 429": {1900, 2100}, "me 500": {700, 900}, "download cut": {4800, 5200}, "download 500": {400, 600}, "operation failed": {2800, 3200}, "operation truncate": {0, 0}, "download 429": {0, 0}} {
			if got := count[what]; got < want[0] || got > want[1] {
				t.Errorf("%s: %d of 10000, want %v", what, got, want)
			}
		}
		runs = append(runs, seen.String())
	}
	if runs[0] != runs[1] {
		t.Error("the same seed gives other faults")
	}
}

func TestFaultsThatAreNone(t *testing.T) {
	a := serveAPI(t, Config{})
	for faults, says := range map[string]string{
		`{"script":[{"on":"create","do":"explode"}]}`:         `there is no fault \"explode\"; there are 429, 429_no_retry_after`,
		`{"script":[{"on":"me","do":"truncate"}]}`:            `truncate cannot happen on \"me\"; it can on download, operation`,
		`{"script":[{"on":"nowhere","do":"500"}]}`:            `cannot happen on`,
		`{"script":[{"do":"500"}]}`:                           `needs on`,
		`{"rates":{"429":1.5}}`:                               `not from 0 to 1`,
		`{"rates":{"download:429":0.5}}`:                      `cannot happen on`,
		`{"rate":{"429":0.5}}`:                                `unknown field`,
		`{"create_delay":"soon"}`:                             `soon`,
		`{"script":[{"on":"any","do":"role","role":"KING"}]}`: `there is no role`,
		`not json`: `faults`,
	} {
		r := a.ask("POST", "/sandbox/faults", "", faults)
		if r.status != 400 || !strings.Contains(r.body, says) {
			t.Errorf("%s: %d %s\nwant … %s", faults, r.status, r.body, says)
		}
	}
	if r := a.ask("GET", "/sandbox/faults", "", ""); strings.TrimSpace(r.body) != "{}" {
		t.Errorf("refused faults are set: %s", r.body)
	}
	path := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(path, []byte(`{"script":[{"on":"me","nth":1,"do":"500"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := serveAPI(t, Config{Faults: path}).ask("GET", "/me", KeyAdmin, ""); r.status != 500 {
		t.Errorf("a faults file: %d", r.status)
	}
	if _, err := New(Config{Faults: path + "x"}); err == nil {
		t.Error("a faults file that is not there is no fault")
	}
}

// TestEveryFaultIsTested looks for each effect in this file.
func TestEveryFaultIsTested(t *testing.T) {
	code, err := os.ReadFile("fault_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for name := range effects {
		if !bytes.Contains(code, []byte(`"`+name+`"`)) {
			t.Errorf("%s is in no test", name)
		}
	}
}

func TestProfiles(t *testing.T) {
	busy, faults, err := Config{Profile: "busy", Slots: 7}.profiled()
	if err != nil || !busy.Late || busy.Slots != 7 || busy.Rate != 5 || len(faults.Rates) == 0 || faults.check() != nil {
		t.Errorf("busy: %+v, %+v, %v", busy, faults, err)
	}
	_, faults, err = Config{Profile: "hostile"}.profiled()
	if err != nil || faults.check() != nil {
		t.Errorf("hostile: %+v, %v, %v", faults, err, faults.check())
	}
	if _, err := New(Config{Profile: "sunny"}); err == nil {
		t.Error("an unknown profile is accepted")
	}
}
