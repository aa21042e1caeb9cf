package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Change is what a commit changes.
type Change struct {
	Add    []File
	Remove []string // paths of active files
	// Schema are the columns of the files in Add. Those that the table lacks are added to it, and
	// earlier files then have NULL there. It may be empty if there are none.
	Schema Schema
}

const (
	mostTries   = 40
	firstPause  = 2 * time.Millisecond
	mostPause   = time.Second
	resolveTime = 20 * time.Second // to find out what became of a write
)

// outcome is what became of the write of a commit.
type outcome int

const (
	written  outcome = iota
	taken            // another commit has the version
	rejected         // it was not written, and a retry would fail too
	unknown          // it was not written until now, but still may be
)

// Commit makes the next version of the table durably, and returns it. Readers see all of a
// change or nothing. If other processes commit at once, it reads their commits and retries, for
// a minute at most.
//
// It returns ErrConflict if a file of c.Remove is not active any more, or if the path or the
// window (see WindowTag) of a file of c.Add is taken: the caller then decides anew. A change that
// the table has already succeeds, without another version. Its other errors are ErrChange,
// ErrSchema, ErrUncertain, those of Open, and those of the store; except after ErrUncertain,
// nothing was written.
func (t *Table) Commit(ctx context.Context, c Change) (Snapshot, error) {
	if err := c.check(); err != nil {
		return Snapshot{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.renew(ctx); err != nil {
		return Snapshot{}, fmt.Errorf("read the Delta log anew: %w", err)
	}
	id := newID()
	var pending error // of a write that may still arrive
	for wait := range pauses {
		if t.current.has(c) {
			return t.current, nil
		}
		next, content, err := t.current.prepare(c, id, t.now())
		if err != nil {
			return Snapshot{}, err
		}
		o, err := t.write(ctx, next.Version, content, id)
		switch {
		case o == written:
			t.set(next)
			return next, nil
		case o == rejected:
			return Snapshot{}, fmt.Errorf("commit to the Delta log: %w", err)
		case o == unknown:
			pending = err
		case o == taken:
			pending = nil
			if err := t.refresh(ctx); err != nil {
				return Snapshot{}, fmt.Errorf("read what others committed to the Delta log: %w", err)
			}
		}
		if !wait(ctx) {
			break
		}
	}
	switch {
	case pending != nil:
		return Snapshot{}, fmt.Errorf("commit to the Delta log: %w: %w", ErrUncertain, pending)
	case ctx.Err() != nil:
		return Snapshot{}, ctx.Err()
	}
	return Snapshot{}, fmt.Errorf("%w: others committed first at each of %d tries", ErrConflict, mostTries)
}

// pauses yields functions that wait before the next try, longer each time. They return false
// if ctx ended.
func pauses(yield func(wait func(context.Context) bool) bool) {
	pause := firstPause
	for range mostTries {
		wait := func(ctx context.Context) bool {
			select {
			case <-ctx.Done():
				return false
			case <-time.After(pause/2 + rand.N(pause)):
				return true
			}
		}
		if !yield(wait) {
			return
		}
		pause = min(2*pause, mostPause)
	}
}

// write writes a version. If the answer of the store leaves it open whether that was done, it
// reads the version: a commit with its id was written.
func (t *Table) write(ctx context.Context, version int64, content []byte, id string) (outcome, error) {
	err := t.store.create(ctx, commitName(version), content)
	if err == nil {
		return written, nil
	}
	open := errors.Is(err, errMaybe)
	if !open && !errors.Is(err, fs.ErrExist) {
		return rejected, err
	}
	// ctx may have ended, which is why the answer is missing.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTime)
	defer cancel()
	there, e := t.store.read(within, commitName(version), mostCommit)
	switch {
	case errors.Is(e, fs.ErrNotExist):
		return unknown, err
	case e != nil:
		return unknown, errors.Join(err, e)
	case idOf(there) != id:
		return taken, err
	}
	if e := t.store.settle(within); e != nil {
		return unknown, errors.Join(err, e)
	}
	return written, nil
}

// check returns ErrChange unless the files of a change are valid, whatever the table has.
func (c Change) check() error {
	paths, windows := map[string]bool{}, map[string]bool{}
	for i := range c.Add {
		f := &c.Add[i]
		if err := f.check(); err != nil {
			return fmt.Errorf("%w: %w", ErrChange, err)
		}
		window := f.window()
		if paths[f.Path] || window != "" && windows[window] {
			return fmt.Errorf("%w: %.200q is added twice, or its window is", ErrChange, f.Path)
		}
		paths[f.Path], windows[window] = true, true
	}
	for _, path := range c.Remove {
		if paths[path] {
			return fmt.Errorf("%w: %.200q is added and removed, or removed twice", ErrChange, path)
		}
		paths[path] = true
	}
	if len(paths) == 0 {
		return fmt.Errorf("%w: it has no files", ErrChange)
	}
	return nil
}

// has reports whether the table has the change already: a try whose answer was lost made it.
func (s Snapshot) has(c Change) bool {
	for i := range c.Add {
		old, ok := s.files.get(c.Add[i].Path)
		if !ok || old.Size != c.Add[i].Size || !maps.Equal(old.Tags, c.Add[i].Tags) {
			return false
		}
	}
	return !slices.ContainsFunc(c.Remove, func(path string) bool {
		_, gone := s.removed.get(path)
		return !gone
	})
}

// prepare returns the version that a change makes, and the content of its commit.
func (s Snapshot) prepare(c Change, id string, now time.Time) (Snapshot, []byte, error) {
	if err := s.check(); err != nil {
		return s, nil, err
	}
	if err := s.conflict(c); err != nil {
		return s, nil, err
	}
	info := newCommitInfo(id, "WRITE", now)
	info.IsBlindAppend = len(c.Remove) == 0
	actions := []action{{CommitInfo: info}}
	meta, err := s.meta.grown(c.Schema)
	if err != nil {
		return s, nil, err
	}
	if meta != nil {
		actions = append(actions, action{MetaData: meta})
	}
	partition := s.meta.PartitionColumns
	for _, path := range c.Remove {
		f, _ := s.files.get(path)
		actions = append(actions, action{Remove: f.remove(partition, now)})
	}
	for i := range c.Add {
		actions = append(actions, action{Add: c.Add[i].add(partition)})
	}
	content, err := encode(actions)
	if err == nil && len(content) > mostCommit {
		err = fmt.Errorf("%w: its commit would have %d bytes and the limit is %d", ErrChange, len(content), mostCommit)
	}
	if err != nil {
		return s, nil, err
	}
	next, err := s.apply(s.Version+1, actions)
	return next, content, err
}

// conflict returns ErrConflict unless the table can take a change.
func (s Snapshot) conflict(c Change) error {
	for _, path := range c.Remove {
		if _, active := s.files.get(path); !active {
			return fmt.Errorf("%w: %.200q is not active any more", ErrConflict, path)
		}
	}
	for i := range c.Add {
		f := &c.Add[i]
		if _, active := s.files.get(f.Path); active {
			return fmt.Errorf("%w: the path %.200q is active already", ErrConflict, f.Path)
		}
		window := f.window()
		other, held := s.windows.get(window)
		if window != "" && held && !slices.Contains(c.Remove, other) {
			return fmt.Errorf("%w: the window %.200q has the file %.200q", ErrConflict, window, other)
		}
	}
	return nil
}
