package tools

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/preflight"
)

// Account is one Fullstory account and where its exports are kept. It is safe
// for concurrent use. Close ends it.
type Account struct {
	Name      string // by which it is configured; empty if it is the only one
	Client    *client.Client
	Archive   *archive.Archive
	Downloads *archive.Downloads
	Mirror    *mirror.Mirror   // where copies of the files are kept; nil: nowhere
	Sandbox   bool             // the API is the simulated one
	Now       func() time.Time // the account's clock: real, or the sandbox's
	Database  string           // where the ledger is
	Idle      bool             // this process carries out no bulk exports
	Log       *slog.Logger

	mu sync.Mutex
	me client.Me
	at time.Time

	opening sync.Mutex
	ledger  *ledger.Ledger
	engine  *bulk.Engine
	stop    func() // ends the work of engine
}

// meLife is how long an answer about the key is believed: its role can be
// changed in Fullstory at any time.
const meLife = 5 * time.Minute

// Me returns whom the key belongs to. An answer is good for meLife.
func (a *Account) Me(ctx context.Context) (client.Me, error) {
	if me, ok := a.known(); ok {
		return me, nil
	}
	me, err := a.Client.Me(ctx)
	if err != nil {
		return client.Me{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.me, a.at = me, time.Now()
	return me, nil
}

func (a *Account) known() (client.Me, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.me, !a.at.IsZero() && time.Since(a.at) < meLife
}

// ID returns the account's id: its org id, prefixed for a sandbox so that
// simulated exports are never taken for real ones. Once known it is remembered
// in the ledger, and the network is not needed for it.
func (a *Account) ID(ctx context.Context) (string, error) {
	if me, ok := a.known(); ok {
		return a.idOf(me), nil
	}
	a.opening.Lock()
	l := a.ledger
	a.opening.Unlock()
	if l != nil {
		if id, err := l.Account(ctx, a.key()); err == nil && id != "" {
			return id, nil
		}
	}
	me, err := a.Me(ctx)
	if err != nil {
		return "", err
	}
	if l != nil {
		err = l.Remember(ctx, a.key(), a.idOf(me))
	}
	return a.idOf(me), err
}

func (a *Account) idOf(me client.Me) string {
	if a.Sandbox {
		return "sandbox:" + me.OrgID
	}
	return me.OrgID
}

// key stands for the API key and what it is a key of.
func (a *Account) key() string {
	if a.Sandbox {
		return "sandbox" + a.Name
	}
	return a.Client.BaseURL() + " " + a.Client.KeyHash()
}

// Ledger returns the ledger, which is opened by the first call and made if
// missing.
func (a *Account) Ledger(ctx context.Context) (*ledger.Ledger, error) {
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.ledger != nil {
		return a.ledger, nil
	}
	l, err := ledger.Open(ctx, a.Database)
	if err != nil {
		return nil, err
	}
	a.ledger = l
	return l, nil
}

// HasLedger tells whether there is a ledger already.
func (a *Account) HasLedger() bool {
	_, err := os.Stat(a.Database)
	return err == nil || strings.HasPrefix(a.Database, "postgres")
}

// ledgerProblem tells what is wrong with the ledger, if there is one.
func (a *Account) ledgerProblem(ctx context.Context) error {
	if !a.HasLedger() {
		return nil
	}
	_, err := a.Ledger(ctx)
	return err
}

// Engine returns what carries out bulk exports of the account. The first call
// sets it to work, unless the account is Idle.
func (a *Account) Engine(ctx context.Context) (*bulk.Engine, error) {
	l, err := a.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	id, err := a.ID(ctx)
	if err != nil {
		return nil, err
	}
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.engine != nil {
		return a.engine, nil
	}
	a.Client.ShareLimits(shared(l, id))
	a.engine = bulk.New(bulk.Options{
		Ledger: l, Client: a.Client, Archive: a.Archive, Mirror: a.Mirror, Account: id, Now: a.Now, Log: a.Log,
		Explain: func(ctx context.Context, err error) string { return explain(a.refusal(ctx, err)) },
	})
	if a.Idle {
		return a.engine, nil
	}
	work, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.engine.Run(work)
	}()
	a.stop = func() {
		stop()
		<-ended
	}
	return a.engine, nil
}

// Ready tells what keeps the account from doing its work; nil if nothing does.
func (a *Account) Ready(ctx context.Context) error {
	l, err := a.Ledger(ctx)
	if err != nil {
		return err
	}
	if _, err := l.Account(ctx, a.key()); err != nil { // the database answers
		return err
	}
	_, err = a.Engine(ctx)
	return err
}

// Totals returns what the account's exports come to; nothing if it has no ledger
// yet.
func (a *Account) Totals(ctx context.Context) (ledger.Totals, error) {
	if !a.HasLedger() {
		return ledger.Totals{}, nil
	}
	l, err := a.Ledger(ctx)
	if err != nil {
		return ledger.Totals{}, err
	}
	id, err := a.ID(ctx)
	if err != nil {
		return ledger.Totals{}, err
	}
	return l.Totals(ctx, id)
}

// note adds to the audit log what the caller of ctx did with an operation.
func (a *Account) note(ctx context.Context, event ledger.Event, operationID string) error {
	l, err := a.Ledger(ctx)
	if err != nil {
		return err
	}
	id, err := a.ID(ctx)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	return l.Write(ctx, func(t *ledger.Tx) error {
		return t.Note(ledger.Entry{Account: id, Event: event, Operation: operationID})
	})
}

// shared keeps the pace of an account's requests in the ledger.
func shared(l *ledger.Ledger, account string) client.Exchange {
	return func(ctx context.Context, change func(time.Time, *client.Bucket)) error {
		return l.ExchangeBucket(ctx, account, func(now time.Time, kept string) string {
			var b client.Bucket
			if kept != "" && json.Unmarshal([]byte(kept), &b) != nil {
				b = client.Bucket{}
			}
			change(now, &b)
			raw, err := json.Marshal(b)
			if err != nil {
				return kept
			}
			return string(raw)
		})
	}
}

// Close lets what is under way come to a point from which the next process goes
// on, and closes the ledger.
func (a *Account) Close() error {
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.stop != nil {
		a.stop()
	}
	a.Downloads.Close()
	if a.ledger == nil {
		return nil
	}
	l := a.ledger
	a.ledger, a.engine, a.stop = nil, nil, nil
	return l.Close()
}

// check returns what a request of a is checked against.
func (a *Account) check(ctx context.Context, zone string) (preflight.Check, error) {
	me, err := a.Me(ctx)
	return preflight.Check{Client: a.Client, Zone: zone, Now: a.Now(), Role: me.Role}, err
}
