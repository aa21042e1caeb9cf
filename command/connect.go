package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"fullstory-export-mcp/remote"
	"fullstory-export-mcp/sandbox"
	"fullstory-export-mcp/tools"
)

// connection is what a process works with. An account is made on first use, so
// that a server without a key starts and can say what is missing.
type connection struct {
	account  func(context.Context) (*tools.Account, error) // of whoever calls
	accounts *accounts
	settings tools.Settings
	close    func()
}

// connect prepares the accounts that the configuration names. Nothing is asked
// of the network, and nothing is written, before an account is used.
func (t *terminal) connect() (*connection, error) {
	zone, err := t.config.zone()
	if err != nil {
		return nil, &exit{2, err}
	}
	dir, err := t.config.folder(t.getenv)
	if err != nil {
		return nil, err
	}
	if _, err := t.mirror(""); err != nil {
		return nil, &exit{2, err}
	}
	c := &connection{
		settings: tools.Settings{Zone: zone, ReadOnly: t.config.ReadOnly, Only: t.config.Tools, Log: t.log, Now: time.Now},
		accounts: &accounts{terminal: t, dir: dir, open: map[string]*opened{}},
	}
	c.close = c.accounts.close
	c.account = func(ctx context.Context) (*tools.Account, error) { return c.accounts.get(remote.CallerOf(ctx).Account) }
	if t.config.Sandbox {
		simulated, err := t.startSandbox(dir, "")
		if err != nil {
			return nil, err
		}
		c.accounts.simulated = simulated
		c.settings.Now = simulated.Now
		c.close = func() {
			c.accounts.close()
			simulated.close()
		}
	}
	return c, nil
}

// goOn sets to work what was left undone of the named accounts, of which the
// empty name is the one that is configured without. It does not hold up the
// start, and nothing is written where nothing was ever asked for.
func (c *connection) goOn(ctx context.Context, t *terminal, names ...string) {
	if t.config.ReadOnly {
		return
	}
	for _, name := range names {
		go func() {
			a, err := c.accounts.get(name)
			if err != nil || !a.HasLedger() {
				return // an error is told by the first call
			}
			if _, err := a.Engine(ctx); err != nil {
				t.log.Warn("bulk exports do not go on", "account", name, "error", err)
			}
		}()
	}
}

// simulation is a sandbox that listens on loopback.
type simulation struct {
	*sandbox.Sandbox
	url   string
	close func()
}

// startSandbox starts the built-in sandbox of an account on a free port. What
// it accepted is kept among the account's files, so that the next process finds
// it.
func (t *terminal) startSandbox(dir, account string) (*simulation, error) {
	if key, _ := apiKey(t.getenv, account); key != "" || t.config.APIURL != "" {
		t.log.Info("the sandbox is used; the API key and address that are set are not")
	}
	c := t.config.BuiltIn
	if account != "" {
		c.Org, c.State = cmp.Or(c.Org, "SANDBOX")+"-"+strings.ToUpper(account), ""
	}
	if c.State == "" {
		c.State = filepath.Join(dir, ".state", "sandbox")
	}
	return listenSandbox(c, "127.0.0.1:0")
}

func listenSandbox(c sandbox.Config, addr string) (*simulation, error) {
	s, err := sandbox.New(c)
	var wrong *sandbox.ConfigError
	if errors.As(err, &wrong) {
		return nil, &exit{2, fmt.Errorf("sandbox: %w", err)}
	}
	if err != nil {
		return nil, fmt.Errorf("the sandbox does not start: %w", err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the sandbox does not start: %w", err), s.Close())
	}
	served := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	go served.Serve(listener)
	return &simulation{Sandbox: s, url: "http://" + listener.Addr().String(), close: func() {
		served.Close()
		s.Close()
	}}, nil
}
