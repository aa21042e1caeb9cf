package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/ledger"
)

// live reads a resource that changes: an operation, a bulk export, its manifest, or a
// sync.
// Subscribers are notified when state, a short text, differs from the one before.
func live(ctx context.Context, a *exports.Account, r address) (content any, state string, err error) {
	if r.kind == ofOperation {
		op, err := a.Operation(ctx, r.id, time.Time{}, nil)
		if err != nil {
			return nil, "", err
		}
		result := operationResult(op, a.About(ctx, op), a.Clock())
		markSimulated(a, &result)
		return result, string(op.State), nil
	}
	if r.kind == ofSync {
		s, err := a.SyncStatus(ctx, r.id)
		markSimulated(a, &s)
		return s, fmt.Sprintf("%s %d %d", s.State, s.Windows.Over, s.Windows.Stored), err
	}
	bulk, err := a.Bulk(ctx, r.id, exports.BulkQuery{}, time.Time{}, nil)
	if err != nil {
		return nil, "", err
	}
	markSimulated(a, &bulk)
	// Subscribers are notified at each tenth of the chunks: a bulk export can have
	// thousands, and each notification costs a read.
	state = fmt.Sprintf("%s %d", bulk.State, 10*bulk.Chunks.Stored/max(1, bulk.Chunks.All))
	if bulk.Parquet != nil {
		state += " " + string(bulk.Parquet.State)
	}
	if r.kind == ofManifest {
		m, err := a.BulkManifest(ctx, r.id)
		return bulkManifest{m, bulk.BulkSummary}, state, err
	}
	return bulk.BulkSummary, state, nil
}

// resourceError is the error of a request about a resource. Its text is written for a
// model.
type resourceError struct {
	uri     string // as requested
	text    string
	unknown bool // there is no such resource
}

func (e *resourceError) Error() string { return e.text }

// aboutResource returns the error of a request about the resource at uri, whose cause is
// err.
func aboutResource(uri string, err error) *resourceError {
	e := &resourceError{uri: uri, unknown: true}
	switch {
	case errors.Is(err, errAddress):
		e.text = noSuchResource(uri)
		return e
	case errors.Is(err, ledger.ErrNotFound), client.KindOf(err) == client.Rejected:
	default:
		e.unknown = false
	}
	e.text = exports.Explain(err).ForModel()
	return e
}

// readResource returns the text and the content type of the resource at uri. It fails
// with a *resourceError.
func readResource(ctx context.Context, accounts Accounts, uri string) (text, contentType string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	r, err := parseAddress(uri)
	if err != nil {
		return "", "", aboutResource(uri, err)
	}
	if r.kind == ofGuide {
		text, err = guideText(r.id)
		contentType = markdown
	} else {
		text, err = readLive(ctx, accounts, r)
		contentType = jsonType
	}
	if err != nil {
		return "", "", aboutResource(uri, err)
	}
	return text, contentType, nil
}

// The content types of resources.
const (
	markdown = "text/markdown"
	jsonType = "application/json"
)

// readLive returns the JSON of a resource that changes.
func readLive(ctx context.Context, accounts Accounts, r address) (string, error) {
	a, err := accounts(ctx)
	if err != nil {
		return "", err
	}
	if r.kind == ofManifest { // its entries are in memory until their text is written
		release, err := a.Hold(ctx)
		if err != nil {
			return "", err
		}
		defer release()
	}
	content, _, err := live(ctx, a, r)
	if err != nil {
		return "", err
	}
	if m, ok := content.(bulkManifest); ok {
		if content, err = m.paged(r.from); err != nil {
			return "", err
		}
	}
	raw, err := indented(content)
	return string(raw), err
}

// indented returns v as JSON for a reader, without escapes for HTML.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}
