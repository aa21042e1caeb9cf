package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testSyncs(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	const account = "a-syncs"
	bulk := day(t, l, account, 1)
	s := Sync{
		ID: NewID("sync"), Account: account, Name: "daily", Bulk: bulk, Generation: 1, Request: []byte(`{"a":1}`),
		SegmentName: "Émilie’s", Chunk: "hour", Every: "day", At: "06:00", Anchor: noon, Lag: 24 * time.Hour,
		CatchUp: CatchUpLatest, Parquet: true, Table: DeltaTable, Destination: "postgres://a@b/c", DestinationTable: "events",
		CoveredTo: noon.Add(time.Second), Paused: true, Reason: "because", Tries: 3,
		NextAt: noon.Add(time.Hour), WokeAt: noon.Add(time.Minute), CreatedAt: noon,
	}
	add := func(s Sync) error { return l.Write(ctx, func(t *Tx) error { return t.AddSync(s) }) }
	if err := add(s); err != nil {
		t.Fatal(err)
	}
	s.AskedBy = Local
	for _, key := range []string{s.ID, "daily"} {
		got, err := l.Sync(ctx, account, key)
		if diff := cmp.Diff(s, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", key, err, diff)
		}
	}
	if _, err := l.Sync(ctx, "another", s.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("of another account: %v", err)
	}
	same := s
	same.ID = NewID("sync")
	if err := add(same); !errors.Is(err, ErrConflict) {
		t.Errorf("the same name once more: %v", err)
	}
	if _, err := l.NextSync(ctx, account); !errors.Is(err, ErrNotFound) {
		t.Errorf("the next one, while all are paused: %v", err)
	}
	s.Paused, s.Reason, s.Every, s.Bulk, s.Generation, s.Lag = false, "", "hour", "other", 2, 0
	write(t, l, func(t *Tx) error { return t.SaveSync(s) })
	early := s
	early.ID, early.Name, early.NextAt = NewID("sync"), "early", noon
	if err := add(early); err != nil {
		t.Fatal(err)
	}
	if got, err := l.NextSync(ctx, account); err != nil || got.ID != early.ID {
		t.Errorf("the next one is %+v, %v", got, err)
	}
	list, err := l.Syncs(ctx, account)
	if diff := cmp.Diff([]Sync{s, early}, list); diff != "" || err != nil {
		t.Errorf("saved: %v\n%s", err, diff)
	}
	checkRemoval(t, l, early)
}

// checkRemoval removes a sync, and reads what the audit log has about it.
func checkRemoval(t *testing.T, l *Ledger, early Sync) {
	t.Helper()
	ctx := t.Context()
	for _, address := range []string{"postgres://first", "postgres://second"} {
		write(t, l, func(t *Tx) error { return t.SetSecret(early.DestinationSecret(), address) })
		if got, err := l.Secret(ctx, early.DestinationSecret(), func() string { return "" }); got != address || err != nil {
			t.Errorf("the secret is %q, %v", got, err)
		}
	}
	write(t, l, func(t *Tx) error { return t.RemoveSync(early) })
	if got, err := l.Secret(ctx, early.DestinationSecret(), func() string { return "new" }); got != "new" || err != nil {
		t.Errorf("the address of its destination is still there: %q, %v", got, err)
	}
	removed := l.Write(ctx, func(t *Tx) error { return t.RemoveSync(early) })
	saved := l.Write(ctx, func(t *Tx) error { return t.SaveSync(early) })
	if !errors.Is(removed, ErrNotFound) || !errors.Is(saved, ErrNotFound) {
		t.Errorf("after its removal: %v, %v", removed, saved)
	}
	var events []Event
	err := l.Audit(ctx, time.Time{}, func(e Entry) error {
		if e.Account == early.Account && (e.Event == SyncAdded || e.Event == SyncRemoved) {
			events = append(events, e.Event)
		}
		return nil
	})
	if diff := cmp.Diff([]Event{SyncAdded, SyncAdded, SyncRemoved}, events); diff != "" || err != nil {
		t.Errorf("audit: %v\n%s", err, diff)
	}
}

func testSyncWindows(t *testing.T, l *Ledger, _ string) {
	ctx := context.WithoutCancel(t.Context())
	id := day(t, l, "a-windows", 2) // it has the chunks 0 and 1
	b, err := l.Bulk(ctx, "a-windows", id)
	if err != nil {
		t.Fatal(err)
	}
	at := func(hour int) time.Time { return noon.Add(time.Duration(hour) * time.Hour) }
	first := []SyncWindow{{at(100), at(101)}, {at(101), at(102)}}
	write(t, l, func(t *Tx) error { return t.AddWindows(b, first, []byte(`{"to":102}`)) })
	write(t, l, func(t *Tx) error { return t.AddWindows(b, []SyncWindow{{at(50), at(51)}}, []byte(`{"to":103}`)) })
	again := l.Write(ctx, func(t *Tx) error {
		return t.AddWindows(b, []SyncWindow{{at(102), at(103)}, {at(101), at(103)}}, []byte(`{}`))
	})
	if !errors.Is(again, ErrConflict) {
		t.Errorf("a window once more: %v", again)
	}
	want := append([]SyncWindow{{at(50), at(51)}}, first...)
	got, err := l.SyncWindows(ctx, id)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("windows: %v\n%s", err, diff)
	}
	a, err := l.Attempt(ctx, id, 4)
	if err != nil || !a.Start.Equal(at(50)) || a.State != ChunkPlanned {
		t.Errorf("the chunk of the last one is %+v, %v", a, err)
	}
	if b, err = l.Bulk(ctx, "a-windows", id); err != nil || string(b.Request) != `{"to":103}` {
		t.Errorf("the request is %s, %v", b.Request, err)
	}
	if _, err := l.Attempt(ctx, id, 5); !errors.Is(err, ErrNotFound) {
		t.Errorf("a rejected window left a chunk: %v", err)
	}
}
