//go:build unix

package command

import (
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/sandbox"
)

// syncState is the state of a sync in results.
type syncState struct {
	Summary string
	Name    string
	State   string
	SyncID  string `json:"sync_id"`
	BulkID  string `json:"bulk_id"`
	Folder  string
	Windows struct {
		Over, Stored, Missing, Failed, Provisional int
		LeftOut                                    int `json:"left_out"`
	}
	Complete string `json:"complete_until"`
	NextRun  string `json:"next_run"`
	Problems []struct{ Problem string }
}

// syncResult is a result of sync_export.
type syncResult struct {
	Summary string
	Reused  bool
	Sync    syncState
	Confirm string
}

// sync calls sync_export.
func (c *conversation) sync(action string, more ...any) (r syncResult) {
	c.t.Helper()
	args := map[string]any{"action": action, "name": "visits"}
	for i := 0; i+1 < len(more); i += 2 {
		args[more[i].(string)] = more[i+1]
	}
	c.call("sync_export", args, &r)
	return r
}

// await waits until the sync has so many stored windows and none is missing.
func (c *conversation) awaitSync(stored int) (s syncState) {
	c.t.Helper()
	var list struct{ Syncs []syncState }
	for end := time.Now().Add(3 * patience); ; time.Sleep(50 * time.Millisecond) {
		c.call("list_syncs", map[string]any{"name": "visits"}, &list)
		if s = list.Syncs[0]; s.Windows.Stored == stored && s.Windows.Missing == 0 && s.State != "behind" {
			return s
		}
		if time.Now().After(end) {
			c.t.Fatalf("the sync has not %d windows: %+v", stored, s)
		}
	}
}

// moveClock sets by how much the sandbox's clock is ahead of its start.
func moveClock(t *testing.T, url string, ahead time.Duration) {
	t.Helper()
	body := strings.NewReader(`{"clock_skew":"` + ahead.String() + `"}`)
	r, err := http.Post(url+"/sandbox/faults", "application/json", body)
	if err != nil || r.StatusCode/100 != 2 {
		t.Fatal(r, err)
	}
	r.Body.Close()
}

// accepted returns how many creates the sandbox has accepted, and of how many windows.
func accepted(t *testing.T, url string) (creates, windows int) {
	t.Helper()
	r, err := http.Get(url + "/sandbox/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var n struct {
		Creates int `json:"creates_accepted"`
		Windows int
	}
	if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
		t.Fatal(err)
	}
	return n.Creates, n.Windows
}

// TestSync keeps an export up to date while days pass, over several processes.
func TestSync(t *testing.T) {
	t.Parallel()
	api := fullstory(t, sandbox.Config{Now: time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)})
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	create := []any{
		"segment_id", "everyone", "type", "TYPE_EVENT", "from", "2026-11-03", "timezone", "Europe/Berlin", "at", "06:00",
	}
	dry := c.sync("create", append(create, "dry_run", true)...)
	if !strings.Contains(dry.Summary, "Nothing was changed. 6 windows would be exported at once") || dry.Sync.Name != "" {
		t.Errorf("a dry run: %+v", dry)
	}
	added := c.sync("create", create...)
	// 9 November ended 13 hours ago, so its rows have not settled.
	if s := added.Sync; s.Windows.Over != 6 || s.NextRun != "2026-11-11T06:00:00+01:00" || added.Reused {
		t.Errorf("created: %+v", added)
	}
	if s := c.awaitSync(6); s.State != "current" || s.Complete != "2026-11-09T00:00:00+01:00" {
		t.Errorf("up to date: %+v", s)
	}
	if again := c.sync("create", create...); !again.Reused || again.Sync.SyncID != added.Sync.SyncID {
		t.Errorf("created again: %+v", again)
	}
	c.rejected("sync_export", map[string]any{
		"action": "create", "name": "visits", "segment_id": "everyone", "type": "TYPE_INDIVIDUAL",
	}, "exists and differs", "action change")
	c.rejected("control_bulk_export", map[string]any{"bulk_id": "visits", "action": "cancel"},
		"the sync visits keeps this bulk export up to date")
	c.end()

	moveClock(t, api.URL, 20*24*time.Hour) // the process slept
	c = converse(t, env, args...)
	if s := c.awaitSync(26); s.Complete != "2026-11-29T00:00:00+01:00" || s.NextRun != "2026-12-01T06:00:00+01:00" {
		t.Errorf("after 20 days: %+v", s)
	}
	if creates, windows := accepted(t, api.URL); creates != 26 || windows != 26 {
		t.Errorf("%d creates of %d windows, want 26", creates, windows)
	}
	if r := lineIn(t.Context(), nil, []string{"verify", added.Sync.Folder}); r.status != 0 {
		t.Errorf("verify: %+v", r)
	}

	c.sync("pause")
	moveClock(t, api.URL, 22*24*time.Hour)
	c.end()
	c = converse(t, env, args...)
	c.call("check_connection", nil, &struct{}{})
	if s := c.sync("pause").Sync; s.State != "paused" || s.Windows.Over != 28 ||
		s.Windows.Stored != 26 || s.NextRun != "" || len(s.Problems) > 0 {
		t.Errorf("paused: %+v", s)
	}
	c.sync("resume")
	c.awaitSync(28)
	if removed := c.sync("remove"); !strings.Contains(removed.Summary, "is removed") {
		t.Errorf("removed: %+v", removed)
	}
	c.rejected("sync_export", map[string]any{"action": "pause", "name": "visits"}, "no sync of this account")
	// The same sync once more uses what is there.
	if s := c.sync("create", create...).Sync; s.Windows.Stored != 28 || s.BulkID != added.Sync.BulkID {
		t.Errorf("added once more: %+v", s)
	}
}

// TestSyncChanges changes a sync: what does not concern rows keeps its windows, another request
// begins anew in another folder.
func TestSyncChanges(t *testing.T) {
	t.Parallel()
	api := fullstory(t, sandbox.Config{Now: time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)})
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	first := c.sync("create", "segment_id", "everyone", "type", "TYPE_EVENT", "from", "2026-11-06").Sync
	c.awaitSync(3)
	if s := c.sync("change", "every", "week", "chunk", "day", "from", "2026-11-05").Sync; s.BulkID != first.BulkID {
		t.Errorf("changed: %+v", s)
	}
	c.awaitSync(4)
	changed := c.sync("change", "fields", []string{"EventType", "EventStart"})
	if changed.Sync.BulkID == first.BulkID || filepath.Base(changed.Sync.Folder) != "visits-2" ||
		!strings.Contains(changed.Summary, "exported anew, to the folder visits-2") {
		t.Errorf("another request: %+v", changed)
	}
	c.awaitSync(4)
	for _, folder := range []string{first.Folder, changed.Sync.Folder} {
		if rows := exportedRows(t, folder); len(rows) == 0 {
			t.Errorf("%s has no rows", folder)
		}
	}
	columns := slices.Sorted(maps.Keys(exportedRows(t, changed.Sync.Folder)[0]))
	if !slices.Equal(columns, []string{"EventStart", "EventType"}) {
		t.Errorf("the columns are %q", columns)
	}
	for _, wrong := range []struct {
		field string
		value any
		says  string
	}{
		{"every", "quarter", "hour, day, week or month"}, {"at", "6 o'clock", "06:00"}, {"lag", "-1h", "0 to 31 days"},
		{"lag", "soon", "24h"}, {"from", "03/04/2026", "from"}, {"timezone", "Berlin", "Europe/Berlin"},
		{"from", "1990-01-01", "windows are over already"},
	} {
		c.rejected("sync_export", map[string]any{"action": "change", "name": "visits", wrong.field: wrong.value}, wrong.says)
	}
	if s := c.awaitSync(4); s.BulkID != changed.Sync.BulkID {
		t.Errorf("a rejected change changed the sync: %+v", s)
	}
}

// TestSyncProvisional exports windows before their rows have settled, and once more then.
func TestSyncProvisional(t *testing.T) {
	t.Parallel()
	api := fullstory(t, sandbox.Config{Now: time.Date(2026, 11, 10, 12, 30, 0, 0, time.UTC)})
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	c.sync("create", "segment_id", "everyone", "type", "TYPE_EVENT", "every", "hour", "lag", "0",
		"from", "2026-11-10T09:00:00Z")
	if s := c.awaitSync(3); s.Windows.Provisional != 3 || s.Complete != "" || s.NextRun != "2026-11-10T13:00:00Z" {
		t.Errorf("provisional: %+v", s)
	}
	c.end()
	moveClock(t, api.URL, 24*time.Hour)
	c = converse(t, env, args...)
	for end := time.Now().Add(3 * patience); ; time.Sleep(50 * time.Millisecond) {
		s := c.awaitSync(27)
		if s.Windows.Provisional == 24 && s.Complete == "2026-11-10T12:00:00Z" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a day later: %+v", s)
		}
	}
	if creates, windows := accepted(t, api.URL); creates != 30 || windows != 27 {
		t.Errorf("%d creates of %d windows, want 30 of 27", creates, windows)
	}
}

// TestSyncLatest exports only the last window that is over.
func TestSyncLatest(t *testing.T) {
	t.Parallel()
	api := fullstory(t, sandbox.Config{Now: time.Date(2026, 11, 10, 12, 30, 0, 0, time.UTC)})
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	s := c.sync("create", "segment_id", "everyone", "type", "TYPE_EVENT", "from", "2026-10-01", "catch_up", "latest").Sync
	if s.Windows.LeftOut != 38 || s.Windows.Over != 39 {
		t.Errorf("created: %+v", s)
	}
	if s := c.awaitSync(1); s.State != "current" || s.Windows.LeftOut != 38 {
		t.Errorf("up to date: %+v", s)
	}
	c.sync("change", "catch_up", "all")
	if s := c.awaitSync(39); s.Windows.LeftOut != 0 {
		t.Errorf("all: %+v", s)
	}
}

// TestSyncRun runs syncs from a terminal, as cron does.
func TestSyncRun(t *testing.T) {
	t.Parallel()
	api := fullstory(t, sandbox.Config{Now: time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)})
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	run := func(words ...string) ran { return lineIn(t.Context(), env, append(words, args...)) }
	run("sync", "list").says(t, "no sync", 0, "No syncs here yet")
	run("sync", "run", "--due").says(t, "none is due", 0, "No sync is due")
	run("sync", "add", "visits", "--segment", "everyone", "--every", "daily", "--from", "2026-11-05").
		says(t, "add", 0, "0 of 4 windows stored")
	run("sync", "pause", "visits").says(t, "pause", 0, "visits is paused")
	if r := run("sync", "list"); !strings.Contains(r.all, "visits  paused ") || strings.Contains(r.all, "request") {
		t.Errorf("a pause is a state and not a problem: %s", r.all)
	}
	run("sync", "resume", "visits").says(t, "resume", 0, "visits is resumed")
	results := make(chan int)
	for range 2 { // at once
		go func() { results <- run("sync", "run", "--due").status }()
	}
	if a, b := <-results, <-results; a != 0 || b != 0 {
		t.Errorf("two at once ended with %d and %d", a, b)
	}
	if creates, windows := accepted(t, api.URL); creates != 4 || windows != 4 {
		t.Errorf("%d creates of %d windows, want 4", creates, windows)
	}
	run("sync", "run", "--due").says(t, "again", 0, "No sync is due")
	run("sync", "list").says(t, "list", 0, "visits  current  day        4/4  2026-11-09 00:00")
	run("sync", "change", "visits", "--timezone", "Asia/Tokyo", "--dry-run").
		says(t, "another zone", 0, "(Asia/Tokyo) it adds the windows of a day")
	for _, wrong := range [][]string{
		{"sync", "add", "visits", "--segment", "everyone", "--timezone", "Asia/Tokyo"},
		{"sync", "run", "nobody"}, {"sync", "pause", "nobody"}, {"sync", "add", "x"},
		{"sync", "add", "a/b", "--segment", "e"},
		{"sync", "run", "visits", "--due"}, {"sync", "change", "visits", "--lag", "later"},
		{"sync", "change", "visits", "--into", "none", "--into-table", "web.visits"},
	} {
		if r := run(wrong...); r.status != 2 || r.all == "" {
			t.Errorf("%q: %d, %s", wrong, r.status, r.all)
		}
	}
}
