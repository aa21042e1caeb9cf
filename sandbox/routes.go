package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"golang.org/x/time/rate"
)

// roles are the names of the levels in the answers of /me.
var roles = map[level]string{standard: "USER", architect: "ARCHITECT", admin: "ADMIN"}

// caller identifies the sender of a request.
type caller struct {
	key   string
	level level
}

// createPath is the route that starts an export.
const createPath = "/segments/v1/exports"

// endpoint answers a request that guard has let through.
type endpoint func(http.ResponseWriter, *http.Request, caller)

// routes returns the handler of all routes. The request log has every request except
// those to /sandbox/.
func (s *Sandbox) routes() http.Handler {
	mux := http.NewServeMux()
	api := func(place, method, path string, required level, answer endpoint) {
		mux.Handle(path, s.logRequests(s.guard(place, method, required, answer)))
	}
	api(onMe, http.MethodGet, "/me", standard, s.me)
	api(onSegments, http.MethodGet, "/segments/v1", standard, s.listSegments)
	api(onSegments, http.MethodGet, "/segments/v1/{id}", standard, s.getSegment)
	api(onCreate, http.MethodPost, createPath, architect, s.create)
	api(onList, http.MethodGet, "/operations/v1", standard, s.listOperations)
	api(onStatus, http.MethodGet, "/operations/v1/{id}", standard, s.getOperation)
	api(onCancel, http.MethodPost, "/operations/v1/{id}/cancel", standard, s.cancel)
	api(onResults, http.MethodGet, "/search/v1/exports/{id}/results", architect, s.results)
	api(onUsers, http.MethodGet, "/v2/users", architect, listUsers)
	api(onSessions, http.MethodGet, "/v2/sessions", standard, listSessions)
	api(onSessions, http.MethodGet, "/sessions/v2", standard, listSessionsV1)
	mux.Handle(filePath+"{id}", s.logRequests(http.HandlerFunc(s.download)))
	control := func(pattern string, answer http.HandlerFunc) { mux.Handle(pattern, s.control(answer)) }
	control("GET /sandbox/stats", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.fullReport()) })
	control("GET /sandbox/requests", s.showRequests)
	control("GET /sandbox/faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, s.faults.get()) })
	control("POST /sandbox/faults", s.setFaults)
	control("/sandbox/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "resource_not_found",
			"The routes here are GET /sandbox/stats, GET /sandbox/requests, and GET and POST /sandbox/faults.")
	})
	mux.Handle("/", s.logRequests(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.stats.requests.Add(1)
		fail(w, http.StatusNotFound, "resource_not_found", "There is no such route.")
	})))
	return mux
}

// setFaults replaces the faults. If any of them is invalid, none is set.
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

// guard counts a request and passes it to answer if its method, key, rate and level
// are accepted, in this order. Faults happen after the check of the rate, so that
// their counts do not include throttled requests, and before that of the level,
// which a fault may change. Assumed: 401 comes before 403, and both come before
// the body is checked.
func (s *Sandbox) guard(place, method string, required level, answer endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.stats.requests.Add(1)
		of := s.segmentOf(place, r)
		s.stats.received(place, r.Method, of)
		reject := func(w http.ResponseWriter, status int, code, message string) {
			if place == onCreate {
				s.stats.createsRejected.Add(1)
			}
			fail(w, status, code, message)
		}
		if r.Method != method {
			w.Header().Set("Allow", method)
			reject(w, http.StatusMethodNotAllowed, "method_not_allowed", "This route accepts only "+method+".")
			return
		}
		key, ok := s.keyOf(r)
		if !ok {
			reject(w, http.StatusUnauthorized, "unauthorized", "The API key is missing or not valid.")
			return
		}
		if wait, ok := s.limits.take(key); !ok {
			s.stats.throttled.Add(1)
			w.Header().Set("Retry-After", wait)
			reject(w, http.StatusTooManyRequests, "too_many_requests",
				"Too many requests; retry after the time in Retry-After.")
			return
		}
		f := s.faults.at(place, of)
		s.answerUnderFault(f, w, r, caller{key: key, level: s.faults.level(key, s.levels[key])},
			func(w http.ResponseWriter, r *http.Request, c caller) {
				if c.level < required {
					reject(w, http.StatusForbidden, "forbidden",
						"The API key's permission level is too low for this call.")
					return
				}
				answer(w, r, c)
			})
	})
}

// rateLimits has a token bucket for each key. It is safe for concurrent use.
type rateLimits struct {
	rate    rate.Limit
	burst   int
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

func newRateLimits(perSecond float64, burst int) *rateLimits {
	return &rateLimits{rate: rate.Limit(perSecond), burst: burst, buckets: map[string]*rate.Limiter{}}
}

// take takes a token. If there is none, it returns the whole seconds until the next
// one, for Retry-After.
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

// me answers with the organisation and the role of the key.
func (s *Sandbox) me(w http.ResponseWriter, _ *http.Request, c caller) {
	reply(w, struct {
		OrgID string `json:"orgId"`
		Email string `json:"email"`
		Role  string `json:"role"`
	}{s.config.Org, "sandbox@example.com", roles[c.level]})
}

// reply answers 200 with v as JSON.
func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // keeps & in links, so that they can be copied from the answer
	e.Encode(v)
}

// fail answers with an error in the form that is documented for v2. Assumed: v1 uses
// it, too.
func fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{code, message})
}
