package transport

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"fullstory-export-mcp/auth"
)

// TestTurns has a caller run hundreds of calls that never end: a call of another caller has
// its turn after a single one of those.
func TestTurns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	for _, name := range []string{"greedy", "anna"} {
		if _, _, err := auth.NewToken(path, auth.Caller{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{MCP: newTools(t).mcp(), Callers: callers})
		for range 1000 {
			go s.turn(auth.Caller{Name: "greedy"}, calling)
		}
		synctest.Wait()
		began := time.Now()
		end := s.turn(auth.Caller{Name: "anna"}, calling)
		if waited := time.Since(began); waited > turnTime {
			t.Errorf("a call beside those of a greedy caller waited %v", waited)
		}
		end()
		s.turn(auth.Caller{Name: "greedy"}, listening)() // waits for nothing
		if waited := time.Since(began); waited > turnTime {
			t.Errorf("a stream waited %v", waited)
		}
		time.Sleep(time.Hour) // the others have their turns
	})
}
