package sandbox

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// level is the permission level of a key. A higher level may do everything that a
// lower one may (documentation of API keys).
type level int

const (
	standard level = iota
	architect
	admin
)

// The keys that a sandbox accepts without Config.OwnKeys, one for each level. Anybody
// knows them, so they protect nothing.
const (
	KeyStandard  = "na1.sandbox-standard/STND"
	KeyArchitect = "na1.sandbox-architect/ARCH"
	KeyAdmin     = "na1.sandbox-admin/ADMN"
)

// Keys are the keys that a sandbox accepts, one for each level.
type Keys struct{ Standard, Architect, Admin string }

// newKeys returns the fixed keys or, with own, random ones.
func newKeys(own bool) Keys {
	if !own {
		return Keys{KeyStandard, KeyArchitect, KeyAdmin}
	}
	random := func(suffix string) string { return "na1.sandbox-" + strings.ToLower(rand.Text()) + suffix }
	return Keys{random("/STND"), random("/ARCH"), random("/ADMN")}
}

// levels returns the level of each key before a fault changes one.
func (k Keys) levels() map[string]level {
	return map[string]level{k.Standard: standard, k.Architect: architect, k.Admin: admin}
}

// Keys returns the keys that the sandbox accepts.
func (s *Sandbox) Keys() Keys { return s.keys }

// keyOf returns the key of a request, and whether the sandbox accepts it. Upper and
// lower case are the same in the name of the scheme (RFC 9110).
func (s *Sandbox) keyOf(r *http.Request) (key string, ok bool) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	key = strings.TrimLeft(key, " ")
	ok = strings.EqualFold(scheme, "Basic") || s.config.has(bearer) && strings.EqualFold(scheme, "Bearer")
	_, known := s.levels[key]
	return key, ok && known
}

// control passes a request for a route of the sandbox itself on. With Config.OwnKeys
// such a route needs a key too, because other machines reach it.
func (s *Sandbox) control(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, ok := s.keyOf(r); s.config.OwnKeys && !ok {
			fail(w, http.StatusUnauthorized, "unauthorized", "The API key is missing or not valid.")
			return
		}
		answer(w, r)
	}
}
