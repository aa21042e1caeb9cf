package exports

import (
	"context"
	"sync/atomic"

	"fullstory-export-mcp/ledger"
)

// identity is the account id that the ledger has for a key. It caches the id of the last
// key, because every call needs it. The zero value is ready; it is safe for concurrent
// use.
type identity struct{ kept atomic.Pointer[keyOwner] }

type keyOwner struct{ key, id string }

// read returns the id for a key, or "" if the ledger has none.
func (i *identity) read(ctx context.Context, l *ledger.Ledger, key string) (string, error) {
	if kept := i.kept.Load(); kept != nil && kept.key == key {
		return kept.id, nil
	}
	id, err := l.Account(ctx, key)
	if err == nil && id != "" {
		i.kept.Store(&keyOwner{key, id})
	}
	return id, err
}

// remember writes the id for a key to the ledger.
func (i *identity) remember(ctx context.Context, l *ledger.Ledger, key, id string) error {
	i.kept.Store(nil)
	return l.Remember(ctx, key, id)
}
