package tools

import (
	"context"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/preflight"
)

const (
	// completionLimit is the most values that the protocol allows.
	completionLimit = 100
	// typedLimit is the most bytes that are completed. Nothing to complete is longer.
	typedLimit = 500
	// completionTime bounds one completion: a user is typing.
	completionTime = 5 * time.Second
)

// completer completes the arguments of prompts and of resource templates. It never
// fails: without an answer from Fullstory or the ledger it offers fixed values or none.
type completer struct {
	accounts Accounts
}

// values are completions; more is set if there are others beyond them.
type values struct {
	list []string
	more bool
}

// promptArgument completes ids of segments and operations, and the values of enums.
func (c completer) promptArgument(ctx context.Context, name, typed string) values {
	if len(typed) > typedLimit {
		return values{list: []string{}}
	}
	switch name {
	case "segment", "segment_id":
		return c.segments(ctx, typed)
	case "operation_id":
		return c.operations(ctx, typed)
	case "type":
		return matching(typed, string(client.TypeEvent), string(client.TypePages), string(client.TypeSessions),
			string(client.TypeIndividual))
	case "format":
		return matching(typed, string(client.FormatNDJSON), string(client.FormatJSON), string(client.FormatCSV))
	case "chunk":
		return matching(typed, "hour", "day", "week", "month", "quarter", "PT6H", "PT12H")
	case "period":
		return matching(typed, "yesterday", "last_7_days", "last_30_days", "last_week", "last_month", "last_quarter",
			"this_week", "this_month", "this_quarter", "today")
	case "timezone":
		return matching(typed, commonZones()...)
	}
	return matching(typed)
}

// resourceArgument completes the ids of bulk exports and operations, the names of syncs, and the topics of
// guides and their parts. given are the other arguments so far.
func (c completer) resourceArgument(ctx context.Context, name, typed string, given map[string]string) values {
	if len(typed) > typedLimit {
		return values{list: []string{}}
	}
	switch name {
	case "bulk_id":
		return c.bulks(ctx, typed)
	case "sync_id":
		return c.syncs(ctx, typed)
	case "topic":
		var topics []string
		for _, g := range guides() {
			topics = append(topics, g.topic)
		}
		return matching(typed, topics...)
	case "part":
		return matching(typed, guideParts(given["topic"])...)
	case "operation_id":
		return c.operations(ctx, typed)
	}
	return matching(typed)
}

// bulks returns the ids of recent bulk exports whose id begins with what was typed, or
// whose name contains it.
func (c completer) bulks(ctx context.Context, typed string) values {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	found := values{list: []string{}}
	a, err := c.accounts(ctx)
	if err != nil {
		return found
	}
	bulks, err := a.NamedBulks(ctx, completionLimit)
	if err != nil {
		return found
	}
	for _, b := range bulks {
		if hasPrefixFold(b.ID, typed) || containsFold(b.Name, typed) {
			found.list = append(found.list, b.ID)
		}
	}
	found.more = len(bulks) == completionLimit
	return found
}

// syncs returns the names of syncs that begin with what was typed.
func (c completer) syncs(ctx context.Context, typed string) values {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	a, err := c.accounts(ctx)
	if err != nil {
		return values{list: []string{}}
	}
	names, err := a.SyncNames(ctx)
	if err != nil || len(names) > completionLimit {
		names = names[:min(len(names), completionLimit)]
	}
	return matching(typed, names...)
}

// operations returns the ids of export operations that begin with what was typed, newest
// first. It looks at the first page of the API's list only.
func (c completer) operations(ctx context.Context, typed string) values {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	a, err := c.accounts(ctx)
	if err != nil {
		return matching(typed)
	}
	page, err := a.Client.Operations(ctx, client.OperationQuery{Type: client.SearchExport, Limit: completionLimit})
	if err != nil {
		return matching(typed)
	}
	slices.SortStableFunc(page.Operations, func(x, y client.Operation) int { return y.CreatedAt.Compare(x.CreatedAt) })
	found := values{list: []string{}, more: page.Next != ""}
	for _, op := range page.Operations {
		if hasPrefixFold(op.ID, typed) {
			found.list = append(found.list, op.ID)
		}
	}
	return found
}

// segments returns the ids of segments whose id begins with what was typed, or whose
// name contains it. It looks at the first page of the API's list only.
func (c completer) segments(ctx context.Context, typed string) values {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	page, err := c.segmentPage(ctx)
	if err != nil {
		return matching(typed, preflight.Everyone)
	}
	found := values{list: []string{}, more: page.Next != ""}
	for _, s := range page.Segments {
		if hasPrefixFold(s.ID, typed) || containsFold(s.Name, typed) {
			found.list = append(found.list, s.ID)
		}
	}
	return found
}

func (c completer) segmentPage(ctx context.Context) (client.SegmentPage, error) {
	a, err := c.accounts(ctx)
	if err != nil {
		return client.SegmentPage{}, err
	}
	return a.Segments(ctx, exports.SegmentQuery{Limit: completionLimit})
}

// commonZones are the suggested time zones; any IANA zone is accepted.
func commonZones() []string {
	return []string{
		"UTC", "Europe/London", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Rome", "Europe/Amsterdam",
		"Europe/Stockholm", "Europe/Warsaw", "Europe/Athens", "Europe/Istanbul", "Africa/Cairo", "Africa/Johannesburg",
		"Africa/Lagos", "Asia/Dubai", "Asia/Kolkata", "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Asia/Seoul",
		"Australia/Sydney", "Pacific/Auckland", "America/New_York", "America/Chicago", "America/Denver",
		"America/Los_Angeles", "America/Toronto", "America/Sao_Paulo", "America/Mexico_City", "America/Bogota",
	}
}

// matching returns the candidates that begin with what was typed, or whose part after
// a slash does. Case is ignored.
func matching(typed string, candidates ...string) values {
	found := values{list: []string{}}
	for _, v := range candidates {
		_, city, _ := strings.Cut(v, "/")
		if hasPrefixFold(v, typed) || hasPrefixFold(city, typed) {
			found.list = append(found.list, v)
		}
	}
	return found
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}
