//go:build unix

package command

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/sandbox"
)

// TestSaysSimulated checks that what a command prints about simulated data cannot be mistaken
// for that of an organisation: one line says so, on stderr, also for a folder that is looked
// at without --sandbox. --quiet leaves it out, and real data have none.
func TestSaysSimulated(t *testing.T) {
	t.Parallel()
	const note = "note: Simulated data, from the built-in sandbox.\n"
	dir := t.TempDir()
	folder := filepath.Join(dir, "day")
	do := func(command string, args ...string) ran { return commandLine(t, t.Context(), dir, command, args...) }
	offline := func(args ...string) ran { return lineIn(t.Context(), nil, args) }
	check := func(what string, r ran, want int) {
		t.Helper()
		if got := strings.Count(r.all, note); r.status != 0 || got != want || strings.Contains(r.stdout, note) {
			t.Errorf("%s says %d times that data are simulated, want %d on stderr; status %d:\n%s",
				what, got, want, r.status, r.all)
		}
	}
	check("plan", do("plan", fourChunks...), 1)
	check("run", do("run", fourChunks...), 1)
	for _, command := range [][]string{
		{"run", "--json"}, {"list"}, {"list", "--json"}, {"status", "day"}, {"status", "day", "--watch"}, {"describe", "day"},
		{"segments"}, {"sync", "list"},
	} {
		args := command[1:]
		if command[0] == "run" {
			args = append(args, fourChunks...)
		}
		check(strings.Join(command, " "), do(command[0], args...), 1)
	}
	check("a quiet list", do("list", "--quiet"), 0)
	for _, command := range [][]string{
		{"describe", folder}, {"head", folder, "--json"}, {"query", folder, "SELECT count(*) FROM rows", "--csv"},
	} {
		check(strings.Join(command, " "), offline(command...), 1)
	}
	check("verify", offline("verify", folder), 0)
	if r := do("status", "nothing"); strings.Contains(r.all, note) {
		t.Errorf("a mistake: %s", r.all)
	}

	api := fullstory(t, sandbox.Config{Now: time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)})
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	plan := []string{"plan", "--segment", "everyone", "--from", "2026-11-01"}
	check("a plan of an organisation", lineIn(t.Context(), env, append(plan, args...)), 0)
}

// TestPlanSaysSimulated checks that plan_time_chunks says that its times and sizes are simulated,
// with and without a segment.
func TestPlanSaysSimulated(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	for _, request := range []map[string]any{
		{"time_range": "2026-09"}, {"time_range": "2026-09", "segment_id": "everyone"},
	} {
		var planned struct{ Summary string }
		c.call("plan_time_chunks", request, &planned)
		if !strings.HasSuffix(planned.Summary, " Simulated data.") {
			t.Errorf("%v: %s", request, planned.Summary)
		}
	}
}
