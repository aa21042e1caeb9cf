package command

import (
	"flag"
	"log"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"
	_ "time/tzdata" // as main has, see built

	"github.com/zalando/go-keyring"

	"fullstory-export-mcp/query"
)

const (
	// patience is the limit of a wait for another process or goroutine. A test waits
	// that long only if it fails, so the limit leaves room for a loaded machine.
	patience = time.Minute
	// testLimit is the limit of a test that makes many calls, for the same reason.
	testLimit = 5 * time.Minute
)

// fewRows is the density of most sandboxes: a tenth of their default, because tests
// count rows and do not need many.
const fewRows = "60"

var slow = flag.Bool("slow", false,
	"use hundreds of slow clients, await the end of each, and hold the server to the times that it promises")

var full = flag.Bool("full", false, "run the tests as well that take long or fill the machine")

// long skips a test that takes long or fills the machine, unless -full is given.
func long(t *testing.T) {
	t.Helper()
	if !*full {
		t.Skip("takes long; run with -full")
	}
}

// promised returns a time that the server promises, with -slow, for which the test
// has the machine to itself. Otherwise it returns patience.
func promised(limit time.Duration) time.Duration {
	if *slow {
		return limit
	}
	return patience
}

// eventually polls done until it returns true, and fails the test after patience.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no sign after %v that %s", patience, what)
		}
	}
}

// buildFolder exists while the tests run. TestMain sets it.
var buildFolder string

// TestMain runs 16 tests at once unless -parallel is given: most of them wait
// for the sandbox, not for a core. Under the name of the program it is the program, see built.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == programName || len(os.Args) == 2 && os.Args[1] == query.WorkerCommand {
		Main() // also the child of a query of a test
	}
	keyring.MockInit()                                // not the keychain of who runs the tests
	os.Setenv("FULLSTORY_EXPORT_NO_KEYCHAIN", "true") // in programs that they start
	flag.Set("test.parallel", "16")                   // flags are parsed in Run
	debug.SetGCPercent(400)                           // of the tests, not of the programs they start
	var err error
	if buildFolder, err = os.MkdirTemp("", "fullstory-export-mcp"); err != nil {
		log.Fatal(err)
	}
	status := m.Run()
	os.RemoveAll(buildFolder)
	os.Exit(status)
}
