package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestErasedSecret removes a secret: once the ledger is closed, no file has it any more.
func TestErasedSecret(t *testing.T) {
	t.Parallel()
	const password = "a-password-that-is-removed"
	dir := t.TempDir()
	l, err := Open(t.Context(), filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	has := func() (found bool) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, path := range files {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = found || bytes.Contains(content, []byte(password))
		}
		return found
	}
	write(t, l, func(t *Tx) error { return t.SetSecret("destination x", "postgres://u:"+password+"@host/db") })
	if !has() {
		t.Error("the secret is in no file, so that this test proves nothing")
	}
	write(t, l, func(t *Tx) error { return t.SetSecret("destination x", "") })
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if has() {
		t.Error("the removed secret is still in a file")
	}
}
