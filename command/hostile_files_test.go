//go:build unix

package command

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"fullstory-export-mcp/archive"
)

// mostMemory is the most memory that verify may take, in bytes.
const mostMemory = 200_000_000

// TestHostileFiles runs verify on each file of the corpus. It ends, says the reason, and
// takes little memory. -v prints the memory of each.
func TestHostileFiles(t *testing.T) {
	long(t)
	program := build(t)
	corpus := slices.Concat(hostileJSON, hostileCSV, hostileGzip)
	if len(corpus) < 40 {
		t.Errorf("%d files", len(corpus))
	}
	for _, h := range corpus {
		t.Run(h.name, func(t *testing.T) {
			folder := t.TempDir()
			writeHostile(t, folder, h)
			out, memory := measured(t, program, "verify", folder)
			t.Logf("%-13s %4d MB  %s", h.format, memory/1_000_000, h.name)
			if memory > mostMemory {
				t.Errorf("verify took %d bytes of memory", memory)
			}
			says := h.says
			if says == "" { // the manifest has other counts
				says = "manifest says"
			}
			if !strings.Contains(out, says) {
				t.Errorf("verify says\n%.1000s\nwant … %q", out, says)
			}
		})
	}
}

// TestHostileManifests runs verify on each manifest of the corpus.
func TestHostileManifests(t *testing.T) {
	long(t)
	program := build(t)
	for _, h := range hostileManifests {
		t.Run(h.name, func(t *testing.T) {
			folder := t.TempDir()
			f, err := os.Create(filepath.Join(folder, archive.ManifestName))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			w := bufio.NewWriter(f)
			h.write(w)
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			out, memory := measured(t, program, "verify", folder)
			t.Logf("%-13s %4d MB  %s", "manifest", memory/1_000_000, h.name)
			if memory > mostMemory || !strings.Contains(out, h.says) {
				t.Errorf("verify took %d bytes of memory and says\n%.1000s\nwant … %q", memory, out, h.says)
			}
		})
	}
}

// writeHostile writes a file and a manifest that names it.
func writeHostile(t *testing.T, folder string, h hostileFile) {
	t.Helper()
	f, err := os.Create(filepath.Join(folder, "hostile.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	if err := h.write(io.MultiWriter(f, sum)); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	kind := "TYPE_INDIVIDUAL"
	if h.events {
		kind = "TYPE_EVENT"
	}
	manifest := fmt.Sprintf(`{"version":2,"request":{"type":%q,"format":%q},`+
		`"files":[{"name":"hostile.gz","bytes":%d,"sha256":%q}]}`,
		kind, h.format, info.Size(), hex.EncodeToString(sum.Sum(nil)))
	if err := os.WriteFile(filepath.Join(folder, archive.ManifestName), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
}

// measured runs the program and returns its output and the most memory that it had. It
// runs it in a child of its own: the memory of a process counts for its children.
func measured(t *testing.T, program string, args ...string) (out string, memory int64) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMeasure$", "-test.v")
	c.Env = append(os.Environ(), measureVariable+"="+strings.Join(append([]string{program}, args...), "\n"))
	printed, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	_, rest, _ := strings.Cut(string(printed), measureMark)
	size, out, ok := strings.Cut(rest, "\n")
	if memory, err = strconv.ParseInt(size, 10, 64); err != nil || !ok {
		t.Fatalf("%v: %s", err, printed)
	}
	return out, memory
}

const (
	measureVariable = "FULLSTORY_EXPORT_TEST_MEASURE"
	measureMark     = "memory: "
)

// TestMeasure is the child of measured. It prints the memory and the output of a program.
func TestMeasure(t *testing.T) {
	line := os.Getenv(measureVariable)
	if line == "" {
		t.Skip("it is a part of other tests")
	}
	args := strings.Split(line, "\n")
	c := exec.Command(args[0], args[1:]...)
	printed, _ := c.CombinedOutput()
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		t.Fatal("the system does not say how much memory a process had")
	}
	unit := int64(1 << 10) // of Maxrss
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	fmt.Printf("%s%d\n%.2000s\n", measureMark, int64(usage.Maxrss)*unit, printed)
}
