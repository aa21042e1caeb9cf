package rows_test

import (
	"testing"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/rows"
)

// TestTypeOf checks the types of documented columns and of custom variables.
func TestTypeOf(t *testing.T) {
	for name, want := range map[string]rows.Type{
		"UserId": rows.Integer, "EventStart": rows.Time, "EventType": rows.Text,
		"EventCumulativeLayoutShift": rows.Real,
		"AvgSessionSec":              rows.Real, "NumEvents": rows.Integer, "UserVars": rows.Object, "Uid": rows.Text,
		"evt_order.total_real": rows.Real, "user_a_b_strs": rows.Texts, "page_x_int": rows.Integer,
		"evt_x_ints": rows.Integers,
		"evt_x_bool": rows.Bool, "evt_x_bools": rows.Bools, "evt_x_date": rows.Time, "evt_x_dates": rows.Times,
		"evt_x_reals": rows.Reals, "evt_x_str": rows.Text, "evt_int": rows.Text, "evt__int": rows.Text,
		"evt_x_uint": rows.Text,
		"usr_x_int":  rows.Text, "my_int": rows.Text, "": rows.Text,
	} {
		if got := rows.TypeOf(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	// Names say what columns hold: a new column with such a name has that type.
	for _, f := range append(client.EventFields(), client.IndividualFields()...) {
		want := rows.Text
		switch {
		case ends(f.Name, "Sec", "Shift"):
			want = rows.Real
		case ends(f.Name, "Start", "Created"):
			want = rows.Time
		case ends(f.Name, "Id", "Duration", "Offset", "Delay", "Width", "Height", "Percent", "Time", "Status", "Events",
			"Pages", "Sessions", "Infos", "Warnings", "Errors", "Frustrated", "Dead", "ModError", "Suspicious"):
			want = rows.Integer
		case f.Name == "UserVars":
			want = rows.Object
		}
		if got := rows.TypeOf(f.Name); got != want {
			t.Errorf("%s: %q, want %q", f.Name, got, want)
		}
	}
}

func ends(name string, suffixes ...string) bool {
	for _, s := range suffixes {
		if n := len(name) - len(s); n >= 0 && name[n:] == s {
			return true
		}
	}
	return false
}
