package exports

import (
	"flag"
	"os"
	"testing"
)

// TestMain runs 16 tests at once unless -parallel is given, because most of them wait.
func TestMain(m *testing.M) {
	flag.Parse()
	unset := true
	flag.Visit(func(f *flag.Flag) { unset = unset && f.Name != "test.parallel" })
	if unset {
		if err := flag.Set("test.parallel", "16"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
