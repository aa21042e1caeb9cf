package exports

import (
	"sync"

	"fullstory-export-mcp/client"
)

// maxCompleted is how many operations a completed keeps. One more empties it: reading
// them again costs a query each.
const maxCompleted = 1000

// completed caches operations that have completed and so do not change any more. A host
// that polls often then costs no queries. The zero value is ready; it is safe for
// concurrent use.
type completed struct {
	mu   sync.RWMutex
	byID map[operationKey]client.Operation
}

// operationKey is an operation of an account.
type operationKey struct{ account, id string }

func (c *completed) get(k operationKey) (client.Operation, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	op, ok := c.byID[k]
	return op, ok
}

func (c *completed) put(k operationKey, op client.Operation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil || len(c.byID) >= maxCompleted {
		c.byID = map[operationKey]client.Operation{}
	}
	c.byID[k] = op
}
