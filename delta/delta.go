// Package delta keeps the transaction log of a Delta Lake table over Parquet files, in a
// folder of this machine or in a bucket, so that programs read the files as one table whose
// windows are replaced atomically.
//
// It writes protocol version 1 for readers and 2 for writers, without optional features. The
// data files are the caller's: it writes one under a name that no other content had, commits it,
// and deletes removed ones once no reader can need them.
//
//	t, err := delta.Open(ctx, store)           // or Create
//	s, err := t.Commit(ctx, delta.Change{...}) // one new version, or none
//	_, err = t.Checkpoint(ctx)                 // does nothing unless it is due
package delta

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// ErrNoTable means that the store has no table.
	ErrNoTable = errors.New("there is no Delta table")
	// ErrConflict means that the table changed such that a Change cannot be made any more:
	// read the table again, and decide anew. Nothing was written.
	ErrConflict = errors.New("the Delta table was changed concurrently")
	// ErrUncertain means that it is unknown whether a commit was written, because the store did
	// not answer. Refresh shows it once the store answers. To commit the same Change again is
	// harmless.
	ErrUncertain = errors.New("it is unknown whether the commit was written")
	// ErrProtocol means that another program gave the table features that this package lacks.
	ErrProtocol = errors.New("the Delta table needs a newer writer")
	// ErrSchema means that a Change has columns that the table cannot take.
	ErrSchema = errors.New("the columns do not fit the Delta table")
	// ErrChange means that a Change is not valid, whatever the table has.
	ErrChange = errors.New("the change of the Delta table is not valid")
)

// LogError reports a log that is damaged, or that breaks the rules of the protocol.
type LogError struct {
	File   string // of the log
	Reason string
}

func (e *LogError) Error() string {
	return fmt.Sprintf("the Delta log has a damaged file %s: %s", e.File, e.Reason)
}

// Table is an open table. It is safe for concurrent use, and any number of processes may have
// the table open at once.
type Table struct {
	store Store
	now   func() time.Time

	mu      sync.Mutex // held while the log is read or a commit is made
	current Snapshot   // guarded by mu
	seen    time.Time  // when current was the latest version; guarded by mu
	latest  atomic.Pointer[Snapshot]

	checkpoints sync.Mutex // held while a checkpoint is written
	checkpoint  int64      // version of the latest that is known; -1: none
	buffers     buffers
}

// set makes s the current version, which was the latest just now.
func (t *Table) set(s Snapshot) {
	t.current, t.seen = s, t.now().Round(0) // without the clock that stops while a machine sleeps
	t.latest.Store(&s)
}

// Open opens the table of a store: it reads the latest checkpoint and the commits after it, and
// removes what killed processes left in the log. It returns ErrNoTable, ErrProtocol, a
// *LogError, or an error of the store.
func Open(ctx context.Context, store Store) (*Table, error) {
	if err := store.clean(ctx, time.Now().Add(-leftover)); err != nil {
		return nil, fmt.Errorf("open the Delta log: %w", err)
	}
	t := &Table{store: store, now: time.Now}
	checkpoint, err := t.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the Delta log: %w", err)
	}
	t.checkpoint = checkpoint
	return t, nil
}

// leftover is the age at which an unfinished file of the log belongs to a process that was
// killed. A live process has one for seconds.
const leftover = 10 * time.Minute

// Create makes the table of a store and opens it, or opens the one that is there. seed
// determines the id of the table: give the same one for copies of a table, and another one for
// each other table. name is for people who browse catalogs. It returns the errors of Open,
// ErrSchema and ErrUncertain.
func Create(ctx context.Context, store Store, seed, name string, schema Schema) (*Table, error) {
	t, err := Open(ctx, store)
	if !errors.Is(err, ErrNoTable) {
		return t, err
	}
	meta, err := newMetaData(tableID(seed), name, schema, time.Now())
	if err != nil {
		return nil, err
	}
	id := newID()
	content, err := encode([]action{
		{CommitInfo: newCommitInfo(id, "CREATE TABLE", time.Now())},
		{Protocol: &protocol{MinReaderVersion: 1, MinWriterVersion: 2}}, {MetaData: meta},
	})
	if err != nil {
		return nil, err
	}
	t = &Table{store: store, now: time.Now}
	for wait := range pauses {
		o, err := t.write(ctx, 0, content, id)
		switch {
		case o == written || o == taken:
			return Open(ctx, store)
		case o == rejected:
			return nil, fmt.Errorf("create the Delta table: %w", err)
		case !wait(ctx):
			return nil, fmt.Errorf("create the Delta table: %w: %w", ErrUncertain, err)
		}
	}
	return nil, fmt.Errorf("create the Delta table: %w: the store does not answer", ErrUncertain)
}

// Snapshot returns the latest version that the table has read or written. It does not wait.
func (t *Table) Snapshot() Snapshot { return *t.latest.Load() }

// Refresh reads the commits that other processes made since, and returns the latest version.
// Its errors are those of Open.
func (t *Table) Refresh(ctx context.Context) (Snapshot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.refresh(ctx)
	return t.current, err
}

// staleAfter is when a table that was not in use is read anew. Another process may remove commits
// of 30 days ago, and the next version must not be taken for one that does not exist.
const staleAfter = 24 * time.Hour

// renew reads the table anew if it is stale. The caller holds t.mu.
func (t *Table) renew(ctx context.Context) error {
	if t.now().Sub(t.seen) < staleAfter {
		return nil
	}
	_, err := t.load(ctx)
	return err
}

// refresh is Refresh for a caller that holds t.mu.
func (t *Table) refresh(ctx context.Context) error {
	err := t.renew(ctx)
	if err != nil {
		return err
	}
	s, err := t.follow(ctx, t.current)
	if err == nil {
		t.set(s)
	}
	return err
}

// follow returns the latest version: s with the commits after it.
func (t *Table) follow(ctx context.Context, s Snapshot) (Snapshot, error) {
	for {
		name := commitName(s.Version + 1)
		content, err := t.store.read(ctx, name, mostCommit)
		if errors.Is(err, fs.ErrNotExist) {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		actions, err := decode(name, content)
		if err != nil {
			return s, err
		}
		next, err := s.apply(s.Version+1, actions)
		if err != nil {
			return s, &LogError{name, err.Error()}
		}
		if err := next.check(); err != nil {
			return s, err
		}
		s = next
	}
}

// tableID returns an id in the form of a UUID (version 8).
func tableID(seed string) string {
	sum := sha256.Sum256([]byte("fullstory-export-mcp delta table " + seed))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
