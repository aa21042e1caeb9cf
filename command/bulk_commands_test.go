//go:build unix

package command

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/exports"
)

var fourChunks = []string{
	"--segment", "everyone", "--from", "2026-09-01", "--to", "2026-09-02", "--chunk", "6h", "--name", "day",
}

// lineOf decodes the one line of JSON that a command printed.
func (r ran) lineOf(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), into); err != nil || strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("%v, want one line of JSON: %s", err, r.all)
	}
}

// says fails unless a command ended with a status and printed each text.
func (r ran) says(t *testing.T, what string, status int, texts ...string) {
	t.Helper()
	for _, want := range texts {
		if r.status != status || !strings.Contains(r.all, want) {
			t.Errorf("%s: status %d, want %d and %q:\n%s", what, r.status, status, want, r.all)
		}
	}
}

// TestBulkCommands looks at a bulk export and changes it, from plan to retry.
func TestBulkCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	do := func(command string, args ...string) ran { return commandLine(t, t.Context(), dir, command, args...) }
	do("list").says(t, "no list", 0, "No bulk exports here yet")
	do("plan", fourChunks...).says(t, "a plan", 0, "Nothing was started",
		"4  2026-09-01T18:00:00Z", "(everyone_window_set)")
	var planned plannedRun
	do("plan", append(fourChunks, "--json")...).lineOf(t, &planned)
	if len(planned.Chunks) != 4 || planned.Name != "day" || planned.Folder != filepath.Join(dir, "day") {
		t.Errorf("planned %+v", planned)
	}
	do("plan", append(fourChunks, "--json", "--timezone", "europe/berlin")...).lineOf(t, &planned)
	if planned.Range.Timezone != "Europe/Berlin" || planned.Export.Timezone != "Europe/Berlin" {
		t.Errorf("planned in %s, exported in %s", planned.Range.Timezone, planned.Export.Timezone)
	}
	if started := bulks(t, dir); len(started) > 0 {
		t.Errorf("a plan started %v", started)
	}

	do("run", fourChunks...).says(t, "a run", 0, "✓ day is complete: 4 chunks")
	do("list").says(t, "a list", 0, "day   complete    4/4  1,141", "Everyone (everyone)")
	var listed exports.BulkSummary
	do("list", "--json").lineOf(t, &listed)
	var status exports.BulkStatus
	do("status", "day", "--json").lineOf(t, &status)
	if listed.BulkID != status.BulkID || status.State != "complete" || status.Chunks.Stored != 4 {
		t.Errorf("listed %+v, status %+v", listed, status)
	}
	do("status", "day", "--watch").says(t, "a status", 0, "✓ day is complete", "files    4 of 4",
		"verify "+status.Folder)
	for _, command := range []string{"pause", "resume", "cancel"} {
		do(command, "day").says(t, command, 1, "a bulk export that is complete cannot be changed with "+command)
	}
	do("status", "nothing").says(t, "an unknown name", 2, `the id or name "nothing"`, "fullstory-export-mcp list")
	do("list", "--state", "failed").says(t, "another state", 0, "No bulk exports here yet")

	files, err := filepath.Glob(filepath.Join(status.Folder, "*T06*.gz"))
	if err != nil || len(files) == 0 || os.Remove(files[0]) != nil {
		t.Fatal(files, err)
	}
	do("status", "day").says(t, "a lost file", 0, "✗ day is incomplete: 3 of 4 files", "fullstory-export-mcp retry day")
	commandVerifies(t, status.Folder).says(t, "verify", 1, "is missing", "fullstory-export-mcp retry day --dir "+dir)
	do("retry", "day").says(t, "a retry", 0, "✓ day is complete: 4 chunks")
	commandVerifies(t, status.Folder).says(t, "verify", 0, "✓ 4 of 4 files agree with the manifest")
	commandVerifies(t, "day", "--dir", dir).says(t, "verify by name", 0, "✓ 4 of 4 files agree with the manifest")
}

// commandVerifies executes `verify`, of which TestVerifyJSON reads the JSON.
func commandVerifies(t *testing.T, args ...string) ran {
	t.Helper()
	var out, errs buffer
	err := Run(t.Context(), append([]string{"verify"}, args...), func(string) string { return "" }, nil, &out, &errs)
	return ran{Status(err), out.String(), out.String() + errs.String()}
}

// TestPausedByCommand interrupts a run, and resumes and cancels it with commands.
func TestPausedByCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := untilExists(t, filepath.Join(dir, "day"))
	defer cancel()
	slowly := append(fourChunks, "--max-in-flight", "1", "--sandbox-op-time", "1s")
	runs(t, ctx, dir, slowly...).says(t, "an interrupted run", 3, "day is paused")
	do := func(command string, args ...string) ran { return commandLine(t, t.Context(), dir, command, args...) }
	do("pause", "day").says(t, "a second pause", 0, "day is paused")
	do("status", "day").says(t, "a status", 0, "Resume it: fullstory-export-mcp resume day")
	do("resume", "day", "--detach").says(t, "a detached resume", 0, "day is under way")
	do("pause", "day").says(t, "a pause", 0, "day is paused")
	var status exports.BulkStatus
	resumed := do("resume", "day", "--json")
	if resumed.lineOf(t, &status); resumed.status != 0 || status.State != "complete" {
		t.Errorf("resume ended with %d, %+v", resumed.status, status)
	}

	ctx, cancel = untilExists(t, filepath.Join(dir, "left"))
	defer cancel()
	runs(t, ctx, dir, append(slowly, "--detach", "--name", "left")...).says(t, "a detached run", 3, "left stays running")
	do("status", "left").says(t, "a status", 0, "No process carries it out at present", "resume left")
	do("resume", "left").says(t, "a resume of what nobody carries out", 0, "✓ left is complete")
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	commandLine(t, ctx, dir, "status", "day").says(t, "interrupted", 3, "interrupted")
}

// TestVerifyJSON reads what verify found.
func TestVerifyJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, t.Context(), dir, fourChunks...).says(t, "a run", 0, "complete")
	folder := filepath.Join(dir, "day")
	var whole, broken verifiedFolder
	commandVerifies(t, folder, "--json").lineOf(t, &whole)
	if !whole.Whole || whole.Files != 4 || whole.Rows == 0 || len(whole.Problems) != 0 {
		t.Errorf("verified %+v", whole)
	}
	if err := os.WriteFile(filepath.Join(folder, "\x1b[2J.gz"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := commandVerifies(t, folder, "--json")
	got.says(t, "another file", 1, "1 difference from the manifest", `\u001b[2J.gz`)
	stdout, _, _ := strings.Cut(got.all, "\n")
	if err := json.Unmarshal([]byte(stdout), &broken); err != nil || broken.Whole || broken.Differences != 1 {
		t.Errorf("%v, %+v", err, broken)
	}
}

// TestVerifyProfiles removes a profile and turns a manifest into one of version 1: verify
// makes the profile again, and writes the manifest again with --upgrade alone.
func TestVerifyProfiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, t.Context(), dir, fourChunks...).says(t, "a run", 0, "complete")
	folder := filepath.Join(dir, "day")
	profiles, err := filepath.Glob(filepath.Join(folder, ".profile", "*.json"))
	if err != nil || len(profiles) != 4 || os.Remove(profiles[0]) != nil {
		t.Fatal(profiles, err)
	}
	commandVerifies(t, folder).says(t, "a lost profile", 0, "4 of 4 files agree",
		"Profiles of columns were written for 1 file.")
	a, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	before, err := a.Manifest("day")
	if err != nil || before.Outdated() || before.Totals.Files != 4 || len(before.Schema) < 60 {
		t.Fatalf("%+v, %v", before, err)
	}
	sum, without, err := a.FolderProfile(t.Context(), "day", before.Files)
	if err != nil || len(without) > 0 || sum.Rows != before.Totals.Rows || sum.Frustration.RageClicks == 0 {
		t.Errorf("the profile has %d rows, %+v, without %q, %v", sum.Rows, sum.Frustration, without, err)
	}
	old := before
	old.Version, old.Schema, old.Totals, old.Files = 1, nil, nil, slices.Clone(before.Files)
	for i := range old.Files {
		f := &old.Files[i]
		f.ColumnsSHA256, f.Filled, f.Profile = "", "", ""
	}
	raw, err := json.Marshal(old)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, archive.ManifestName), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	commandVerifies(t, folder).says(t, "version 1", 0, "4 of 4 files agree", "verify --upgrade "+folder)
	commandVerifies(t, folder, "--upgrade").says(t, "an upgrade", 0, "4 of 4 files agree", "was written again")
	after, err := a.Manifest("day")
	after.Program, after.WrittenAt = before.Program, before.WrittenAt
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("%v, before and after: %s", err, diff)
	}
	var result verifiedFolder
	commandVerifies(t, folder, "--json").lineOf(t, &result)
	if !result.Whole || result.Outdated || result.Profiled != 0 || result.Unprofiled != "" {
		t.Errorf("%+v", result)
	}
}
