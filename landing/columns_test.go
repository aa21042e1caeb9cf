package landing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestColumns orders and names columns, of which no two have the same name.
func TestColumns(t *testing.T) {
	t.Parallel()
	set := columnsOf([]string{
		"user_z_str", "evt_b.c_int", "UserVars", "EventType", "UserId", "IndvId", "evt_b__c_int", "evt_Case_str",
		"evt_case_str", "Day", "_REST", "_rest", "_table_x", "1st", "größe", "eventtype", "", strings.Repeat("x", 301),
		"user_z_str", "page_a-b c_reals", "evt_x_dates", "evt_ä_str", "evt_ö_str",
	})
	var got []string
	for _, c := range set.columns {
		got = append(got, fmt.Sprintf("%s %d %v", c.name, c.kind, c.list))
	}
	want := []string{
		"IndvId 2 false", "UserId 2 false", "EventType 1 false", "UserVars 6 false", // in the order of the table
		"_1st 0 false", "evt_Case_str 1 false", "evt_b__c_int 2 false", "evt_x_dates 5 true", "evt___str 1 false",
		"gr__e 0 false", "page_a_b_c_reals 3 true", "user_z_str 1 false", // by their names in the rows
	}
	if !slices.Equal(got, want) {
		t.Errorf("columns\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	inRest := []string{
		"", "Day", "_REST", "_rest", "_table_x", "eventtype", "evt_b.c_int", "evt_case_str", "evt_ö_str",
		strings.Repeat("x", 301),
	}
	if !slices.Equal(set.inRest, inRest) {
		t.Errorf("in _rest are %q, want %q", set.inRest, inRest)
	}
	if renamed := set.renamed(); len(renamed) != 4 || renamed["evt___str"] != "evt_ä_str" {
		t.Errorf("renamed %v", renamed)
	}
}

// TestColumnsOfAnyOrder has the same columns for the same names in any order.
func TestColumnsOfAnyOrder(t *testing.T) {
	t.Parallel()
	names := []string{"b.c", "a", "EventType", "b__c", "A", "x.y", "x__y"}
	want := columnsOf(names).sum()
	for range names {
		names = append(names[1:], names[0])
		if got := columnsOf(names).sum(); got != want {
			t.Errorf("%v have other columns", names)
		}
	}
	if columnsOf([]string{"b.c", "a", "b__c", "A", "x.y", "x__y"}).sum() == want {
		t.Error("fewer names have the same columns")
	}
}

// TestCustom reads the types of custom variables off their names.
func TestCustom(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"evt_a_str": "1 false", "user_a.b_c_ints": "2 true", "page_x_real": "3 false", "evt_a_bools": "4 true",
		"evt_a_dates": "5 true", "evt__str": "no", "evt_str": "no", "other_a_str": "no", "evt_a_strss": "no", "evt_a_s": "no",
		"evt_a": "no", "Evt_a_str": "no",
	} {
		got := "no"
		if k, list, ok := custom(name); ok {
			got = fmt.Sprintf("%d %v", k, list)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestFieldsOnce has no field twice.
func TestFieldsOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range fields() {
		if seen[strings.ToLower(f.name)] {
			t.Errorf("%s is there twice", f.name)
		}
		seen[strings.ToLower(f.name)] = true
	}
	if len(seen) < 95 {
		t.Errorf("%d fields", len(seen))
	}
}
