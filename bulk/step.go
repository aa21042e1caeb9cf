package bulk

import (
	"slices"
	"time"

	"fullstory-export-mcp/ledger"
)

const (
	// MostCreates bounds the exports of one window.
	MostCreates = 6
	// mostSearches bounds the candidates of one intent that are ruled out.
	mostSearches = 20
	// recreateAfter is the delay before a window is exported once more. It doubles.
	recreateAfter = 15 * time.Second
	// resendAfter is the delay before the retry of a create that Fullstory rejected, or
	// that did not reach it. It doubles.
	resendAfter = time.Second
	// longestDelay bounds the delay of one export that Retry-After can ask for.
	longestDelay = time.Hour
	// visible is how long after an intent an accepted export is in the list of
	// operations at the latest (assumed; nothing is documented).
	visible = 2 * time.Second
	// searchPause is the time between two searches until visible has passed, and
	// searchRetry the time between the first search after that and the last.
	searchPause = 500 * time.Millisecond
	searchRetry = time.Second
	// unknownAfter is the age from which an operation that Fullstory does not know
	// counts as never created.
	unknownAfter = time.Minute
	// notReadyFor is how long requests for a file that Fullstory does not return are
	// retried, and brokenFor how long failing transfers are, before the window is
	// exported once more.
	notReadyFor = 2 * time.Minute
	brokenFor   = time.Hour
	// singleCreates bounds the creates of a single export whose answers are lost.
	singleCreates = 3
)

// concerns reports whether the attempt waits for an operation: for that of its export,
// or for a candidate that is not ruled out.
func (a Attempt) concerns(operation string) bool {
	if a.State == uncertain {
		return slices.Contains(a.Possible(), operation)
	}
	return a.Operation == operation
}

// unproved reports whether the operation is a candidate, so that only its file can
// prove that it is that of the export.
func (a Attempt) unproved() bool {
	return !a.Single && slices.ContainsFunc(a.Candidates, func(c ledger.Candidate) bool {
		return c.Operation == a.Operation && c.Verdict == ""
	})
}

// age returns how long an export has run: the shorter time by Fullstory's clock and
// by that of the process, so that a jump of one of them does not exceed a deadline.
func (s *step) age(at time.Time) time.Duration {
	return min(at.Sub(s.IntentAt), s.now.Sub(s.WatchedSince))
}

// times returns the times of a completed operation, with impossible ones replaced:
// whether rows have settled, and how long exports take, follow from them.
func (s *step) times(e Event) (created, finished, expires time.Time) {
	created, finished = e.Is.CreatedAt, e.Is.FinishedAt
	if !s.CreatedAt.IsZero() && created.Sub(s.CreatedAt).Abs() > time.Hour {
		created = s.CreatedAt
	}
	if !e.At.IsZero() && finished.After(e.At.Add(time.Hour)) {
		finished = e.At
	}
	return created, finished, e.Is.ExportExpires
}

// step is one transition under way.
type step struct {
	Attempt
	now     time.Time
	effects []Effect
}

func (s *step) effect(e Effect) { s.effects = append(s.effects, e) }

// record saves the facts about the present operation.
func (s *step) record(outcome ledger.Outcome) {
	s.effect(Effect{Do: Record, Operation: ledger.Operation{
		ID: s.Operation, SearchExport: s.SearchExport, Outcome: outcome,
		CreatedAt: s.CreatedAt, FinishedAt: s.FinishedAt, ExpiresAt: s.ExpiresAt,
	}})
}

func (s *step) note(event ledger.Event, operation, reason string) {
	s.effect(Effect{Do: Note, Event: event, Operation: ledger.Operation{ID: operation}, Reason: reason})
}

// clear resets the failures in a row and the wait.
func (s *step) clear() { s.Tries, s.FailingSince, s.NextAt, s.Reason = 0, time.Time{}, time.Time{}, "" }

// wait delays the next try of the present step by three quarters of d to all of it,
// depending on the number of the chunk, so that chunks that failed together are not
// retried together.
func (s *step) wait(d time.Duration, reason string) {
	s.NextAt, s.Reason = s.now.Add(d*3/4+d/4*time.Duration(s.Number%16)/16), reason
}

// retry counts a failure of the present step, and waits: for first, and for twice as
// long after each further failure, at most for longest.
func (s *step) retry(first, longest time.Duration, reason string) {
	if s.Tries++; s.FailingSince.IsZero() || s.FailingSince.After(s.now) {
		s.FailingSince = s.now
	}
	s.wait(min(longest, first<<min(s.Tries-1, 12)), reason)
}

// forget detaches the attempt from its present export, which becomes an orphan if it
// runs. A single export keeps it, because its file may be requested later.
func (s *step) forget() {
	if s.clear(); s.Single {
		return
	}
	s.Operation, s.SearchExport, s.Damaged = "", "", 0
	s.IntentAt, s.CreatedAt, s.FinishedAt, s.ExpiresAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	s.SearchedAt, s.WatchedSince = time.Time{}, time.Time{}
}

// lose gives up an export without a file. If halve is set and the window is long
// enough, it is halved, else it is exported once more after a delay, or fails after
// MostCreates. A chunk that has a stored file is never halved and keeps the file.
func (s *step) lose(reason string, halve bool, delay time.Duration) {
	length := s.End.Sub(s.Start)
	switch s.forget(); {
	case s.Single:
		s.fail(reason)
	case s.StoredAt.IsZero() && halve && length >= 2*s.Floor:
		s.State, s.Reason = ledger.ChunkSplit, reason
		s.effect(Effect{Do: Split})
	default:
		s.replan(reason, delay)
	}
}

// replan plans the window once more after a delay that doubles with each create, or
// fails it after MostCreates.
func (s *step) replan(reason string, delay time.Duration) {
	if s.Creates >= MostCreates {
		s.fail(reason)
		return
	}
	s.State = ledger.ChunkPlanned
	s.wait(delay<<(max(s.Creates, 1)-1), reason)
}

// fail makes a chunk failed, or stored if it has a stored file: then only the attempt
// to replace that file has failed.
func (s *step) fail(reason string) {
	s.forget()
	s.State, s.Reason = ledger.ChunkFailed, reason
	if !s.StoredAt.IsZero() {
		s.State, s.Creates = ledger.ChunkStored, 0
		s.Reason = "The rows could not be exported again after they had settled, so the earlier file is kept: " + reason
	}
	if s.Single {
		s.effect(Effect{Do: End, State: ledger.BulkFailed, Reason: reason})
	}
}

// searchAnew resumes the search for the operation of an intent, unless candidates are
// left to verify.
func (s *step) searchAnew() {
	s.Operation, s.SearchExport, s.SearchedAt = "", "", time.Time{}
	if len(s.Possible()) > 0 {
		s.State = ledger.ChunkUncertain
		return
	}
	s.State = ledger.ChunkCreating
	if len(s.Candidates) > mostSearches {
		s.lose("Fullstory's answer to the create was lost, and other exports were found in its place.", false, recreateAfter)
	}
}

// setVerdict sets the verdict of a candidate.
func (s *step) setVerdict(operation string, v ledger.Verdict) {
	for i := range s.Candidates {
		if s.Candidates[i].Operation == operation {
			s.Candidates[i].Verdict = v
		}
	}
}

// noFile retries the fetch until it has failed for the time limit, or the export has
// expired. Then the window is exported once more.
func noFile(s *step, e Event, limit, longest time.Duration) {
	expired := !s.ExpiresAt.IsZero() && s.age(e.At) > s.ExpiresAt.Sub(s.IntentAt)
	if since := s.now.Sub(s.FailingSince); e.Final || expired || !s.FailingSince.IsZero() && since >= limit {
		s.record(ledger.OperationLost)
		s.note(ledger.Event(ledger.OperationLost), s.Operation, e.Reason)
		s.lose(e.Reason, false, recreateAfter)
		return
	}
	s.State = ready
	s.retry(time.Second, longest, e.Reason)
	if asked := s.now.Add(min(e.After, longestDelay)); asked.After(s.NextAt) {
		s.NextAt = asked
	}
}
