package sandbox

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// set replaces the faults.
func (a *api) set(faults string) {
	a.Helper()
	if r := a.ask("POST", "/sandbox/faults", "", faults); r.status != 200 {
		a.Fatalf("faults %s: %d %s", faults, r.status, r.body)
	}
}

// script replaces the faults by a script.
func (a *api) script(faults string) {
	a.Helper()
	a.set(`{"script":[` + faults + `]}`)
}

// TestFaultsOfRequests checks the effect of each fault of a request, and that the
// requests before and after it are normal.
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
			return r.status == 502 && strings.HasPrefix(r.header.Get("Content-Type"), "text/html") &&
				strings.HasPrefix(r.body, "<!DOCTYPE")
		}},
		{"reset", func(r answered) bool { return r.err != nil }},
		{"extra_keys", func(r answered) bool { return r.status == 200 && strings.Contains(r.body, "addedLater") }},
	} {
		for place, ask := range map[string]func() answered{
			"me":       func() answered { return a.ask("GET", "/me", KeyArchitect, "") },
			"segments": func() answered { return a.ask("GET", "/segments/v1", KeyArchitect, "") },
			"list":     func() answered { return a.ask("GET", "/operations/v1", KeyArchitect, "") },
			"create":   func() answered { return a.ask("POST", "/segments/v1/exports", KeyArchitect, minimalCreate) },
		} {
			before := a.sandbox.report().CreatesAccepted
			a.script(`{"on":"` + place + `","nth":2,"do":"` + test.do + `"}`)
			first, second, third := ask(), ask(), ask()
			if first.status != 200 || !test.check(second) || third.status != 200 ||
				strings.Contains(third.body, "addedLater") {
				t.Errorf("%s on %s: %d, then %d %s %v, then %d", test.do, place, first.status, second.status,
					second.body, second.err, third.status)
			}
			accepted := a.sandbox.report().CreatesAccepted - before
			want := 0
			switch {
			case place == "create" && test.do == "extra_keys":
				want = 3
			case place == "create":
				want = 2
			}
			if accepted != want {
				t.Errorf("%s on %s: %d exports accepted, want %d", test.do, place, accepted, want)
			}
		}
	}
}

func TestSlowAndHanging(t *testing.T) {
	t.Parallel()
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
		r := newRequest(ctx, t, a.url+"/segments/v1/exports", minimalCreate)
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

// TestFaultsAfterAcceptance checks the faults of creates that were accepted.
func TestFaultsAfterAcceptance(t *testing.T) {
	t.Parallel()
	a := serveAPI(t, Config{})
	a.script(`{"on":"create","nth":1,"do":"500_after_accept"},{"on":"create","nth":2,"do":"reset_after_accept"}`)
	if r := a.ask("POST", createPath, KeyArchitect, minimalCreate); r.status != 500 {
		t.Errorf("500_after_accept: %d", r.status)
	}
	if r := a.ask("POST", createPath, KeyArchitect, minimalCreate); r.err == nil {
		t.Errorf("reset_after_accept: %d", r.status)
	}
	if got := a.sandbox.report().CreatesAccepted; got != 2 {
		t.Errorf("%d exports accepted, want 2", got)
	}
	a.script(`{"on":"create","do":"500_after_accept"}`)
	if r := a.ask("POST", createPath, KeyArchitect, "{"); r.status != 400 || a.sandbox.report().CreatesAccepted != 2 {
		t.Errorf("a rejected create: %d %s", r.status, r.body)
	}
	a.set(`{"create_delay":"150ms"}`)
	began := time.Now()
	a.create(minimalCreate)
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("create_delay: answered after %v", took)
	}
}

func TestRoleChangedMidway(t *testing.T) {
	a := serveAPI(t, Config{})
	a.script(`{"on":"create","nth":2,"do":"role","role":"USER"}`)
	a.create(minimalCreate)
	for range 2 {
		if r := a.ask("POST", createPath, KeyArchitect, minimalCreate); r.status != 403 {
			t.Errorf("after the change: %d", r.status)
		}
	}
	if r := a.ask("GET", "/me", KeyArchitect, ""); !strings.Contains(r.body, `"role":"USER"`) {
		t.Errorf("/me says %s", r.body)
	}
	if r := a.ask("POST", createPath, KeyAdmin, minimalCreate); r.status != 200 {
		t.Errorf("another key: %d", r.status)
	}
}

func TestFaultsOfOperations(t *testing.T) {
	t.Parallel()
	a := serveAPI(t, Config{OpTime: OpTime{least: 3 * time.Second, most: 3 * time.Second}})
	a.script(`{"on":"operation","nth":1,"do":"failed","message":"too much"},
		{"on":"operation","nth":2,"do":"stuck","percent":40},{"on":"operation","nth":3,"do":"unknown_state"}`)
	failed, stuck := a.create(minimalCreate), a.create(minimalCreate)
	unknown, normal := a.create(minimalCreate), a.create(minimalCreate)
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
		t.Errorf("results of a failed operation: %d", r.status)
	}
	for _, id := range []string{unknown, normal} {
		if m := a.completed(id); m["state"] != "COMPLETED" {
			t.Errorf("at the end: %v", m)
		}
	}
	if m := status(stuck); m["state"] != "PENDING" ||
		m["estimatePctComplete"].(interface{ String() string }).String() == "100" {
		t.Errorf("stuck: %v", m)
	}
	x, _, err := a.sandbox.journal.get(exportID(stuck))
	if o := a.sandbox.describe(x, x.created.Add(24*365*50*time.Hour)); err != nil || o.State != "PENDING" ||
		o.Percent != 40 {
		t.Errorf("stuck, years later: %+v", o)
	}
}

// TestFaultsOfDownloads checks the effect of each fault of a file, and that the next
// download is normal.
func TestFaultsOfDownloads(t *testing.T) {
	t.Parallel()
	a := serveAPI(t, Config{Density: usual})
	location := a.link(request("everyone", "TYPE_EVENT", "FORMAT_NDJSON"))
	whole := a.ask("GET", location, "", "")
	rows := unzip(t, whole.body)
	etag := whole.header.Get("ETag")
	for _, test := range []struct {
		do    string
		check func(answered) bool
	}{
		{"truncate", func(r answered) bool {
			return r.status == 200 && len(r.body) == len(whole.body)/2 &&
				errors.Is(gzipError(r.body), io.ErrUnexpectedEOF) &&
				r.header.Get("ETag") != etag
		}},
		{"corrupt", func(r answered) bool {
			return r.status == 200 && len(r.body) == len(whole.body) && gzipError(r.body) != nil
		}},
		{"checksum", func(r answered) bool {
			return r.body[:len(r.body)-8] == whole.body[:len(whole.body)-8] &&
				errors.Is(gzipError(r.body), gzip.ErrChecksum)
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
			t.Errorf("the file is different after %s", test.do)
		}
	}
}

// gzipError returns the error of reading a gzip file to its end, or nil.
func gzipError(file string) error {
	z, err := gzip.NewReader(strings.NewReader(file))
	if err == nil {
		_, err = io.Copy(io.Discard, z)
	}
	return err
}

// TestOptionsOfDownloads checks the faults of a download that have options.
func TestOptionsOfDownloads(t *testing.T) {
	a := serveAPI(t, Config{Density: usual})
	location := a.link(anHour("FORMAT_NDJSON"))
	whole := a.ask("GET", location, "", "")
	a.script(`{"on":"download","nth":1,"do":"cut","at":1000},{"on":"download","nth":2,"do":"ignore_range"},
		{"on":"download","nth":3,"do":"slow_body","rate":200000}`)
	if r := a.ask("GET", location, "", ""); r.err == nil || r.body != whole.body[:1000] {
		t.Errorf("cut at 1000: %d bytes, %v", len(r.body), r.err)
	}
	if r := a.ask("GET", location, "", "", "Range", "bytes=5-"); r.status != 200 || r.body != whole.body {
		t.Errorf("ignore_range: %d", r.status)
	}
	began := time.Now()
	if r := a.ask("GET", location, "", "", "Range", "bytes=0-39999"); r.status != 206 ||
		time.Since(began) < 150*time.Millisecond {
		t.Errorf("slow_body: %d, 40 kB at 200 kB/s after %v", r.status, time.Since(began))
	}
}

// TestFileOfACorruptExport checks that a fault of an export affects each of its
// downloads.
func TestFileOfACorruptExport(t *testing.T) {
	a := serveAPI(t, Config{})
	a.script(`{"on":"operation","nth":1,"do":"corrupt"}`)
	damaged := a.link(minimalCreate)
	for range 2 {
		if r := a.ask("GET", damaged, "", ""); gzipError(r.body) == nil {
			t.Error("the file of a corrupt export is intact")
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

// TestRates checks that the same seed draws the same faults, and that they happen
// about as often as their rates say.
func TestRates(t *testing.T) {
	var runs []string
	for range 2 {
		b := newFaultInjector(Faults{Rates: map[string]float64{
			"429": 0.2, "500": 0.1, "cut": 0.5, "download:500": 0.1, "failed": 0.3, "truncate": 0.1,
		}}, 42)
		var seen strings.Builder
		count := map[string]int{}
		for range 10_000 {
			for _, place := range []string{onMe, onDownload, onOperation} {
				if f := b.at(place, nil); f != nil {
					count[place+" "+f.Do]++
					seen.WriteString(place + f.Do)
				}
			}
		}
		for what, want := range map[string][2]int{
			"me 429": {1900, 2100}, "me 500": {700, 900}, "download 429": {0, 0},
			"download cut": {4800, 5200}, "download 500": {400, 600},
			"operation failed": {2800, 3200}, "operation truncate": {0, 0},
		} {
			if got := count[what]; got < want[0] || got > want[1] {
				t.Errorf("%s: %d of 10000, want %v", what, got, want)
			}
		}
		runs = append(runs, seen.String())
	}
	if runs[0] != runs[1] {
		t.Error("the same seed gives different faults")
	}
}

func TestInvalidFaults(t *testing.T) {
	a := serveAPI(t, Config{})
	for faults, says := range map[string]string{
		`{"script":[{"on":"create","do":"explode"}]}`: `unknown fault \"explode\"; the faults are 200_empty_object,`,

		`{"script":[{"on":"me","do":"truncate"}]}`: `truncate cannot happen on \"me\"; it can on download, operation`,

		`{"script":[{"on":"nowhere","do":"500"}]}`:                      `cannot happen on`,
		`{"script":[{"do":"500"}]}`:                                     `needs on`,
		`{"rates":{"429":1.5}}`:                                         `must be from 0 to 1`,
		`{"rates":{"download:429":0.5}}`:                                `cannot happen on`,
		`{"rate":{"429":0.5}}`:                                          `unknown field`,
		`{"create_delay":"soon"}`:                                       `soon`,
		`{"script":[{"on":"any","do":"role","role":"KING"}]}`:           `unknown role`,
		`{"script":[{"on":"create","do":"500","segment":"nope"}]}`:      `unknown segment`,
		`{"script":[{"on":"list","do":"500","segment":"everyone"}]}`:    `does not belong to a segment`,
		`{"rates":{"500@nope":0.5}}`:                                    `unknown segment`,
		`{"script":[{"on":"create","do":"500","for":"-1s"}]}`:           `cannot be negative`,
		`{"script":[{"on":"download","do":"time_digits","digits":10}]}`: `must be from 0 to 9`,
		`not json`: `faults`,
	} {
		r := a.ask("POST", "/sandbox/faults", "", faults)
		if r.status != 400 || !strings.Contains(r.body, says) {
			t.Errorf("%s: %d %s\nwant … %s", faults, r.status, r.body, says)
		}
	}
	if r := a.ask("GET", "/sandbox/faults", "", ""); strings.TrimSpace(r.body) != "{}" {
		t.Errorf("rejected faults are set: %s", r.body)
	}
	path := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(path, []byte(`{"script":[{"on":"me","nth":1,"do":"500"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := serveAPI(t, Config{Faults: path}).ask("GET", "/me", KeyAdmin, ""); r.status != 500 {
		t.Errorf("a faults file: %d", r.status)
	}
	if _, err := New(Config{Faults: path + "x"}); err == nil {
		t.Error("a missing faults file is accepted")
	}
}

// TestEveryFaultIsTested checks that the tests of faults mention each effect.
func TestEveryFaultIsTested(t *testing.T) {
	paths, err := filepath.Glob("fault*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var code []byte
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code = append(code, raw...)
	}
	for name := range effects {
		if !bytes.Contains(code, []byte(`"`+name+`"`)) {
			t.Errorf("no test mentions %s", name)
		}
	}
}

func TestProfiles(t *testing.T) {
	busy, faults, err := Config{Profile: "busy", Slots: 7}.withProfile()
	if err != nil || !busy.Late || busy.Slots != 7 || busy.Rate != 5 || len(faults.Rates) == 0 ||
		faults.check() != nil {
		t.Errorf("busy: %+v, %+v, %v", busy, faults, err)
	}
	_, faults, err = Config{Profile: "hostile"}.withProfile()
	if err != nil || faults.check() != nil {
		t.Errorf("hostile: %+v, %v, %v", faults, err, faults.check())
	}
	if _, err := New(Config{Profile: "sunny"}); err == nil {
		t.Error("an unknown profile is accepted")
	}
}

// exportID returns the export's id in an operation's id that no fault has changed.
func exportID(operation string) string {
	raw, _ := base64.StdEncoding.DecodeString(operation)
	return strings.TrimSuffix(strings.TrimPrefix(string(raw), searchExport+":"), ":1")
}
