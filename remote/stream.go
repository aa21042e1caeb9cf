package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// The bounds of what a stream keeps, in events and bytes.
const (
	// Of what was written to a reader, for one that comes back.
	keptEvents = 64
	keptBytes  = 128 << 10
	// Of what was not written yet. One event may be larger.
	unreadEvents = 1000
	unreadBytes  = 8 << 20
	// Of what all streams of the server keep. Beyond it nothing is kept for
	// readers that come back, and unreadBytes is scarceBytes.
	allBytes    = 128 << 20
	scarceBytes = 256 << 10
)

// errUnread is a stream whose reader fell too far behind.
var errUnread = errors.New("the reader fell too far behind")

// event is one message on its way.
type event struct {
	seq  int // 1, 2, … in its stream
	data []byte
}

// stream is a sequence of messages to one reader, who may lose the connection
// and come back. It is safe for concurrent use.
type stream struct {
	id  string        // unique in the server; part of the ids of events
	all *atomic.Int64 // bytes that the streams of the server keep

	mu      sync.Mutex
	events  []event // written ones first
	unread  int     // how many of events were not written yet
	bytes   int     // of events
	pending int     // bytes of those not written yet
	last    int     // seq of the last event
	over    bool    // nothing more comes
	broken  bool    // over because nobody read
	reader  chan struct{}
	changed chan struct{} // closed by the next change
}

// The kinds of streams, with which their ids begin.
const (
	ofCall    = "c"
	ofSession = "s"
)

func newStream(kind string, all *atomic.Int64) *stream {
	return &stream{id: kind + rand.Text()[:12], all: all, changed: make(chan struct{})}
}

// add queues a message, the last one if over is set. A stream that is over
// takes nothing more.
func (s *stream) add(data []byte, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if data != nil {
		s.last++
		s.events = append(s.events, event{s.last, data})
		s.unread++
		s.count(len(data))
		s.pending += len(data)
		s.bound()
	}
	s.over = s.over || over
	s.change()
}

// finish ends the stream: what is queued is still written.
func (s *stream) finish() { s.add(nil, true) }

// change wakes who waits for one. The caller holds mu.
func (s *stream) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// count adds n bytes to what is kept. The caller holds mu.
func (s *stream) count(n int) {
	s.bytes += n
	s.all.Add(int64(n))
}

// bound keeps the stream within its bounds. The caller holds mu.
func (s *stream) bound() {
	keepEvents, keep, most := keptEvents, keptBytes, unreadBytes
	if s.all.Load() > allBytes {
		keepEvents, keep, most = 0, 0, scarceBytes
	}
	for written := len(s.events) - s.unread; written > 0 && (written > keepEvents || s.bytes-s.pending > keep); written-- {
		s.count(-len(s.events[0].data))
		s.events = slices.Delete(s.events, 0, 1)
	}
	if s.unread > unreadEvents || s.unread > 1 && s.pending > most {
		s.drop()
		s.over, s.broken = true, true
	}
}

// drop forgets all events. The caller holds mu.
func (s *stream) drop() {
	s.count(-s.bytes)
	s.events, s.unread, s.pending = nil, 0, 0
}

// forget ends the stream and frees what it kept.
func (s *stream) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	s.over = true
	s.change()
}

// renew lets a stream that was broken because nobody read begin anew.
func (s *stream) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		s.broken, s.over = false, false
	}
}

// holds tells whether a reader that has seen the event seq can go on from
// there without a gap.
func (s *stream) holds(seq int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seq <= s.last && !s.broken && (len(s.events) == 0 && seq == s.last || len(s.events) > 0 && s.events[0].seq <= seq+1)
}

// only waits until there is an event. If it is the only one and the last, it
// is returned: then no stream is needed to tell it. Without stream set it waits
// for the last, whatever came before. It returns false when ctx ends.
func (s *stream) only(ctx context.Context, streams bool) (data []byte, alone, ok bool) {
	for {
		s.mu.Lock()
		changed := s.changed
		switch {
		case s.over && (s.last <= 1 || !streams):
			if len(s.events) > 0 {
				data = s.events[len(s.events)-1].data
			}
			s.mu.Unlock()
			return data, true, true
		case s.last > 0 && streams:
			s.mu.Unlock()
			return nil, false, true
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, false, false
		}
	}
}

// goesOn is the place of a reader that has not lost the connection.
const goesOn = -1

// attach makes the caller the reader, in the place of another one, which is
// told by its channel being closed. One that comes back has seen the events up
// to seen, and is told all kept ones after it; else seen is goesOn.
func (s *stream) attach(seen int) (replaced chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != nil {
		close(s.reader)
	}
	s.reader = make(chan struct{})
	if seen == goesOn {
		return s.reader
	}
	s.unread, s.pending = 0, 0
	for _, e := range s.events {
		if e.seq > seen {
			s.unread++
			s.pending += len(e.data)
		}
	}
	return s.reader
}

// detach ends that the caller is the reader, if it is.
func (s *stream) detach(replaced chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == replaced {
		s.reader = nil
	}
}

// read tells whether somebody reads the stream.
func (s *stream) read() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reader != nil
}

// next returns the first event that was not written yet; it counts as written
// from then on. Without one, ok is false and changed is closed by the next
// change, unless the stream is over, as it is to a reader that was replaced.
func (s *stream) next(reader chan struct{}) (e event, ok, over bool, changed <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken:
		return e, false, true, s.changed, errUnread
	case s.reader != reader:
		return e, false, true, s.changed, nil
	case s.unread == 0:
		return e, false, s.over, s.changed, nil
	}
	s.bound()
	e = s.events[len(s.events)-s.unread]
	s.unread--
	s.pending -= len(e.data)
	return e, true, false, s.changed, nil
}

// unwritten takes back that a reader has written e, because of err, which it
// returns unless there is a better one.
func (s *stream) unwritten(reader chan struct{}, e event, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errUnread
	}
	if at := len(s.events) - s.unread - 1; s.reader == reader && at >= 0 && s.events[at].seq == e.seq {
		s.unread++
		s.pending += len(e.data)
	}
	return err
}
