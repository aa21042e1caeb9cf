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

	"golang.org/x/sync/semaphore"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/download"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/sandbox"
	"fullstory-export-mcp/transport"
)

// accounts holds the Fullstory accounts that this process has opened, by name.
// The account without a name uses FULLSTORY_API_KEY and the folder of exported
// files; a named account has its own key, and its own folder below that one. It is
// safe for concurrent use.
type accounts struct {
	app     *app
	dir     string
	unknown error           // why dir is not known or no setting can be used; opening an account fails with it
	sandbox *runningSandbox // of the account without a name; nil without --sandbox
	observe client.Observer // is called for each request to Fullstory; may be nil
	stores  *download.Stores
	budget  *preflight.Budget
	ledgers ledgers
	idle    bool // no exports are worked on; set it before the first get

	large *auth.Slots // of calls that hold much memory, of all accounts
	tars  *auth.Slots // of tar files that are open, likewise

	conversions *semaphore.Weighted // to Parquet, of all accounts: one at a time

	mu   sync.Mutex              // held while an account is opened, so that it is opened once
	open map[string]*openAccount // by name
}

// openAccount is an account in use.
type openAccount struct {
	account *exports.Account
	close   func() // stops the account's own sandbox; it is called after account.Close
}

// get returns the account with that name. The first call opens it; if that fails,
// the next call tries again.
func (a *accounts) get(name string) (*exports.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.open[name]; o != nil {
		return o.account, nil
	}
	if err := auth.CheckAccount(name); err != nil { // it becomes a folder
		return nil, exports.Misconfigured(err)
	}
	o, err := a.openAccount(name)
	if err != nil {
		return nil, err
	}
	a.open[name] = o
	return o.account, nil
}

// How reads of Fullstory are retried: within the 20 s of a call of a tool, of which
// answerReserve remains for the answer, because a model cannot wait and call again.
const (
	fullstoryTries  = 10
	fullstoryBudget = 18 * time.Second
	answerReserve   = 2 * time.Second
)

// openAccount opens an account. It reads the key here rather than at start, so that
// a missing key fails only the calls that need it.
func (a *accounts) openAccount(name string) (*openAccount, error) {
	if a.unknown != nil {
		return nil, exports.Misconfigured(a.unknown)
	}
	dir := filepath.Join(a.dir, name)
	options := client.Options{
		BaseURL: a.app.config.APIURL, UserAgent: "fullstory-export-mcp/" + version(), Log: a.app.log, Observe: a.observe,
		CallerOf: callerName, Tries: fullstoryTries, Budget: fullstoryBudget, Reserve: answerReserve,
	}
	o := &openAccount{close: func() {}}
	now := time.Now
	switch {
	case a.app.config.Sandbox: // its clock decides what the present is
		local := a.sandbox
		if name != "" { // a sandbox is one organisation, so each account has its own
			var err error
			if local, err = a.app.startSandbox(dir, name); err != nil {
				return nil, err
			}
			o.close = local.close
		}
		options.BaseURL, options.Key, now = local.url, sandbox.KeyArchitect, local.Now
	default:
		source, err := a.app.environment.requiredKey(name)
		if err != nil {
			return nil, err
		}
		options.Source, options.KeySource = source.key, source.String()
	}
	api, err := client.New(options)
	if err != nil {
		return nil, exports.Misconfigured(err)
	}
	files, err := archive.Open(dir)
	if err != nil {
		return nil, err
	}
	copies, err := a.app.openMirror(name)
	if err != nil {
		return nil, err
	}
	o.account = &exports.Account{
		Name:        name,
		Client:      api,
		Archive:     files,
		Mirror:      copies,
		Stores:      a.stores,
		Sandbox:     a.app.config.Sandbox,
		Now:         now,
		Reserve:     a.reserve,
		Conversions: a.conversions,
		Database:    a.app.config.database(dir),
		OpenLedger:  a.ledgers.get,
		Budget:      a.budget,
		Idle:        a.idle || a.app.config.ReadOnly,
		Program:     version(),
		Log:         a.app.log,
	}
	return o, nil
}

// largeCalls is how many calls may hold much memory at the same time. One of several
// callers has at most one of them.
const largeCalls = 2

// tarFiles is how many tar files may be open at the same time, because each holds the
// manifest of its bulk export until it is closed. One of several callers has at most one.
const tarFiles = 4

// reserve waits for one of the largeCalls.
func (a *accounts) reserve(ctx context.Context) (release func(), err error) {
	return takeOne(ctx, a.large)
}

// takeOne waits for a slot for the caller of ctx, who has at most one if there are several.
func takeOne(ctx context.Context, slots *auth.Slots) (release func(), err error) {
	caller := callerName(ctx)
	own := 1
	if caller == "" {
		own = 0
	}
	return slots.Take(ctx, caller, own)
}

// openMirror returns the mirror of an account's files, or nil without --mirror. A
// named account has its own folder below the prefix.
func (a *app) openMirror(account string) (*mirror.Mirror, error) {
	if a.config.Mirror == "" {
		return nil, nil
	}
	url := strings.TrimSuffix(a.config.Mirror, "/")
	if account != "" {
		url += "/" + account
	}
	m, err := mirror.Open(mirror.Options{
		URL: url, Endpoint: a.config.MirrorEndpoint, Getenv: a.getenv,
		Region: cmp.Or(a.getenv("AWS_REGION"), a.getenv("AWS_DEFAULT_REGION")),
	})
	if err != nil {
		return nil, fmt.Errorf("--mirror: %w", err)
	}
	return m, nil
}

// work returns the totals of each open account, by name; the account without a name
// is transport.UnnamedAccount. An account whose ledger cannot be read is left out.
func (a *accounts) work(ctx context.Context) map[string]accountWork {
	a.mu.Lock()
	open := maps.Clone(a.open)
	a.mu.Unlock() // reading ledgers can take seconds
	all := map[string]accountWork{}
	for name, o := range open {
		totals, err := o.account.Totals(ctx)
		if err != nil {
			a.app.log.Debug("the totals of an account cannot be read", "account", name, "error", err)
			continue
		}
		work := accountWork{inFlight: totals.InFlight, chunks: map[string]int{}, stored: totals.Stored}
		for state, n := range totals.Chunks {
			work.chunks[string(state)] = n
		}
		work.now = o.account.Clock()
		if work.syncs, err = o.account.SyncProgress(ctx); err != nil {
			a.app.log.Debug("the syncs of an account cannot be read", "account", name, "error", err)
		}
		all[cmp.Or(name, transport.UnnamedAccount)] = work
	}
	return all
}

// close stops the engines of all accounts at the same time and waits for them, then
// closes the ledgers that they use.
func (a *accounts) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	var closing sync.WaitGroup
	for _, o := range a.open {
		closing.Go(func() {
			o.account.Close()
			o.close()
		})
	}
	closing.Wait()
	clear(a.open)
	if err := a.ledgers.close(); err != nil {
		a.app.log.Debug("a ledger cannot be closed", "error", err)
	}
}
