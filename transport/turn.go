package transport

import (
	"context"
	"time"

	"fullstory-export-mcp/auth"
)

const (
	// turnsPerCPU is how many calls may use a processor at the same time.
	turnsPerCPU = 2
	// turnTime is the longest turn. A call that takes longer waits for something else most
	// of the time, so the next one has its turn.
	turnTime = 5 * time.Millisecond
)

// turn waits until a call of one of several callers may use the processor, and returns the
// function to call when the call has ended. Turns go to the caller that has the fewest, so
// the calls of a caller with hundreds at once do not delay those of the others.
func (s *Server) turn(caller auth.Caller, k kind) (end func()) {
	if k != calling || s.gate.Single() {
		return func() {}
	}
	release, err := s.turns.Take(context.Background(), caller.Name, 0)
	if err != nil { // it cannot be: the context does not end
		return func() {}
	}
	timer := time.AfterFunc(turnTime, release)
	return func() {
		timer.Stop()
		release()
	}
}
