package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// level is the permission level of a key; a higher one may do all that a lower
// one may (documentation of API keys).
type level int

const (
	standard level = iota
	architect
	admin
)

// The keys there are, one a level.
const (
	KeyStandard  = "na1.sandbox-standard/STND"
	KeyArchitect = "na1.sandbox-architect/ARCH"
	KeyAdmin     = "na1.sandbox-admin/ADMN"
)

var levels = map[string]level{KeyStandard: standard, KeyArchitect: architect, KeyAdmin: admin}

// roles are how /me names the levels.
var roles = map[level]string{standard: "USER", architect: "ARCHITECT", admin: "ADMIN"}

// caller is who makes a request.
type caller struct {
	key   string
	level level
}

// createPath is the route that starts an export.
const createPath = "/segments/v1/exports"

type endpoint func(http.ResponseWriter, *http.Request, caller)

func (s *Sandbox) routes() http.Handler {
	mux := http.NewServeMux()
	api := func(place, method, path string, least level, answer endpoint) {
		mux.Handle(path, s.recorded(s.guard(place, method, least, answer)))
	}
	api(onMe, http.MethodGet, "/me", standard, s.me)
	api(onSegments, http.MethodGet, "/segments/v1", standard, s.listSegments)
	api(onSegments, http.MethodGet, "/segments/v1/{id}", standard, s.getSegment)
	api(onCreate, http.MethodPost, createPath, architect, s.create)
	api(onList, http.MethodGet, "/operations/v1", standard, s.listOperations)
	api(onStatus, http.MethodGet, "/operations/v1/{id}", standard, s.getOperation)
	api(onCancel, http.MethodPost, "/operations/v1/{id}/cancel", standard, s.cancel)
	api(onResults, http.MethodGet, "/search/v1/exports/{id}/results", architect, s.results)
	mux.Handle(filePath+"{id}", s.recorded(http.HandlerFunc(s.download)))
	mux.HandleFunc("GET /sandbox/stats", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.report()) })
	mux.HandleFunc("GET /sandbox/requests", s.showRequests)
	mux.HandleFunc("GET /sandbox/faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.faults.get()) })
	mux.HandleFunc("POST /sandbox/faults", s.setFaults)
	mux.HandleFunc("/sandbox/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "resource_not_found", "There is GET /sandbox/stats, GET /sandbox/requests, and GET and POST /sandbox/faults.")
	})
	mux.Handle("/", s.recorded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.stats.requests.Add(1)
		fail(w, http.StatusNotFound, "resource_not_found", "There is no such route.")
	})))
	return mux
}

// setFaults replaces the faults. What is not understood is refused whole.
func (s *Sandbox) setFaults(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, "request_too_large", "The body is larger than 1 MiB.")
		return
	}
	f, err := readFaults(raw)
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_faults", err.Error())
		return
	}
	s.faults.set(f)
	reply(w, f)
}

// guard counts a request and lets it through if its method, key, pace and level
// are right. That 401 comes before 403, and both before any look at the
// request, is assumed. What is to go wrong goes wrong with those that are let
// through.
func (s *Sandbox) guard(place, method string, least level, answer endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.stats.requests.Add(1)
		refuse := func(status int, code, message string) {
			if place == onCreate {
				s.stats.createsRefused.Add(1)
			}
			fail(w, status, code, message)
		}
		if r.Method != method {
			w.Header().Set("Allow", method)
			refuse(http.StatusMethodNotAllowed, "method_not_allowed", "This route takes "+method+" only.")
			return
		}
		key, ok := s.keyOf(r)
		if !ok {
			refuse(http.StatusUnauthorized, "unauthorized", "The API key is missing or not valid.")
			return
		}
		if wait, ok := s.limits.take(key); !ok {
			s.stats.refused429.Add(1)
			w.Header().Set("Retry-After", wait)
			refuse(http.StatusTooManyRequests, "too_many_requests", "Too many requests; retry after the time that Retry-After names.")
			return
		}
		f := s.faults.at(place)
		s.answerWith(f, w, r, caller{key: key, level: s.faults.level(key)}, func(w http.ResponseWriter, r *http.Request, c caller) {
			if c.level < least {
				if place == onCreate {
					s.stats.createsRefused.Add(1)
				}
				fail(w, http.StatusForbidden, "forbidden", "The API key's permission level is too low for this call.")
				return
			}
			answer(w, r, c)
		})
	})
}

// keyOf returns the key of a request, if it is one of those there are.
func (s *Sandbox) keyOf(r *http.Request) (key string, ok bool) {
	given := r.Header.Get("Authorization")
	key, ok = strings.CutPrefix(given, "Basic ")
	if !ok && s.config.has("bearer") {
		key, ok = strings.CutPrefix(given, "Bearer ")
	}
	_, known := levels[key]
	return key, ok && known
}

// rateLimits is a token bucket a key.
type rateLimits struct {
	rate    rate.Limit
	burst   int
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

func newRateLimits(perSecond float64, burst int) *rateLimits {
	return &rateLimits{rate: rate.Limit(perSecond), burst: burst, buckets: map[string]*rate.Limiter{}}
}

// take takes a token, or says how many whole seconds to wait for the next.
func (l *rateLimits) take(key string) (wait string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := l.buckets[key]
	if bucket == nil {
		bucket = rate.NewLimiter(l.rate, l.burst)
		l.buckets[key] = bucket
	}
	if bucket.Allow() {
		return "", true
	}
	return wholeSeconds((1 - bucket.Tokens()) / float64(l.rate)), false
}

func (s *Sandbox) me(w http.ResponseWriter, _ *http.Request, c caller) {
	reply(w, struct {
		OrgID string `json:"orgId"`
		Email string `json:"email"`
		Role  string `json:"role"`
	}{s.config.Org, "sandbox@example.com", roles[c.level]})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // so that a link can be copied by hand
	e.Encode(v)
}

// fail answers with an error in the form that is documented for v2; that v1
// uses it too is assumed.
func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{code, message})
}
