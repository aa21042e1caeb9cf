package exports

import (
	"context"
	"slices"
	"time"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/ledger"
)

// SyncWindows counts the windows of a sync.
type SyncWindows struct {
	Over        int `json:"over"` // that have ended, with the lag, since the first one
	Stored      int `json:"stored"`
	Missing     int `json:"missing"` // of those that are over: not stored yet
	Failed      int `json:"failed,omitempty"`
	Provisional int `json:"provisional,omitempty"` // stored, and exported again once their rows have settled
	LeftOut     int `json:"left_out,omitempty"`    // with catch_up latest
}

// SyncProgress says how far a sync is, by the ledger.
type SyncProgress struct {
	Name    string
	Windows SyncWindows
	// CompleteUntil is the instant before which every window is stored and has settled; zero if
	// the first one has not.
	CompleteUntil time.Time
	From          time.Time // start of the first window
	LastRun       time.Time // zero: not yet
	Paused        bool
}

// SyncProgress returns how far the syncs of the account are. It looks at no file and starts no
// work; nil if the account has no ledger yet.
func (a *Account) SyncProgress(ctx context.Context) (all []SyncProgress, err error) {
	if !a.HasLedger() {
		return nil, nil
	}
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return nil, err
	}
	syncs, err := l.Syncs(ctx, id)
	for _, s := range syncs {
		p, failed := syncProgress(ctx, l, s, a.Clock(), nil)
		if failed != nil {
			return nil, failed
		}
		all = append(all, p)
	}
	return all, err
}

// windowState says what a window lacks. The zero value is a window that is stored and settled.
type windowState struct{ missing, failed, provisional bool }

// syncProgress returns how far a sync is at an instant of Fullstory's clock. The files of
// damaged are lost.
func syncProgress(
	ctx context.Context, l *ledger.Ledger, s ledger.Sync, now time.Time, damaged []damagedFile,
) (p SyncProgress, err error) {
	recorded, err := l.SyncWindows(ctx, s.Bulk)
	if err != nil {
		return p, err
	}
	chunks, err := l.Incomplete(ctx, s.Bulk)
	if err != nil {
		return p, err
	}
	p = SyncProgress{Name: s.Name, From: s.Anchor, LastRun: s.WokeAt, Paused: s.Paused}
	states := windowStates(recorded, chunks, damaged)
	for _, w := range states {
		switch {
		case w.failed:
			p.Windows.Failed++
			p.Windows.Missing++
		case w.missing:
			p.Windows.Missing++
		default:
			p.Windows.Stored++
		}
		if w.provisional {
			p.Windows.Provisional++
		}
	}
	all, added, err := missingWindows(s, recorded, now)
	p.Windows.Over = len(recorded) + all
	p.Windows.Missing += added
	p.Windows.LeftOut = all - added
	p.CompleteUntil = completeUntil(s, recorded, states)
	return p, err
}

// windowStates returns the state of each recorded window, in their order: a window may have
// been cut into several chunks.
func windowStates(
	recorded []ledger.SyncWindow, chunks []ledger.IncompleteChunk, damaged []damagedFile,
) []windowState {
	states := make([]windowState, len(recorded))
	of := func(start time.Time) *windowState {
		i, found := slices.BinarySearchFunc(recorded, start, func(w ledger.SyncWindow, at time.Time) int {
			return w.Start.Compare(at)
		})
		if !found {
			i--
		}
		if i < 0 {
			return &windowState{} // impossible: chunks lie within windows
		}
		return &states[i]
	}
	for _, c := range chunks {
		w := of(c.Start)
		w.failed = w.failed || c.State == ledger.ChunkFailed
		w.provisional = w.provisional || c.Stored
		w.missing = w.missing || !c.Stored
	}
	for _, d := range damaged {
		of(d.chunk.Start).failed = true
	}
	return states
}

// missingWindows returns how many windows are over and not recorded, and how many of these the
// sync adds at its next wakes.
func missingWindows(s ledger.Sync, recorded []ledger.SyncWindow, now time.Time) (all, added int, err error) {
	terms, err := bulk.TermsOf(s)
	if err != nil {
		return 0, 0, err
	}
	found, _ := terms.Missing(recorded, now, bulk.MostMissing)
	added = len(found)
	if s.CatchUp != ledger.CatchUpLatest {
		return added, added, nil
	}
	s.CatchUp = ledger.CatchUpAll
	if terms, err = bulk.TermsOf(s); err != nil {
		return 0, 0, err
	}
	found, _ = terms.Missing(recorded, now, bulk.MostMissing)
	return len(found), added, nil
}

// completeUntil returns the end of the last window before the first gap, and before the first
// window that lacks something. With CatchUpLatest what lies before a window does not matter.
func completeUntil(s ledger.Sync, recorded []ledger.SyncWindow, states []windowState) (until time.Time) {
	next := s.Anchor
	for i, w := range recorded {
		gap := w.Start.After(next) && s.CatchUp == ledger.CatchUpAll
		if gap || states[i] != (windowState{}) {
			break
		}
		until, next = w.End, w.End
	}
	return until
}
