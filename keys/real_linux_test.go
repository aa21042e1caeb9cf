package keys

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"fullstory-export-mcp/client"
)

// inSession marks the process of TestRealKeychain that runs inside a D-Bus session.
const inSession = "FULLSTORY_TEST_IN_SESSION"

// session starts the keyring of GNOME, unlocked, and then a test.
const session = `
	printf test | gnome-keyring-daemon --unlock --foreground --components=secrets >/dev/null 2>&1 &
	trap "kill $!" EXIT
	until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
		string:org.freedesktop.secrets | grep -q true; do sleep 0.1; done
	"$0" -test.v -test.run '^TestRealKeychain$'`

// TestRealKeychain keeps a key in the keyring of GNOME, in a D-Bus session of its own.
func TestRealKeychain(t *testing.T) {
	if os.Getenv(inSession) != "" {
		useRealKeychain(t)
		return
	}
	for _, name := range []string{"dbus-run-session", "dbus-send", "gnome-keyring-daemon"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not here", name)
		}
	}
	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".local", "share", "keyrings"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "dbus-run-session", "--", "sh", "-c", session, os.Args[0])
	c.WaitDelay = time.Second
	c.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), inSession + "=1"}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(home, ".config", "fullstory-export-mcp", "*")); len(left) > 0 {
		t.Errorf("files are left: %q", left)
	}
}

// useRealKeychain is TestRealKeychain inside the session.
func useRealKeychain(t *testing.T) {
	s := New(Options{Folder: t.TempDir(), Getenv: os.Getenv})
	if _, err := s.FromKeychain(""); !errors.Is(err, ErrNone) {
		t.Errorf("a new keyring has a key: %v", err)
	}
	for _, key := range []string{secret + "1", secret} {
		if kept, err := s.Keep("", client.Key(key)); err != nil || kept != (Kept{}) {
			t.Fatalf("kept in %+v, %v", kept, err)
		}
		if got, err := s.FromKeychain(""); err != nil || string(got) != key {
			t.Errorf("got another key, %v", err)
		}
	}
	if _, err := s.FromKeychain("emea"); !errors.Is(err, ErrNone) {
		t.Errorf("another account has a key: %v", err)
	}
	for _, want := range []int{1, 0} {
		if from, err := s.Remove(""); err != nil || len(from) != want {
			t.Errorf("removed from %v, %v", from, err)
		}
	}
}
