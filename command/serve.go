package command

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/remote"
	"fullstory-export-mcp/tools"
)

type serveCommand struct {
	Addr     string            `help:"Address to listen on. Port 0 picks a free one. An address that other machines reach needs --callers." default:"127.0.0.1:8931" env:"FULLSTORY_EXPORT_ADDR" placeholder:"HOST:PORT"`
	SSE      bool              `help:"Also serve the older HTTP+SSE transport at /sse and /message." name:"sse" default:"true" negatable:"" env:"FULLSTORY_EXPORT_SSE"`
	Callers  string            `help:"File of those who may use the server, each with the hash of a token; serve token adds one. It is read again when it changes." env:"FULLSTORY_EXPORT_CALLERS" placeholder:"FILE"`
	TLSCert  string            `help:"PEM file of the certificate, for https. It is read again when it changes." name:"tls-cert" env:"FULLSTORY_EXPORT_TLS_CERT" placeholder:"FILE"`
	TLSKey   string            `help:"PEM file of its key." name:"tls-key" env:"FULLSTORY_EXPORT_TLS_KEY" placeholder:"FILE"`
	Hosts    []string          `help:"Names, besides those of this machine, that clients reach the server by." name:"allow-host" env:"FULLSTORY_EXPORT_ALLOW_HOST" placeholder:"NAME"`
	Origins  []string          `help:"Web pages that may use the server from a browser, such as https://app.example.com." name:"allow-origin" env:"FULLSTORY_EXPORT_ALLOW_ORIGIN" placeholder:"ORIGIN"`
	Issuer   string            `help:"Address of an OAuth 2.1 authorization server whose tokens are accepted, too." name:"oauth-issuer" env:"FULLSTORY_EXPORT_OAUTH_ISSUER" placeholder:"URL"`
	Audience string            `help:"Address of this server as its clients have it; tokens have to be made for it." name:"oauth-audience" env:"FULLSTORY_EXPORT_OAUTH_AUDIENCE" placeholder:"URL"`
	Claim    string            `help:"Claim of a token that names the account. Default: there is one account, without a name." name:"oauth-claim" env:"FULLSTORY_EXPORT_OAUTH_CLAIM" placeholder:"NAME"`
	Accounts map[string]string `help:"Account by the value of that claim. Default: the value is the name of the account." name:"oauth-account" env:"FULLSTORY_EXPORT_OAUTH_ACCOUNT" placeholder:"VALUE=ACCOUNT"`
	Sessions int               `help:"Most sessions at once." default:"2000" env:"FULLSTORY_EXPORT_SESSIONS" placeholder:"N"`

	HTTP  serveHTTP    `cmd:"" default:"withargs" hidden:"" help:"Serve MCP over HTTP."`
	Token tokenCommand `cmd:"" help:"Give a caller a new token, and print it once."`
}

type serveHTTP struct{}

// Run serves MCP over HTTP until ctx ends.
func (serveHTTP) Run(ctx context.Context, t *terminal, s *serveCommand) error {
	p, err := s.protection(t)
	if err != nil {
		return err
	}
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer func() { c.close() }()
	metrics := remote.NewMetrics()
	metrics.Report(c.accounts.work)
	c.accounts.observe = metrics.Fullstory
	c.goOn(ctx, t, p.accounts()...)
	o, err := s.options(ctx, c, t, metrics)
	if err != nil {
		return err
	}
	o.Callers, o.Issuer = p.callers, p.issuer
	o.Ready = func(ctx context.Context) error { return c.ready(ctx, t, p.accounts()) }
	o.Changed = func() { c.goOn(ctx, t, p.accounts()...) }
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	s.greet(t, l.Addr(), p.callers)
	return remote.New(o).Serve(ctx, l, p.tls)
}

// protection is who may use the server, everybody who reaches it if there are
// neither callers nor an issuer, and its certificate, nil without one.
type protection struct {
	callers *remote.Callers
	issuer  *remote.Issuer
	named   []string // accounts of the issuer's tokens
	tls     *tls.Config
}

// accounts returns the names of the accounts that the server works for.
func (p protection) accounts() []string {
	names := slices.Clone(p.named)
	if p.callers != nil {
		names = append(names, p.callers.Accounts()...)
	}
	if p.callers == nil && p.issuer == nil {
		names = []string{""}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// protection refuses an address that other machines reach if everybody there
// could use the key.
func (s *serveCommand) protection(t *terminal) (p protection, err error) {
	local, err := isLoopback(s.Addr)
	if err != nil {
		return p, &exit{2, err}
	}
	if err := s.who(&p, t); err != nil {
		return p, &exit{2, err}
	}
	if !local && p.issuer == nil && (p.callers == nil || p.callers.Len() == 0) {
		return p, &exit{2, fmt.Errorf("--addr %s: other machines reach this address, and whoever reaches the server can use its API key; give --callers FILE with at least one caller (serve token makes one), --oauth-issuer, or an address of this machine only, such as 127.0.0.1:8931", s.Addr)}
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return p, &exit{2, errors.New("--tls-cert and --tls-key go together")}
	}
	if s.TLSCert != "" {
		if p.tls, err = remote.Certificate(s.TLSCert, s.TLSKey); err != nil {
			return p, &exit{2, err}
		}
	}
	if !local && p.tls == nil {
		t.log.Warn("tokens and data travel unencrypted; put a proxy with TLS in front, or give --tls-cert and --tls-key")
	}
	for _, name := range p.accounts() {
		if _, err := requiredKey(t.getenv, name); err != nil && !t.config.Sandbox {
			t.log.Warn(err.Error())
		}
	}
	return p, nil
}

// who opens the file of callers and the issuer.
func (s *serveCommand) who(p *protection, t *terminal) (err error) {
	if s.Callers != "" {
		if p.callers, err = remote.OpenCallers(s.Callers); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--callers %s: there is no such file; `serve token NAME --callers %s` makes it", s.Callers, s.Callers)
		}
		if err != nil {
			return err
		}
	}
	if s.Issuer == "" {
		return nil
	}
	if s.Audience == "" {
		return errors.New("--oauth-issuer needs --oauth-audience: a token that was made for another server is not accepted")
	}
	if len(s.Accounts) > 0 && s.Claim == "" {
		return errors.New("--oauth-account needs --oauth-claim: the claim whose values it names")
	}
	p.issuer, err = remote.NewIssuer(remote.IssuerOptions{URL: s.Issuer, Audience: s.Audience, Claim: s.Claim, Accounts: s.Accounts, Log: t.log})
	if err != nil {
		return fmt.Errorf("--oauth-issuer: %w", err)
	}
	if p.callers != nil && p.callers.Len() > 0 && (s.Claim != "") != (p.callers.Accounts()[0] != "") {
		return errors.New("either the callers of the file and the issuer's tokens name accounts, or neither does, so that the files of one account never lie among those of another")
	}
	switch {
	case s.Claim == "":
		p.named = []string{""}
	default:
		p.named = slices.Collect(maps.Values(s.Accounts))
	}
	return nil
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
func (s *serveCommand) options(ctx context.Context, c *connection, t *terminal, metrics *remote.Metrics) (o remote.Options, err error) {
	follows := tools.NewSubscriptions(c.account)
	v := serving{connection: c, follows: follows, counted: metrics.Call}
	o = remote.Options{
		SSE: s.SSE, Hosts: s.Hosts, Origins: s.Origins, Sessions: s.Sessions,
		Metrics: metrics, Stopping: tools.ErrStopping, Ended: follows.End, Log: t.log,
	}
	if o.MCP, err = v.server(c.settings); err != nil {
		return o, err
	}
	if o.Writes, err = v.writes(); err != nil {
		return o, err
	}
	if o.ReadOnly, err = v.readOnly(); err != nil {
		return o, err
	}
	if err := keepSessions(ctx, &o, c, t); err != nil {
		t.log.Warn("sessions will not outlive a restart, nor go on at another replica", "error", err)
	}
	return o, nil
}

// keepSessions has sessions go on after a restart: the secret that their ids are
// made with is kept in a file, or in PostgreSQL, where the other replicas have
// it too, and what they tell one another of sessions.
func keepSessions(ctx context.Context, o *remote.Options, c *connection, t *terminal) (err error) {
	if !strings.HasPrefix(t.config.Database, "postgres") {
		o.Key, err = keptKey(filepath.Join(c.accounts.dir, ".state", "session.key"))
		return err
	}
	l, err := ledger.Open(ctx, t.config.Database)
	if err != nil {
		return err
	}
	end := c.close
	c.close = func() {
		end()
		l.Close()
	}
	text, err := l.Secret(ctx, "sessions", rand.Text)
	if err != nil {
		return err
	}
	o.Key, o.Shared = []byte(text), l
	return nil
}

// keptKey returns the key in a file, which is made if it is missing.
func keptKey(path string) ([]byte, error) {
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
