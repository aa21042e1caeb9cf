package command

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/download"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/tools"
)

// deps is what an app works with: its accounts, and the settings of its tools. An
// account is opened on first use, so that a server without a key starts, and can say
// what is missing.
type deps struct {
	app      *app
	account  func(context.Context) (*exports.Account, error) // returns the account of the caller in the context
	accounts *accounts
	settings tools.Settings
	close    func() // stops all work; call it once

	resuming sync.WaitGroup  // the goroutines of resume, which end before the accounts are closed
	ending   context.Context // ends when close is called

	starting sync.Mutex // held by resume while it starts goroutines, and by close while it sets closed
	closed   bool       // resume starts nothing any more: close waits, or has waited, for resuming
}

// newDeps returns the dependencies of a. It sends no request and opens no account. It
// starts the built-in sandbox, if that is used.
func newDeps(a *app) (*deps, error) {
	zone, err := a.config.zone()
	if err != nil {
		return nil, &exitError{statusUsage, err}
	}
	a.config.Timezone = zone // spelled as in the database of zones
	dir, unknown := a.config.folder(a.getenv)
	if _, err := a.openMirror(""); err != nil {
		return nil, &exitError{statusUsage, err}
	}
	stores, err := download.NewStores(a.config.StorageHost, a.log)
	if err != nil {
		return nil, &exitError{statusUsage, fmt.Errorf("--storage-host: %w", err)}
	}
	budget, err := a.config.budget()
	if err != nil {
		return nil, &exitError{statusUsage, err}
	}
	d := &deps{
		app: a,
		settings: tools.Settings{
			Zone: zone, ReadOnly: a.config.ReadOnly, Only: a.config.Tools, Log: a.log, Now: time.Now,
			MayLink: func(ctx context.Context) bool { return auth.CallerOf(ctx).MayLink() },
		},
		accounts: &accounts{app: a, dir: dir, unknown: unknown, stores: stores, budget: budget,
			large: auth.NewSlots(largeCalls), tars: auth.NewSlots(tarFiles), conversions: semaphore.NewWeighted(1),
			open: map[string]*openAccount{}},
	}
	var end context.CancelFunc
	d.ending, end = context.WithCancel(context.Background())
	d.close = func() {
		end()
		d.starting.Lock()
		d.closed = true
		d.starting.Unlock()
		d.resuming.Wait() // one that is late would start work after the end
		d.accounts.close()
	}
	d.account = func(ctx context.Context) (*exports.Account, error) {
		return d.accounts.get(auth.CallerOf(ctx).Account)
	}
	if a.config.Sandbox {
		local, err := a.startSandbox(dir, "")
		if err != nil {
			return nil, err
		}
		d.accounts.sandbox = local
		d.settings.Now = local.Now
		closeAll := d.close
		d.close = func() {
			closeAll()
			local.close()
		}
	}
	return d, nil
}

// callerName returns the name of the caller of a context; "" without one.
func callerName(ctx context.Context) string { return auth.CallerOf(ctx).Name }

// resume starts the engines of the named accounts, so that unfinished exports
// continue; "" is the account without a name. It returns at once, and close waits for
// what it began. An account that has never had an export is skipped, so that no ledger is
// created for it.
func (d *deps) resume(ctx context.Context, names ...string) {
	if d.app.config.ReadOnly {
		return
	}
	d.starting.Lock() // a timer may call resume while close is called
	defer d.starting.Unlock()
	if d.closed {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(d.ending, cancel)
	for _, name := range names {
		d.resuming.Go(func() {
			account, err := d.accounts.get(name)
			if err != nil || !account.HasLedger() {
				return // the first call of a tool reports the error
			}
			if ctx.Err() != nil {
				return
			}
			if _, err := account.Engine(ctx); err != nil && ctx.Err() == nil {
				d.app.log.Warn("bulk exports cannot be resumed", "account", name, "error", err)
			}
		})
	}
}
