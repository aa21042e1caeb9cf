package sandbox

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"fullstory-export-mcp/local"
)

// entry is one line of the journal: an export that was accepted, or the cancel
// of one.
type entry struct {
	Export     string         `json:"export"`
	At         time.Time      `json:"at"`
	Request    *exportRequest `json:"request,omitempty"` // nil: a cancel
	Duration   time.Duration  `json:"duration,omitempty"`
	Fault      *Fault         `json:"fault,omitempty"`
	FaultLasts time.Duration  `json:"fault_lasts,omitempty"` // from At; 0: forever
}

// export is an accepted request with its operation.
type export struct {
	id        string
	operation string // id of its operation
	search    string // id of its results: id, unless a fault changes it
	request   *exportRequest
	created   time.Time
	duration  time.Duration // from starts to ends
	cancelled time.Time     // zero: not cancelled
	fault     *Fault        // given to it when it was accepted; nil: none
	faultEnds time.Time     // zero: the fault does not end

	starts, ends time.Time // set by schedule
}

// activeFault returns the export's fault if it still lasts at now, or nil.
func (e *export) activeFault(now time.Time) *Fault {
	if e.faultEnds.IsZero() || now.Before(e.faultEnds) {
		return e.fault
	}
	return nil
}

// hasFault reports whether the export's fault has this name and lasts at now.
func (e *export) hasFault(effect string, now time.Time) bool {
	f := e.activeFault(now)
	return f != nil && f.Do == effect
}

// listed reports whether the list of operations contains the export at now.
func (e *export) listed(now time.Time) bool {
	return !e.hasFault("unlisted", now) && !e.hasFault("status_500_unlisted", now)
}

// fails reports whether the export ends as failed. It stays failed, even when its
// fault ends.
func (e *export) fails() bool { return e.fault != nil && e.fault.Do == "failed" }

// forever is how long a stuck export runs.
const forever = 100 * 365 * 24 * time.Hour

// isCancelled reports whether the export was cancelled before it was complete.
func (e *export) isCancelled() bool { return !e.cancelled.IsZero() }

// journal records accepted exports and cancels in a file that several processes may
// append to at once. Every method first reads what was appended, so that all
// processes agree on the order and with it on the schedule. It is safe for
// concurrent use.
type journal struct {
	file  *os.File
	slots int

	mu          sync.Mutex // guards everything below
	loaded      int64      // bytes of the file that were applied
	line        int
	exports     []*export // in the order of acceptance
	byID        map[string]*export
	unscheduled bool // exports changed since the last schedule
	maxRunning  int  // the most exports that run at once

	byOperation, bySearch map[string]*export // by the ids that clients see
}

// openJournal opens the journal at path and creates it if missing. At most slots
// exports run at once.
func openJournal(path string, slots int) (*journal, error) {
	file, err := local.Create(path, os.O_APPEND)
	if err != nil {
		return nil, fmt.Errorf("state of the sandbox: %w", err)
	}
	j := &journal{file: file, slots: slots, byID: map[string]*export{}}
	j.byOperation, j.bySearch = map[string]*export{}, map[string]*export{}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.load(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

// close closes the file. A nil journal, which was never opened, is already closed.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// add appends e, stamped with the time, and syncs it to disk before it returns. If
// a process died in the middle of a line, add first ends that line.
func (j *journal) add(e entry, now func() time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.load(); err != nil {
		return err
	}
	e.At = now()
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if info, err := j.file.Stat(); err == nil && info.Size() > j.loaded {
		raw = append([]byte{'\n'}, raw...)
	}
	if _, err := j.file.Write(append(raw, '\n')); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	return j.load()
}

// load applies the lines that were appended, up to the last whole one. The caller
// holds mu.
func (j *journal) load() error {
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	r := bufio.NewReader(io.NewSectionReader(j.file, j.loaded, info.Size()-j.loaded))
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break // the rest is not a complete line yet
		}
		j.loaded += int64(len(line))
		j.line++
		var e entry
		switch err := json.Unmarshal(bytes.TrimRight(line, "\n"), &e); {
		case err != nil && err.Error() == "unexpected end of JSON input": // a crash left it incomplete
		case err != nil:
			return fmt.Errorf("line %d of %s is damaged; remove the folder to start again: %w", j.line, j.file.Name(),
				err)
		default:
			j.apply(e)
		}
	}
	if j.unscheduled {
		j.schedule()
	}
	return nil
}

// apply adds an export, or cancels one. It ignores a repeated export or cancel.
func (j *journal) apply(e entry) {
	known := j.byID[e.Export]
	switch {
	case e.Request != nil && known == nil:
		x := &export{id: e.Export, request: e.Request, created: e.At, duration: e.Duration, fault: e.Fault}
		x.operation, x.search = oddID(operationID(x.id), x.fault), oddID(x.id, x.fault)
		if e.FaultLasts > 0 {
			x.faultEnds = x.created.Add(e.FaultLasts)
		}
		j.exports = append(j.exports, x)
		j.byID[x.id], j.byOperation[x.operation], j.bySearch[x.search] = x, x, x
	case e.Request == nil && known != nil && !known.isCancelled():
		known.cancelled = e.At
	default:
		return
	}
	j.unscheduled = true
}

// schedule computes when each export runs: in the order of acceptance, as many at
// once as there are slots. A cancelled export frees its slot. The result depends on
// the journal alone, so all processes compute the same. The caller holds mu.
func (j *journal) schedule() {
	j.unscheduled = false
	j.maxRunning = 0
	var running instants
	for _, x := range j.exports {
		x.starts = x.created
		for len(running) > 0 && !running[0].After(x.starts) {
			heap.Pop(&running)
		}
		if len(running) >= j.slots {
			x.starts = heap.Pop(&running).(time.Time)
		}
		x.ends = x.end()
		if x.isCancelled() {
			x.ends = x.cancelled
			if !x.cancelled.After(x.starts) {
				if x.starts.After(x.created) {
					heap.Push(&running, x.starts) // return the slot it waited for
				}
				continue
			}
		}
		heap.Push(&running, x.ends)
		j.maxRunning = max(j.maxRunning, len(running))
	}
}

// end returns when the export ends if it is not cancelled. starts must be set.
func (e *export) end() time.Time {
	usual := e.starts.Add(e.duration)
	switch {
	case e.fault == nil || e.fault.Do != "stuck":
		return usual
	case e.faultEnds.IsZero():
		return e.starts.Add(forever)
	case e.faultEnds.After(usual):
		return e.faultEnds
	}
	return usual
}

// get returns a copy of the export with this id.
func (j *journal) get(id string) (x export, ok bool, err error) { return j.find(j.byID, id) }

// ofOperation returns a copy of the export whose operation has this id.
func (j *journal) ofOperation(id string) (x export, ok bool, err error) {
	return j.find(j.byOperation, id)
}

// ofResults returns a copy of the export whose results have this id.
func (j *journal) ofResults(id string) (x export, ok bool, err error) { return j.find(j.bySearch, id) }

// find loads what was appended and returns a copy of an export, so that the caller
// sees it unchanged while others append.
func (j *journal) find(among map[string]*export, id string) (x export, ok bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.load(); err != nil {
		return export{}, false, err
	}
	found, ok := among[id]
	if !ok {
		return export{}, false, nil
	}
	return *found, true, nil
}

// all returns copies of all exports, newest first, and the most that run at once.
func (j *journal) all() (newest []export, most int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.load(); err != nil {
		return nil, 0, err
	}
	for i := len(j.exports) - 1; i >= 0; i-- {
		newest = append(newest, *j.exports[i])
	}
	return newest, j.maxRunning, nil
}

// instants is a heap (container/heap) with the earliest instant at index 0.
type instants []time.Time

func (h instants) Len() int           { return len(h) }
func (h instants) Less(i, j int) bool { return h[i].Before(h[j]) }
func (h instants) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *instants) Push(x any)        { *h = append(*h, x.(time.Time)) }
func (h *instants) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
