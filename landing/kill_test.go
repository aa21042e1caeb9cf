//go:build unix

package landing

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fullstory-export-mcp/archive"
)

// killedFolder names the archive that the child of TestKilled converts.
const killedFolder = "LANDING_TEST_KILLED"

// TestKilledChild converts a folder for TestKilled, which kills it.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killedFolder)
	if dir == "" {
		t.Skip("it is a child of TestKilled")
	}
	a, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Convert(t.Context(), a, "bulk", Options{}, func(Progress) { fmt.Println("progress") }); err != nil {
		t.Fatal(err)
	}
}

// TestKilled kills a conversion of changed files with SIGKILL, again and again: at every
// time each Parquet file is the old one or the new one, and whole.
func TestKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	b := newBulk(t, `{"format":"FORMAT_NDJSON"}`)
	version := 0
	change := func() {
		version++
		for day := range 6 {
			start := fmt.Sprintf("2026-10-%02dT00:00:00Z", day+1)
			row := fmt.Sprintf(`{"EventStart":"%s","evt_version_int":%d,"PageUrl":"/%d"}`+"\n", start, version, day)
			b.put(start, fmt.Sprintf("2026-10-%02dT00:00:00Z", day+2), strings.Repeat(row, 2_000))
		}
	}
	change()
	b.convert()
	made, between := 0, 0 // files of the latest version that killed children left; kills between two of them
	for range 20 {
		change()
		child := exec.Command(os.Args[0], "-test.run", "^TestKilledChild$")
		child.Env = append(os.Environ(), killedFolder+"="+b.Dir())
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range random.IntN(12) { // two or three a file
			lines.Scan()
		}
		_ = child.Process.Kill()
		_ = child.Wait()
		n := b.checkVersions(version)
		if made += n; n > 0 && n < 6 {
			between++
		}
	}
	b.convert()
	if n := b.checkVersions(version); n != 6 {
		t.Errorf("at the end %d of 6 files are new", n)
	}
	for _, file := range b.files() {
		if strings.HasPrefix(filepath.Base(file), ".") {
			t.Errorf("%s is left", file)
		}
	}
	if t.Logf("%d files were made before kills, %d kills came between files", made, between); between == 0 {
		t.Error("no kill came between files")
	}
}

// checkVersions fails unless each of the six files is whole and of one version, and returns
// how many are of the latest.
func (b *bulk) checkVersions(latest int) (n int) {
	b.t.Helper()
	found := 0
	for _, file := range b.files() {
		if !strings.HasSuffix(file, suffix) {
			continue
		}
		found++
		rows := b.rows(file)
		if len(rows) != 2_000 {
			b.t.Errorf("%s has %d rows", file, len(rows))
			continue
		}
		version := rows[0]["evt_version_int"].(int64)
		for _, row := range rows {
			if row["evt_version_int"] != version {
				b.t.Fatalf("%s has rows of versions %d and %v", file, version, row["evt_version_int"])
			}
		}
		if version == int64(latest) {
			n++
		}
	}
	if found != 6 {
		b.t.Errorf("%d files of Parquet, want 6", found)
	}
	return n
}
