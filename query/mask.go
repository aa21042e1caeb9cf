package query

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"

	"modernc.org/sqlite/vtab"
)

// mask replaces values by hashes. Nil leaves them as they are.
type mask struct {
	hash   hash.Hash
	sum    []byte
	last   string // the last value, which rows next to each other often share
	masked string
}

func newMask(key []byte) *mask { return &mask{hash: hmac.New(sha256.New, key)} }

// hashBytes is how many bytes of a hash SQL sees: among a billion values two share one
// with a probability of 3 in 100.
const hashBytes = 8

// apply returns the hash of a value. Values of different types with the same text have the
// same.
func (m *mask) apply(v vtab.Value) vtab.Value {
	if m == nil {
		return v
	}
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case int64:
		s = strconv.FormatInt(v, 10)
	case float64:
		s = string(appendReal(nil, v))
	}
	if s == "" {
		return ""
	}
	if s != m.last || m.masked == "" {
		m.hash.Reset()
		m.hash.Write([]byte(s))
		m.sum = m.hash.Sum(m.sum[:0])
		m.last, m.masked = s, "~"+hex.EncodeToString(m.sum[:hashBytes])
	}
	return m.masked
}
