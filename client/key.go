package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
)

// Key is an API key. Printing, logging and encoding show a placeholder instead.
type Key string

func (Key) String() string               { return "[key]" }
func (Key) GoString() string             { return "[key]" }
func (Key) LogValue() slog.Value         { return slog.StringValue("[key]") }
func (Key) MarshalText() ([]byte, error) { return []byte("[key]"), nil }

// BaseURLFor returns the API address for the data centre in the prefix of key,
// before its first dot. Keys from before August 2022 have no prefix; they use the
// general address, as do keys with an unknown one.
func BaseURLFor(key Key) string {
	if strings.HasPrefix(string(key), "eu1.") {
		return "https://api.eu1.fullstory.com"
	}
	return "https://api.fullstory.com"
}

// checkKey returns an error if key is empty or cannot be an API key. Its text does
// not contain the key.
func checkKey(key Key) error {
	if key == "" {
		return errors.New("the API key is empty")
	}
	switch first, last := key[0], key[len(key)-1]; {
	case strings.ContainsRune(`"'`+"`", rune(first)) || strings.ContainsRune(`"'`, rune(last)):
		return errors.New("the API key is in quotation marks; leave them out")
	case strings.HasPrefix(strings.ToLower(string(key)), "basic "):
		return errors.New(`the API key begins with "Basic "; leave that out`)
	}
	for _, r := range string(key) {
		if r <= ' ' || r > '~' {
			return errors.New("the API key contains white space or an invalid character; copy the complete key and nothing else")
		}
	}
	return nil
}

// credential is an API key that requests use. The key is captured in functions, so
// that printing a Client, even with %#v, does not reveal it.
type credential struct {
	authorize func(*http.Request)
	scrub     func(string) string // removes the key from text that a server may have echoed; see scrubber
	hash      string              // identifies the key without revealing it
}

func newCredential(k Key) *credential {
	key := string(k)
	hash := sha256.Sum256([]byte("fullstory-export-mcp\x00" + key))
	return &credential{
		authorize: func(r *http.Request) { r.Header.Set("Authorization", "Basic "+key) },
		scrub:     newScrubber(key).scrub,
		hash:      hex.EncodeToString(hash[:]),
	}
}

// keys holds the current key of a client and its forks. The key may be replaced at
// its source while the client is in use. keys is safe for concurrent use.
type keys struct {
	source func() (Key, error)
	name   string          // where the source is configured, for messages
	check  func(Key) error // rejects a new key that cannot be used
	log    *slog.Logger

	mu     sync.Mutex // protects what follows; not held while source runs
	key    Key
	inUse  *credential // of key
	org    string      // organisation of key; empty: not known yet
	bound  string      // the only organisation whose keys may be used; empty: any
	warned string      // the last warning about an unusable key, so that it is logged once
}

// current asks the source for the key and returns its credential. If the source
// fails or returns an unusable key, the previous key stays in use. A new key's
// organisation is unknown until setOrg.
func (k *keys) current() *credential {
	key, err := k.source()
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && key != k.key {
		err = k.check(key)
	}
	switch {
	case err != nil && err.Error() != k.warned:
		k.warned = err.Error()
		k.log.Warn("no usable API key was read; the previous key stays in use", "source", k.name, "error", err)
	case err == nil:
		k.warned = ""
		if key != k.key {
			k.key, k.inUse, k.org = key, newCredential(key), ""
			k.log.Info("the API key was replaced", "source", k.name)
		}
	}
	return k.inUse
}

// setOrg records the organisation of the key with the given hash, if that key is
// still in use.
func (k *keys) setOrg(hash, org string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inUse.hash == hash {
		k.org = org
	}
}

// bind restricts the keys that may be used to those of org.
func (k *keys) bind(org string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bound = org
}

// orgs returns the organisation of the key with the given hash, empty if it is not
// known, and the only organisation that is allowed, empty if any is.
func (k *keys) orgs(hash string) (org, bound string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inUse.hash == hash {
		org = k.org
	}
	return org, k.bound
}

// KeyHash returns a hash of the key in use. It identifies the key where facts about
// it are stored.
func (c *Client) KeyHash() string { return c.keys.current().hash }

// Bind restricts c and its forks to one organisation. After the key is replaced, c
// first asks the API for the organisation of the new key. While that is not org,
// every call fails with CodeOtherOrganization. keyHash is the hash of a key that
// is known to belong to org.
func (c *Client) Bind(org, keyHash string) {
	c.keys.setOrg(keyHash, org)
	c.keys.bind(org)
}

// credential returns the credential for the call op. It fails if the key belongs to
// another organisation than the one that c is bound to, or if that cannot be
// determined.
func (c *Client) credential(ctx context.Context, op string) (*credential, error) {
	as := c.keys.current()
	org, bound := c.keys.orgs(as.hash)
	if bound == "" || org == bound {
		return as, nil
	}
	if org == "" {
		me, err := c.me(ctx, as)
		if err != nil {
			return nil, err
		}
		org = me.OrgID
	}
	if org == bound {
		return as, nil
	}
	return nil, &Error{
		Op: op, Code: CodeOtherOrganization, KeySource: c.keys.name,
		Message: fmt.Sprintf("the API key now belongs to the organisation %s, but this server works for %s", org, bound),
	}
}
