package transport

import (
	"container/list"
	"net"
	"net/http"
	"sync"
	"time"
)

// spareConnections is how many connections a server may have beside two for each session.
const spareConnections = 1024

// freshTime is how long a connection may be open without a request before it counts as one
// that sends none.
const freshTime = time.Second

// connections bound the open connections of a server. Each costs memory before its request
// is known, and so before anybody is asked for a token. Beyond most, the one is closed that
// has sent no request for longest since it was opened, if that is over freshTime; else the
// one that is idle for longest, which its client opens again; else the oldest without a
// request. One on which a request is handled never is. They are safe for concurrent use;
// use newConnections.
type connections struct {
	most int
	now  func() time.Time

	mu    sync.Mutex
	open  map[net.Conn]*list.Element // in fresh or idle; nil: a request is handled on it
	fresh *list.List                 // of connection without any request yet, the oldest first
	idle  *list.List                 // of those between two requests
}

// connection is one that waits for a request.
type connection struct {
	net.Conn
	since time.Time
}

func newConnections(most int) *connections {
	return &connections{most: most, now: time.Now, open: map[net.Conn]*list.Element{}, fresh: list.New(), idle: list.New()}
}

// changed is the hook of http.Server for the states of connections.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if excess := c.note(conn, state); excess != nil {
		go excess.Close() // with TLS it may write
	}
}

// note notes the state of a connection. It returns one to be closed, or nil.
func (c *connections) note(conn net.Conn, state http.ConnState) (excess net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.fresh.Remove(e) // from the list that has it
		c.idle.Remove(e)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return nil
	case http.StateActive:
		c.open[conn] = nil
		return nil
	case http.StateNew:
		c.open[conn] = c.fresh.PushBack(connection{conn, c.now()})
	default:
		c.open[conn] = c.idle.PushBack(connection{conn, c.now()})
	}
	if len(c.open) <= c.most {
		return nil
	}
	from := c.fresh
	if c.idle.Len() > 0 && (from.Len() == 0 || c.now().Sub(waiting(from).since) < freshTime) {
		from = c.idle
	}
	excess = waiting(from).Conn
	from.Remove(from.Front())
	delete(c.open, excess) // its end is reported later
	return excess
}

// waiting returns the connection that has waited for longest, of a list that has one.
func waiting(l *list.List) connection { return l.Front().Value.(connection) }
