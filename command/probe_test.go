//go:build unix

package command

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/sandbox"
)

// probeOutcome is what `probe --json` prints.
type probeOutcome struct {
	Creates  int
	Report   string
	Findings []struct{ ID, Verdict, Found string }
}

// ids returns the assumptions with a verdict.
func (p probeOutcome) ids(verdict string) (ids []string) {
	for _, f := range p.Findings {
		if f.Verdict == verdict {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// probeCounts are the counts of a sandbox that concern a probe.
type probeCounts struct {
	Accepted int `json:"creates_accepted"`
	Rejected int `json:"creates_refused"`
	Cancels  int `json:"cancels"`
}

func countsOf(t *testing.T, url string) (n probeCounts) {
	t.Helper()
	r, err := http.Get(url + "/sandbox/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// probes runs `probe` against a sandbox, with --dir as args have it.
func probes(t *testing.T, ctx context.Context, url string, args ...string) ran {
	t.Helper()
	var out, errs buffer
	env := map[string]string{"FULLSTORY_API_URL": url, "FULLSTORY_API_KEY": sandbox.KeyArchitect}
	err := Run(ctx, append([]string{"probe"}, args...), func(name string) string { return env[name] },
		strings.NewReader(""), &out, &errs)
	return ran{Status(err), out.String(), out.String() + errs.String()}
}

// quirkNames returns the quirks of the sandbox.
func quirkNames() (names []string) {
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)`").FindAllStringSubmatch(sandbox.QuirksText(), -1) {
		names = append(names, row[1])
	}
	return names
}

// TestProbeNamesEachQuirk probes sandboxes that each differ in one way, and one that does not.
func TestProbeNamesEachQuirk(t *testing.T) {
	t.Parallel()
	names := quirkNames()
	if len(names) < 10 {
		t.Fatalf("the quirks are %v", names)
	}
	for _, quirk := range append(names, "") {
		t.Run(quirk, func(t *testing.T) {
			t.Parallel()
			// With fewer rows the probed hour, by default that of a day ago, is empty at night.
			config, want := sandbox.Config{Density: 600}, []string(nil)
			if quirk != "" {
				config.Quirks, want = []string{quirk}, []string{quirk}
			}
			url := fullstory(t, config).URL
			holdCancelled(t, url, quirk)
			r := probes(t, t.Context(), url, "--dir", t.TempDir(), "--yes", "--json")
			var found probeOutcome
			if err := json.Unmarshal([]byte(r.stdout), &found); err != nil || r.status != 0 {
				t.Fatalf("status %d, %v: %s", r.status, err, r.all)
			}
			if got := found.ids("differs"); !slices.Equal(got, want) {
				t.Errorf("what differs is %v, want %v\n%s", got, want, r.stdout)
			}
			if checked := len(found.ids("holds")) + len(want); checked < 48 {
				t.Errorf("%d assumptions were checked; not: %v", checked, found.ids("not_checked"))
			}
			n := countsOf(t, url)
			if n.Accepted+n.Rejected > 8 || n.Accepted+n.Rejected != found.Creates {
				t.Errorf("%d creates are reported; the sandbox has %+v", found.Creates, n)
			}
			found.checkReport(t, want)
		})
	}
}

// holdCancelled keeps the export that a probe cancels, its second one, from being complete before
// that. The create of that export is rejected by a sandbox with the quirk strict_keys.
func holdCancelled(t *testing.T, url, quirk string) {
	t.Helper()
	if quirk == "strict_keys" {
		return
	}
	(&world{t: t, url: url}).faults(`{"script":[{"on":"operation","nth":2,"do":"stuck"}]}`)
}

// checkReport checks that the report names what differs, and nothing personal.
func (p probeOutcome) checkReport(t *testing.T, differs []string) {
	t.Helper()
	report, err := os.ReadFile(p.Report)
	if err != nil {
		t.Fatal(err)
	}
	personal := regexp.MustCompile(`@|[0-9]{9,}|SANDBOX|sandbox-architect|127\.0\.0\.1`)
	if found := personal.Find(report); found != nil {
		t.Errorf("the report has %q:\n%s", found, report)
	}
	const head = "## Differs from what is assumed: 1\n\n| assumption | | found |\n|---|---|---|\n"
	for _, id := range differs {
		if !strings.Contains(string(report), head+"| `"+id+"` |") {
			t.Errorf("the report does not name %s:\n%s", id, report)
		}
	}
}

// TestProbeIsFollowed checks that what a probe finds changes what the program says and does.
func TestProbeIsFollowed(t *testing.T) {
	t.Parallel()
	url := fullstory(t, sandbox.Config{Quirks: []string{"any_field", "cancelled_state"}}).URL
	holdCancelled(t, url, "")
	env, args := remoteKey(t, url, sandbox.KeyArchitect)
	if r := probes(t, t.Context(), url, append(args, "--yes")...); r.status != 0 {
		t.Fatalf("%d: %s", r.status, r.all)
	}
	(&world{t: t, url: url}).faults(`{"script":[{"on":"operation","nth":1,"do":"stuck"}]}`) // so it can be cancelled
	c := converse(t, env, args...)
	var planned struct {
		OperationID string `json:"operation_id"`
		Warnings    []struct{ Message string }
	}
	request := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "yesterday", "fields": []string{"EventStart", "Nope"},
	}
	c.call("create_segment_export", request, &planned)
	if text, _ := json.Marshal(planned.Warnings); !strings.Contains(string(text), "makes an empty column") {
		t.Errorf("the warnings are %+v", planned.Warnings)
	}
	var cancelled struct{ State string }
	c.call("cancel_export_operation", map[string]any{"operation_id": planned.OperationID}, &cancelled)
	c.call("get_export_operation", map[string]any{"operation_id": planned.OperationID, "wait_seconds": 5}, &cancelled)
	if cancelled.State != "FAILED" {
		t.Errorf("the state after the cancel is %s", cancelled.State)
	}
}

// TestProbeNeedsAYes checks that nothing is exported without --yes or an answer.
func TestProbeNeedsAYes(t *testing.T) {
	t.Parallel()
	url := fullstory(t, sandbox.Config{}).URL
	r := probes(t, t.Context(), url, "--dir", t.TempDir())
	if r.status != 2 || !strings.Contains(r.all, "add --yes") {
		t.Errorf("%d: %s", r.status, r.all)
	}
	for _, hour := range []string{"2199-01-01T00:00:00Z", "sometime"} {
		r := probes(t, t.Context(), url, "--dir", t.TempDir(), "--yes", "--hour", hour)
		if r.status != 2 || !strings.Contains(r.all, "--hour") {
			t.Errorf("%s: %d: %s", hour, r.status, r.all)
		}
	}
	if n := countsOf(t, url); n != (probeCounts{}) {
		t.Errorf("the sandbox has %+v", n)
	}
}

// TestProbeCleansUp interrupts a probe whose exports run for an hour.
func TestProbeCleansUp(t *testing.T) {
	t.Parallel()
	config := sandbox.Config{}
	if err := config.OpTime.UnmarshalText([]byte("1h")); err != nil {
		t.Fatal(err)
	}
	url, dir := fullstory(t, config).URL, t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan ran, 1)
	go func() { ended <- probes(t, ctx, url, "--dir", dir, "--yes") }()
	for countsOf(t, url).Accepted < 4 {
		time.Sleep(20 * time.Millisecond) // the sandbox announces nothing
	}
	stop()
	select {
	case r := <-ended:
		if r.status != 3 {
			t.Errorf("status %d: %s", r.status, r.all)
		}
	case <-time.After(patience):
		t.Fatal("the probe does not end")
	}
	if n := countsOf(t, url); n.Cancels != n.Accepted {
		t.Errorf("the sandbox has %+v", n)
	}
	if reports, _ := filepath.Glob(filepath.Join(dir, "probe-*.md")); len(reports) != 1 {
		t.Errorf("the reports are %v", reports)
	}
}
