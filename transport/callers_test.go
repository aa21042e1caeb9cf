package transport

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"fullstory-export-mcp/auth"
)

// callersWorld starts a server for callers with those names, which may make two
// calls at once, and returns their tokens and the path of their file.
func callersWorld(t *testing.T, names ...string) (w *world, tokens map[string]string, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "callers.json")
	tokens = map[string]string{}
	for _, name := range names {
		token, _, err := auth.NewToken(path, auth.Caller{Name: name, Calls: 2})
		if err != nil {
			t.Fatal(err)
		}
		tokens[name] = token
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, func(o *Options) { o.Callers = callers }), tokens, path
}

// hashOf returns the form in which the file of callers has a token.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func TestTokens(t *testing.T) {
	w, tokens, _ := callersWorld(t, "anna", "bert")
	for header, want := range map[string]string{
		"": "", "Bearer": "", "Bearer ": "", "Bearer x": "", "Basic " + tokens["anna"]: "", tokens["anna"]: "",
		"Bearer " + tokens["anna"] + "x": "", "Bearer " + hashOf(tokens["anna"]): "",
		"Bearer " + tokens["anna"]: "anna", "bearer " + tokens["bert"]: "bert",
	} {
		for _, route := range routes {
			r := do(t, route.method, w.url+route.path, map[string]string{"Authorization": header}, bodyOf(route.body))
			challenge := r.Header.Get("WWW-Authenticate")
			if rejected := r.StatusCode == http.StatusUnauthorized; rejected != (want == "") ||
				rejected != strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("%q: %s %s answers %d %q", header, route.method, route.path, r.StatusCode, challenge)
			}
		}
		if want == "" {
			continue
		}
		session := w.hello(map[string]string{"Authorization": header})
		if _, events := w.post(session, toolCall(1, "whoami", "{}")); !strings.Contains(events[0].data, "you are "+want) {
			t.Errorf("%q: %v", header, events)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := do(t, "GET", w.url+path, nil, nil).StatusCode; got != http.StatusOK {
			t.Errorf("%s answers %d", path, got)
		}
	}
	for _, secret := range []string{tokens["anna"], tokens["bert"], hashOf(tokens["anna"])} {
		if strings.Contains(w.log.String(), secret) {
			t.Error("the log has a token, or the hash of one")
		}
	}
}

// TestReadOnly offers another server to a caller that may only read.
func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	token, _, err := auth.NewToken(path, auth.Caller{Name: "rita", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { o.Callers = callers })
	session := w.hello(bearer(token))
	if _, events := w.post(session, toolCall(1, "whoami", "{}")); !strings.Contains(events[0].data, "error") {
		t.Errorf("a tool that is not offered: %v", events)
	}
}

// TestCallersChange replaces a token while streams are open.
func TestCallersChange(t *testing.T) {
	t.Parallel()
	w, tokens, path := callersWorld(t, "anna", "bert")
	anna, bert := w.hello(bearer(tokens["anna"])), w.hello(bearer(tokens["bert"]))
	annas, berts := do(t, "GET", w.url+"/mcp", anna, nil), do(t, "GET", w.url+"/mcp", bert, nil)
	bertsSSE := w.converse(bearer(tokens["bert"]))
	token, replaced, err := auth.NewToken(path, auth.Caller{Name: "bert"})
	if err != nil || !replaced {
		t.Fatal(replaced, err)
	}
	newReader(berts.Body).all() // ends
	if e := bertsSSE.next(); e.data != io.EOF.Error() {
		t.Errorf("the stream over SSE sends %v", e)
	}
	if status, _ := w.post(bert, toolCall(1, "whoami", "{}")); status != http.StatusUnauthorized {
		t.Errorf("the old token is answered %d", status)
	}
	bert["Authorization"] = "Bearer " + token
	if status, events := w.post(bert, toolCall(1, "whoami", "{}")); status != http.StatusOK {
		t.Errorf("the session does not go on with the new token: %d %v", status, events)
	}
	session, _, err := w.server.sessions.find(anna["Mcp-Session-Id"], auth.Caller{Name: "anna"}, streamable)
	if err != nil {
		t.Fatal(err)
	}
	session.sessionStream.add([]byte(`{"still":"there"}`), false)
	if e, err := newReader(annas.Body).next(); err != nil || !strings.Contains(e.data, "still") {
		t.Errorf("the stream of another caller was closed: %v, %v", e, err)
	}
	if status, _ := w.post(anna, toolCall(1, "whoami", "{}")); status != http.StatusOK {
		t.Errorf("another caller is answered %d", status)
	}
}

// TestCallersFileBreaks damages the file while a stream is open, and repairs it.
func TestCallersFileBreaks(t *testing.T) {
	t.Parallel()
	w, tokens, path := callersWorld(t, "anna")
	anna := w.hello(bearer(tokens["anna"]))
	stream := do(t, "GET", w.url+"/mcp", anna, nil)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().Truncate(time.Second)
	os.WriteFile(path, []byte(`{"callers":[`), 0o600)
	newReader(stream.Body).all() // ends once the callers are rejected
	for _, r := range []*http.Response{
		do(t, "POST", w.url+"/mcp", anna, strings.NewReader(toolCall(1, "whoami", "{}"))),
		do(t, "GET", w.url+"/readyz", nil, nil), do(t, "GET", w.url+"/metrics", bearer("fsx_unknown"), nil),
	} {
		raw, err := io.ReadAll(r.Body)
		at := regexp.MustCompile(`since (\S+Z)`).FindSubmatch(raw)
		if err != nil || r.StatusCode != http.StatusServiceUnavailable || at == nil ||
			!strings.Contains(string(raw), "Ask the operator of this server to repair the file.") {
			t.Errorf("%s answers %d: %s", r.Request.URL.Path, r.StatusCode, raw)
			continue
		}
		since, err := time.Parse(time.RFC3339, string(at[1]))
		if err != nil || since.Before(began) || since.After(time.Now()) {
			t.Errorf("the file is said to be damaged since %s, %v", at[1], err)
		}
	}
	for _, line := range []string{"level=ERROR msg=\"the file of callers cannot be used", "unusable_since="} {
		eventually(t, "the log has "+line, func() bool { return strings.Contains(w.log.String(), line) })
		if got := strings.Count(w.log.String(), line); got != 1 {
			t.Errorf("the log has %d times %s", got, line)
		}
	}
	os.WriteFile(path, good, 0o600)
	eventually(t, "that the session continues", func() bool {
		status, _ := w.post(anna, toolCall(2, "whoami", "{}"))
		return status == http.StatusOK
	})
	if got := do(t, "GET", w.url+"/readyz", nil, nil).StatusCode; got != http.StatusOK {
		t.Errorf("/readyz answers %d after the repair", got)
	}
}

// TestCallersAreMoved gives a caller another account, and removes another: their streams
// and sessions end, at each replica.
func TestCallersAreMoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "callers.json")
	tokens := map[string]string{}
	for _, name := range []string{"anna", "bert", "carl"} {
		token, _, err := auth.NewToken(path, auth.Caller{Name: name, Account: "emea"})
		if err != nil {
			t.Fatal(err)
		}
		tokens[name] = token
	}
	shared := &notes{known: map[string]string{}}
	var ended sync.Map
	server := func() *world {
		callers, err := auth.OpenCallers(path)
		if err != nil {
			t.Fatal(err)
		}
		return newWorld(t, func(o *Options) {
			o.Callers, o.Key, o.Shared = callers, key, shared
			o.Ended = func(id string) { ended.Store(id, true) }
		})
	}
	w, replica := server(), server()
	sessions, streams := map[string]map[string]string{}, map[string]*http.Response{}
	conversations := map[string]*sseClient{}
	for name, token := range tokens {
		sessions[name] = w.hello(bearer(token))
		streams[name] = do(t, "GET", w.url+"/mcp", sessions[name], nil)
		conversations[name] = w.converse(bearer(token))
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Callers []map[string]any `json:"callers"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	file.Callers[0]["account"] = "apac" // anna's, who keeps her token
	file.Callers = slices.Delete(file.Callers, 1, 2)
	if raw, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(path, raw, 0o600)
	for _, name := range []string{"anna", "bert"} {
		newReader(streams[name].Body).all() // ends
		if e := conversations[name].next(); e.data != io.EOF.Error() {
			t.Errorf("%s's stream over SSE sends %v", name, e)
		}
		eventually(t, "that the session of "+name+" has ended", func() bool {
			_, ok := ended.Load(sessions[name]["Mcp-Session-Id"])
			return ok
		})
	}
	for _, one := range []*world{w, replica} {
		eventually(t, "that the replica knows of it", func() bool {
			status, _ := one.post(sessions["bert"], toolCall(1, "whoami", "{}"))
			return status == http.StatusUnauthorized
		})
		for name, want := range map[string]int{"anna": 404, "bert": 401, "carl": 200} {
			if status, _ := one.post(sessions[name], toolCall(1, "whoami", "{}")); status != want {
				t.Errorf("%s is answered %d in the old session, want %d", name, status, want)
			}
		}
	}
	if got := conversations["anna"].post(toolCall(2, "whoami", "{}")); got != http.StatusNotFound {
		t.Errorf("anna's session over SSE answers %d", got)
	}
	w.hello(bearer(tokens["anna"]))
}

// TestMetricsCallers shows each caller the metrics that it may see.
func TestMetricsCallers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "callers.json")
	tokens := map[string]string{}
	for _, c := range []auth.Caller{
		{Name: "anna", Account: "emea"}, {Name: "bert", Account: "apac", ReadOnly: true}, {Name: "scraper", Metrics: true},
	} {
		token, _, err := auth.NewToken(path, c)
		if err != nil {
			t.Fatal(err)
		}
		tokens[c.Name] = token
	}
	callers, err := auth.OpenCallers(path)
	if err != nil {
		t.Fatal(err)
	}
	metrics := NewMetrics()
	work := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "work"}, []string{AccountLabel, "state"})
	work.WithLabelValues("emea", "planned").Set(7)
	work.WithLabelValues("apac", "planned").Set(8)
	metrics.Register(work)
	w := newWorld(t, func(o *Options) { o.Callers, o.Metrics = callers, metrics })
	w.hello(bearer(tokens["anna"]))
	read := func(headers map[string]string, url string) string {
		raw, err := io.ReadAll(do(t, "GET", url+"/metrics", headers, nil).Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for name, want := range map[string]string{
		"anna": `work{account="emea",state="planned"} 7`, "bert": `work{account="apac",state="planned"} 8`,
	} {
		got := read(bearer(tokens[name]), w.url)
		lines := slices.DeleteFunc(strings.Split(got, "\n"), func(line string) bool {
			return line == "" || strings.HasPrefix(line, "#")
		})
		if len(lines) != 1 || lines[0] != want {
			t.Errorf("%s reads %q", name, got)
		}
	}
	all := []string{"work{account=\"emea\"", "work{account=\"apac\"", "go_goroutines", "fullstory_export_sessions"}
	for _, want := range all {
		if !strings.Contains(read(bearer(tokens["scraper"]), w.url), want) {
			t.Errorf("the caller for metrics does not read %s", want)
		}
	}
	for _, route := range routes {
		r := do(t, route.method, w.url+route.path, bearer(tokens["scraper"]), bodyOf(route.body))
		if metrics := strings.HasPrefix(route.path, metricsRoute); (r.StatusCode == http.StatusForbidden) == metrics {
			t.Errorf("the caller for metrics: %s %s answers %d", route.method, route.path, r.StatusCode)
		}
	}
	unnamed, unnamedTokens, _ := callersWorld(t, "carl") // whose account has no name, so there is no other
	unnamed.server.metrics.Register(work)
	got := read(bearer(unnamedTokens["carl"]), unnamed.url)
	if !strings.Contains(got, "go_goroutines") || strings.Contains(got, "work{") {
		t.Errorf("a caller without an account reads %q", got)
	}
	open := newWorld(t, nil)
	if got := read(nil, open.url); !strings.Contains(got, "go_goroutines") {
		t.Errorf("without callers anybody on this machine reads %q", got)
	}
}

// TestStreamOfAMovedCaller opens a stream for a request that was let through just before
// its caller was moved to another account.
func TestStreamOfAMovedCaller(t *testing.T) {
	w, tokens, _ := callersWorld(t, "anna")
	now, err := w.server.gate.Caller(t.Context(), "Bearer "+tokens["anna"])
	if err != nil {
		t.Fatal(err)
	}
	before := now
	before.Account = "emea"
	for caller, want := range map[auth.Caller]error{now: nil, before: auth.ErrRevoked} {
		session, err := w.server.sessions.create(caller, streamable)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(auth.WithCaller(t.Context(), caller), "GET", "/mcp", nil)
		ctx, end := w.server.streamContext(r, session)
		defer end()
		if got := context.Cause(ctx); !errors.Is(got, want) {
			t.Errorf("the stream of %q has ended with %v, want %v", caller.Account, got, want)
		}
	}
}

// TestBusy has a caller run as many calls as it may, over each transport.
func TestBusy(t *testing.T) {
	w, tokens, _ := callersWorld(t, "anna")
	session := w.hello(bearer(tokens["anna"]))
	c := w.converse(bearer(tokens["anna"]))
	go try(t.Context(), "POST", w.url+"/mcp", session, strings.NewReader(toolCall(1, "wait", "{}")))
	c.post(toolCall(2, "wait", "{}"))
	await(t, "the first call", w.called)
	await(t, "the second call", w.called)
	r := do(t, "POST", w.url+"/mcp", session, strings.NewReader(toolCall(3, "whoami", "{}")))
	if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" ||
		c.post(toolCall(4, "whoami", "{}")) != http.StatusTooManyRequests {
		t.Errorf("a call too many is answered %d", r.StatusCode)
	}
	close(w.release)
	if e := c.next(); !strings.Contains(e.data, "released") {
		t.Errorf("got %v", e)
	}
	eventually(t, "that there is room again", func() bool {
		return c.post(toolCall(5, "whoami", "{}")) == http.StatusAccepted
	})
}
