package command

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets more tests run at once than there are cores, unless -parallel
// says otherwise: most of them wait for the simulated Fullstory.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "8")
	}
	os.Exit(m.Run())
}
