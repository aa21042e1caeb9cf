package auth

import (
	"bytes"
	"cmp"
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
)

// entry is a caller in the file.
type entry struct {
	Caller
	Hash string `json:"token_sha256"`
}

// Callers are the callers of a file that may change at any time. It is safe for
// concurrent use.
type Callers struct {
	path string

	mu      sync.RWMutex
	entries []entry
	read    fs.FileInfo // of the file when it was last read
}

// Names of callers appear in logs. Names of accounts are folders and parts of the
// names of environment variables.
var (
	callerName  = form(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)
	accountName = form(`^[a-z][a-z0-9_]{0,31}$`)
	tokenHash   = form(`^[0-9a-f]{64}$`)
)

// form returns a regular expression that is compiled when it is first used,
// because few processes have callers.
func form(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// isAccount reports whether an account may have that name: it must be fit for a
// folder, and the variable with its key must differ from one with a file.
func isAccount(name string) bool {
	return accountName().MatchString(name) && name != "file" && !strings.HasSuffix(name, "_file")
}

// accountRule completes a sentence about an account whose name isAccount rejects.
const accountRule = "must have 1 to 32 lower case letters, digits and '_', begin with a letter and not end in file"

// OpenCallers reads the callers of the file at path.
func OpenCallers(path string) (*Callers, error) {
	c := &Callers{path: path}
	_, err := c.Refresh()
	return c, err
}

// Refresh reads the file again if it has changed, and reports whether it did. On
// an error the callers stay as they were; the same error is not reported again
// until the file changes.
func (c *Callers) Refresh() (changed bool, err error) {
	info, err := os.Stat(c.path)
	if err != nil {
		return false, fmt.Errorf("callers: %w", err)
	}
	c.mu.RLock()
	same := c.read != nil && c.read.ModTime().Equal(info.ModTime()) && c.read.Size() == info.Size() &&
		os.SameFile(c.read, info)
	c.mu.RUnlock()
	if same {
		return false, nil
	}
	entries, err := readCallers(c.path)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = info // so that an error is reported once
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
		case !callerName().MatchString(e.Name):
			return fmt.Errorf("the name %q must have 1 to 64 letters, digits, '.', '_', '@' or '-', "+
				"and begin with a letter or digit", e.Name)
		case names[e.Name]:
			return fmt.Errorf("%s is listed twice", e.Name)
		case !tokenHash().MatchString(e.Hash):
			return fmt.Errorf("token_sha256 of %s is not the SHA-256 of a token in hexadecimal; "+
				"`serve token` creates one", e.Name)
		case hashes[e.Hash]:
			return fmt.Errorf("%s has the token of another caller", e.Name)
		case e.Account != "" && !isAccount(e.Account):
			return fmt.Errorf("the account %q of %s %s", e.Account, e.Name, accountRule)
		case (e.Account == "") != (entries[0].Account == ""):
			return fmt.Errorf("%s and %s: either each caller names its account or none does, "+
				"so that the files of different accounts are never mixed", entries[0].Name, e.Name)
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

// Accounts returns the names of the callers' accounts, each once.
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

// byToken returns the caller that a token belongs to. It takes the same time for
// every token.
func (c *Callers) byToken(token string) (found Caller, ok bool) { return c.byHash(hashOf(token)) }

func (c *Callers) byHash(hash string) (found Caller, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, e := range c.entries {
		if subtle.ConstantTimeCompare([]byte(e.Hash), []byte(hash)) == 1 {
			found, ok = e.Caller.limited(), true
			found.Token = hash
		}
	}
	return found, ok
}

// Valid reports whether Caller.Token is still the token of a caller.
func (c *Callers) Valid(token string) bool {
	_, ok := c.byHash(token)
	return ok
}

// hashOf returns the form in which the file has a token.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// tokenPrefix lets scanners for leaked secrets recognise a token.
const tokenPrefix = "fsx_"

// NewToken gives the caller c a new token and writes its hash into the file at
// path, which it creates if missing. If c is in the file already, NewToken
// changes only the token and the fields that c sets. The token itself is not
// stored.
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

// writeCallers replaces the file atomically.
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
