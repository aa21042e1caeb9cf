package plan

import (
	"flag"
	"os"
	"testing"
)

// TestMain tries 10,000 cases of each property unless -rapid.checks is given.
func TestMain(m *testing.M) {
	flag.Set("rapid.checks", "10000") // flags are parsed in Run
	os.Exit(m.Run())
}
