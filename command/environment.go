package command

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/kong"

	"fullstory-export-mcp/keys"
)

// environment reads environment variables. A value that a host did not fill in counts as not
// set: it still has a placeholder, such as ${user_config.api_key}, or is what JavaScript writes
// for no value. It is safe for concurrent use.
type environment struct {
	lookup func(string) string
	done   <-chan struct{} // closed when the program is to end
	keys   *keys.Store     // the keys of login; nil: there are none

	inKeychain sync.Map // *keySource of keys that were found in the keychain, by account

	mu       sync.Mutex
	unfilled map[string]bool // names of the variables that were read and not filled in
	filled   map[string]bool // names of those with another value that were read
}

// The program's own variables have this prefix.
const ownVariables = "FULLSTORY_"

// bundleVariable is set in the manifest of a bundle, whose host shows a form with the settings.
const bundleVariable = "FULLSTORY_EXPORT_BUNDLE"

// inBundle reports whether a host started the program from a bundle.
func (e *environment) inBundle() bool { return e.get(bundleVariable) != "" }

// placeholder is what hosts replace by a value: ${user_config.x}, ${input:x}, ${env:X}, ${X}.
var placeholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{[^{}]*\}`) })

// isUnfilled reports whether a value still has a placeholder.
func isUnfilled(value string) bool {
	return strings.Contains(value, "${") && placeholder().MatchString(value)
}

// isUnfilledVariable reports whether a host did not fill in a variable. Hosts that compute its
// value with String(x) write undefined or null for a field of a form that is empty.
func isUnfilledVariable(name, value string) bool {
	return isUnfilled(value) || strings.HasPrefix(name, ownVariables) && (value == "undefined" || value == "null")
}

// get returns the value of a variable, "" if it is not set or not filled in.
func (e *environment) get(name string) string {
	value := e.lookup(name)
	if value == "" {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.unfilled == nil {
		e.unfilled, e.filled = map[string]bool{}, map[string]bool{}
	}
	if isUnfilledVariable(name, value) {
		e.unfilled[name] = true
		return ""
	}
	e.filled[name] = true
	return value
}

// settings returns the program's own variables that were read and have a value, without
// the key.
func (e *environment) settings() map[string]string {
	e.mu.Lock()
	defer e.mu.Unlock()
	values := map[string]string{}
	for name := range e.filled {
		if strings.HasPrefix(name, ownVariables) && !strings.HasPrefix(name, apiKey) {
			values[name] = e.lookup(name)
		}
	}
	return values
}

// isUnfilled reports whether a variable was read and was not filled in.
func (e *environment) isUnfilled(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unfilled[name]
}

// names returns the variables for which isUnfilled is true.
func (e *environment) names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(maps.Keys(e.unfilled))
}

// withoutUnfilled returns a command line without the flags whose value still has a
// placeholder, and the names of those.
func withoutUnfilled(model *kong.Application, args []string) (kept, unfilled []string) {
	takesValue := map[string]bool{}
	_ = kong.Visit(model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && !flag.IsBool() {
			takesValue["--"+flag.Name] = true
		}
		return next(nil)
	})
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		switch {
		case !takesValue[name]:
		case joined && isUnfilled(value):
			unfilled = append(unfilled, name)
			continue
		case !joined && i+1 < len(args) && isUnfilled(args[i+1]):
			unfilled = append(unfilled, name)
			i++
			continue
		}
		kept = append(kept, args[i])
	}
	return kept, unfilled
}
