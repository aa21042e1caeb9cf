package exports

import (
	"context"
	"encoding/json"
	"time"

	"fullstory-export-mcp/download"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/probe"
)

// Names of the quirks that this program follows, in the ledger.
const (
	unknownFieldQuirk   = "unknown_field"   // a preflight.FieldRule
	cancelledStateQuirk = "cancelled_state" // the state of cancelled operations
)

// quirkLife is how long the ledger's quirks are used before they are read again.
const quirkLife = time.Minute

// settledHour returns the start of a whole hour, by Fullstory's clock, whose rows have settled.
func (a *Account) settledHour() time.Time {
	return a.Clock().Add(-72 * time.Hour).Truncate(time.Hour)
}

// ProbeOptions say what a probe does.
type ProbeOptions struct {
	Hour     time.Time // start of the exported hour; zero: three days ago
	Throttle bool      // send many requests at once, to see a 429
	Progress func(text string)
}

// Probe finds out which assumptions about Fullstory's API hold for the account, by at most
// probe.MaxCreates exports that are recorded in the audit log. It records in the ledger the
// quirks that this program follows from then on. It fails without a request if the role of
// the key is too low. If ctx ends, the report has what was found until then.
func (a *Account) Probe(ctx context.Context, o ProbeOptions) (probe.Report, error) {
	me, err := a.askMe(ctx)
	if err != nil {
		return probe.Report{}, err
	}
	if me.Role.TooLow() {
		return probe.Report{}, blocked(preflight.Lint(preflight.Subject{Role: me.Role}))
	}
	if o.Hour.IsZero() {
		o.Hour = a.settledHour()
	}
	files := download.Source{AllowLoopback: a.Client.Loopback(), Stores: a.Stores}
	report, err := probe.Run(ctx, probe.Options{
		Ask: a.Client.Raw, Look: files.Look, Now: a.Clock, Hour: o.Hour, Progress: o.Progress, Throttle: o.Throttle,
		Created: func(ctx context.Context, operation string, request json.RawMessage) error {
			return a.addEntry(ctx, ledger.Entry{
				Event: ledger.Created, Operation: operation, Request: request, Detail: ledger.Because("a probe of the API"),
			})
		},
	})
	if err != nil {
		return report, err
	}
	return report, a.follow(ctx, report)
}

// follow records the quirks that this program follows.
func (a *Account) follow(ctx context.Context, r probe.Report) error {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return err
	}
	set := map[string]string{}
	switch r.Verdict("any_field") {
	case probe.Holds:
		set[unknownFieldQuirk] = string(preflight.FieldRejected)
	case probe.Differs:
		set[unknownFieldQuirk] = string(preflight.FieldEmpty)
	}
	switch r.Verdict("cancelled_state") {
	case probe.Holds:
		set[cancelledStateQuirk] = ""
	case probe.Differs:
		set[cancelledStateQuirk] = r.CancelledState
	}
	for name, value := range set {
		if err := l.SetQuirk(ctx, id, name, value); err != nil {
			return err
		}
	}
	return nil
}

// quirks returns what the last probe of the account found; nil if there was none. The client
// follows it from then on. It sends no request.
func (a *Account) quirks(ctx context.Context) map[string]string {
	if !a.HasLedger() {
		return nil
	}
	l, err := a.Ledger(ctx)
	if err != nil {
		return nil // what follows reports that the ledger cannot be read
	}
	hash := a.Client.KeyHash()
	id, err := a.owner.read(ctx, l, a.key(hash))
	if me, ok := a.anyMe(hash); id == "" && ok {
		id, err = a.idOf(me), nil
	}
	if err != nil || id == "" {
		return nil
	}
	found, err := a.probed.get(ctx, id, quirkLife, func(ctx context.Context) (map[string]string, error) {
		found, err := l.Quirks(ctx, id)
		if err == nil {
			a.Client.SetCancelledState(found[cancelledStateQuirk])
		}
		return found, err
	})
	if err != nil {
		return nil
	}
	return found
}

// unknownField returns what Fullstory does with a field that does not exist.
func (a *Account) unknownField(ctx context.Context) preflight.FieldRule {
	return preflight.FieldRule(a.quirks(ctx)[unknownFieldQuirk])
}
