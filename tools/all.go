package tools

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/preflight"
)

// Account is one Fullstory account and where its exports are kept. It is safe
// for concurrent use.
type Account struct {
	Client    *client.Client
	Archive   *archive.Archive
	Downloads *archive.Downloads
	Sandbox   bool             // the API is the simulated one
	Now       func() time.Time // the account's clock: real, or the sandbox's

	mu sync.Mutex
	me client.Me
	at time.Time
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
// simulated exports are never taken for real ones.
func (a *Account) ID(ctx context.Context) (string, error) {
	me, err := a.Me(ctx)
	if err != nil {
		return "", err
	}
	if a.Sandbox {
		return "sandbox:" + me.OrgID, nil
	}
	return me.OrgID, nil
}

// Settings are what the tools know without an account.
type Settings struct {
	Now      func() time.Time // the clock of every plan; nil means the real one
	Zone     string           // zone of dates when a call names none; empty means UTC
	ReadOnly bool             // only tools with the effect Read
	Only     []string         // only these tools; empty means all
	Log      *slog.Logger     // nil discards
}

func (s Settings) zone() string { return cmp.Or(s.Zone, "UTC") }

func (s Settings) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// declarer is a Tool of any types.
type declarer interface {
	declare(*slog.Logger) (Declaration, error)
}

// All returns the tools in reading order, each checked to be fit for every
// host. account is asked for on each call that needs one; its error is
// explained to the caller. All fails on a tool with an unfit schema, and on a
// name in s.Only that is no tool.
func All(account func(context.Context) (*Account, error), s Settings) ([]Declaration, error) {
	if s.Now == nil {
		s.Now = time.Now
	}
	var listed []Declaration
	var names []string
	for _, tool := range []declarer{
		checkConnection(account),
		listSegments(account),
		planTimeChunks(account, s),
		createSegmentExport(account, s),
		getExportOperation(account),
		listExportOperations(account),
		cancelExportOperation(account),
		downloadExport(account),
	} {
		d, err := tool.declare(s.log())
		if err != nil {
			return nil, err
		}
		name := d.Served.Tool.Name
		names = append(names, name)
		if (d.Effect == Read || !s.ReadOnly) && (len(s.Only) == 0 || slices.Contains(s.Only, name)) {
			listed = append(listed, d)
		}
	}
	for _, name := range s.Only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("unknown tool %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return listed, nil
}

// check returns what a request of a is checked against.
func (a *Account) check(ctx context.Context, zone string) (preflight.Check, error) {
	me, err := a.Me(ctx)
	return preflight.Check{Client: a.Client, Zone: zone, Now: a.Now(), Role: me.Role}, err
}
