package command

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// silentBus returns the address of a D-Bus session that never answers, as a keychain does
// that waits for a password, and a channel that gets a value when it is asked.
func silentBus(t *testing.T) (address string, asked <-chan struct{}) {
	t.Helper()
	folder, err := os.MkdirTemp("", "bus") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	path := filepath.Join(folder, "bus")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	connected := make(chan struct{}, 1)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			select {
			case connected <- struct{}{}:
			default:
			}
		}
	}()
	return "unix:path=" + path, connected
}

// TestSilentKeychain runs a command with a keychain that does not answer. It ends with a
// message, and no command hangs.
func TestSilentKeychain(t *testing.T) {
	t.Parallel()
	bus, _ := silentBus(t)
	c := exec.CommandContext(t.Context(), build(t), "doctor", "--dir", t.TempDir())
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "FULLSTORY_API_KEY=",
		"FULLSTORY_EXPORT_NO_KEYCHAIN=", "DBUS_SESSION_BUS_ADDRESS="+bus)
	began := time.Now()
	out, _ := c.CombinedOutput()
	if took := time.Since(began); took > promised(12*time.Second) {
		t.Errorf("it took %v", took)
	}
	for _, want := range []string{
		"The system's keychain did not answer within 8s; it may be showing a window that asks for a password. Unlock",
		"login --no-keychain`",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it lacks %q: %s", want, out)
		}
	}
	if c.ProcessState.ExitCode() != statusFailed {
		t.Errorf("status %v", c.ProcessState)
	}
}
