package sandbox

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain lets the heap grow, because collecting takes a third of the time otherwise.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
