package auth

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// newCallers returns the callers of a new file, with the token of anna, and a clock.
func newCallers(t *testing.T) (c *Callers, token string, clock *testClock) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "callers.json")
	token, _, err := NewToken(path, Caller{Name: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = OpenCallers(path); err != nil {
		t.Fatal(err)
	}
	clock = &testClock{now: time.Now()}
	c.now = clock.Now
	return c, token, clock
}

// TestBrokenFile makes the file unusable in each way that there is: its callers are
// rejected once repairTime is over, until it is repaired.
func TestBrokenFile(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(path, 20) },
		"empty":     func(path string) error { return os.Truncate(path, 0) },
		"gone":      os.Remove,
		"a folder":  func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		"a link": func(path string) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		},
		"open to all": func(path string) error { return os.Chmod(path, 0o666) },
		"huge":        func(path string) error { return os.Truncate(path, mostCallers+1) },
		"an unknown field": func(path string) error {
			return os.WriteFile(path, []byte(`{"callers":[],"also":1}`), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) { breakAndRepair(t, damage) })
	}
}

func breakAndRepair(t *testing.T, damage func(path string) error) {
	c, token, clock := newCallers(t)
	good, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	gate := Gate{Callers: c}
	caller, err := gate.Caller(t.Context(), "Bearer "+token)
	if err != nil || !c.Valid(caller) {
		t.Fatalf("%+v, %v", caller, err)
	}
	if err := damage(c.path); err != nil {
		t.Fatal(err)
	}
	since := clock.Now()
	if changed, err := c.Refresh(); changed || err == nil {
		t.Errorf("reported %v, %v", changed, err)
	}
	if changed, err := c.Refresh(); changed || err != nil {
		t.Errorf("reported again: %v, %v", changed, err)
	}
	if _, err := gate.Caller(t.Context(), "Bearer "+token); err != nil || !c.Valid(caller) {
		t.Errorf("rejected at once: %v", err)
	}
	clock.advance(repairTime)
	for _, token := range []string{token, "fsx_unknown", "a.b.c"} {
		_, err = gate.Caller(t.Context(), "Bearer "+token)
		broken, ok := errors.AsType[*CallersError](err)
		if !ok || !broken.Since.Equal(since) || !strings.Contains(err.Error(), since.UTC().Format(time.RFC3339)) ||
			!strings.Contains(err.Error(), "operator") {
			t.Errorf("rejected with %v", err)
		}
	}
	if changed, _ := c.Refresh(); !changed || c.Valid(caller) || !c.ClosedSince().Equal(since) {
		t.Error("the streams of callers are not ended")
	}
	if err := errors.Join(os.RemoveAll(c.path), os.WriteFile(c.path, good, 0o600)); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Refresh(); !changed || err != nil || !c.Valid(caller) || !c.ClosedSince().IsZero() {
		t.Errorf("after the repair: %v, %v", changed, err)
	}
}

// TestUnusableFiles tries to open and to change files that others may have made.
func TestUnusableFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	for name, test := range map[string]struct {
		prepare func(path string) error
		says    string
	}{
		"open to all": {func(path string) error {
			return os.Chmod(path, 0o602)
		}, "every user of this machine can change"},
		"folder open to all": {func(path string) error {
			return os.Chmod(filepath.Dir(path), 0o777)
		}, "change the folder"},
		"link": {func(path string) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		}, "symbolic link"},
		"link to nothing": {func(path string) error {
			return errors.Join(os.Remove(path), os.Symlink(path+".real", path))
		}, "symbolic link"},
		"folder": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "is not a file"},
	} {
		c, _, _ := newCallers(t)
		if err := test.prepare(c.path); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenCallers(c.path); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: opened: %v", name, err)
		}
		if _, _, err := NewToken(c.path, Caller{Name: "bert"}); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: changed: %v", name, err)
		}
	}
}

// TestNewTokensAtOnce has many callers be added at the same time. Each must be in the
// file, which only its owner can read.
func TestNewTokensAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	var all sync.WaitGroup
	for n := range 30 {
		all.Go(func() {
			if _, _, err := NewToken(path, Caller{Name: fmt.Sprint("caller-", n)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	c, err := OpenCallers(path)
	if err != nil || c.Len() != 30 {
		t.Errorf("%d callers of 30, %v", c.Len(), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
}

// TestChangedCaller changes callers with new tokens.
func TestChangedCaller(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	var c *Callers
	give := func(change Caller) (now Caller) {
		t.Helper()
		token, _, err := NewToken(path, change)
		if err == nil {
			c, err = OpenCallers(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		now, _ = c.byToken(token)
		return now
	}
	if got := give(Caller{Name: "anna", Account: "emea", Links: true}); !got.MayLink() || got.Account != "emea" {
		t.Errorf("got %+v", got)
	}
	if got := give(Caller{Name: "anna", ReadOnly: true}); !got.MayLink() || got.Account != "emea" || !got.ReadOnly {
		t.Errorf("got %+v", got)
	}
	give(Caller{Name: "scraper", Account: "emea", ReadOnly: true, Links: true})
	got := give(Caller{Name: "scraper", Metrics: true})
	if !got.SeesAllMetrics() || got.MayLink() || got.Account != "" || c.Len() != 2 || len(c.Accounts()) != 1 {
		t.Errorf("got %+v, accounts %q", got, c.Accounts())
	}
}
