package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"fullstory-export-mcp/ledger"
)

// The addresses of what changes while exports run.
const (
	operationPrefix = "fullstory-export://operations/"
	bulkPrefix      = "fullstory-export://bulk/"
	manifestSuffix  = "/manifest"
)

// live reads a resource that changes: an operation, a bulk export, or its
// manifest. state is another whenever who follows it wants to know.
func live(ctx context.Context, a *Account, uri string) (content any, state string, err error) {
	if escaped, ok := strings.CutPrefix(uri, operationPrefix); ok {
		id, err := url.PathUnescape(escaped)
		if err != nil {
			return nil, "", fmt.Errorf("%s: the operation id is not escaped as in a URL", uri)
		}
		op, recorded := a.recorded(ctx, id)
		if !recorded {
			if op, err = a.Client.Operation(ctx, id); err != nil {
				return nil, "", err
			}
		}
		return operationResult(op, a.Now()), string(op.State), nil
	}
	id, ok := strings.CutPrefix(uri, bulkPrefix)
	if !ok {
		return nil, "", fmt.Errorf("%s is no resource that changes", uri)
	}
	id, manifest := strings.CutSuffix(id, manifestSuffix)
	engine, err := a.Engine(ctx)
	if err != nil {
		return nil, "", err
	}
	s, err := engine.Status(ctx, id)
	if err != nil {
		return nil, "", &unknownBulk{id: id, err: err}
	}
	// A tenth more, or another state: a model is not told of each chunk.
	state = fmt.Sprintf("%s %d", s.Bulk.State, 10*s.Counts.By[ledger.ChunkStored]/max(1, s.Counts.All()))
	if manifest {
		m, err := engine.Manifest(ctx, s.Bulk)
		return m, state, err
	}
	return summarize(engine, s), state, nil
}

// readLive returns the JSON of a resource that changes. Its errors are for a
// reader.
func readLive(ctx context.Context, account func(context.Context) (*Account, error), uri string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	a, err := account(ctx)
	if err != nil {
		return "", errors.New(explain(err))
	}
	content, _, err := live(ctx, a, uri)
	if err != nil {
		return "", errors.New(explain(err))
	}
	raw, err := json.MarshalIndent(content, "", "  ")
	return string(raw), err
}
