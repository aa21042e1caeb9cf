package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/tools"
	"fullstory-export-mcp/transport"
)

// serveCommand is `serve`: MCP over HTTP, or one of its own commands.
type serveCommand struct {
	Addr       string            `help:"Address to listen on. Port 0 picks a free one. An address that other machines can reach needs --callers or --oauth-issuer." default:"127.0.0.1:8931" env:"FULLSTORY_EXPORT_ADDR" placeholder:"HOST:PORT"`
	SSE        bool              `help:"Also serve the older HTTP+SSE transport at /sse and /message." name:"sse" default:"true" negatable:"" env:"FULLSTORY_EXPORT_SSE"`
	Callers    string            `help:"File of callers, each with the hash of a token; serve token adds one. It is read again when it changes." env:"FULLSTORY_EXPORT_CALLERS" placeholder:"FILE"`
	TLSCert    string            `help:"PEM file of the certificate, for https. It is read again when it changes." name:"tls-cert" env:"FULLSTORY_EXPORT_TLS_CERT" placeholder:"FILE"`
	TLSKey     string            `help:"PEM file of its key." name:"tls-key" env:"FULLSTORY_EXPORT_TLS_KEY" placeholder:"FILE"`
	Hosts      []string          `help:"Host names of the server that clients may use, besides those of this machine." name:"allow-host" env:"FULLSTORY_EXPORT_ALLOW_HOST" placeholder:"NAME"`
	Origins    []string          `help:"Origins of web pages that may use the server from a browser, such as https://app.example.com." name:"allow-origin" env:"FULLSTORY_EXPORT_ALLOW_ORIGIN" placeholder:"ORIGIN"`
	Issuer     string            `help:"Address of an OAuth 2.1 authorization server whose tokens are accepted as well." name:"oauth-issuer" env:"FULLSTORY_EXPORT_OAUTH_ISSUER" placeholder:"URL"`
	Audience   string            `help:"Address of this server that clients use; tokens must be issued for it." name:"oauth-audience" env:"FULLSTORY_EXPORT_OAUTH_AUDIENCE" placeholder:"URL"`
	ScopeClaim string            `help:"Claim of a token that has scopes, besides scope and scp, such as roles." name:"oauth-scope-claim" env:"FULLSTORY_EXPORT_OAUTH_SCOPE_CLAIM" placeholder:"NAME"`
	Claim      string            `help:"Claim of a token that names the account. Default: all tokens use the account without a name." name:"oauth-claim" env:"FULLSTORY_EXPORT_OAUTH_CLAIM" placeholder:"NAME"`
	Accounts   map[string]string `help:"Accounts by value of that claim. Default: the value is the name of the account." name:"oauth-account" env:"FULLSTORY_EXPORT_OAUTH_ACCOUNT" placeholder:"VALUE=ACCOUNT"`
	PublicURL  string            `help:"Address at which clients reach the server, such as https://mcp.example.com/prefix behind a proxy: links to files begin with it. Default: the audience of tokens, or the host of each request if it is one of this machine or of --allow-host." name:"public-url" env:"FULLSTORY_EXPORT_PUBLIC_URL" placeholder:"URL"`
	Web        bool              `help:"Also serve a web page at / that shows exports, their files and the audit log to callers who sign in." name:"web" default:"true" negatable:"" env:"FULLSTORY_EXPORT_WEB"`
	WebClient  string            `help:"Id of the web page as a client of the authorization server, with which people sign in there. Default: they sign in with an access token." name:"web-client-id" env:"FULLSTORY_EXPORT_WEB_CLIENT_ID" placeholder:"ID"`
	Sessions   int               `help:"Limit of open sessions, of which one of several callers has a quarter at most." default:"2000" env:"FULLSTORY_EXPORT_SESSIONS" placeholder:"N"`

	HTTP  serveHTTP    `cmd:"" default:"withargs" hidden:"" help:"Serve MCP over HTTP."`
	Token tokenCommand `cmd:"" help:"Give a caller a new token, and print it once."`
}

// serveHTTP is `serve` without a further command.
type serveHTTP struct{}

// Run serves MCP over HTTP until ctx ends.
func (serveHTTP) Run(ctx context.Context, a *app, s *serveCommand) error {
	p, err := s.protection(a)
	if err != nil {
		return err
	}
	d, err := newDeps(a)
	if err != nil {
		return err
	}
	defer d.close()
	if d.accounts.unknown != nil { // the key of sessions is kept there
		return d.accounts.unknown
	}
	metrics := transport.NewMetrics()
	exported := newExportMetrics(d.accounts.work)
	metrics.Register(exported)
	d.accounts.observe = exported.request // before resume opens the first account
	d.resume(ctx, p.accounts()...)
	o, err := s.options(ctx, d, metrics, p)
	if err != nil {
		return err
	}
	o.Ready = func(ctx context.Context) error { return d.ready(ctx, p.accounts()) }
	// A changed callers file can name accounts that are not open yet.
	o.Changed = func() { d.resume(ctx, p.accounts()...) }
	l, err := listen(s.Addr)
	if err != nil {
		return err
	}
	s.printAddresses(a, l.Addr(), p.callers)
	return transport.New(o).Serve(ctx, l, p.tls)
}

// listen listens at the address that --addr gives.
func listen(addr string) (net.Listener, error) {
	if _, port, err := net.SplitHostPort(addr); err != nil {
		return nil, &exitError{statusUsage, fmt.Errorf("--addr %s: give HOST:PORT, such as 127.0.0.1:8931", addr)}
	} else if n, err := strconv.Atoi(port); err == nil && (n < 0 || n > math.MaxUint16) {
		return nil, &exitError{statusUsage, fmt.Errorf("--addr %s: give a port from 0 to 65535", addr)}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		cause := err
		if failed, ok := errors.AsType[*net.OpError](err); ok {
			cause = failed.Err
		}
		return nil, fmt.Errorf("--addr %s cannot be used: %w; give another port, or stop the program that uses this one",
			addr, cause)
	}
	return l, nil
}

// options returns the options of a server that works with d. Callers that may only
// read get an MCP server of their own, which has no other tools.
func (s *serveCommand) options(
	ctx context.Context, d *deps, metrics *transport.Metrics, p protection,
) (o transport.Options, err error) {
	listed, err := d.listTools()
	if err != nil {
		return o, err
	}
	subscriptions := tools.NewSubscriptions(d.account, callerName)
	served := d.serverOptions(subscriptions, metrics.Call)
	o = transport.Options{
		SSE: s.SSE, Hosts: s.Hosts, Origins: s.Origins, Sessions: s.Sessions, Writes: writeTools(listed),
		Metrics: metrics, Stopping: tools.ErrStopping, Ended: subscriptions.End, Log: d.app.log,
		Callers: p.callers, Issuer: p.issuer,
	}
	if err := keepSessions(ctx, &o, d); err != nil {
		// The server still works, so this is not an error.
		d.app.log.Warn("sessions end with this process, and other replicas do not know them", "error", err)
	}
	if err := s.serveFiles(&o, d, &served); err != nil {
		return o, err
	}
	s.serveWeb(&o, d)
	if o.MCP, err = tools.NewServer(served); err != nil {
		return o, err
	}
	served.ReadOnly = true
	if o.ReadOnly, err = tools.NewServer(served); err != nil {
		return o, err
	}
	return o, nil
}

// keepSessions makes sessions survive a restart. It stores the secret of their ids in
// a file, or in PostgreSQL, where replicas share it together with session state.
func keepSessions(ctx context.Context, o *transport.Options, d *deps) (err error) {
	database := d.app.config.Database
	if !strings.HasPrefix(database, "postgres") {
		o.Key, err = sessionKey(filepath.Join(d.accounts.dir, ".state", "session.key"))
		return err
	}
	l, err := d.accounts.ledgers.get(ctx, database)
	if err != nil {
		return err
	}
	text, err := l.Secret(ctx, "sessions", rand.Text)
	if err != nil {
		return err
	}
	o.Key, o.Shared = []byte(text), l
	return nil
}

// maxSessionKey is the most bytes that are read of a file that should have 32.
const maxSessionKey = 4 << 10

// sessionKey returns the key of 32 bytes in a file. It writes a new key if there is
// none, or one of another length.
func sessionKey(path string) ([]byte, error) {
	if err := local.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := local.CheckPlace(filepath.Dir(path)); err != nil {
		return nil, err
	}
	key, err := local.ReadSecret(path, maxSessionKey)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key = make([]byte, 32)
	rand.Read(key)
	f, err := local.Create(path, os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(key)
	return key, errors.Join(err, f.Close())
}

// ready returns the reason why the server cannot work for one of the accounts, or nil.
// Anybody may read the reason, so it has no details; the log has them.
func (d *deps) ready(ctx context.Context, accounts []string) error {
	for _, name := range accounts {
		account, err := d.accounts.get(name)
		if err != nil {
			d.app.log.Warn("not ready", "account", name, "error", err)
			return errors.New("an account is not set up")
		}
		if err := account.Ready(ctx); err != nil {
			d.app.log.Warn("not ready", "account", name, "error", err)
			return errors.New("the ledger of an account cannot be used, or Fullstory does not answer")
		}
	}
	return nil
}

// printAddresses prints the addresses of the server on stderr, and how many callers it
// has.
func (s *serveCommand) printAddresses(a *app, addr net.Addr, callers *auth.Callers) {
	scheme := "http"
	if s.TLSCert != "" {
		scheme = "https"
	}
	fmt.Fprintf(a.stderr, "MCP at %s://%s/mcp", scheme, addr)
	if s.SSE {
		fmt.Fprintf(a.stderr, " and, for older clients, %s://%s/sse", scheme, addr)
	}
	if callers != nil {
		fmt.Fprintf(a.stderr, ", for callers with a token (%d so far)", callers.Len())
	}
	fmt.Fprintln(a.stderr)
	if s.Web {
		fmt.Fprintf(a.stderr, "Web page at %s://%s/\n", scheme, addr)
	}
}
