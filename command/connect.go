package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/sandbox"
	"fullstory-export-mcp/tools"
)

// connection is the account that a process works for. The account is made on
// first use, so that a server without a key starts and can say what is
// missing.
type connection struct {
	account  func(context.Context) (*tools.Account, error)
	settings tools.Settings
	close    func()
}

// connect prepares the account that the configuration names. Nothing is asked
// of the network, and nothing is written, before the account is used.
func (t *terminal) connect() (*connection, error) {
	zone, err := t.config.zone()
	if err != nil {
		return nil, &exit{2, err}
	}
	dir, err := t.config.folder(t.getenv)
	if err != nil {
		return nil, err
	}
	c := &connection{
		settings: tools.Settings{Zone: zone, ReadOnly: t.config.ReadOnly, Only: t.config.Tools, Log: t.log, Now: time.Now},
		close:    func() {},
	}
	options := client.Options{BaseURL: t.config.APIURL, UserAgent: "fullstory-export-mcp/" + version(), Log: t.log}
	if t.config.Sandbox {
		simulated, err := t.startSandbox(dir)
		if err != nil {
			return nil, err
		}
		options.BaseURL, options.Key = simulated.url, sandbox.KeyArchitect
		c.settings.Now, c.close = simulated.Now, simulated.close
	}
	var mu sync.Mutex
	var account *tools.Account
	c.account = func(context.Context) (*tools.Account, error) {
		mu.Lock()
		defer mu.Unlock()
		if account != nil {
			return account, nil
		}
		a, err := t.open(options, dir, c.settings.Now)
		if err != nil {
			return nil, err
		}
		account = a
		return a, nil
	}
	closeSandbox := c.close
	c.close = func() {
		mu.Lock()
		defer mu.Unlock()
		if account != nil {
			if err := account.Close(); err != nil {
				t.log.Debug("close", "error", err)
			}
		}
		closeSandbox()
	}
	return c, nil
}

// open makes the account. The key is read here rather than at start, so that a
// missing one is told where somebody reads it.
func (t *terminal) open(o client.Options, dir string, now func() time.Time) (*tools.Account, error) {
	if o.Key == "" {
		key, err := apiKey(t.getenv)
		if err != nil {
			return nil, &tools.SetupError{Message: err.Error(), Key: true}
		}
		if key == "" {
			return nil, &tools.SetupError{Message: "No Fullstory API key is set", Key: true}
		}
		o.Key = client.Key(key)
	}
	api, err := client.New(o)
	if err != nil {
		return nil, &tools.SetupError{Message: err.Error()}
	}
	files, err := archive.Open(dir)
	if err != nil {
		return nil, err
	}
	return &tools.Account{
		Client:    api,
		Archive:   files,
		Downloads: archive.NewDownloads(files),
		Sandbox:   t.config.Sandbox,
		Now:       now,
		Database:  t.config.database(dir),
		Idle:      t.config.ReadOnly,
		Log:       t.log,
	}, nil
}

// goOn sets to work what was left undone, if there is a ledger. It does not
// hold up the start, and nothing is written where nothing was ever asked for.
func (c *connection) goOn(ctx context.Context, t *terminal) {
	if t.config.ReadOnly {
		return
	}
	go func() {
		a, err := c.account(ctx)
		if err != nil {
			return // told by the first call
		}
		if !a.HasLedger() {
			return
		}
		if _, err := a.Engine(ctx); err != nil {
			t.log.Warn("bulk exports do not go on", "error", err)
		}
	}()
}

// simulation is a sandbox that listens on loopback.
type simulation struct {
	*sandbox.Sandbox
	url   string
	close func()
}

// startSandbox starts the built-in sandbox on a free port. What it accepted is
// kept in the folder of the exports, so that the next process finds it.
func (t *terminal) startSandbox(dir string) (*simulation, error) {
	if key, _ := apiKey(t.getenv); key != "" || t.config.APIURL != "" {
		t.log.Info("the sandbox is used; the API key and address that are set are not")
	}
	c := t.config.BuiltIn
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
