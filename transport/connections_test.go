package transport

import (
	"net"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestConnections opens more connections than a server may have: the oldest without a
// request is closed, or the one that is idle for longest, and none with a request.
func TestConnections(t *testing.T) {
	c, now := newConnections(3), time.Unix(0, 0)
	c.now = func() time.Time { return now }
	var conns []net.Conn
	for range 6 {
		conn, other := net.Pipe()
		defer other.Close()
		conns = append(conns, conn)
	}
	name := func(conn net.Conn) int { return slices.Index(conns, conn) }
	for i, step := range []struct {
		conn  int
		state http.ConnState
		want  int // which is closed; -1: none
	}{
		{0, http.StateNew, -1}, {1, http.StateNew, -1}, {0, http.StateActive, -1}, {2, http.StateNew, -1},
		{3, http.StateNew, 1}, {1, http.StateClosed, -1}, {2, http.StateActive, -1}, {0, http.StateIdle, -1},
		{4, http.StateNew, 3}, {3, http.StateClosed, -1}, {4, http.StateActive, -1}, {5, http.StateNew, 0},
		{0, http.StateClosed, -1}, {5, http.StateActive, -1}, {0, http.StateNew, 0}, {0, http.StateClosed, -1},
		{4, http.StateClosed, -1}, {0, http.StateNew, -1},
	} {
		now = now.Add(freshTime)
		if got := name(c.note(conns[step.conn], step.state)); got != step.want {
			t.Errorf("step %d: %d is closed, want %d", i, got, step.want)
		}
	}
	for _, conn := range conns {
		c.changed(conn, http.StateClosed)
	}
	// Those that were just opened are spared while there are idle ones.
	c.note(conns[0], http.StateActive)
	c.note(conns[0], http.StateIdle)
	for i, want := range []int{-1, -1, 0, 1} {
		if got := name(c.note(conns[i+1], http.StateNew)); got != want {
			t.Errorf("new connection %d: %d is closed, want %d", i+1, got, want)
		}
	}
	for _, conn := range conns {
		c.changed(conn, http.StateClosed)
	}
	if len(c.open) != 0 || c.fresh.Len()+c.idle.Len() != 0 {
		t.Errorf("%d connections are kept", len(c.open))
	}
}
