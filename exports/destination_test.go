package exports

import (
	"strings"
	"testing"

	"fullstory-export-mcp/ledger"
)

// TestDestinationTable names the tables of later generations, which PostgreSQL must allow.
func TestDestinationTable(t *testing.T) {
	t.Parallel()
	long := strings.Repeat
	for _, c := range []struct {
		table      string
		generation int
		want       string
	}{
		{"visits", 1, "visits"}, {"web.visits", 12, "web.visits_12"},
		{long("x", 63), 1, long("x", 63)},
		{long("x", 63), 2, long("x", 61) + "_2"},
		{long("s", 63) + "." + long("x", 61), 2, long("s", 63) + "." + long("x", 61) + "_2"},
		{long("é", 31), 2, long("é", 30) + "_2"},
	} {
		got := destinationTable(ledger.Sync{DestinationTable: c.table, Generation: c.generation})
		if got != c.want {
			t.Errorf("%s of generation %d: %s, want %s", c.table, c.generation, got, c.want)
		}
	}
}
