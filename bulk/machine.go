package bulk

import (
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/ledger"
)

// Next returns the attempt after an event at now, by the clock of the leaseholder, and
// the effects to carry out. It has no side effects. Events may come late or twice: one
// that does not fit the state, or is about another operation, changes nothing.
func Next(a Attempt, e Event, now time.Time) (Attempt, []Effect) {
	for _, t := range transitions {
		if t.event == e.Kind && slices.Contains(t.from, a.State) && (e.Operation == "" || t.any || a.concerns(e.Operation)) {
			s := step{Attempt: a, now: now}
			s.Candidates = slices.Clone(a.Candidates)
			t.do(&s, e)
			return s.Attempt, s.effects
		}
	}
	return a, nil
}

// transitions is the table of all transitions.
var transitions = []transition{
	{from: in(planned), event: Send, to: in(creating), do: send},
	{from: in(planned), event: Reuse, to: in(running, ready, completed), do: reuse, any: true},
	{from: in(creating), event: Accept, to: in(running), do: accept, any: true},
	{from: in(planned, uncertain, running, completed, ready, downloading, stored, failed, split, cancelled),
		event: Accept, do: acceptLate, any: true},
	{from: in(creating), event: Reject, to: in(planned, failed, stored), do: reject},
	{from: in(creating), event: Throttle, to: in(planned), do: throttle},
	{from: in(creating), event: Unsent, to: in(planned), do: func(s *step, e Event) { unsent(s, e) }},
	{from: in(creating), event: LoseAnswer, to: in(creating), do: loseAnswer},
	{from: in(creating), event: Find, to: in(uncertain, running, failed, stored), do: find},
	{from: in(creating), event: FindNone, to: in(creating, planned, failed, stored), do: findNone},
	{from: in(creating), event: Unread, to: in(creating, planned, failed, stored), do: unread},
	{from: in(uncertain), event: Complete, to: in(ready), do: complete},
	{from: in(uncertain), event: Pend, to: in(uncertain, creating, planned, failed, stored), do: pendCandidate},
	{from: in(uncertain), event: Fail, to: in(uncertain, creating, planned, failed, stored), do: ruleOut},
	{from: in(uncertain), event: Vanish, to: in(uncertain, creating, planned, failed, stored), do: ruleOut},
	{from: in(uncertain), event: Unread, to: in(uncertain, creating, planned, failed, stored), do: unread},
	{from: in(running), event: Unread, to: in(running, split, planned, failed, stored), do: unread},
	{from: in(running), event: Pend, to: in(running, split, planned, failed, stored), do: pend},
	{from: in(running), event: Complete, to: in(ready, completed), do: complete},
	{from: in(uncertain), event: NoExport, to: in(uncertain, creating, planned, failed, stored), do: noExport},
	{from: in(running), event: NoExport, to: in(running, planned, failed, stored), do: noExport},
	{from: in(running), event: Fail, to: in(split, planned, failed, stored), do: failAtFullstory},
	{from: in(running), event: Vanish, to: in(running, planned, failed, stored), do: vanish},
	{from: in(completed, stored), event: RequestFile, to: in(ready), do: requestFile},
	{from: in(failed), event: RequestFile, to: in(failed, ready), do: requestFile},
	{from: in(ready), event: Fetch, to: in(downloading), do: become(downloading)},
	{from: in(downloading, stored), event: Store, to: in(stored), do: store}, // stored: cancelled meanwhile
	{from: in(cancelled), event: Store, to: in(cancelled), do: discard, any: true},
	{from: in(downloading), event: Interrupt, to: in(ready), do: become(ready)},
	{from: in(downloading), event: Postpone, to: in(ready, failed), do: postpone},
	{from: in(downloading), event: NotReady, to: in(ready, planned, failed, stored), do: notReady},
	{from: in(downloading), event: BreakOff, to: in(ready, planned, failed, stored), do: breakOff},
	{from: in(downloading), event: FindDamage, to: in(ready, split, planned, failed, stored), do: findDamage},
	{from: in(downloading), event: FindForeign,
		to: in(uncertain, creating, ready, split, planned, failed, stored), do: findForeign},
	{from: in(stored), event: Settle, to: in(planned), do: settle},
	{from: in(stored), event: Redo, to: in(planned), do: redo},
	{from: in(planned, failed, stored), event: BringIn, to: in(stored), do: bringIn},
	{from: in(failed), event: Retry, to: in(planned), do: retryFailed},
	{from: in(planned, creating, uncertain, running, ready, downloading),
		event: Break, to: in(failed, stored), do: breakDown},
	{from: in(planned, creating, uncertain, running, ready, downloading),
		event: Cancel, to: in(cancelled, stored), do: cancel},
}

// A create.

// send keeps Tries and Reason, which count and explain the creates in a row that did
// not reach Fullstory, until Fullstory answers.
func send(s *step, e Event) {
	tries, reason := s.Tries, s.Reason
	s.forget()
	s.Tries, s.Reason = tries, reason
	s.State, s.IntentAt = creating, e.At
	s.Creates++
	s.Candidates = slices.DeleteFunc(s.Candidates, func(c ledger.Candidate) bool { return c.Verdict != ledger.Empty })
}

func reuse(s *step, e Event) {
	s.forget()
	s.State, s.Operation, s.IntentAt, s.CreatedAt, s.WatchedSince = running, e.Is.ID, e.Is.CreatedAt, e.Is.CreatedAt, s.now
	s.note(ledger.Reused, e.Is.ID, "")
	if e.Is.State.Ended() {
		complete(s, e)
	}
}

func accept(s *step, e Event) {
	s.clear()
	s.State, s.Operation, s.CreatedAt, s.WatchedSince = running, e.Operation, s.IntentAt, s.now
	s.record("")
	s.note(ledger.Created, e.Operation, "")
	s.effect(Effect{Do: Accepted})
}

// acceptLate records an operation whose create was given up meanwhile, unless a search
// has found it. It is an orphan, so it will be cancelled.
func acceptLate(s *step, e Event) {
	if !s.concerns(e.Operation) && !slices.Contains(s.Possible(), e.Operation) {
		s.effect(Effect{Do: Record, Operation: ledger.Operation{ID: e.Operation, CreatedAt: e.At}})
		s.note(ledger.Created, e.Operation, "")
	}
}

// reject counts a create that Fullstory rejected. If it has accepted nothing of the
// bulk export so far, the bulk export is blocked instead and the chunk keeps its tries.
func reject(s *step, e Event) {
	s.clear()
	s.State, s.IntentAt = planned, time.Time{}
	s.effect(Effect{Do: Rejected, Reason: e.Reason, Final: e.Final, Early: e.Early})
	switch {
	case s.Single, e.Final && !e.Early:
		s.fail(e.Reason)
		s.Failure = e.Failure
	case e.Early && (e.Final || s.Creates >= MostCreates):
		s.Creates = 0
	default:
		s.replan(e.Reason, resendAfter)
	}
}

func throttle(s *step, e Event) {
	after := unsent(s, e)
	if after > time.Minute {
		s.effect(Effect{Do: Delay, After: after, Reason: e.Reason})
	}
}

// unsent retries the create after a delay that doubles with each one in a row up to a
// minute, or after a longer one that Fullstory asks for. It returns the delay.
func unsent(s *step, e Event) time.Duration {
	s.State = planned
	s.Creates--
	delay := min(resendAfter<<min(s.Tries, 6), time.Minute)
	after := min(max(e.After, delay), longestDelay)
	s.Tries++
	s.wait(after*4/3, e.Reason) // wait takes off up to a quarter
	return after
}

func loseAnswer(s *step, e Event) {
	s.wait(0, e.Reason)
	if s.Single {
		s.Failure = e.Failure
	}
}

// A search for the operation of an intent.

func find(s *step, e Event) {
	s.clear()
	s.WatchedSince = s.now
	if s.Single { // its caller waits, so there is no time to verify candidates
		if len(e.Found) == 1 {
			s.State, s.Operation, s.CreatedAt = running, e.Found[0].Operation, e.Found[0].CreatedAt
			s.record("")
			s.note(ledger.Created, s.Operation, "")
			return
		}
		for _, c := range e.Found {
			s.note(ledger.Unclear, c.Operation, "")
		}
		s.fail(e.Reason)
		s.Failure = e.Failure
		return
	}
	s.State = uncertain
	s.Candidates = append(s.Candidates, e.Found...)
}

func findNone(s *step, e Event) {
	if strings.HasSuffix(s.Reason, searching) {
		e.Reason = s.Reason // that of loseAnswer, which has Fullstory's words
	}
	switch {
	case e.At.Sub(s.IntentAt) < visible:
		s.wait(searchPause, e.Reason)
	case s.SearchedAt.IsZero() || s.SearchedAt.After(s.now):
		s.SearchedAt = s.now
		s.wait(searchRetry, e.Reason)
	case s.now.Sub(s.SearchedAt) < searchRetry*3/4:
		s.wait(searchRetry, e.Reason)
	case s.Single && s.Creates < singleCreates: // its caller waits
		s.clear()
		s.State = planned
	default:
		if s.Failure == nil { // loseAnswer had no answer to keep
			s.Failure = e.Failure
		}
		s.lose(strings.TrimSuffix(e.Reason, searching)+" Its export was not found.", false, resendAfter)
	}
}

func ruleOut(s *step, e Event) {
	s.note(ledger.Unclear, e.Operation, e.Reason)
	s.setVerdict(e.Operation, ledger.Foreign)
	s.searchAnew()
}

func pendCandidate(s *step, e Event) {
	if s.age(e.At) > s.Deadline {
		ruleOut(s, e)
	}
}

// An operation.

func pend(s *step, e Event) {
	if s.age(e.At) > s.Deadline { // lose makes the operation an orphan
		reason := "Fullstory worked on the export for more than " + s.Deadline.String() + ", so it was cancelled."
		s.lose(reason, true, recreateAfter)
		return
	}
	s.clear()
	s.Reason = e.Reason
}

// noExport waits until a completed operation names its file.
func noExport(s *step, e Event) {
	switch {
	case s.FailingSince.IsZero() || s.now.Sub(s.FailingSince) < notReadyFor:
		s.retry(time.Second, 30*time.Second, e.Reason)
	case s.State == uncertain:
		ruleOut(s, e)
	default:
		s.record(ledger.OperationLost)
		s.note(ledger.Event(ledger.OperationLost), s.Operation, e.Reason)
		s.lose(e.Reason, false, recreateAfter)
	}
}

func unread(s *step, e Event) {
	if s.age(e.At) > s.Deadline {
		if s.State == uncertain {
			ruleOut(s, e)
			return
		}
		s.lose(e.Reason, s.State == running, recreateAfter)
		return
	}
	s.retry(time.Second, time.Minute, e.Reason)
}

func complete(s *step, e Event) {
	s.clear()
	s.State = ready
	if !s.Rules.Fetch {
		s.State = completed
		s.effect(Effect{Do: End, State: ledger.BulkComplete})
	}
	s.Operation, s.SearchExport = e.Is.ID, e.Is.ExportID
	s.CreatedAt, s.FinishedAt, s.ExpiresAt = s.times(e)
	if !s.unproved() {
		s.record(ledger.OperationCompleted)
	}
}

func failAtFullstory(s *step, e Event) {
	s.record(ledger.OperationFailed)
	s.note(ledger.Event(ledger.OperationFailed), s.Operation, e.Reason)
	s.lose("Fullstory could not complete the export: "+e.Reason, true, recreateAfter)
}

func vanish(s *step, e Event) {
	if s.age(e.At) <= unknownAfter {
		s.retry(time.Second, time.Minute, "Fullstory does not know the operation yet.")
		return
	}
	s.record(ledger.OperationLost)
	s.note(ledger.Event(ledger.OperationLost), s.Operation, "Fullstory does not know the operation.")
	s.lose("Fullstory no longer knows the export.", false, recreateAfter)
}

// A file.

func requestFile(s *step, _ Event) {
	if s.SearchExport == "" {
		return // the export never completed
	}
	s.clear()
	s.State, s.StoredAt, s.Damaged, s.Failure = ready, time.Time{}, 0, nil
}

// postpone waits until the file can be stored. If that needs an administrator, a single
// export fails instead, so that its caller learns the reason and retries later.
func postpone(s *step, e Event) {
	if s.Single && e.Final {
		s.fail(e.Reason)
		return
	}
	s.State = ready
	s.wait(min(max(e.After, resendAfter), longestDelay), e.Reason)
}

func store(s *step, e Event) {
	proved := s.unproved()
	s.clear()
	s.State, s.Rows, s.Bytes, s.StoredAt, s.Provisional = stored, e.File.Rows, e.File.Bytes, s.now, e.File.Provisional
	s.Creates, s.Damaged, s.Damage, s.Candidates = 0, 0, "", nil
	s.record(ledger.OperationCompleted)
	if proved {
		s.note(ledger.Created, s.Operation, "")
	}
	s.effect(Effect{Do: Publish, File: e.File})
	if s.Single {
		s.effect(Effect{Do: End, State: ledger.BulkComplete})
	}
}

func discard(s *step, e Event) { s.effect(Effect{Do: Discard, File: e.File}) }

func notReady(s *step, e Event) { noFile(s, e, notReadyFor, 30*time.Second) }

func breakOff(s *step, e Event) { noFile(s, e, brokenFor, time.Minute) }

// findDamage fetches a damaged file once more, then exports it once more. When
// that file is damaged in the same way, the chunk fails.
func findDamage(s *step, e Event) {
	if s.Damaged++; !e.Final && s.Damaged < 2 {
		s.State = ready
		s.wait(resendAfter, e.Reason)
		return
	}
	same := s.Damage == e.Damage
	s.Damage = e.Damage
	s.record(ledger.OperationLost)
	s.note(ledger.Event(ledger.OperationLost), s.Operation, e.Reason)
	if same && !e.Final {
		s.fail(e.Reason)
		return
	}
	s.lose(e.Reason, e.Final, recreateAfter)
}

// findForeign rules a candidate out. When two candidates of a window are empty, so is
// the window: the older one becomes the export, and the other one an orphan.
func findForeign(s *step, e Event) {
	if !s.unproved() {
		findDamage(s, e)
		return
	}
	s.note(ledger.Unclear, e.Operation, e.Reason)
	s.clear()
	if !e.Empty {
		s.setVerdict(e.Operation, ledger.Foreign)
		s.searchAnew()
		return
	}
	s.setVerdict(e.Operation, ledger.Empty)
	var empty []ledger.Candidate
	for _, c := range s.Candidates {
		if c.Verdict == ledger.Empty {
			empty = append(empty, c)
		}
	}
	if len(empty) > 1 {
		slices.SortStableFunc(empty, func(a, b ledger.Candidate) int { return a.CreatedAt.Compare(b.CreatedAt) })
		s.setVerdict(empty[0].Operation, ledger.Adopted)
		s.effect(Effect{Do: Record, Operation: ledger.Operation{ID: empty[1].Operation, CreatedAt: empty[1].CreatedAt}})
	}
	s.searchAnew()
}

// A stored chunk.

func settle(s *step, _ Event) {
	s.forget()
	s.State, s.Creates = planned, 0
}

func redo(s *step, _ Event) {
	s.forget()
	s.State, s.Creates, s.StoredAt, s.Provisional, s.Rows, s.Bytes = planned, 0, time.Time{}, false, 0, 0
}

func retryFailed(s *step, _ Event) {
	s.forget()
	s.State, s.Creates, s.Candidates, s.Damage, s.Failure = planned, 0, nil, "", nil
}

func breakDown(s *step, e Event) { s.fail(e.Reason) }

func cancel(s *step, _ Event) {
	s.clear()
	s.State = cancelled
	if !s.StoredAt.IsZero() {
		s.State = stored
	}
	if s.Single {
		s.effect(Effect{Do: End, State: ledger.BulkCancelled})
	}
}
