package ledger

import (
	"context"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	// pollPause is the time between two looks for changes of other processes in a SQLite
	// ledger. It is idlePollPause when no process has written for some seconds.
	pollPause     = 500 * time.Millisecond
	idlePollPause = time.Second
)

// Changes returns a channel that receives when Wake announces work for the account,
// in this process or another. One signal may cover several calls of Wake, and
// there are signals without one: at first, after the connection to the database was
// lost, and on SQLite after any commit of another process. The receiver therefore
// looks for itself what there is to do. A channel that is not read blocks nothing.
// The caller must call stop to end the subscription.
func (l *Ledger) Changes(account string) (changes <-chan struct{}, stop func()) {
	return l.subscribe(workTopic(account))
}

// SessionChanges is as Changes, for changes that ChangeSession makes to the notes of
// sessions.
func (l *Ledger) SessionChanges() (changes <-chan struct{}, stop func()) {
	return l.subscribe(sessionTopic)
}

// Wake signals the channels of Changes for the account, in all processes, once the
// transaction is committed.
func (t *Tx) Wake(account string) error { return t.announce(workTopic(account)) }

const (
	// sessionTopic, leaseTopic and those of workTopic are the topics.
	sessionTopic = "sessions"
	leaseTopic   = "leases"
	// announcements is the notification channel of PostgreSQL that carries the topics.
	announcements = "fullstory_export"
)

// workTopic returns the topic of work for an account. An account has at most maxKey
// bytes, so the topic fits a notification of PostgreSQL, which has at most 7,999.
func workTopic(account string) string { return "work " + account }

// announce signals a topic once the transaction is committed. PostgreSQL delivers its
// notification to this process as well; on SQLite, Write signals this process, and
// others find the commit, see pollChanges.
func (t *Tx) announce(topic string) error {
	if t.lock == "" {
		t.announced = append(t.announced, topic)
		return nil
	}
	_, err := t.tx.ExecContext(t.ctx, "SELECT pg_notify($1, $2)", announcements, topic)
	return err
}

// signals are the subscriptions of a process, by topic. The zero value is ready.
type signals struct {
	mu     sync.Mutex
	topics map[string]map[chan struct{}]bool
}

// add subscribes to a topic. The channel has room for one signal, which waits until it
// is read.
func (s *signals) add(topic string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics == nil {
		s.topics = map[string]map[chan struct{}]bool{}
	}
	if s.topics[topic] == nil {
		s.topics[topic] = map[chan struct{}]bool{}
	}
	c := make(chan struct{}, 1)
	s.topics[topic][c] = true
	return c
}

func (s *signals) remove(topic string, c chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.topics[topic], c)
	if len(s.topics[topic]) == 0 {
		delete(s.topics, topic)
	}
}

// send signals the subscribers of a topic.
func (s *signals) send(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	signal(s.topics[topic])
}

// sendAll signals every subscriber.
func (s *signals) sendAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, subscribers := range s.topics {
		signal(subscribers)
	}
}

// signal never blocks: a channel that has a signal already needs no second one.
func signal(subscribers map[chan struct{}]bool) {
	for c := range subscribers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// subscribe subscribes to a topic, and receives what other processes announce as
// long as there is a subscription.
func (l *Ledger) subscribe(topic string) (<-chan struct{}, func()) {
	c := l.signals.add(topic)
	release := l.watching.use()
	return c, sync.OnceFunc(func() {
		l.signals.remove(topic, c)
		release()
	})
}

// background is a loop that runs while it has users.
type background struct {
	run func(ctx context.Context) // returns when ctx ends

	mu    sync.Mutex
	users int
	stop  func() // ends the loop and waits for its end
}

// use starts the loop, unless it runs. The last release ends the loop and waits for its
// end.
func (b *background) use() (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users++; b.users == 1 {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.run(ctx)
		}()
		b.stop = func() {
			cancel()
			<-ended
		}
	}
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.users--; b.users == 0 {
			b.stop()
		}
	})
}

// end ends the loop even if it has users.
func (b *background) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.users > 0 {
		b.stop()
	}
}

// pollChanges signals every subscriber after another process has committed to the
// SQLite file, and once at first, until ctx ends. It asks the connection that writes:
// data_version ignores commits of the connection that asks. While the files look
// unchanged and a write would show, it does not ask the database at all.
func (l *Ledger) pollChanges(ctx context.Context) {
	known, at := int64(-1), fileState{}
	for {
		now := stateOf(l.place)
		var version int64
		if (now != at || !now.settled()) && l.write.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version) == nil {
			at = now
			if version != known {
				known = version
				l.signals.sendAll()
			}
		}
		wait := pollPause
		if now.settled() {
			wait = idlePollPause
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// fileState is when the files of a SQLite ledger were last written, and their sizes in
// bytes. Reading it costs much less than a query.
type fileState struct {
	written [2]time.Time // of the file itself and of its log
	size    [2]int64
}

// stateOf returns the state of the ledger at path. It leaves zero what it cannot read.
func stateOf(path string) (s fileState) {
	if runtime.GOOS == "windows" { // it updates the times of an open file late
		return s
	}
	for i, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(path + suffix); err == nil {
			s.written[i], s.size[i] = info.ModTime(), info.Size()
		}
	}
	return s
}

// settled reports whether the next write will certainly change the state: the last
// one is long enough ago for a file system that stores times in steps of 2 s.
func (s fileState) settled() bool {
	for _, at := range s.written {
		if time.Since(at) < 3*time.Second {
			return false
		}
	}
	return !s.written[0].IsZero()
}
