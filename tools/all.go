package tools

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Settings are what the tools know without an account.
type Settings struct {
	Now      func() time.Time // the clock of every plan; nil means the real one
	Zone     string           // zone of dates when a call names none; empty means UTC
	ReadOnly bool             // only tools with the effect Read
	Only     []string         // only these tools; empty means all
	Log      *slog.Logger     // nil discards

	// Around, if set, is called as a call of a tool begins, with the fields that
	// its _meta has; the call runs in the context that it returns. done is
	// called at the end, with the kind of its error: "" without one, or one of
	// few words.
	Around func(ctx context.Context, tool string, meta map[string]any) (_ context.Context, done func(failure string))
}

func (s Settings) zone() string { return cmp.Or(s.Zone, "UTC") }

func (s Settings) around(ctx context.Context, tool string, meta map[string]any) (context.Context, func(string)) {
	if s.Around == nil {
		return ctx, func(string) {}
	}
	return s.Around(ctx, tool, meta)
}

func (s Settings) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// declarer is a Tool of any types.
type declarer interface {
	declare(Settings) (Declaration, error)
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
		startBulkExport(account, s),
		getBulkExport(account),
		listBulkExports(account),
		controlBulkExport(account),
	} {
		d, err := tool.declare(s)
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
