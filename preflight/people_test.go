package preflight

import (
	"testing"

	"fullstory-export-mcp/client"
)

// TestEventsOrPeople gives notice of exports of events that are probably meant as
// exports of people, and of no other.
func TestEventsOrPeople(t *testing.T) {
	check := Check{Client: api(t, 0), Now: now}
	week, all := client.TimeRange{Start: "2026-10-20/P7D"}, text("all")
	ofPerson := []string{"IndvId", "UserAppKey", "UserEmail", "user_*", "user_plan_str"}
	for _, test := range []struct {
		name    string
		request client.ExportRequest
		codes   string // of a request
		asked   string // of its dry run
	}{
		{"a week of everyone", client.ExportRequest{TimeRange: week}, "large_window", "large_window individuals_or_events"},
		{"everything", client.ExportRequest{}, "window_unsettled large_window",
			"window_unsettled large_window individuals_or_events"},
		{"a day of everyone", client.ExportRequest{TimeRange: oneDay}, "", ""},
		{"with columns", client.ExportRequest{TimeRange: week, Fields: []string{"UserEmail", "EventStart"}},
			"large_window", "large_window"},
		{"with a scope", client.ExportRequest{TimeRange: week, Scope: client.ScopeEvents}, "large_window", "large_window"},
		{"people", client.ExportRequest{TimeRange: week, Type: client.TypeIndividual}, "", ""},
		{"a segment", client.ExportRequest{TimeRange: week, SegmentID: "tz81RtIU1Rw8"}, "scope_default", "scope_default"},
		{"columns of people", client.ExportRequest{TimeRange: oneDay, SegmentID: "tz81RtIU1Rw8", Fields: ofPerson},
			"scope_default individuals_or_events", "scope_default individuals_or_events"},
		{"columns of people of everyone", client.ExportRequest{TimeRange: oneDay, Fields: ofPerson},
			"individuals_or_events", "individuals_or_events"},
		{"columns of people, of people", client.ExportRequest{TimeRange: oneDay, Type: client.TypeIndividual,
			Fields: []string{"IndvId", "user_*"}}, "", ""},
	} {
		r := test.request
		r.SegmentTimeRange = all
		if r.Type == "" {
			r.Type = client.TypeEvent
		}
		if r.SegmentID == "" {
			r.SegmentID = Everyone
		}
		e, err := check.Resolve(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		codes, asked := codesOf(t, e.Warnings), codesOf(t, e.Asked(e.Warnings))
		if codes != test.codes || asked != test.asked {
			t.Errorf("%s: %q, and %q in a dry run, want %q and %q", test.name, codes, asked, test.codes, test.asked)
		}
	}
}

// TestColumnsOfTheOtherRows names columns of events in an export of people, and the
// reverse.
func TestColumnsOfTheOtherRows(t *testing.T) {
	for _, test := range []struct {
		name string
		rows Rows
		fix  string
	}{
		{"UserEmail", Individuals, "In an export of individuals it is Email."},
		{"Uid", Events, "In an export of events it is UserAppKey."},
		{"LastIp", Events, "In an export of events it is PageIp."},
		{"NumSessions", Events, "Leave it out, or use a documented name; the guide to fields lists them."},
		{"Emial", Individuals, "Did you mean Email?"},
	} {
		got := unknownFields([]string{test.name}, test.rows, "")
		if len(got) != 1 || got[0].Fix != test.fix {
			t.Errorf("%s of %s: %v, want %s", test.name, test.rows, got, test.fix)
		}
	}
	if got := unknownFields([]string{"IndvId", "user_*"}, Individuals, ""); len(got) > 0 {
		t.Errorf("columns of both: %v", got)
	}
}

// TestLintOfRoles checks that a role blocks exports only if it is documented as too low.
func TestLintOfRoles(t *testing.T) {
	for role, want := range map[client.Role]string{
		"": "", "ADMIN": "", "ARCHITECT": "", "USER": "role_too_low blocker", "VIEW_ONLY": "role_too_low blocker",
		"UMBRELLA_MANAGER": "role_unknown warning", client.Unknown: "role_unknown warning",
	} {
		var got string
		if notices := roles(Subject{Role: role}); len(notices) > 0 {
			got = codesOf(t, notices) + " " + string(notices[0].Level)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", role, got, want)
		}
	}
}
