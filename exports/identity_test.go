package exports

import (
	"path/filepath"
	"testing"

	"fullstory-export-mcp/ledger"
)

// TestIdentityIsReadOnce changes the ledger of an identity: the id of a key that was read
// stays cached, the id of another key is read, and remember replaces a cached id.
func TestIdentityIsReadOnce(t *testing.T) {
	ctx := t.Context()
	l, err := ledger.Open(ctx, filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var i identity
	is := func(key, want string) {
		t.Helper()
		if got, err := i.read(ctx, l, key); err != nil || got != want {
			t.Errorf("the key %s has the id %q, %v; want %q", key, got, err, want)
		}
	}
	remember := func(key, id string) {
		t.Helper()
		if err := l.Remember(ctx, key, id); err != nil {
			t.Fatal(err)
		}
	}
	is("first", "")
	remember("first", "a")
	is("first", "a")
	remember("first", "b")
	is("first", "a")
	remember("second", "c")
	is("second", "c")
	if err := i.remember(ctx, l, "second", "d"); err != nil {
		t.Fatal(err)
	}
	is("second", "d")
}
