package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// lastCheckpoint is the content of lastCheckpointName, a hint.
type lastCheckpoint struct {
	Version       int64 `json:"version"`
	Size          int64 `json:"size"`          // actions
	SizeInBytes   int64 `json:"sizeInBytes"`   // of the file
	NumOfAddFiles int64 `json:"numOfAddFiles"` // active files
}

const mostHint = 64 << 10 // bytes of lastCheckpointName

// listing are the versions of the files in a log.
type listing struct {
	commits     []int64
	checkpoints []int64 // descending
}

// load reads the table, and returns the version of the checkpoint that it began with, or -1. The
// caller holds t.mu, or is the only one that has t.
func (t *Table) load(ctx context.Context) (checkpoint int64, err error) {
	hint, err := t.hint(ctx)
	if err != nil {
		return -1, err
	}
	there, err := t.list(ctx, hint)
	if err == nil && hint >= 0 && len(there.checkpoints) == 0 { // the hint is wrong
		hint = -1
		there, err = t.list(ctx, hint)
	}
	if err != nil {
		return -1, err
	}
	s, checkpoint, err := t.loadFrom(ctx, there)
	if damaged, _ := errors.AsType[*LogError](err); damaged != nil && hint >= 0 {
		if there, e := t.list(ctx, -1); e == nil { // an earlier checkpoint may be intact
			s, checkpoint, err = t.loadFrom(ctx, there)
		}
	}
	if err == nil {
		t.set(s)
	}
	return checkpoint, err
}

// hint returns the version of the checkpoint to begin with, or -1.
func (t *Table) hint(ctx context.Context) (int64, error) {
	content, err := t.store.read(ctx, lastCheckpointName, mostHint)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	last := lastCheckpoint{Version: -1}
	if json.Unmarshal(content, &last) != nil || last.Version < 0 {
		return -1, nil
	}
	return last.Version, nil
}

// list lists the log from a version on.
func (t *Table) list(ctx context.Context, from int64) (l listing, err error) {
	after := ""
	if from >= 0 {
		after = fmt.Sprintf("%020d", from) // before the names of its files
	}
	err = t.store.list(ctx, after, func(name string, _ time.Time) {
		if version, ok := versionOf(name, checkpointSuffix); ok && version >= from {
			l.checkpoints = append(l.checkpoints, version)
		}
		if version, ok := versionOf(name, commitSuffix); ok && version >= from {
			l.commits = append(l.commits, version)
		}
	})
	slices.Sort(l.commits)
	slices.Sort(l.checkpoints)
	slices.Reverse(l.checkpoints)
	return l, err
}

// loadFrom reads the latest checkpoint that is intact and the commits after it, of which none
// may be missing.
func (t *Table) loadFrom(ctx context.Context, there listing) (s Snapshot, checkpoint int64, err error) {
	var damage error
	for _, version := range append(there.checkpoints, -1) {
		s = Snapshot{Version: -1}
		if version >= 0 {
			s, err = t.readCheckpoint(ctx, version)
			if _, damaged := errors.AsType[*LogError](err); damaged {
				damage = err
				continue
			}
			if err != nil {
				return s, -1, err
			}
		} else if !slices.Contains(there.commits, 0) {
			break
		}
		if s, err = t.follow(ctx, s); err != nil {
			return s, -1, err
		}
		if n := len(there.commits); n > 0 && s.Version < there.commits[n-1] {
			return s, -1, &LogError{commitName(s.Version + 1), "it is missing, but there is a later one"}
		}
		return s, version, nil
	}
	switch {
	case damage != nil:
		return s, -1, damage
	case len(there.commits) > 0:
		return s, -1, &LogError{commitName(0), "it is missing, and there is no checkpoint in one part"}
	}
	return s, -1, ErrNoTable
}
