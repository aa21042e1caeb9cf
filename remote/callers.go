package remote

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Caller is who a request comes from. The zero value is whoever reaches a
// server without callers.
type Caller struct {
	Name     string  `json:"name"`
	Account  string  `json:"account,omitempty"`   // whose key is used; empty: the one that is configured without a name
	ReadOnly bool    `json:"read_only,omitempty"` // is offered only what changes nothing
	Requests float64 `json:"requests_per_second,omitempty"`
	Calls    int     `json:"calls_at_once,omitempty"`
	Sessions int     `json:"sessions,omitempty"` // 0: as many as the server has

	issued  bool      // comes with a token of the issuer
	expires time.Time // of that token
}

// The limits of a caller whose entry names none.
const (
	defaultRequests = 1000
	defaultCalls    = 256
)

// limited returns c with every limit set.
func (c Caller) limited() Caller {
	c.Requests = cmp.Or(c.Requests, defaultRequests)
	c.Calls = cmp.Or(c.Calls, defaultCalls)
	return c
}

type callerKey struct{}

// WithCaller returns a context of a request that comes from c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns whom the request of ctx comes from.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// entry is a caller as the file has it.
type entry struct {
	Caller
	Hash string `json:"token_sha256"`
}

// Callers are those of a file, which may change at any time. It is safe for
// concurrent use.
type Callers struct {
	path string

	mu      sync.RWMutex
	entries []entry
	read    fs.FileInfo // the file as it was read last
}

// Names of callers stand in logs; those of accounts are folders, and parts of
// the names of environment variables.
var (
	callerName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)
	accountName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	tokenHash   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// isAccount tells whether an account may have that name: it is a folder, and
// the variable of its key must not be taken for that of a file.
func isAccount(name string) bool {
	return accountName.MatchString(name) && name != "file" && !strings.HasSuffix(name, "_file")
}

// OpenCallers reads the callers of the file at path.
func OpenCallers(path string) (*Callers, error) {
	c := &Callers{path: path}
	_, err := c.Refresh()
	return c, err
}

// Refresh reads the file again if it has changed, and tells whether it did. If
// it cannot be read, or is not right, the callers stay as they were.
func (c *Callers) Refresh() (changed bool, err error) {
	info, err := os.Stat(c.path)
	if err != nil {
		return false, fmt.Errorf("callers: %w", err)
	}
	c.mu.RLock()
	same := c.read != nil && c.read.ModTime().Equal(info.ModTime()) && c.read.Size() == info.Size() && os.SameFile(c.read, info)
	c.mu.RUnlock()
	if same {
		return false, nil
	}
	entries, err := readCallers(c.path)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = info // what is wrong is told once
	if err != nil {
		return false, err
	}
	c.entries = entries
	return true, nil
}

func readCallers(path string) ([]entry, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("callers: %w", err)
	}
	var file struct {
		Callers []entry `json:"callers"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("callers: %s: %w", path, err)
	}
	if err := checkCallers(file.Callers); err != nil {
		return nil, fmt.Errorf("callers: %s: %w", path, err)
	}
	return file.Callers, nil
}

func checkCallers(entries []entry) error {
	names, hashes := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		switch {
		case !callerName.MatchString(e.Name):
			return fmt.Errorf("the name %q is not of letters, digits, '.', '_', '@', '-', at most 64", e.Name)
		case names[e.Name]:
			return fmt.Errorf("%s is there twice", e.Name)
		case !tokenHash.MatchString(e.Hash):
			return fmt.Errorf("token_sha256 of %s is not the SHA-256 of a token in hexadecimal; `serve token` makes one", e.Name)
		case hashes[e.Hash]:
			return fmt.Errorf("%s has the token of another caller", e.Name)
		case e.Account != "" && !isAccount(e.Account):
			return fmt.Errorf("the account %q of %s is not of small letters, digits and '_', at most 32, beginning with a letter and not ending in file", e.Account, e.Name)
		case (e.Account == "") != (entries[0].Account == ""):
			return fmt.Errorf("%s and %s: either each caller names its account, or none does, so that the files of one account never lie among those of another", entries[0].Name, e.Name)
		case e.Requests < 0 || e.Calls < 0 || e.Sessions < 0:
			return fmt.Errorf("a limit of %s is negative", e.Name)
		}
		names[e.Name], hashes[e.Hash] = true, true
	}
	return nil
}

// Len returns how many callers there are.
func (c *Callers) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries)
}

// Accounts returns the names of the callers' accounts.
func (c *Callers) Accounts() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var names []string
	seen := map[string]bool{}
	for _, e := range c.entries {
		if !seen[e.Account] {
			seen[e.Account] = true
			names = append(names, e.Account)
		}
	}
	return names
}

// byToken returns whose token it is. It takes the same time for every token.
func (c *Callers) byToken(token string) (found Caller, ok bool) {
	return c.byHash(hashOf(token))
}

func (c *Callers) byHash(hash string) (found Caller, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, e := range c.entries {
		if subtle.ConstantTimeCompare([]byte(e.Hash), []byte(hash)) == 1 {
			found, ok = e.Caller.limited(), true
		}
	}
	return found, ok
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// tokenPrefix lets scanners of leaked secrets recognise a token.
const tokenPrefix = "fsx_"

// NewToken gives the caller c a new token and writes its hash into the file at
// path, which is made if it is missing. Of a caller that is there already only
// the token, and what c names, are changed. The token itself is kept nowhere.
func NewToken(path string, c Caller) (token string, replaced bool, err error) {
	entries, err := readCallers(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, err
	}
	var secret [32]byte
	rand.Read(secret[:])
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	for i, e := range entries {
		if e.Name == c.Name {
			replaced = true
			entries[i].Hash = hashOf(token)
			entries[i].Account = cmp.Or(c.Account, e.Account)
			entries[i].ReadOnly = c.ReadOnly || e.ReadOnly
		}
	}
	if !replaced {
		entries = append(entries, entry{c, hashOf(token)})
	}
	if err := checkCallers(entries); err != nil {
		return "", false, err
	}
	return token, replaced, writeCallers(path, entries)
}

// writeCallers replaces the file at once, so that no reader sees half of it.
func writeCallers(path string, entries []entry) error {
	raw, err := json.MarshalIndent(map[string][]entry{"callers": entries}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".callers-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(raw, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// bearer returns the token of a request's Authorization header.
func bearer(header string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "bearer") && token != ""
}

// refreshPause is between two looks at whether the file of callers changed.
const refreshPause = time.Second

// errRevoked ends streams whose token is not valid any more.
var errRevoked = errors.New("the token is not valid any more")
