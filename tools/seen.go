package tools

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/preflight"
)

const (
	// seenLife is how long a conversation is expected to remember the notices of a dry run.
	seenLife = 10 * time.Minute
	// mostSeen is how many notices are remembered.
	mostSeen = 10_000
)

// seenNotices remembers which notices conversations got with dry runs, so that the start
// of the same request does not repeat their texts. It knows those of this process only:
// a start that another process answers has the whole texts, and so has one over a
// protocol without sessions. The zero value is ready; it is safe for concurrent use.
type seenNotices struct {
	mu sync.Mutex
	at map[[sha256.Size]byte]time.Time // when a notice was given
}

// result returns the notices of a result as they are given to the caller of ctx. Those of
// a dry run are given in full. Those of a start have only code and level if the same
// conversation got them with a dry run of the same request in the last seenLife.
func (s *seenNotices) result(
	ctx context.Context, dry bool, request any, notices []preflight.Notice,
) []preflight.Notice {
	session := server.ClientSessionFromContext(ctx)
	if session == nil {
		return notices
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	given := []preflight.Notice{}
	for _, n := range notices {
		raw, err := json.Marshal([]any{session.SessionID(), request, n})
		if err != nil {
			return notices
		}
		key := sha256.Sum256(raw)
		switch at, seen := s.at[key]; {
		case dry:
			s.remember(key)
		case seen && time.Since(at) < seenLife:
			n = preflight.Notice{Code: n.Code, Level: n.Level}
		}
		given = append(given, n)
	}
	return given
}

// remember records that a notice is given. s.mu must be held.
func (s *seenNotices) remember(key [sha256.Size]byte) {
	if len(s.at) >= mostSeen || s.at == nil {
		s.at = map[[sha256.Size]byte]time.Time{} // what is forgotten is only said once more
	}
	s.at[key] = time.Now()
}
