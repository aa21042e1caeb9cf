package command

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"fullstory-export-mcp/remote"
)

type serveCommand struct {
	Addr string `help:"Address to listen on; this machine only. Port 0 picks a free one." default:"127.0.0.1:8931" env:"FULLSTORY_EXPORT_ADDR" placeholder:"HOST:PORT"`
	SSE  bool   `help:"Also serve the older HTTP+SSE transport at /sse and /message." name:"sse" default:"true" negatable:"" env:"FULLSTORY_EXPORT_SSE"`
}

// Run serves MCP over HTTP until ctx ends.
func (s *serveCommand) Run(ctx context.Context, t *terminal) error {
	if err := loopbackOnly(s.Addr); err != nil {
		return &exit{2, err}
	}
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer c.close()
	c.goOn(ctx, t)
	mcp, err := newServer(c)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	fmt.Fprintf(t.stderr, "MCP at http://%s/mcp", l.Addr())
	if s.SSE {
		fmt.Fprintf(t.stderr, " and, for older clients, http://%s/sse", l.Addr())
	}
	fmt.Fprintln(t.stderr)
	return remote.New(mcp, s.SSE, t.log).Serve(ctx, l)
}

// loopbackOnly refuses an address that other machines can reach: whoever
// reaches the server may use its key.
func loopbackOnly(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--addr %s: give HOST:PORT, such as 127.0.0.1:8931", addr)
	}
	if host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--addr %s: only addresses of this machine (127.0.0.1, ::1, localhost) are served, because whoever reaches the server can use its API key", addr)
}
