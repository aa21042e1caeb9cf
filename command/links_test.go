//go:build unix

package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// wrongLinks is an API that answers every request for results with the next of its links.
type wrongLinks struct {
	api http.Handler

	mu    sync.Mutex
	links []string
	next  int
}

func (l *wrongLinks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	recorded := httptest.NewRecorder()
	l.api.ServeHTTP(recorded, r)
	body := recorded.Body.Bytes()
	if strings.HasPrefix(r.URL.Path, "/search/v1/exports/") && recorded.Code == http.StatusOK {
		var results map[string]any
		if json.Unmarshal(body, &results) == nil {
			l.mu.Lock()
			results["location"] = l.links[l.next%len(l.links)]
			l.next++
			l.mu.Unlock()
			body, _ = json.Marshal(results)
		}
	}
	for name, values := range recorded.Header() {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(recorded.Code)
	w.Write(body)
}

// TestLinksOfALyingAPI has the program follow links to private networks, with a proxy that
// would reach them. It logs why it follows none, and asks the proxy for nothing.
func TestLinksOfALyingAPI(t *testing.T) {
	t.Parallel()
	// The last one pauses the export, because the operator must act.
	lies := []struct{ link, reason string }{
		{"https://10.0.0.1/x?sig=s3cr3t", "10.0.0.1, an address that is not public"},
		{"https://169.254.169.254/x?sig=s3cr3t", "169.254.169.254, an address that is not public"},
		{"https://[fec0::1]/x?sig=s3cr3t", "fec0::1, an address that is not public"},
		{"https://[::ffff:0:7f00:1]/x?sig=s3cr3t", "an address that is not public but for IPv4 in IPv6"},
		{"https://0x7f.1/x?sig=s3cr3t", "not written as an address"},
		{"https://2130706433/x?sig=s3cr3t", "not written as an address"},
		{"https://142.250.1.207:22/x?sig=s3cr3t", "its port belongs to another service"},
		{"http://142.250.1.207/x?sig=s3cr3t", "it is not https"},
		{"file:///etc/passwd", "it is not https"},
		{"https://142.250.1.207/x?sig=s3cr3t", "not one of the storage hosts"},
	}
	api, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l := &wrongLinks{api: api}
	missing := map[string]bool{}
	for _, each := range lies {
		l.links = append(l.links, each.link)
		missing[each.reason] = true
	}
	front := httptest.NewServer(l)
	t.Cleanup(func() { front.Close(); api.Close() })
	var asked bytes.Buffer
	var mu sync.Mutex
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked.WriteString(r.Method + " " + r.Host + "\n")
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)
	ctx, stop := context.WithTimeout(t.Context(), testLimit)
	defer stop()
	c := exec.CommandContext(ctx, build(t), "run", "--segment", "everyone", "--from", "2026-10-01", "--to", "2026-10-02",
		"--chunk", "hour", "--name", "liar", "--type", "TYPE_EVENT", "--log-level", "debug", "--dir", t.TempDir(),
		"--storage-host", "storage.example.com,10.0.0.1,169.254.169.254,fec0::1,::ffff:0:7f00:1")
	c.Env = append(os.Environ(), "FULLSTORY_API_URL="+front.URL, "FULLSTORY_API_KEY="+sandbox.KeyArchitect,
		"HTTPS_PROXY="+proxy.URL, "https_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	log, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	var all strings.Builder
	lines := bufio.NewScanner(io.TeeReader(log, &all))
	for len(missing) > 0 && lines.Scan() {
		for reason := range missing {
			if strings.Contains(lines.Text(), reason) {
				delete(missing, reason)
			}
		}
	}
	if len(missing) > 0 || strings.Contains(all.String(), "s3cr3t") {
		t.Errorf("the log lacks %v, or has a signature:\n%s", missing, all.String())
	}
	mu.Lock()
	defer mu.Unlock()
	if asked.Len() > 0 {
		t.Errorf("the proxy was asked for %s", asked.String())
	}
}

// TestStorageHostIsChecked starts the program with what is not the name of a host, by flag
// and by variable.
func TestStorageHostIsChecked(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"https://storage.example.com", "storage.example.com/x", "storage.example.com,0x7f.1"} {
		for way, args := range map[string][]string{"flag": {"--storage-host", wrong}, "variable": nil} {
			env := map[string]string{"HOME": t.TempDir()}
			if way == "variable" {
				env["FULLSTORY_EXPORT_STORAGE_HOST"] = wrong
			}
			var said bytes.Buffer
			err := Run(t.Context(), append([]string{"doctor"}, args...), func(name string) string { return env[name] },
				strings.NewReader(""), io.Discard, &said)
			if Status(err) != statusUsage || !strings.Contains(said.String(), "--storage-host: ") ||
				!strings.Contains(said.String(), "is not a host name") {
				t.Errorf("%s %s: status %d, %s", way, wrong, Status(err), said.String())
			}
		}
	}
}
