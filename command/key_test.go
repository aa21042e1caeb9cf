package command

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// organisations is an API of two organisations: the keys na1.first/A and
// na1.second/A belong to the sandbox, na1.other/B to another organisation.
type organisations struct {
	api http.Handler
	mu  sync.Mutex
	got map[string]int // requests by key and path
}

func (o *organisations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
	o.mu.Lock()
	o.got[key]++
	o.got[key+" "+r.URL.Path]++
	o.mu.Unlock()
	if key == "na1.other/B" {
		io.WriteString(w, `{"orgId":"OTHER","role":"ARCHITECT"}`)
		return
	}
	r.Header.Set("Authorization", "Basic "+sandbox.KeyArchitect)
	o.api.ServeHTTP(w, r)
}

func (o *organisations) count(key string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.got[key]
}

// replaceFile replaces a file by a rename, as secret stores do.
func replaceFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestKeyFileIsReadAgain replaces the key of a running server: by another key of
// the organisation, by nothing, and by a key of another organisation, where nothing
// may be created.
func TestKeyFileIsReadAgain(t *testing.T) {
	t.Parallel()
	api := &organisations{api: fullstory(t, sandbox.Config{}).Config.Handler, got: map[string]int{}}
	served := httptest.NewServer(api)
	t.Cleanup(served.Close)
	path := filepath.Join(t.TempDir(), "api_key")
	replaceFile(t, path, "na1.first/A\n")
	env := map[string]string{"FULLSTORY_API_URL": served.URL, "FULLSTORY_API_KEY_FILE": path}
	c := converse(t, env, "--dir", filepath.Join(t.TempDir(), "exports"))
	create := func() (text string, failed bool) {
		return c.try("create_segment_export", map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-10-01", "2026-10-02"}, "force_new": true,
		})
	}
	if text, failed := create(); failed {
		t.Fatal(text)
	}
	replaceFile(t, path, "na1.second/A\n")
	eventually(t, "the second key is used", func() bool {
		c.try("list_segments", nil)
		return api.count("na1.second/A /segments/v1") > 0
	})
	if text, failed := create(); failed || api.count("na1.second/A /segments/v1/exports") != 1 {
		t.Errorf("with a second key: %s", text)
	}
	replaceFile(t, path, "\n")
	eventually(t, "the empty file is logged", func() bool {
		c.try("list_segments", nil)
		return strings.Contains(c.stderr.String(), "the previous key stays in use")
	})
	if text, failed := create(); failed {
		t.Errorf("with an empty file: %s", text)
	}
	if n := strings.Count(c.stderr.String(), "the previous key stays in use"); n != 1 {
		t.Errorf("%d warnings about one empty file", n)
	}
	replaceFile(t, path, "na1.other/B\n")
	eventually(t, "the key of another organisation is rejected", func() bool {
		text, failed := create()
		return failed && strings.Contains(text, "now belongs to the organisation OTHER") &&
			strings.Contains(text, "FULLSTORY_API_KEY_FILE="+path)
	})
	for _, tool := range []string{"list_segments", "list_export_operations", "list_bulk_exports"} {
		c.rejected(tool, nil, "Nothing was sent to Fullstory", "OTHER")
	}
	var connection struct{ Problems []string }
	c.call("check_connection", nil, &connection)
	if len(connection.Problems) != 1 || !strings.Contains(connection.Problems[0], "OTHER") {
		t.Errorf("check_connection says %q", connection.Problems)
	}
	if all, me := api.count("na1.other/B"), api.count("na1.other/B /me"); all != me || me == 0 {
		t.Errorf("%d of %d requests with the key of another organisation go to other routes than /me", all-me, all)
	}
	replaceFile(t, path, "na1.first/A\n")
	eventually(t, "the first key works again", func() bool { _, failed := create(); return !failed })
	if strings.Contains(c.stderr.String(), "na1.") {
		t.Errorf("a key is in the log: %s", c.stderr.String())
	}
}

// TestDoctorSaysWhatIsInTheWay runs doctor with each common obstacle between the
// program and the API, and checks its advice.
func TestDoctorSaysWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	program := build(t)
	const page = "<html><title>Access denied</title></html>"
	answers := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, page)
		}
	}
	proxy := httptest.NewServer(answers(http.StatusForbidden))
	defer proxy.Close()
	login := httptest.NewServer(answers(http.StatusOK))
	defer login.Close()
	api := fullstory(t, sandbox.Config{})
	private := httptest.NewUnstartedServer(api.Config.Handler)
	private.Config.ErrorLog = log.New(io.Discard, "", 0)
	private.StartTLS()
	defer private.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: private.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	file := keyFile(t, "na1.wrong/KEY")
	for _, test := range []struct {
		name   string
		env    []string
		status int
		says   []string
	}{
		{"key in a variable", []string{"FULLSTORY_API_KEY=na1.wrong/KEY", "FULLSTORY_API_URL=" + api.URL}, 1, []string{
			"key     FULLSTORY_API_KEY\n",
			"Fullstory rejected the API key (401). Replace the key in FULLSTORY_API_KEY and restart this program"}},
		{"key in a file", []string{"FULLSTORY_API_KEY_FILE=" + file, "FULLSTORY_API_URL=" + api.URL}, 1, []string{
			"key     FULLSTORY_API_KEY_FILE=" + file + "\n",
			"Replace the key in the file of FULLSTORY_API_KEY_FILE=" + file}},
		{"invalid key", []string{"FULLSTORY_API_KEY=two words", "FULLSTORY_API_URL=" + api.URL}, 1, []string{
			"FULLSTORY_API_KEY: the API key contains white space"}},
		{"no key", nil, 1, []string{"No Fullstory API key is set. Run `fullstory-export-mcp login`"}},
		{"proxy", []string{"FULLSTORY_API_KEY=na1.x/Y", "HTTPS_PROXY=" + proxy.URL}, 1, []string{
			fmt.Sprintf("the proxy %s answered CONNECT with 403 Forbidden", proxy.Listener.Addr()), "Have that proxy allow",
			"the API key is not the cause"}},
		{"login page", []string{"FULLSTORY_API_KEY=na1.x/Y", "FULLSTORY_API_URL=" + login.URL}, 1, []string{
			"answered 200 with an HTML page, so it is probably a proxy or a wrong address. Check the proxy of this network " +
				"and FULLSTORY_API_URL"}},
		{"unknown CA", []string{"FULLSTORY_API_KEY=" + sandbox.KeyArchitect, "FULLSTORY_API_URL=" + private.URL}, 1, []string{
			"certificate of its address is not trusted", "unknown authority", "SSL_CERT_FILE"}},
		{
			"known CA",
			[]string{"FULLSTORY_API_KEY=" + sandbox.KeyArchitect, "FULLSTORY_API_URL=" + private.URL, "SSL_CERT_FILE=" + ca}, 0,
			[]string{"exports are possible"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := exec.Command(program, "doctor", "--dir", t.TempDir())
			c.Env = append(append(os.Environ(), "FULLSTORY_API_KEY=", "HTTPS_PROXY=", "NO_PROXY=", "no_proxy=", "https_proxy=",
				"HOME="+t.TempDir(), "XDG_CONFIG_HOME="), test.env...)
			out, _ := c.CombinedOutput()
			if got := c.ProcessState.ExitCode(); got != test.status {
				t.Errorf("status %d, want %d", got, test.status)
			}
			for _, want := range test.says {
				if !strings.Contains(string(out), want) {
					t.Errorf("the output lacks %q:\n%s", want, out)
				}
			}
			if strings.Contains(string(out), "sk the user") || strings.Contains(string(out), "na1.wrong") {
				t.Errorf("the output is not for a terminal, or shows the key:\n%s", out)
			}
		})
	}
}

// keyFile returns the path of a file with a key.
func keyFile(t *testing.T, key string) (path string) {
	path = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
