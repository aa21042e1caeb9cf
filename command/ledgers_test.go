package command

import (
	"path/filepath"
	"sync"
	"testing"

	"fullstory-export-mcp/ledger"
)

// TestLedgersAreShared gets the ledgers of two places from many goroutines at once.
func TestLedgersAreShared(t *testing.T) {
	t.Parallel()
	var all ledgers
	dir := t.TempDir()
	got := make([]*ledger.Ledger, 20)
	var asking sync.WaitGroup
	for i := range got {
		asking.Go(func() {
			var err error
			if got[i], err = all.get(t.Context(), filepath.Join(dir, []string{"even", "odd"}[i%2])); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	for i, l := range got {
		if l != got[i%2] || l == got[1-i%2] {
			t.Errorf("goroutine %d got the ledger %v", i, l)
		}
	}
	if err := all.close(); err != nil {
		t.Error(err)
	}
	if _, err := got[0].Account(t.Context(), "key"); err == nil {
		t.Error("a closed ledger answers")
	}
	// A ledger that cannot be opened does not stay in the set.
	if _, err := all.get(t.Context(), "/dev/null/ledger.db"); err == nil {
		t.Error("a ledger was opened in a file")
	}
	if again, err := all.get(t.Context(), filepath.Join(dir, "even")); err != nil || again == got[0] {
		t.Errorf("after the end: %v, %v", again, err)
	}
	if err := all.close(); err != nil {
		t.Error(err)
	}
}
