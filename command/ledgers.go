package command

import (
	"context"
	"errors"
	"sync"

	"fullstory-export-mcp/ledger"
)

// ledgers opens the ledger at each address once, and shares it among all accounts that
// use it. It is safe for concurrent use. The zero value is ready for use.
type ledgers struct {
	mu        sync.Mutex
	byAddress map[string]*sharedLedger // by file path or PostgreSQL address
}

type sharedLedger struct {
	opening sync.Mutex     // held while the ledger is opened; guards ledger
	ledger  *ledger.Ledger // nil until it is open
}

// get returns the ledger at an address. The first call opens it; if that fails, the next
// call tries again. Callers of the same address wait for
// each other; those of another do not.
func (s *ledgers) get(ctx context.Context, address string) (*ledger.Ledger, error) {
	s.mu.Lock()
	if s.byAddress == nil {
		s.byAddress = map[string]*sharedLedger{}
	}
	p := s.byAddress[address]
	if p == nil {
		p = &sharedLedger{}
		s.byAddress[address] = p
	}
	s.mu.Unlock() // a database that does not answer must not delay the others
	p.opening.Lock()
	defer p.opening.Unlock()
	if p.ledger != nil {
		return p.ledger, nil
	}
	l, err := ledger.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	// The ledger records in the audit log who requested an export.
	l.CallerOf = callerName
	p.ledger = l
	return l, nil
}

// close closes every ledger. None may be in use.
func (s *ledgers) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, p := range s.byAddress {
		p.opening.Lock()
		if p.ledger != nil {
			errs = append(errs, p.ledger.Close())
		}
		p.opening.Unlock()
	}
	clear(s.byAddress)
	return errors.Join(errs...)
}
