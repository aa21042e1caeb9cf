package exports

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
)

// TestMain runs 16 tests at once unless -parallel is given, because most of them wait.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "16") // flags are parsed in Run
	debug.SetGCPercent(400)         // collecting takes a sixth of the time otherwise
	os.Exit(m.Run())
}
