package command

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// noticed is the part of a result that is about notices.
type noticed struct {
	Summary, Next string
	OperationID   string `json:"operation_id"`
	BulkID        string `json:"bulk_id"`
	Warnings      []struct{ Code, Level, Message, Fix string }
}

// codes returns the codes of the notices, each with a "+" after it if it has its text.
func (n noticed) codes() string {
	var codes []string
	for _, w := range n.Warnings {
		if w.Message != "" && w.Fix != "" {
			w.Code += "+"
		}
		codes = append(codes, w.Code)
	}
	return strings.Join(codes, " ")
}

// with returns args with more of them.
func with(args, more map[string]any) map[string]any {
	all := maps.Clone(args)
	maps.Copy(all, more)
	return all
}

// TestRoleTooLow prepares exports with a key that may not export. No answer may offer to
// start them, until the key has another role.
func TestRoleTooLow(t *testing.T) {
	t.Parallel()
	api := fullstory(t, sandbox.Config{})
	env, args := remoteKey(t, api.URL, sandbox.KeyStandard)
	c := converse(t, env, args...)
	dry := map[string]any{"dry_run": true}
	month := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-09"}
	for tool, args := range map[string]map[string]any{
		"create_segment_export": with(octoberFirst, dry), "start_bulk_export": with(month, dry),
		"plan_time_chunks": {"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-09"},
	} {
		var got noticed
		c.call(tool, args, &got)
		if got.Warnings[0].Code != "role_too_low" || got.Warnings[0].Level != "blocker" ||
			!strings.Contains(got.Next, "administrator") || strings.Contains(got.Next, "all again") ||
			strings.Contains(got.Next, "start_bulk_export") {
			t.Errorf("%s: %+v", tool, got)
		}
		if tool != "plan_time_chunks" && !strings.Contains(got.Summary, "This would be rejected: The API key has the role") {
			t.Errorf("%s: %s", tool, got.Summary)
		}
	}
	says := []string{"Nothing was started.", "has the role USER", "Architect or Admin", "Ask the user to get a key"}
	c.rejected("create_segment_export", octoberFirst, says...)
	c.rejected("start_bulk_export", month, says...)

	var out, errs buffer
	run := append([]string{"run", "--segment", "everyone", "--from", "2026-09-01"}, args...)
	err := Run(t.Context(), run, func(name string) string { return env[name] }, strings.NewReader(""), &out, &errs)
	if Status(err) != 4 || !strings.Contains(errs.String(), "has the role USER") {
		t.Errorf("run: status %d\n%s%s", Status(err), out.String(), errs.String())
	}

	raise := `{"script":[{"on":"me","nth":1,"do":"role","role":"ARCHITECT"}]}`
	r, err := http.Post(api.URL+"/sandbox/faults", "application/json", strings.NewReader(raise))
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatal(r, err)
	}
	r.Body.Close()
	var got noticed
	c.call("create_segment_export", octoberFirst, &got) // the role is read again
	if got.OperationID == "" || slices.ContainsFunc(got.Warnings, func(w struct{ Code, Level, Message, Fix string }) bool {
		return w.Level == "blocker"
	}) {
		t.Errorf("with a higher role: %+v", got)
	}
}

// TestLargeWindow exports a week of everyone. Only an export in one file gets the
// notice, which names the tool that avoids it.
func TestLargeWindow(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	week := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-10-12/P7D", "dry_run": true}
	var got noticed
	c.call("create_segment_export", week, &got)
	if got.codes() != "large_window+ everyone_window_set+ individuals_or_events+" ||
		!strings.Contains(got.Warnings[0].Fix, "`start_bulk_export`") ||
		strings.Contains(got.Warnings[0].Fix, "create_segment_export") {
		t.Errorf("in one file: %+v", got.Warnings)
	}
	c.call("start_bulk_export", with(week, map[string]any{"chunk": "week"}), &got)
	if got.codes() != "everyone_window_set+ individuals_or_events+" {
		t.Errorf("in chunks: %+v", got.Warnings)
	}
	delete(week, "dry_run")
	c.call("plan_time_chunks", with(week, map[string]any{"chunk": "week"}), &got)
	if got.codes() != "everyone_window_set+" {
		t.Errorf("planned: %+v", got.Warnings)
	}
}

// TestPlanOfABlockedExport plans an export that would be rejected as it is. The plan does
// not have the argument that is missing, so the next step names it, and a range in the
// future has no next step.
func TestPlanOfABlockedExport(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	plan := map[string]any{"segment_id": "Rage clickers", "type": "TYPE_EVENT", "time_range": "2026-08-03"}
	var got noticed
	c.call("plan_time_chunks", plan, &got)
	if got.codes() != "segment_window_required+ scope_default+" ||
		!strings.HasSuffix(got.Next, "own window.") ||
		!strings.Contains(got.Next, " For the export, give `segment_time_range`: \"range\"") {
		t.Errorf("without the window: %+v", got)
	}
	c.call("plan_time_chunks", with(plan, map[string]any{"segment_id": "everyone", "time_range": "2027-08"}), &got)
	if !strings.HasPrefix(got.Next, "Nothing of this can be exported yet. Check the year") {
		t.Errorf("in the future: %s", got.Next)
	}
}

// TestNoticesOnce starts exports after their dry runs. Only notices that the session has
// not read are given in full.
func TestNoticesOnce(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	day := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-11-04", "timezone": "UTC"}
	for tool, another := range map[string]map[string]any{
		"create_segment_export": {"fields": []string{"EventStart"}},
		"start_bulk_export":     {"fields": []string{"EventStart"}, "name": "another"},
	} {
		var dry, started, again, other noticed
		c.call(tool, with(day, map[string]any{"dry_run": true}), &dry)
		c.call(tool, day, &started)
		c.call(tool, day, &again)
		c.call(tool, with(day, another), &other)
		if dry.codes() != "window_unsettled+ everyone_window_set+" ||
			started.codes() != "window_unsettled everyone_window_set" || again.codes() != started.codes() ||
			other.codes() != dry.codes() {
			t.Errorf("%s: %q, then %q and %q; of another request %q", tool, dry.codes(), started.codes(), again.codes(),
				other.codes())
		}
	}
	// The texts stay with the export.
	var status noticed
	c.call("get_bulk_export", map[string]any{"bulk_id": "everyone-event-20261104t0000-20261105t0000-day",
		"detail": "problems"}, &status)
	if status.codes() != "window_unsettled+ everyone_window_set+" {
		t.Errorf("the status has %q", status.codes())
	}
	// A notice that the dry run did not give has its text.
	long := map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-10-01/P2D"}
	var first noticed
	if c.call("create_segment_export", long, &first); first.codes() != "large_window+ everyone_window_set+" {
		t.Errorf("without a dry run: %q", first.codes())
	}
	// Another session has not read them.
	second := converse(t, nil, simulated(t)...)
	if second.call("create_segment_export", day, &first); first.codes() != "window_unsettled+ everyone_window_set+" {
		t.Errorf("another session: %q", first.codes())
	}
}
