//go:build unix

package delta

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// kills is how often TestKilled kills its children.
var kills = flag.Int("kills", 15, "how often TestKilled kills two processes that commit")

// killedPlace names the folder of the table, or the address of the mirror, that the children of
// TestKilled commit to.
const killedPlace = "DELTA_TEST_KILLED"

const killedWindows = 6

// TestKilledChild replaces files of windows until it is killed. It prints the path of each file
// once it is committed.
func TestKilledChild(t *testing.T) {
	place := os.Getenv(killedPlace)
	if place == "" {
		t.Skip("it is a child of TestKilled")
	}
	s, put := killedStore(t, place)
	table, err := Create(t.Context(), s, "killed", "", columns())
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		next := window(rand.IntN(killedWindows), 0)
		next.Path = strings.Replace(next.Path, ".parquet", fmt.Sprintf(" %x.parquet", rand.Uint64()), 1)
		put(next.Path, []byte(next.Path))
		for {
			c := Change{Add: []File{next}}
			old, there := table.Snapshot().Window(next.window())
			if there {
				c.Remove = []string{old.Path}
			}
			if _, err = table.Commit(t.Context(), c); !errors.Is(err, ErrConflict) {
				break
			}
			if _, err := table.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("committed %s\n", next.Path)
		if _, err := table.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// killedStore returns the store of a place, and a function that writes data files.
func killedStore(t *testing.T, place string) (Store, func(string, []byte)) {
	if address, ok := strings.CutPrefix(place, "s3:"); ok {
		o := options(t)
		o.URL = "s3:" + address
		return openBucket(t, o), func(string, []byte) {}
	}
	return openFolder(t, place), putIn(t, place)
}

// TestKilled kills two processes that commit to one table, at random instants, again and again.
// After each time the table is whole, and has every commit that was reported.
func TestKilled(t *testing.T) {
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		s, _ := killedStore(t, dir)
		killLoop(t, dir, s, *kills)
	})
	t.Run("bucket", func(t *testing.T) {
		o := options(t)
		killLoop(t, o.URL, openBucket(t, o), max(2, *kills/4))
	})
}

// startChildren starts two children, and returns the lines that they print: an empty one at the
// end of each.
func startChildren(t *testing.T, place string) (children []*exec.Cmd, lines chan string) {
	lines = make(chan string)
	for range 2 {
		child := exec.Command(os.Args[0], "-test.run", "^TestKilledChild$")
		child.Env = append(os.Environ(), killedPlace+"="+place)
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, child)
		go func() {
			for scanner := bufio.NewScanner(out); scanner.Scan(); {
				lines <- scanner.Text()
			}
			lines <- ""
		}()
	}
	return children, lines
}

// killLoop is TestKilled for one place.
func killLoop(t *testing.T, place string, s Store, kills int) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	reported := map[string]bool{}
	last := int64(0)
	for range kills {
		children, lines := startChildren(t, place)
		killAt, ends := random.IntN(40), 0
		for n := 0; ends < len(children); n++ {
			if n == killAt {
				time.Sleep(time.Duration(random.IntN(4000)) * time.Microsecond) // not at the end of a commit
				for _, child := range children {
					_ = child.Process.Kill()
				}
			}
			line := <-lines
			path, ok := strings.CutPrefix(line, "committed ")
			switch {
			case ok:
				reported[path] = true
			case line == "":
				ends++
			default:
				t.Errorf("a child says %s", line)
			}
		}
		for _, child := range children {
			_ = child.Wait()
		}
		last = checkKilled(t, place, s, reported, last)
	}
	t.Logf("%d versions, %d commits were reported", last, len(reported))
	if len(reported) < kills {
		t.Errorf("only %d commits were reported", len(reported))
	}
}

// checkKilled checks a table between two kills, and returns its version.
func checkKilled(t *testing.T, place string, s Store, reported map[string]bool, last int64) int64 {
	t.Helper()
	table, err := Open(t.Context(), s)
	if errors.Is(err, ErrNoTable) && len(reported) == 0 {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	got := table.Snapshot()
	if got.Version < last {
		t.Errorf("version %d after %d", got.Version, last)
	}
	for path := range reported {
		_, active := got.files.get(path)
		_, removed := got.removed.get(path)
		if !active && !removed {
			t.Errorf("the commit of %s was reported, and is lost", path)
		}
	}
	windows := map[string]bool{}
	for path, f := range got.Files() {
		if windows[f.window()] {
			t.Errorf("window %s has two files", f.window())
		}
		windows[f.window()] = true
		if strings.HasPrefix(place, "s3:") {
			continue
		}
		if content, err := os.ReadFile(filepath.Join(place, path)); err != nil || string(content) != path {
			t.Errorf("%s is not whole: %q, %v", path, content, err)
		}
	}
	if n := len(checkProtocolKilled(t, s)); n != len(windows) {
		t.Errorf("%d active files of %d windows", n, len(windows))
	}
	return got.Version
}

// checkProtocolKilled is checkProtocol once the unfinished files are removed.
func checkProtocolKilled(t *testing.T, s Store) map[string]bool {
	t.Helper()
	if err := s.clean(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return checkLog(t, s, true)
}
