package plan

import (
	"flag"
	"os"
	"testing"
)

var full = flag.Bool("full", false, "test the changes of clocks of every zone")

// TestMain tries 2,000 cases of each property unless -rapid.checks is given.
func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "2000") // flags are parsed in Run
	os.Exit(m.Run())
}
