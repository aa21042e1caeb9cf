package exports

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// Trail is a page of the audit log of an account for a person, the newest entry first.
type Trail struct {
	Entries []TrailEntry
	Next    int64 // the Before of the next page; 0: this is the last
}

// TrailEntry is an entry of the audit log. Its texts are clean and bounded: they can be shown.
type TrailEntry struct {
	Number    int64
	At        time.Time // UTC
	Caller    string
	Event     string
	Bulk      string // id of a bulk export, or ""
	Operation string
	Detail    string // facts, such as "reason: Paused on request."
	Request   string // JSON, in part if it is long; "" without one
}

const (
	trailDetail  = 400 // characters
	trailRequest = 1000
)

// Trail returns at most limit entries of the audit log with a number below before, or the newest
// ones if before is 0: of all callers of the account, or only those of one caller.
func (a *Account) Trail(ctx context.Context, caller string, before int64, limit int) (t Trail, err error) {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return t, err
	}
	entries, err := l.NewestAudit(ctx, id, caller, before, limit+1)
	if len(entries) > limit {
		entries = entries[:limit]
		t.Next = entries[limit-1].Number
	}
	for _, e := range entries {
		t.Entries = append(t.Entries, trailEntry(e))
	}
	return t, err
}

func trailEntry(e ledger.Entry) TrailEntry {
	return TrailEntry{
		Number: e.Number, At: e.At.UTC(), Caller: client.Clean(e.Caller, 300), Event: client.Clean(string(e.Event), 50),
		Bulk: client.Clean(e.Bulk, 100), Operation: client.Clean(e.Operation, 100),
		Detail: detailInWords(e.Detail), Request: client.Clean(string(e.Request), trailRequest),
	}
}

// detailInWords writes the facts of an entry as "name: value", in the order of the names.
func detailInWords(raw json.RawMessage) string {
	facts := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&facts) != nil {
		return client.Clean(string(raw), trailDetail)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		value := facts[name]
		text, ok := value.(string)
		if !ok {
			inner, err := json.Marshal(value)
			text = cmp.Or(string(inner), fmt.Sprint(err))
		}
		parts = append(parts, strings.ReplaceAll(name, "_", " ")+": "+text)
	}
	return client.Clean(strings.Join(parts, " · "), trailDetail)
}
