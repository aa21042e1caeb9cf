package exports

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/download"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/preflight"
)

// Account is a Fullstory account with its key, folder and ledger. Set its exported
// fields before the first call. It is safe for concurrent use. Close ends its work.
type Account struct {
	Name     string // in the configuration; empty if it is the only account
	Client   *client.Client
	Archive  *archive.Archive
	Mirror   *mirror.Mirror   // keeps copies of the files; nil: no mirror
	Stores   *download.Stores // hosts that links to files may name; nil: every public one
	Sandbox  bool             // the API is simulated
	Now      func() time.Time // this machine's clock, or the built-in sandbox's; see Clock
	Database string           // place of the ledger: a file, or the address of a PostgreSQL
	// OpenLedger returns the ledger at a place, and creates it if it is missing.
	// Accounts with the same place share a ledger. Account does not close it.
	OpenLedger func(ctx context.Context, place string) (*ledger.Ledger, error)
	// Reserve waits until the caller of ctx may hold what takes much memory, such as all
	// entries of manifests, which it may until release. Nil: at once.
	Reserve func(ctx context.Context) (release func(), err error)
	// Conversions bounds how many conversions to Parquet this process has at once, because
	// each takes about 150 MB of memory and a processor; nil: no bound.
	Conversions *semaphore.Weighted
	// ConvertOnRequest keeps this process from making Parquet files except by ConvertBulk.
	ConvertOnRequest bool

	Budget *preflight.Budget // over which a call needs the user's consent; nil: the usual one

	Idle    bool   // this process only records requests; another one carries them out
	Program string // version of this program, for manifests
	Log     *slog.Logger

	mu   sync.Mutex // guards me and meAt
	me   client.Me
	meAt time.Time // when Fullstory answered me

	owner     identity // of the key
	completed facts[client.Operation]
	origins   facts[origin]

	// What calls share of Fullstory's answers.
	asked        answers[client.Me]
	segment      answers[client.Segment]
	segmentPages answers[client.SegmentPage]
	probed       answers[map[string]string] // the ledger's quirks, by account
	operations   answers[client.Operation]

	landings landings // Parquet files that calls wait for

	// opening guards the fields below. Ledger holds it while it opens the ledger, and
	// Engine while it makes the engine, so that each happens once. No request is sent to
	// Fullstory under it.
	opening sync.Mutex
	ledger  *ledger.Ledger
	engine  *Exports
	bound   string // id of the account that engine works for; empty without an engine
	stop    func() // ends the work of engine and waits for its end; nil if it has none
}

// Hold calls Reserve, if it is set. A call that holds it must not call it again.
func (a *Account) Hold(ctx context.Context) (release func(), err error) {
	if a.Reserve == nil {
		return func() {}, nil
	}
	return a.Reserve(ctx)
}

// meLife is how long an answer about the key is used. It is short, because an
// administrator can change the key's role at any time.
const meLife = 5 * time.Minute

// Me returns the owner and role of the key. It asks Fullstory if the last answer is
// older than meLife or about another key.
func (a *Account) Me(ctx context.Context) (client.Me, error) {
	if me, ok := a.cachedMe(); ok {
		return me, nil
	}
	return a.askMe(ctx)
}

// askMe asks Fullstory about the key and caches the answer. Calls at the same time share
// one request.
func (a *Account) askMe(ctx context.Context) (client.Me, error) {
	return a.asked.get(ctx, a.Client.KeyHash(), 0, func(ctx context.Context) (client.Me, error) {
		me, err := a.Client.Me(ctx)
		if err != nil {
			return client.Me{}, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.me, a.meAt = me, time.Now()
		return me, nil
	})
}

// cachedMe returns the last answer about the present key, unless it is too old.
func (a *Account) cachedMe() (client.Me, bool) {
	hash := a.Client.KeyHash()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.me, a.me.KeyHash == hash && time.Since(a.meAt) < meLife
}

// anyMe returns the last answer about the key with a hash, however old. The organisation of
// a key does not change.
func (a *Account) anyMe(hash string) (client.Me, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.me, a.me.KeyHash == hash
}

// ID returns the account's id: its organisation id, with a prefix for a sandbox so that
// simulated exports are never mistaken for real ones. The ledger keeps it, so that the
// network is needed only once for each key.
func (a *Account) ID(ctx context.Context) (string, error) {
	id, _, err := a.identity(ctx)
	return id, err
}

// identity returns the account's id and the hash of the key that it was found by. It
// fails if the key was replaced by one of another account than the engine works for.
func (a *Account) identity(ctx context.Context) (id, keyHash string, err error) {
	a.opening.Lock()
	l, bound := a.ledger, a.bound
	a.opening.Unlock()
	fits := func(id string) bool { return id != "" && (bound == "" || id == bound) }
	if me, ok := a.cachedMe(); ok && fits(a.idOf(me)) {
		return a.idOf(me), me.KeyHash, nil
	}
	if keyHash = a.Client.KeyHash(); l != nil {
		if id, err = a.owner.read(ctx, l, a.key(keyHash)); err == nil && fits(id) {
			return id, keyHash, nil
		}
	}
	me, ok := a.anyMe(keyHash)
	if !ok || !fits(a.idOf(me)) {
		if me, err = a.askMe(ctx); err != nil {
			return "", "", err
		}
	}
	err = nil // of the ledger: the key is not in it
	if l != nil {
		err = a.owner.remember(ctx, l, a.key(me.KeyHash), a.idOf(me))
	}
	return a.idOf(me), me.KeyHash, err
}

func (a *Account) idOf(me client.Me) string {
	if a.Sandbox {
		return simulatedID + me.OrgID
	}
	return me.OrgID
}

// simulatedID begins the ids of accounts of the built-in sandbox.
const simulatedID = "sandbox:"

// Simulated reports whether the id of an account, such as a manifest has, is that of one of
// the built-in sandbox.
func Simulated(id string) bool { return strings.HasPrefix(id, simulatedID) }

// key identifies an API key, given by its hash, together with the API that accepts it.
func (a *Account) key(hash string) string {
	if a.Sandbox {
		return "sandbox" + a.Name
	}
	return a.Client.BaseURL() + " " + hash
}

// Ledger returns the ledger. The first call opens it, and creates it if it is missing.
func (a *Account) Ledger(ctx context.Context) (*ledger.Ledger, error) {
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.ledger != nil {
		return a.ledger, nil
	}
	l, err := a.OpenLedger(ctx, a.Database)
	if err != nil {
		return nil, err
	}
	a.ledger = l
	return l, nil
}

// ownLedger returns the ledger and the id of the account in it; see Ledger and ID.
func (a *Account) ownLedger(ctx context.Context) (l *ledger.Ledger, id string, err error) {
	if l, err = a.Ledger(ctx); err == nil {
		id, err = a.ID(ctx)
	}
	return l, id, err
}

// HasLedger reports whether the ledger exists. A PostgreSQL counts as one.
func (a *Account) HasLedger() bool {
	_, err := os.Stat(a.Database)
	return err == nil || strings.HasPrefix(a.Database, "postgres")
}

// ledgerProblem opens the ledger, if it exists, and returns the error.
func (a *Account) ledgerProblem(ctx context.Context) error {
	if !a.HasLedger() {
		return nil
	}
	_, err := a.Ledger(ctx)
	return err
}

// Engine returns the exports of the account. The first call starts the work on them,
// unless the account is Idle.
func (a *Account) Engine(ctx context.Context) (*Exports, error) {
	l, err := a.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	id, keyHash, err := a.identity(ctx)
	if err != nil {
		return nil, err
	}
	a.quirks(ctx) // for the client
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.engine != nil {
		return a.engine, nil
	}
	if kept, err := a.owner.read(ctx, l, a.key(keyHash)); err == nil && kept != id {
		_ = a.owner.remember(ctx, l, a.key(keyHash), id) // without it, the next start asks Fullstory
	}
	if a.bound = id; !a.Sandbox {
		a.Client.Bind(id, keyHash)
	}
	a.Client.ShareLimits(sharedBucket(l, id))
	o := bulk.Options{
		Ledger: l, Client: a.Client, Archive: a.Archive, Mirror: a.Mirror, Stores: a.Stores, Account: id,
		Now: a.Now, Log: a.Log, Program: a.Program,
		Explain: func(ctx context.Context, err error) (cause, remedy string) {
			return Explain(a.withRole(ctx, err)).Recorded()
		},
	}
	if !a.ConvertOnRequest {
		o.Convert = a.convert
	}
	a.engine = New(o)
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

// Ready returns the reason that the account cannot do its work; nil if it can.
func (a *Account) Ready(ctx context.Context) error {
	l, err := a.Ledger(ctx)
	if err != nil {
		return err
	}
	if _, err := l.Account(ctx, a.key(a.Client.KeyHash())); err != nil { // proves that the database answers
		return err
	}
	_, err = a.Engine(ctx)
	return err
}

// Totals returns the totals of the account's exports; zero if it has no ledger yet.
func (a *Account) Totals(ctx context.Context) (ledger.Totals, error) {
	if !a.HasLedger() {
		return ledger.Totals{}, nil
	}
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return ledger.Totals{}, err
	}
	return l.Totals(ctx, id)
}

// note adds to the audit log what the caller of ctx did with an operation.
func (a *Account) note(ctx context.Context, event ledger.Event, operationID string) error {
	return a.addEntry(ctx, ledger.Entry{Event: event, Operation: operationID})
}

// addEntry adds an entry of the account to the audit log.
func (a *Account) addEntry(ctx context.Context, entry ledger.Entry) error {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return err
	}
	entry.Account = id
	return l.Write(context.WithoutCancel(ctx), func(t *ledger.Tx) error { return t.Note(entry) })
}

// Close stops the account's work and waits until it has stopped. The next process
// resumes it. The ledger stays open. A later call of a method starts over.
func (a *Account) Close() {
	a.landings.close()
	a.opening.Lock()
	defer a.opening.Unlock()
	if a.stop != nil {
		a.stop()
	}
	a.ledger, a.engine, a.bound, a.stop = nil, nil, "", nil
}
