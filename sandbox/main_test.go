package sandbox

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
)

var full = flag.Bool("full", false, "compare more random queries with the definition")

// TestMain lets the heap grow, because collecting takes a third of the time otherwise.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
