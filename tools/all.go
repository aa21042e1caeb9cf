package tools

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/exports"
)

// Settings are the settings of the tools that do not depend on an account. The zero
// value offers all tools.
type Settings struct {
	Now      func() time.Time // clock of plans; nil means the real one
	Zone     string           // zone of dates if a call names none; empty means UTC
	ReadOnly bool             // offer only tools with the effect Read
	Only     []string         // offer only these tools; empty means all
	Log      *slog.Logger     // nil discards

	// MayLink reports whether the caller of a call may get signed links to files, which
	// are secrets; nil means every caller may.
	MayLink func(context.Context) bool

	// Files makes addresses of files for callers over HTTP; nil without HTTP.
	Files *FileURLs

	// Around, if set, is called at the start of each call of a tool, with the fields
	// of the call's _meta. The call runs in the context that Around returns. done is
	// called at its end, with the exports.Kind of its error, "" without one.
	Around func(ctx context.Context, tool string, meta map[string]any) (_ context.Context, done func(failure string))
}

func (s Settings) mayLink(ctx context.Context) bool { return s.MayLink == nil || s.MayLink(ctx) }

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

// Accounts returns the account of the caller that ctx names.
type Accounts = func(ctx context.Context) (*exports.Account, error)

// declarer is a Tool, whatever its arguments and result are.
type declarer interface {
	listing() Listing
	declare(Settings) (Declaration, error)
}

// Listing is the name of a tool, and what it may change.
type Listing struct {
	Name   string
	Effect Effect
}

// All returns the tools in reading order. A call that needs an account gets it from
// accounts, whose error is explained to the caller. All fails if a schema is one that
// some hosts do not accept, or if a name in s.Only is not a tool.
func All(accounts Accounts, s Settings) ([]Declaration, error) {
	if s.Now == nil {
		s.Now = time.Now
	}
	tools, err := s.chosen(catalog(accounts, s))
	if err != nil {
		return nil, err
	}
	var declared []Declaration
	for _, tool := range tools {
		d, err := tool.declare(s)
		if err != nil {
			return nil, err
		}
		declared = append(declared, d)
	}
	return declared, nil
}

// Listed returns the names and effects of the tools that All returns. It is fast,
// because it makes no schemas. It fails if a name in s.Only is not a tool.
func Listed(s Settings) ([]Listing, error) {
	tools, err := s.chosen(catalog(nil, s))
	var listed []Listing
	for _, tool := range tools {
		listed = append(listed, tool.listing())
	}
	return listed, err
}

// catalog returns every tool in reading order.
func catalog(accounts Accounts, s Settings) []declarer {
	seen := &seenNotices{}
	return []declarer{
		checkConnection(accounts),
		listSegments(accounts),
		planTimeChunks(accounts, s),
		createSegmentExport(accounts, s, seen),
		getExportOperation(accounts, s),
		listExportOperations(accounts),
		cancelExportOperation(accounts),
		downloadExport(accounts, s),
		startBulkExport(accounts, s, seen),
		getBulkExport(accounts, s),
		listBulkExports(accounts, s),
		controlBulkExport(accounts),
		syncExport(accounts, s, seen),
		listSyncs(accounts),
		describeExport(accounts),
		queryExport(accounts),
	}
}

// chosen returns the tools among all that s offers.
func (s Settings) chosen(all []declarer) ([]declarer, error) {
	var chosen []declarer
	var names []string
	for _, tool := range all {
		l := tool.listing()
		names = append(names, l.Name)
		if (l.Effect == Read || !s.ReadOnly) && (len(s.Only) == 0 || slices.Contains(s.Only, l.Name)) {
			chosen = append(chosen, tool)
		}
	}
	for _, name := range s.Only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("unknown tool %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}
