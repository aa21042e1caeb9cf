package exports

import "sync"

// mostFacts is how many facts a facts keeps. One more empties it: reading them again
// costs queries.
const mostFacts = 1000

// facts caches what does not change any more about operations. A host that polls often
// then costs no queries. The zero value is ready; it is safe for concurrent use.
type facts[T any] struct {
	mu   sync.RWMutex
	byID map[operationKey]T
}

// operationKey is an operation of an account.
type operationKey struct{ account, id string }

func (c *facts[T]) get(k operationKey) (T, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	fact, ok := c.byID[k]
	return fact, ok
}

func (c *facts[T]) put(k operationKey, fact T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil || len(c.byID) >= mostFacts {
		c.byID = map[operationKey]T{}
	}
	c.byID[k] = fact
}
