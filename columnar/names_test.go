package columnar

import (
	"slices"
	"strings"
	"testing"
)

func named(names ...string) []Column {
	columns := make([]Column, len(names))
	for i, name := range names {
		columns[i].Name = name
	}
	return columns
}

// TestNames checks names that are alike, too long, or made of what no database accepts.
func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long_", 20)
	columns := named("EventStart", "eventstart", "a.b", "a b", "", "1st", "_window", "_TABLE_x", "é\x00\n`'\"\\",
		long+"a", long+"b", long+"a", "same", "same", "same", "select", strings.Repeat("ä", 300))
	for _, rule := range []Rule{
		{Most: 63, Fold: strings.ToLower}, {Most: 255, Fold: strings.ToUpper}, {Most: 20},
		{Most: 300, Prefixes: []string{"_TABLE_"}},
	} {
		names := rule.Names(columns, "_window")
		seen := map[string]bool{"_window": true}
		for i, name := range names {
			key := strings.ToLower(name)
			odd := strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_")
			if seen[key] || len(name) > rule.Most || name == "" || odd != "" {
				t.Errorf("%q has the name %q, which another one has or no database accepts", columns[i].Name, name)
			}
			seen[key] = true
			if rule.name(name) != name {
				t.Errorf("%q is not folded, or begins with a prefix", name)
			}
		}
		// Columns that are added at the end leave the names of the others as they are.
		for n := range columns {
			if !slices.Equal(rule.Names(columns[:n], "_window"), names[:n]) {
				t.Errorf("the names of %d columns differ from those of more", n)
			}
		}
	}
	got := Rule{Most: 63, Fold: strings.ToLower}.Names(named("EventStart", "evt_a__b_str", "_rest"))
	if !slices.Equal(got, []string{"eventstart", "evt_a__b_str", "_rest"}) {
		t.Errorf("usual names become %q", got)
	}
}

func TestValidWindow(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"20261001T000000Z_20261002T000000Z": true, "all": true, "open_20261002T000000Z": true, "": false,
		"a.b": false, "a'b": false, "a\tb": false, "a/b": false, strings.Repeat("a", 101): false,
	} {
		if ValidWindow(name) != want {
			t.Errorf("%q: want %t", name, want)
		}
	}
}
