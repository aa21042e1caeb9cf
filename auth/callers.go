package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"fullstory-export-mcp/local"
)

// entry is a caller in the file.
type entry struct {
	Caller
	Hash string `json:"token_sha256"`
}

// repairTime is how long the callers of a file stay valid after it became unusable, for
// editors that write a file in steps.
const repairTime = 5 * time.Second

// Callers are the callers of a file that may change at any time. If the file cannot be
// used for longer than repairTime, its callers are rejected until it is repaired:
// somebody may just have been removed from it. It is safe for concurrent use.
type Callers struct {
	path string
	now  func() time.Time

	reading sync.Mutex // held by Refresh, also while it waits for the disk
	sum     [32]byte   // sha256 of what was last read
	reason  string     // why the file cannot be used, as reported last
	told    bool       // Refresh has reported that the callers are rejected

	mu      sync.RWMutex // held for moments, because every request needs it
	entries []entry      // that were read last
	broken  time.Time    // since when the file cannot be used; zero: it can
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

// CheckAccount fails unless an account may have that name; "" is the account without one.
func CheckAccount(name string) error {
	if name == "" || isAccount(name) {
		return nil
	}
	return fmt.Errorf("the name of the account %s %s", local.Shown(name), accountRule)
}

// OpenCallers reads the callers of the file at path.
func OpenCallers(path string) (*Callers, error) {
	c := &Callers{path: path, now: time.Now}
	_, err := c.Refresh()
	return c, err
}

// Refresh reads the file again. It compares the content: a copy that keeps the times of
// another file can have the size and time of what it replaces. changed reports that other
// tokens may be valid than before. An error says why the file cannot be used; the
// same error is not reported again until the file changes.
func (c *Callers) Refresh() (changed bool, err error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	raw, err := readFile(c.path)
	sum := sha256.Sum256(raw)
	if err == nil && c.reason == "" && sum == c.sum {
		return false, nil
	}
	var entries []entry
	if err == nil {
		entries, err = entriesOf(c.path, raw)
	}
	if err != nil {
		return c.failed(err)
	}
	c.sum, c.reason, c.told = sum, "", false
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, c.broken = entries, time.Time{}
	return true, nil
}

// failed notes that the file cannot be used. c.reading must be held.
func (c *Callers) failed(err error) (changed bool, news error) {
	c.mu.Lock()
	if c.broken.IsZero() {
		c.broken = c.now()
	}
	c.mu.Unlock()
	if c.reason != err.Error() {
		c.reason, news = err.Error(), err
	}
	if !c.told && !c.ClosedSince().IsZero() {
		c.told, changed = true, true
	}
	return changed, news
}

// ClosedSince returns since when the file cannot be used, if its callers are rejected for
// that reason; otherwise the zero time.
func (c *Callers) ClosedSince() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.broken.IsZero() || c.now().Sub(c.broken) < repairTime {
		return time.Time{}
	}
	return c.broken
}

// CallersError says that no token of the file of callers is accepted, because the file
// cannot be used.
type CallersError struct {
	Since time.Time
}

func (e *CallersError) Error() string {
	return "The file of callers is damaged or unreadable since " + e.Since.UTC().Format(time.RFC3339) +
		", so its tokens are not accepted. Ask the operator of this server to repair the file."
}

func checkCallers(entries []entry) error {
	names, hashes := map[string]bool{}, map[string]bool{}
	var first *entry // that has to do with an account
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
		case e.Metrics && (e.Account != "" || e.Links):
			return fmt.Errorf("%s has metrics, so it reads the metrics of all accounts and nothing else; "+
				"it cannot have account or links as well", e.Name)
		case !e.Metrics && first != nil && (e.Account == "") != (first.Account == ""):
			return fmt.Errorf("%s and %s: either each caller names its account or none does, "+
				"so that the files of different accounts are never mixed", first.Name, e.Name)
		case e.Requests < 0 || e.Calls < 0 || e.Sessions < 0:
			return fmt.Errorf("a limit of %s is negative", e.Name)
		}
		names[e.Name], hashes[e.Hash] = true, true
		if first == nil && !e.Metrics {
			first = &e
		}
	}
	return nil
}

// Len returns how many callers there are.
func (c *Callers) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries)
}

// Accounts returns the names of the callers' accounts, each once. Callers that only read
// metrics have none.
func (c *Callers) Accounts() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var names []string
	for _, e := range c.entries {
		if !e.Metrics && !slices.Contains(names, e.Account) {
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

// Valid reports whether the token of caller is still accepted, and is for the same caller
// and account.
func (c *Callers) Valid(caller Caller) bool {
	found, ok := c.byHash(caller.Token)
	return ok && found.Name == caller.Name && found.Account == caller.Account && !found.Metrics &&
		c.ClosedSince().IsZero()
}

// Has reports whether caller is still in the file with the same account, perhaps with
// another token.
func (c *Callers) Has(caller Caller) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.ContainsFunc(c.entries, func(e entry) bool {
		return e.Name == caller.Name && e.Account == caller.Account && !e.Metrics
	})
}

// hashOf returns the form in which the file has a token.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
