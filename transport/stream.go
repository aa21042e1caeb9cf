package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// The bounds of what streams keep, in events and bytes.
const (
	// Of events that were written to a reader, for one that reconnects.
	keptEvents = 64
	keptBytes  = 128 << 10
	// Of events that were not written yet. A single event may be larger.
	unreadEvents = 1000
	unreadBytes  = 8 << 20
	// Of all streams of the server; see budget. Beyond it nothing is kept for readers
	// that reconnect, and scarceBytes replaces unreadBytes.
	allBytes    = 128 << 20
	scarceBytes = 256 << 10
)

// budget counts the bytes that streams keep: those of one caller, and of all.
type budget struct {
	own, all *atomic.Int64
	most     int64 // of own
}

func (b budget) add(n int) {
	b.own.Add(int64(n))
	if b.own != b.all {
		b.all.Add(int64(n))
	}
}

// scarce reports whether the caller keeps too much: more than its part or, when all
// together keep more than allBytes, more than an eighth of it. So a caller whose streams
// are read loses nothing because of others.
func (b budget) scarce() bool {
	own := b.own.Load()
	return own > b.most || b.all.Load() > allBytes && own > b.most/8
}

// errUnread says that a stream was given up because its reader is too slow.
var errUnread = errors.New("the reader fell too far behind")

// event is one message of a stream.
type event struct {
	seq  int // 1, 2, … in its stream
	data []byte
}

// stream is a sequence of messages to one reader, who may lose the connection
// and reconnect. It is an outlet, and safe for concurrent use.
type stream struct {
	id   string // unique in the server; the ids of its events begin with it
	kept budget

	mu      sync.Mutex
	events  []event       // written ones first
	unread  int           // how many of events were not written yet
	bytes   int           // of events
	pending int           // bytes of those not written yet
	last    int           // seq of the last event
	over    bool          // there are no more messages
	broken  bool          // over because its reader is too slow
	reader  chan struct{} // closed when another reader attaches; nil without a reader
	read    bool          // it has had a reader
	changed chan struct{} // closed by the next change
}

// The kinds of streams, with which their ids begin.
const (
	ofCall    = "c"
	ofSession = "s"
)

func newStream(kind string, kept budget) *stream {
	return &stream{id: kind + rand.Text()[:12], kept: kept, changed: make(chan struct{})}
}

// add queues a message, or none if data is nil, and ends the stream if last is
// set. It never blocks. A stream that is over drops the message.
func (s *stream) add(data []byte, last bool) {
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
	s.over = s.over || last
	s.change()
}

// finish ends the stream. Queued messages are still written.
func (s *stream) finish() { s.add(nil, true) }

// change wakes everything that waits for a change. s.mu must be held.
func (s *stream) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// count adds n to the bytes that are kept. s.mu must be held.
func (s *stream) count(n int) {
	s.bytes += n
	s.kept.add(n)
}

// bound keeps the stream within its bounds: it forgets written events, and gives
// the stream up if too much is unread. s.mu must be held.
func (s *stream) bound() {
	keepEvents, keep, most := keptEvents, keptBytes, unreadBytes
	if s.kept.scarce() {
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

// drop forgets all events. s.mu must be held.
func (s *stream) drop() {
	s.count(-s.bytes)
	s.events, s.unread, s.pending = nil, 0, 0
}

// forget ends the stream and drops its events.
func (s *stream) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	s.over = true
	s.change()
}

// renew reopens a stream that was given up because its reader was too slow.
func (s *stream) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		s.broken, s.over = false, false
	}
}

// holds reports whether a reader that has the event seq can continue without a
// gap.
func (s *stream) holds(seq int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > s.last || s.broken {
		return false
	}
	if len(s.events) == 0 {
		return seq == s.last
	}
	return s.events[0].seq <= seq+1
}

// only waits for an event. If that is the last one and there was none before,
// only returns it, and alone is set: no stream is needed. Otherwise alone is not
// set. Without streams it waits for the last event and drops those before. ok is
// false if ctx ends first.
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

// fromUnread, for the last event that a reader has, says that it has all events
// that were written.
const fromUnread = -1

// attach makes the caller the reader. The channel is closed when another reader
// replaces it. The reader gets the kept events after seen, or those that were
// never written if seen is fromUnread.
func (s *stream) attach(seen int) (replaced chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != nil {
		close(s.reader)
	}
	s.reader, s.read = make(chan struct{}), true
	if seen == fromUnread {
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

// detach ends the reader that attach returned, unless it was replaced.
func (s *stream) detach(replaced chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == replaced {
		s.reader = nil
	}
}

// hasReader reports whether a reader is attached.
func (s *stream) hasReader() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reader != nil
}

// left reports whether the stream has had readers and has none now.
func (s *stream) left() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read && s.reader == nil
}

// next returns the first event that was not written yet and counts it as written.
// Without one, ok is false; over then reports that the stream is over or reader
// was replaced, and the next change closes changed. It fails with errUnread.
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

// unwritten undoes that next counted e as written, because writing it failed with
// err. It returns err, or errUnread if the stream was given up meanwhile.
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
