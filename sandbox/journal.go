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
)

// entry is one line of the journal: an export that was accepted, or the cancel
// of one.
type entry struct {
	Export   string         `json:"export"`
	At       time.Time      `json:"at"`
	Request  *exportRequest `json:"request,omitempty"` // nil: a cancel
	Duration time.Duration  `json:"duration,omitempty"`
	Fault    *Fault         `json:"fault,omitempty"`
}

// export is an accepted request and what becomes of it.
type export struct {
	id        string
	request   *exportRequest
	created   time.Time
	duration  time.Duration // once it runs
	cancelled time.Time     // zero: not
	fault     *Fault        // that it was accepted with; nil: none

	starts, ends time.Time // as the slots allow
}

// does tells whether the export has the fault of that name.
func (e *export) does(effect string) bool { return e.fault != nil && e.fault.Do == effect }

// forEver is when a stuck export ends.
const forEver = 100 * 365 * 24 * time.Hour

// stopped tells that the export was cancelled before it was complete.
func (e *export) stopped() bool { return !e.cancelled.IsZero() }

// journal remembers what was accepted, in a file that several processes may
// append to at once. It is read again before each answer, so that they agree.
// It is safe for concurrent use.
type journal struct {
	file  *os.File
	slots int

	mu      sync.Mutex
	read    int64 // bytes of the file taken in
	line    int
	exports []*export // in the order of acceptance
	byID    map[string]*export
	dirty   bool
	most    int // exports that ran at once
}

func openJournal(path string, slots int) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state of the sandbox: %w", err)
	}
	j := &journal{file: file, slots: slots, byID: map[string]*export{}}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.catchUp(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// add makes e last, stamped with the time, before it is answered. A line that
// another process left unfinished as it died is ended first.
func (j *journal) add(e entry, now func() time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.catchUp(); err != nil {
		return err
	}
	e.At = now()
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if info, err := j.file.Stat(); err == nil && info.Size() > j.read {
		raw = append([]byte{'\n'}, raw...)
	}
	if _, err := j.file.Write(append(raw, '\n')); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	return j.catchUp()
}

// catchUp takes in what was appended, up to the last whole line.
func (j *journal) catchUp() error {
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	r := bufio.NewReader(io.NewSectionReader(j.file, j.read, info.Size()-j.read))
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break // the rest is not a whole line yet
		}
		j.read += int64(len(line))
		j.line++
		var e entry
		switch err := json.Unmarshal(bytes.TrimRight(line, "\n"), &e); {
		case err != nil && err.Error() == "unexpected end of JSON input": // cut off by a crash
		case err != nil:
			return fmt.Errorf("line %d of %s is damaged; remove the folder to start anew: %w", j.line, j.file.Name(), err)
		default:
			j.take(e)
		}
	}
	if j.dirty {
		j.schedule()
	}
	return nil
}

func (j *journal) take(e entry) {
	known := j.byID[e.Export]
	switch {
	case e.Request != nil && known == nil:
		x := &export{id: e.Export, request: e.Request, created: e.At, duration: e.Duration, fault: e.Fault}
		j.exports = append(j.exports, x)
		j.byID[x.id] = x
	case e.Request == nil && known != nil && !known.stopped():
		known.cancelled = e.At
	default:
		return
	}
	j.dirty = true
}

// schedule works out when each export runs: in the order of acceptance, so
// many at once as there are slots. A cancelled one gives its slot free.
func (j *journal) schedule() {
	j.dirty = false
	j.most = 0
	var running instants
	for _, x := range j.exports {
		x.starts = x.created
		for len(running) > 0 && !running[0].After(x.starts) {
			heap.Pop(&running)
		}
		if len(running) >= j.slots {
			x.starts = heap.Pop(&running).(time.Time)
		}
		x.ends = x.starts.Add(x.duration)
		if x.does("stuck") {
			x.ends = x.starts.Add(forEver)
		}
		if x.stopped() {
			x.ends = x.cancelled
			if !x.cancelled.After(x.starts) {
				if x.starts.After(x.created) {
					heap.Push(&running, x.starts) // the slot it waited for
				}
				continue
			}
		}
		heap.Push(&running, x.ends)
		j.most = max(j.most, len(running))
	}
}

// get returns the export of that id as it is scheduled.
func (j *journal) get(id string) (x export, ok bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.catchUp(); err != nil {
		return export{}, false, err
	}
	found, ok := j.byID[id]
	if !ok {
		return export{}, false, nil
	}
	return *found, true, nil
}

// all returns every export, newest first, and the most that ran at once.
func (j *journal) all() (newest []export, most int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.catchUp(); err != nil {
		return nil, 0, err
	}
	for i := len(j.exports) - 1; i >= 0; i-- {
		newest = append(newest, *j.exports[i])
	}
	return newest, j.most, nil
}

// instants is a heap with the earliest on top.
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
