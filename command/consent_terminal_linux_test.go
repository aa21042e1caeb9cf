package command

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns a terminal, and its other end, where a user reads and types.
func openTerminal(t *testing.T) (terminal, user *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	unlocked := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0)
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err = errors.Join(unlocked, err); err == nil {
		terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close(); user.Close() })
	return terminal, user
}

// typed executes a command line on a terminal at which a user types a line once there is a
// question, and returns the exit status and what the terminal shows.
func typed(t *testing.T, line, dir string, args ...string) (status int, shown string) {
	t.Helper()
	terminal, user := openTerminal(t)
	all := append(args, "--dir", dir, "--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--sandbox-op-time", "20ms",
		"--sandbox-density", fewRows, "--confirm-chunks", "3")
	ended := make(chan int, 1)
	var out buffer
	go func() {
		ended <- Status(Run(t.Context(), all, func(string) string { return "" }, terminal, &out, terminal))
		terminal.Close() // ends the reading below
	}()
	var screen bytes.Buffer
	for part := make([]byte, 4096); ; {
		n, err := user.Read(part)
		screen.Write(part[:n])
		if err != nil {
			return <-ended, screen.String() + out.String()
		}
		if strings.HasSuffix(screen.String(), "[y/N] ") {
			fmt.Fprintln(user, line)
		}
	}
}

// TestConsentOnATerminal asks the user of a terminal before a large run, sync and cancellation.
func TestConsentOnATerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := append([]string{"run"}, fourChunks...)
	for _, no := range []string{"n", "", "yess"} {
		status, shown := typed(t, no, dir, run...)
		if status != 1 || !strings.Contains(shown, "Start the bulk export day?") ||
			!strings.Contains(shown, "Nothing was started. The user declined.") || bulks(t, dir)["day"] != "" {
			t.Errorf("%q: status %d, %s", no, status, shown)
		}
	}
	if status, shown := typed(t, "y", dir, run...); status != 0 || bulks(t, dir)["day"] != "complete" {
		t.Errorf("yes: status %d, %s", status, shown)
	}
	sync := []string{"sync", "add", "all", "--segment", "everyone", "--from", "2026-11-01"}
	status, shown := typed(t, "no", dir, sync...)
	if status != 1 || !strings.Contains(shown, "Keep the sync all up to date?") ||
		!strings.Contains(shown, "Nothing was changed.") {
		t.Errorf("a sync: status %d, %s", status, shown)
	}
	if status, shown := typed(t, "yes", dir, sync...); status != 0 {
		t.Errorf("a sync: status %d, %s", status, shown)
	}
	lines, _, _ := auditOf[struct {
		Event  string
		Detail struct{ Consent string }
	}](t, "--dir", dir)
	var got []string
	for _, e := range lines {
		if e.Detail.Consent != "" {
			got = append(got, e.Event+" "+e.Detail.Consent)
		}
	}
	want := "declined decline, declined decline, declined decline, confirmed terminal, asked terminal, " +
		"declined decline, confirmed terminal, sync_added terminal"
	if strings.Join(got, ", ") != want {
		t.Errorf("the audit log has %q", got)
	}
}
