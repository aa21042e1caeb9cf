//go:build unix

package command

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestNewestRelease asks for the newest release only with --check, and compares it.
func TestNewestRelease(t *testing.T) {
	asked, answer, status := 0, `{"tag_name":"v0.9.1","html_url":"https://example.com/v0.9.1"}`, http.StatusOK
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if agent := r.Header.Get("User-Agent"); !strings.HasPrefix(agent, "fullstory-export-mcp/") {
			t.Errorf("asked as %q", agent)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	defer site.Close()
	run := func(want int, words ...string) ran {
		t.Helper()
		env := map[string]string{"FULLSTORY_EXPORT_RELEASES": site.URL}
		r := lineIn(t.Context(), env, append([]string{"version"}, words...))
		if r.status != want {
			t.Errorf("%q ended with %d: %s", words, r.status, r.all)
		}
		return r
	}
	if out := run(0); out.stdout != versionLine()+"\n" || asked != 0 {
		t.Errorf("%d requests, %q", asked, out.stdout)
	}
	if out := run(0, "--check"); !strings.Contains(out.stdout, "newest release is v0.9.1: https://example.com/v0.9.1") {
		t.Errorf("--check: %s", out.stdout)
	}
	var v versions
	err := json.Unmarshal([]byte(run(0, "--check", "--json").stdout), &v)
	if err != nil || v.Newest != "v0.9.1" || v.Newer != nil {
		t.Errorf("--json: %+v, %v", v, err)
	}
	for _, bad := range []string{"", "{}", "<html>", `{"tag_name":"\u202e\u001b[2J"}`, `{"tag_name":7}`} {
		answer = bad
		if out := run(1, "--check"); !strings.Contains(out.all, "did not answer with a release") {
			t.Errorf("%q: %s", bad, out.all)
		}
	}
	status = http.StatusForbidden
	if out := run(1, "--check"); !strings.Contains(out.all, "answered 403 Forbidden") {
		t.Errorf("403: %s", out.all)
	}
	site.Close()
	if out := run(1, "--check"); !strings.Contains(out.all, "cannot be asked for") {
		t.Errorf("no site: %s", out.all)
	}
}

// TestCompareReleases compares releases by their numbers, and commits with nothing.
func TestCompareReleases(t *testing.T) {
	for _, c := range []struct{ own, newest, says string }{
		{"v0.9.0", "v0.10.0", "v0.10.0 is available"}, {"v0.10.0", "v0.9.9", "This is the newest"},
		{"v1.0.0-rc.1", "v1.0.0", "v1.0.0 is available"}, {"v1.0.0", "v1.0.0", "This is the newest"},
		{"devel", "v1.0.0", "not compared"}, {"v0.9.1-0.20261201141440-62ec7e24b4a6+dirty", "v1.0.0", "not compared"},
	} {
		v := versions{Version: c.own}
		if v.compare(release{Tag: c.newest}); !strings.Contains(v.inWords(), c.says) {
			t.Errorf("%s with %s: %s", c.own, c.newest, v.inWords())
		}
	}
}

// TestReleaseOwner checks that --check asks the account that publishes.
func TestReleaseOwner(t *testing.T) {
	raw, err := os.ReadFile("../packaging/release.env")
	if err != nil {
		t.Fatal(err)
	}
	owner := regexp.MustCompile(`(?m)^OWNER=(.+)$`).FindSubmatch(raw)
	if owner == nil || !strings.Contains(releases, "/repos/"+string(owner[1])+"/fullstory-export-mcp/") {
		t.Errorf("%s is asked, and the owner is %s", releases, owner)
	}
}
