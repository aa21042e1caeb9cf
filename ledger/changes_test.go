package ledger

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestChangesAfterRest commits in another process after both were idle for long, when
// a ledger looks at the files instead of the database.
func TestChangesAfterRest(t *testing.T) {
	t.Parallel()
	place := filepath.Join(t.TempDir(), "ledger.db")
	l, other := open(t, place), open(t, place)
	changes, stop := l.Changes("a")
	defer stop()
	receive(t, "at first", changes)
	for range 2 {
		long := time.Now().Add(-time.Hour)
		for _, suffix := range []string{"", "-wal"} {
			if err := os.Chtimes(place+suffix, long, long); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * idlePollPause) // no event reports a look
		if s := stateOf(place); !s.settled() {
			t.Fatalf("the files are %+v", s)
		}
		drain(changes)
		write(t, other, func(t *Tx) error { return t.Note(Entry{Account: "a", Event: Asked}) })
		receive(t, "after rest", changes)
	}
}
