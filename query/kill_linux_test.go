package query

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// children returns the processes that a process has started and that have not ended.
func children(t *testing.T, parent int) (found []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		for field := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, pid)
		}
	}
	return found
}

// workers returns the children that answer questions. Package os starts another one, which
// ends at once, to see what the system can do.
func workers(t *testing.T, parent int) (found []int) {
	t.Helper()
	for _, pid := range children(t, parent) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may have ended
		if strings.Contains(string(line), WorkerCommand) {
			found = append(found, pid)
		}
	}
	return found
}

// await polls until done returns true.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no sign that %s", what)
		}
	}
}

// TestKill kills children while they work.
func TestKill(t *testing.T) {
	files := []File{zoo().write(t, t.TempDir())}
	storage := t.TempDir()
	t.Setenv("TMPDIR", storage)
	for range 5 {
		ended := make(chan error, 1)
		go func() {
			_, err := Run(t.Context(), Options{Files: files, SQL: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 " +
				"FROM n) " +
				"SELECT i, randomblob(1000) FROM n ORDER BY 2"})
			ended <- err
		}()
		var pids []int
		await(t, "the child has started", func() bool { pids = workers(t, os.Getpid()); return len(pids) == 1 })
		await(t, "it sorts", func() bool { // in a file that has no name any more
			links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pids[0]))
			for _, link := range links {
				if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, storage) && strings.HasSuffix(to,
					"(deleted)") {
					return true
				}
			}
			return false
		})
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		err := <-ended
		if e, ok := errors.AsType[*Error](err); !ok || e.Kind != TooLarge {
			t.Errorf("a killed child gives %v", err)
		}
		if left, err := os.ReadDir(storage); err != nil || len(left) > 0 || len(children(t, os.Getpid())) > 0 {
			t.Errorf("it leaves %v, %v, %v", left, err, children(t, os.Getpid()))
		}
	}
}

const orphanData = "QUERY_TEST_ORPHAN"

// TestOrphan kills the parent of a child, which must end then.
func TestOrphan(t *testing.T) {
	if path := os.Getenv(orphanData); path != "" { // the parent
		_, err := Run(t.Context(), Options{Files: []File{{Path: path}}, SQL: endless})
		t.Fatal(err)
	}
	file := zoo().write(t, t.TempDir())
	parent := exec.Command(os.Args[0], "-test.run=^TestOrphan$")
	parent.Env = append(os.Environ(), orphanData+"="+file.Path, "TMPDIR="+t.TempDir())
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	await(t, "the child has started", func() bool { pids = workers(t, parent.Process.Pid); return len(pids) == 1 })
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	await(t, "the child has ended", func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pids[0]))
		return err != nil || strings.Contains(string(status), ") Z ")
	})
}

// TestEnvironment looks at what a child has of the environment and the files of its parent.
func TestEnvironment(t *testing.T) {
	t.Setenv("FULLSTORY_API_KEY", "secret")
	files := []File{zoo().write(t, t.TempDir())}
	ended := make(chan error, 1)
	go func() {
		_, err := Run(t.Context(), Options{Files: files, SQL: endless, Deadline: 2 * time.Second})
		ended <- err
	}()
	var pids []int
	await(t, "the child has started", func() bool { pids = workers(t, os.Getpid()); return len(pids) == 1 })
	var limits, environment string
	await(t, "it is confined", func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pids[0]))
		limits = strings.Join(strings.Fields(string(text)), " ")
		text, _ = os.ReadFile(fmt.Sprintf("/proc/%d/environ", pids[0]))
		environment = string(text)
		return strings.Contains(limits, "Max data size 536870912")
	})
	for _, want := range []string{
		"Max file size 268435456 268435456", "Max data size 536870912 536870912", "Max core file size 0 0",
		"Max open files 256 256",
	} {
		if !strings.Contains(limits, want) {
			t.Errorf("its limits are %s, want %s", limits, want)
		}
	}
	_, _, cgo := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, unix.PR_GET_NO_NEW_PRIVS, 0, 0)
	if cgo == 0 { // a program without C, as it is released
		await(t, "it has no way to new rights", func() bool {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pids[0]))
			return strings.Contains(string(text), "NoNewPrivs:\t1")
		})
	}
	if strings.Contains(environment, "FULLSTORY") || strings.Contains(environment, "HOME=") {
		t.Errorf("its environment is %q", environment)
	}
	if err := <-ended; err == nil {
		t.Error("it has an answer")
	}
}
