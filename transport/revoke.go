package transport

import (
	"time"

	"fullstory-export-mcp/auth"
)

// refresh reads the callers again if they changed. It ends the streams that were opened
// with a token that is no longer valid, and the sessions of callers that were removed or
// have another account. The session of a caller with a new token continues.
func (s *Server) refresh() {
	callers := s.o.Callers
	if callers == nil {
		return
	}
	changed, err := callers.Refresh()
	if err != nil {
		s.o.Log.Error("the file of callers cannot be used; its callers are rejected within seconds unless it is repaired",
			"error", err)
	}
	if !changed {
		return
	}
	s.core.work.revoke(callers.Valid)
	if since := callers.ClosedSince(); !since.IsZero() {
		s.o.Log.Error("the callers of the file are rejected until the file is repaired",
			"unusable_since", since.UTC().Format(time.RFC3339))
		return
	}
	s.o.Log.Info("the callers were read again", "callers", callers.Len())
	s.sessions.revoke(func(c auth.Caller) bool { return c.Token == "" || callers.Has(c) })
	s.o.Changed()
}

// revoke ends the sessions whose caller is no longer one.
func (t *sessions) revoke(isCaller func(auth.Caller) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.open {
		if !isCaller(s.caller) {
			t.remove(s, auth.ErrRevoked)
		}
	}
}

// callersProblem returns a sentence if the callers of the file are rejected because the
// file cannot be used, and "" otherwise.
func (s *Server) callersProblem() string {
	if s.o.Callers == nil {
		return ""
	}
	since := s.o.Callers.ClosedSince()
	if since.IsZero() {
		return ""
	}
	return (&auth.CallersError{Since: since}).Error()
}
