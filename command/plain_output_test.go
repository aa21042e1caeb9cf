//go:build unix

package command

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestOneZone exports days of Berlin. The texts of run and status have times in that zone only.
func TestOneZone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flags := []string{"--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--sandbox-op-time", "20ms", "--dir", dir}
	said := func(args ...string) string {
		got := lineIn(t.Context(), nil, append(args, flags...))
		if got.status != 0 {
			t.Fatal(got.all)
		}
		return got.all
	}
	run := said("run", "--segment", "rageClicks", "--from", "2026-11-18", "--to", "2026-11-20", "--name", "berlin",
		"--timezone", "Europe/Berlin")
	status := said("status", "berlin")
	for _, text := range []string{run, status} {
		if utc := regexp.MustCompile(`\d(Z|\+00:00)\b`).FindString(text); utc != "" {
			t.Errorf("a time in UTC in\n%s", text)
		}
	}
	if want := "2026-11-18T00:00:00+01:00 to 2026-11-20T00:00:00+01:00 (Europe/Berlin)"; !strings.Contains(status, want) {
		t.Errorf("status lacks %q:\n%s", want, status)
	}
}

// TestQuiet runs an export with a note: --quiet leaves that out, and prints the result.
func TestQuiet(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		args := []string{"--segment", "everyone", "--from", "2026-11-18", "--name", "day"}
		if quiet {
			args = append(args, "--quiet")
		}
		got := runs(t, t.Context(), t.TempDir(), args...)
		noted := strings.Contains(got.all, "note:")
		if got.status != 0 || noted == quiet || !strings.Contains(got.stdout, "day is complete") {
			t.Errorf("quiet %t: status %d\n%s", quiet, got.status, got.all)
		}
	}
}

// TestDoctorJSON reads what `doctor --json` prints with a key that works, and without one.
func TestDoctorJSON(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--sandbox", "--read-only"} {
		got := lineIn(t.Context(), nil, []string{"doctor", "--json", flag, "--dir", t.TempDir()})
		var report struct {
			OK       bool     `json:"ok"`
			Role     string   `json:"role"`
			Problems []string `json:"problems"`
		}
		if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
			t.Fatal(err, got.all)
		}
		works := flag == "--sandbox"
		if report.OK != works || (got.status == 0) != works || (len(report.Problems) == 0) != works ||
			(report.Role == "ARCHITECT") != works {
			t.Errorf("%s: status %d\n%s", flag, got.status, got.all)
		}
	}
}

// TestPausedByAnother pauses a run from another process. It ends, and says how to resume it:
// there is no cause to fix first.
func TestPausedByAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flags := []string{"--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--sandbox-op-time", "5m", "--dir", dir}
	run := make(chan ran, 1)
	go func() {
		args := []string{"run", "--segment", "everyone", "--from", "2026-11-01", "--name", "day"}
		run <- lineIn(t.Context(), nil, append(args, flags...))
	}()
	paused := ran{status: statusUsage} // as long as the export is not started
	for began := time.Now(); paused.status == statusUsage && time.Since(began) < patience; {
		paused = lineIn(t.Context(), nil, append([]string{"pause", "day"}, flags...))
	}
	if paused.status != 0 {
		t.Fatal(paused.all)
	}
	got := <-run
	if got.status != statusBlocked || !strings.Contains(got.all, "Resume it: fullstory-export-mcp resume day") ||
		strings.Contains(got.all, "cause is fixed") {
		t.Errorf("status %d\n%s", got.status, got.all)
	}
}
