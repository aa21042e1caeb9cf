//go:build unix

package command

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// sandboxProcess is a sandbox with what it printed at its start.
type sandboxProcess struct {
	t      *testing.T
	port   string
	stdout string
	stderr buffer
}

// startSandboxOn runs `sandbox --addr addr`.
func startSandboxOn(t *testing.T, addr string, args ...string) *sandboxProcess {
	t.Helper()
	s := &sandboxProcess{t: t}
	c := exec.Command(build(t), append([]string{"sandbox", "--addr", addr}, args...)...)
	c.Stderr = &s.stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	lines := bufio.NewReader(out)
	for !strings.Contains(s.stdout, "Ctrl-C") {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %s\n%s", err, s.stdout, s.stderr.String())
		}
		s.stdout += line
	}
	url, _, _ := strings.Cut(strings.TrimPrefix(s.stdout, "Simulated Fullstory at "), "\n")
	if _, s.port, err = net.SplitHostPort(url[strings.Index(url, "//")+2:]); err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends a request with a Host and other headers, "" for none, and returns the status.
func (s *sandboxProcess) ask(method, path, key, host string, headers ...string) (status int, body string) {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://127.0.0.1:"+s.port+path, strings.NewReader(`{"rates":{"500":1}}`))
	if err != nil {
		s.t.Fatal(err)
	}
	if r.Host = host; host == "" {
		r.Host = r.URL.Host
	}
	if key != "" {
		r.Header.Set("Authorization", "Basic "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], strings.ReplaceAll(headers[i+1], "PORT", s.port))
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer.StatusCode, string(raw)
}

// TestSandboxAndWebPages sends what pages of other sites can send to a sandbox on this
// machine, under a foreign name (DNS rebinding) or with an Origin.
func TestSandboxAndWebPages(t *testing.T) {
	t.Parallel()
	s := startSandboxOn(t, "127.0.0.1:0", "--allow-host", "Proxy.example.com")
	for _, test := range []struct {
		host    string
		headers []string
		status  int
	}{
		{"", nil, 200},
		{"localhost:80", nil, 200},
		{"LOCALHOST", nil, 200},
		{"[::1]:80", nil, 200},
		{"127.1.2.3", nil, 200},
		{"proxy.example.com:8443", nil, 200},
		{"evil.example.com", nil, 403},
		{"evil.example.com:80", nil, 403},
		{"localhost.evil.example.com", nil, 403},
		{"127.0.0.1.evil.example.com", nil, 403},
		{"192.0.2.1", nil, 403},
		{"0.0.0.0", nil, 403},
		{"api.fullstory.com", nil, 403}, // allowed with --tls only
		{"", []string{"Origin", "http://127.0.0.1:PORT"}, 200},
		{"", []string{"Origin", "https://evil.example.com"}, 403},
		{"", []string{"Origin", "http://127.0.0.1:1"}, 403}, // another program's page
		{"", []string{"Origin", "null"}, 403},
		{"", []string{"Origin", "http://127.0.0.1:PORT", "Origin", "null"}, 403},
		{"", []string{"Origin", "file://127.0.0.1:PORT"}, 403},
		{"", []string{"Sec-Fetch-Site", "cross-site"}, 403}, // an image
		{"", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"", []string{"Sec-Fetch-Site", "none"}, 200},
		{"", []string{"X-Forwarded-Host", "evil.example.com"}, 200}, // a page cannot send it without an Origin
	} {
		for _, path := range []string{"/me", "/sandbox/stats", "/sandbox/requests"} {
			status, body := s.ask(http.MethodGet, path, sandbox.KeyArchitect, test.host, test.headers...)
			if status != test.status || status == 403 && !strings.Contains(body, `"forbidden_`) {
				t.Errorf("%s with the host %q and %q: %d %s, want %d", path, test.host, test.headers, status, body, test.status)
			}
		}
	}
	s.ask(http.MethodPost, "/sandbox/faults", "", "", "Origin", "https://evil.example.com", "Content-Type", "text/plain")
	if status, body := s.ask(http.MethodGet, "/me", sandbox.KeyArchitect, ""); status != 200 {
		t.Errorf("a web page has set faults: %d %s", status, body)
	}
	if s.stderr.String() != "" {
		t.Errorf("on this machine it warns: %s", s.stderr.String())
	}
}

// TestSandboxWithTLSNames reaches a sandbox with --tls under the names that its
// certificate has.
func TestSandboxWithTLSNames(t *testing.T) {
	t.Parallel()
	for host, allowed := range map[string]bool{"api.fullstory.com": true, "box.test": true, "evil.example.com": false} {
		s := sandbox.Config{State: t.TempDir()}
		r, err := listenSandbox(s, "127.0.0.1:0", nil, sandboxTLS{TLS: true, TLSHosts: []string{"box.test"}})
		if err != nil {
			t.Fatal(err)
		}
		asked, err := http.NewRequest(http.MethodGet, r.url+"/sandbox/stats", nil)
		if err != nil {
			t.Fatal(err)
		}
		asked.Host = host
		answer, err := trustingOf(t, r.authority).Do(asked)
		if err != nil || (answer.StatusCode == http.StatusOK) != allowed {
			t.Errorf("%s: %v, %v", host, answer, err)
		}
		r.close()
	}
}

// rejects sends each key to every kind of route.
func (s *sandboxProcess) rejects(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		for _, route := range []string{
			"GET /me", "GET /segments/v1", "GET /sandbox/stats", "GET /sandbox/requests", "GET /sandbox/faults",
			"POST /sandbox/faults", "GET /sandbox/x",
		} {
			method, path, _ := strings.Cut(route, " ")
			if status, _ := s.ask(method, path, key, ""); status != 401 {
				s.t.Errorf("%s with the key %q: %d", route, key, status)
			}
		}
	}
}

// TestSandboxForOtherMachines starts sandboxes that other machines can reach: each warns
// and has keys of its own, which its routes need, those that control it included.
func TestSandboxForOtherMachines(t *testing.T) {
	t.Parallel()
	key := regexp.MustCompile(`na1\.[^ /]+/(STND|ARCH|ADMN)`)
	seen := []string{sandbox.KeyStandard, sandbox.KeyArchitect, sandbox.KeyAdmin}
	for _, addr := range []string{"0.0.0.0:0", ":0"} {
		s := startSandboxOn(t, addr)
		eventually(t, "it warns", func() bool {
			return strings.Contains(s.stderr.String(), "other machines can reach this sandbox")
		})
		keys := slices.Compact(slices.Sorted(slices.Values(key.FindAllString(s.stdout, -1))))
		if len(keys) != 3 {
			t.Fatalf("%s: the keys are %q", addr, keys)
		}
		for _, k := range keys {
			if slices.Contains(seen, k) || strings.Contains(s.stderr.String(), k) {
				t.Errorf("%s: the key %s is not a new one, or is in the log", addr, k)
			}
			role := map[string]string{"STND": "USER", "ARCH": "ARCHITECT", "ADMN": "ADMIN"}[k[len(k)-4:]]
			status, body := s.ask(http.MethodGet, "/me", k, "")
			if status != 200 || !strings.Contains(body, fmt.Sprintf(`"role":%q`, role)) {
				t.Errorf("%s: %s: %d %s", addr, k, status, body)
			}
		}
		seen = append(seen, keys...)
		s.rejects("", sandbox.KeyArchitect, sandbox.KeyAdmin, keys[0]+"x")
		if status, _ := s.ask(http.MethodGet, "/sandbox/stats", keys[0], "box.example.com"); status != 200 {
			t.Errorf("%s: statistics with a key: %d", addr, status)
		}
		status, _ := s.ask(http.MethodGet, "/sandbox/stats", keys[0], "", "Origin", "http://evil.example.com")
		if status != 403 {
			t.Errorf("%s: a page with a key: %d", addr, status)
		}
	}
}
