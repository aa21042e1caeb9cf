package command

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/remote"
	"fullstory-export-mcp/sandbox"
	"fullstory-export-mcp/tools"
)

// accounts are those that a process works for, by name; the empty one is what
// is configured without a name. A named account has a key of its own, and its
// files and ledger in a folder of its own. It is safe for concurrent use.
type accounts struct {
	terminal  *terminal
	dir       string
	simulated *simulation // of the account without a name; nil without --sandbox
	observe   client.Observer

	mu   sync.Mutex
	open map[string]*opened
}

type opened struct {
	account *tools.Account
	close   func()
}

// get returns the account with that name, opened by the first call.
func (a *accounts) get(name string) (*tools.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.open[name]; o != nil {
		return o.account, nil
	}
	o, err := a.make(name)
	if err != nil {
		return nil, err
	}
	a.open[name] = o
	return o.account, nil
}

// make opens an account. The key is read here rather than at start, so that a
// missing one is told where somebody reads it.
func (a *accounts) make(name string) (*opened, error) {
	t := a.terminal
	dir := filepath.Join(a.dir, name)
	options := client.Options{BaseURL: t.config.APIURL, UserAgent: "fullstory-export-mcp/" + version(), Log: t.log, Observe: a.observe}
	o := &opened{close: func() {}}
	now := time.Now
	switch {
	case t.config.Sandbox:
		simulated := a.simulated
		if name != "" {
			var err error
			if simulated, err = t.startSandbox(dir, name); err != nil {
				return nil, err
			}
			o.close = simulated.close
		}
		options.BaseURL, options.Key, now = simulated.url, sandbox.KeyArchitect, simulated.Now
	default:
		var err error
		if options.Key, err = requiredKey(t.getenv, name); err != nil {
			return nil, err
		}
	}
	api, err := client.New(options)
	if err != nil {
		return nil, &tools.SetupError{Message: err.Error()}
	}
	files, err := archive.Open(dir)
	if err != nil {
		return nil, err
	}
	copies, err := t.mirror(name)
	if err != nil {
		return nil, err
	}
	o.account = &tools.Account{
		Name:      name,
		Client:    api,
		Archive:   files,
		Downloads: archive.NewDownloads(files),
		Mirror:    copies,
		Sandbox:   t.config.Sandbox,
		Now:       now,
		Database:  t.config.database(dir),
		Idle:      t.config.ReadOnly,
		Log:       t.log,
	}
	return o, nil
}

// mirror opens where copies of the files of an account are kept; nil if that is
// nowhere. A named account has a folder of its own there.
func (t *terminal) mirror(account string) (*mirror.Mirror, error) {
	if t.config.Mirror == "" {
		return nil, nil
	}
	place := strings.TrimSuffix(t.config.Mirror, "/")
	if account != "" {
		place += "/" + account
	}
	m, err := mirror.Open(mirror.Options{
		URL: place, Endpoint: t.config.MirrorAt, Getenv: t.getenv,
		Region: cmp.Or(t.getenv("AWS_REGION"), t.getenv("AWS_DEFAULT_REGION")),
	})
	if err != nil {
		return nil, fmt.Errorf("--mirror: %w", err)
	}
	return m, nil
}

// work returns what the exports of the accounts that are open come to.
func (a *accounts) work(ctx context.Context) map[string]remote.Work {
	a.mu.Lock()
	open := maps.Clone(a.open)
	a.mu.Unlock()
	all := map[string]remote.Work{}
	for name, o := range open {
		totals, err := o.account.Totals(ctx)
		if err != nil {
			a.terminal.log.Debug("what an account's exports come to cannot be read", "account", name, "error", err)
			continue
		}
		work := remote.Work{InFlight: totals.InFlight, Chunks: map[string]int{}, Stored: totals.Stored}
		for state, n := range totals.Chunks {
			work.Chunks[string(state)] = n
		}
		all[cmp.Or(name, "default")] = work
	}
	return all
}

// close ends the work of all accounts.
func (a *accounts) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ending sync.WaitGroup
	for _, o := range a.open {
		ending.Go(func() {
			if err := o.account.Close(); err != nil {
				a.terminal.log.Debug("close", "error", err)
			}
			o.close()
		})
	}
	ending.Wait()
	clear(a.open)
}

// keyVariable is the name of the environment variable with the key of an
// account. One that ends in _FILE instead names a file with it.
func keyVariable(account string) string {
	if account == "" {
		return "FULLSTORY_API_KEY"
	}
	return "FULLSTORY_API_KEY_" + strings.ToUpper(account)
}
