package command

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"fullstory-export-mcp/remote"
	"fullstory-export-mcp/tools"
)

type serveCommand struct {
	Addr     string   `help:"Address to listen on. Port 0 picks a free one. An address that other machines reach needs --callers." default:"127.0.0.1:8931" env:"FULLSTORY_EXPORT_ADDR" placeholder:"HOST:PORT"`
	SSE      bool     `help:"Also serve the older HTTP+SSE transport at /sse and /message." name:"sse" default:"true" negatable:"" env:"FULLSTORY_EXPORT_SSE"`
	Callers  string   `help:"File of those who may use the server, each with the hash of a token; serve token adds one. It is read again when it changes." env:"FULLSTORY_EXPORT_CALLERS" placeholder:"FILE"`
	TLSCert  string   `help:"PEM file of the certificate, for https. It is read again when it changes." name:"tls-cert" env:"FULLSTORY_EXPORT_TLS_CERT" placeholder:"FILE"`
	TLSKey   string   `help:"PEM file of its key." name:"tls-key" env:"FULLSTORY_EXPORT_TLS_KEY" placeholder:"FILE"`
	Hosts    []string `help:"Names, besides those of this machine, that clients reach the server by." name:"allow-host" env:"FULLSTORY_EXPORT_ALLOW_HOST" placeholder:"NAME"`
	Origins  []string `help:"Web pages that may use the server from a browser, such as https://app.example.com." name:"allow-origin" env:"FULLSTORY_EXPORT_ALLOW_ORIGIN" placeholder:"ORIGIN"`
	Sessions int      `help:"Most sessions at once." default:"2000" env:"FULLSTORY_EXPORT_SESSIONS" placeholder:"N"`

	HTTP  serveHTTP    `cmd:"" default:"withargs" hidden:"" help:"Serve MCP over HTTP."`
	Token tokenCommand `cmd:"" help:"Give a caller a new token, and print it once."`
}

type serveHTTP struct{}

// Run serves MCP over HTTP until ctx ends.
func (serveHTTP) Run(ctx context.Context, t *terminal, s *serveCommand) error {
	callers, config, err := s.protection(t)
	if err != nil {
		return err
	}
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer c.close()
	accounts := []string{""}
	if callers != nil {
		accounts = callers.Accounts()
	}
	c.goOn(ctx, t, accounts...)
	o, err := s.options(c, t)
	if err != nil {
		return err
	}
	o.Callers = callers
	o.Ready = func(ctx context.Context) error { return c.ready(ctx, t, accounts) }
	o.Changed = func() { c.goOn(ctx, t, callers.Accounts()...) }
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	s.greet(t, l.Addr(), callers)
	return remote.New(o).Serve(ctx, l, config)
}

// protection returns who may use the server, nil being everybody who reaches
// it, and its certificate, nil without one. It refuses an address that other
// machines reach if everybody there could use the key.
func (s *serveCommand) protection(t *terminal) (callers *remote.Callers, config *tls.Config, err error) {
	local, err := isLoopback(s.Addr)
	if err != nil {
		return nil, nil, &exit{2, err}
	}
	if s.Callers != "" {
		if callers, err = remote.OpenCallers(s.Callers); errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("--callers %s: there is no such file; `serve token NAME --callers %s` makes it", s.Callers, s.Callers)
		}
		if err != nil {
			return nil, nil, &exit{2, err}
		}
	}
	if !local && (callers == nil || callers.Len() == 0) {
		return nil, nil, &exit{2, fmt.Errorf("--addr %s: other machines reach this address, and whoever reaches the server can use its API key; give --callers FILE with at least one caller (serve token makes one), or an address of this machine only, such as 127.0.0.1:8931", s.Addr)}
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return nil, nil, &exit{2, errors.New("--tls-cert and --tls-key go together")}
	}
	if s.TLSCert != "" {
		if config, err = remote.Certificate(s.TLSCert, s.TLSKey); err != nil {
			return nil, nil, &exit{2, err}
		}
	}
	if !local && config == nil {
		t.log.Warn("tokens and data travel unencrypted; put a proxy with TLS in front, or give --tls-cert and --tls-key")
	}
	for _, name := range accountsOf(callers) {
		if _, err := requiredKey(t.getenv, name); err != nil && !t.config.Sandbox {
			t.log.Warn(err.Error())
		}
	}
	return callers, config, nil
}

func accountsOf(callers *remote.Callers) []string {
	if callers == nil {
		return []string{""}
	}
	return callers.Accounts()
}

// isLoopback tells whether only this machine reaches an address.
func isLoopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, fmt.Errorf("--addr %s: give HOST:PORT, such as 127.0.0.1:8931", addr)
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback(), nil
}

// options returns what is served for c.
func (s *serveCommand) options(c *connection, t *terminal) (o remote.Options, err error) {
	follows := tools.NewSubscriptions(c.account)
	metrics := remote.NewMetrics()
	v := serving{connection: c, follows: follows, counted: metrics.Call}
	o = remote.Options{
		SSE: s.SSE, Hosts: s.Hosts, Origins: s.Origins, Sessions: s.Sessions,
		Metrics: metrics, Stopping: tools.ErrStopping, Ended: follows.End, Log: t.log,
	}
	if o.MCP, err = v.server(c.settings); err != nil {
		return o, err
	}
	if o.ReadOnly, err = v.readOnly(); err != nil {
		return o, err
	}
	if o.Key, err = sessionKey(c.accounts.dir); err != nil {
		t.log.Warn("sessions will not outlive a restart", "error", err)
	}
	return o, nil
}

// sessionKey returns the secret that session ids are made with. It is kept, so
// that sessions go on after a restart.
func sessionKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, ".state", "session.key")
	key, err := os.ReadFile(path)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key = make([]byte, 32)
	rand.Read(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, key, 0o600)
}

// ready tells what keeps the server from doing its work. What is told is for
// anybody; the log has the rest.
func (c *connection) ready(ctx context.Context, t *terminal, accounts []string) error {
	for _, name := range accounts {
		a, err := c.accounts.get(name)
		if err != nil {
			t.log.Warn("not ready", "account", name, "error", err)
			return errors.New("an account is not set up")
		}
		if err := a.Ready(ctx); err != nil {
			t.log.Warn("not ready", "account", name, "error", err)
			return errors.New("the ledger of an account cannot be used, or Fullstory does not answer")
		}
	}
	return nil
}

// greet says where the server is reached, and by whom.
func (s *serveCommand) greet(t *terminal, addr net.Addr, callers *remote.Callers) {
	scheme := "http"
	if s.TLSCert != "" {
		scheme = "https"
	}
	fmt.Fprintf(t.stderr, "MCP at %s://%s/mcp", scheme, addr)
	if s.SSE {
		fmt.Fprintf(t.stderr, " and, for older clients, %s://%s/sse", scheme, addr)
	}
	if callers != nil {
		fmt.Fprintf(t.stderr, ", for callers with a token (%d so far)", callers.Len())
	}
	fmt.Fprintln(t.stderr)
}
