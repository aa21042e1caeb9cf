package exports

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
)

var full = flag.Bool("full", false, "run the tests as well that take long")

// long skips a test that takes long, unless -full is given.
func long(t *testing.T) {
	t.Helper()
	if !*full {
		t.Skip("takes long; run with -full")
	}
}

// TestMain runs 16 tests at once unless -parallel is given, because most of them wait.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "16") // flags are parsed in Run
	debug.SetGCPercent(400)         // collecting takes a sixth of the time otherwise
	os.Exit(m.Run())
}
