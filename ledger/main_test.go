package ledger

import (
	flags "flag"
	"os"
	"testing"
)

// TestMain runs 16 tests at once unless -parallel is given, because most of them wait.
func TestMain(m *testing.M) {
	flags.Set("test.parallel", "16") // flags are parsed in Run
	os.Exit(m.Run())
}
