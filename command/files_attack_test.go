//go:build unix

package command

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fullstory-export-mcp/auth"
)

// TestFileTickets tries to fetch files with tickets that are changed, expired, or of another
// caller, and as callers that may not.
func TestFileTickets(t *testing.T) {
	t.Parallel()
	w := newFilesWorld(t)
	w.tampered()
	w.expect("the token of a colleague", http.StatusForbidden, w.one.FileURL,
		"Authorization", "Bearer "+w.callers.tokens["carl"])
	w.expect("the token of another account", http.StatusForbidden, w.one.FileURL,
		"Authorization", "Bearer "+w.callers.tokens["bert"])
	w.expect("a token that is not valid", http.StatusUnauthorized, w.one.FileURL, "Authorization", "Bearer x")
	w.expect("a query", http.StatusForbidden, w.server.url+"/files/x/manifest.json?path="+url.QueryEscape(w.one.Path))
	w.expect("a ticket of another server", http.StatusForbidden, w.crafted("other key", auth.Caller{}))

	// A ticket of the server that is older than 15 minutes, and one of the other account.
	key, err := os.ReadFile(filepath.Join(w.dir, ".state", "session.key"))
	if err != nil {
		t.Fatal(err)
	}
	anna := auth.Caller{Name: "anna", Account: "emea", Token: hexSum([]byte(w.callers.tokens["anna"]))}
	w.expect("a ticket as the server makes it", http.StatusOK, w.crafted(string(key), anna))
	for below, status := range map[string]int{
		"/0/0000000000000000": http.StatusGone, "/0": http.StatusGone, "/9/0000000000000000": http.StatusNotFound,
		"/../../.state/ledger.db": http.StatusNotFound, "/": http.StatusNotFound, "x": http.StatusNotFound,
	} {
		w.expect("the subject "+below, status, w.crafted(string(key), anna, below))
	}
	anna.Expires = time.Now().Add(-time.Second)
	expired := w.expect("an expired ticket", http.StatusGone, w.crafted(string(key), anna))
	if !strings.Contains(string(expired.body), "expired") {
		t.Errorf("the answer to an expired ticket is %s", expired.body)
	}
	bert := auth.Caller{Name: "bert", Account: "apac", Token: hexSum([]byte(w.callers.tokens["bert"]))}
	w.expect("anna's file, for bert", http.StatusNotFound, w.crafted(string(key), bert))
	rita := auth.Caller{Name: "rita", Account: "emea", Token: hexSum([]byte(w.callers.tokens["rita"]))}
	w.expect("a ticket of a reader", http.StatusForbidden, w.crafted(string(key), rita))

	replica := serveProgram(t, w.program, w.dir, "--callers", w.callers.file)
	w.expect("another replica", http.StatusOK, strings.Replace(w.one.FileURL, w.server.url, replica.url, 1))
	w.readers()
	w.revoked()
}

// crafted returns the address of anna's bulk export with a ticket that is signed with a key,
// for that bulk export or, below it, another subject.
func (w *filesWorld) crafted(key string, c auth.Caller, below ...string) string {
	w.t.Helper()
	parts := strings.Split(w.all.FileURL, "/")
	subject := w.all.BulkID + strings.Join(below, "")
	parts[4], _ = auth.NewTickets([]byte(key), auth.Gate{}).Issue(c, subject, "first-days.tar")
	return strings.Join(parts, "/")
}

// altered returns text with another character at i.
func altered(text string, i int) string {
	if text[i] == '0' {
		return text[:i] + "1" + text[i+1:]
	}
	return text[:i] + "0" + text[i+1:]
}

// tampered changes every part of an address.
func (w *filesWorld) tampered() {
	parts := strings.Split(w.one.FileURL, "/") // http: "" host files ticket name
	base, ticket, name := strings.Join(parts[:4], "/"), parts[4], parts[5]
	other := strings.Split(w.all.FileURL, "/")[4]
	claim, mac, _ := strings.Cut(ticket, ".")
	otherClaim, otherMAC, _ := strings.Cut(other, ".")
	for what, status := range map[string]int{
		base + "/" + ticket + "/manifest.json":                          http.StatusForbidden,
		base + "/" + other + "/" + name:                                 http.StatusForbidden,
		base + "/" + claim + "." + otherMAC + "/" + name:                http.StatusForbidden,
		base + "/" + otherClaim + "." + mac + "/" + name:                http.StatusForbidden,
		base + "/" + claim + "/" + name:                                 http.StatusForbidden,
		base + "/" + claim + "./" + name:                                http.StatusForbidden,
		base + "/" + ticket + "/..%2f..%2f.state%2fledger.db":           http.StatusForbidden,
		base + "/" + ticket + "/%2e%2e%2f" + name:                       http.StatusForbidden,
		base + "/" + ticket + "/" + name + "%00":                        http.StatusForbidden,
		base + "/" + ticket + "/":                                       http.StatusNotFound,
		base + "/" + ticket:                                             http.StatusNotFound,
		base + "/":                                                      http.StatusNotFound,
		base:                                                            http.StatusSeeOther, // a page, signed in
		base + "/" + ticket + "/sub/" + name:                            http.StatusNotFound,
		w.server.url + "/" + filepath.Base(w.dir):                       http.StatusNotFound,
		base + "/" + altered(ticket, 5) + "/" + name:                    http.StatusForbidden,
		base + "/" + strings.ToUpper(ticket) + "/" + name:               http.StatusForbidden,
		base + "/" + altered(ticket, len(ticket)-2) + "/" + name:        http.StatusForbidden,
		base + "/" + strings.Repeat("A", 8000) + "." + mac + "/" + name: http.StatusForbidden,
	} {
		w.expect(what, status, what)
	}
}

// readers asks for files as callers that only read, with and without the right to links.
func (w *filesWorld) readers() {
	rita := w.bulk(w.open("rita"))
	if rita.FileURL != "" || len(rita.Content) != 1 || !strings.Contains(rita.Summary, "--links") ||
		!strings.Contains(rita.Summary, "No file_url is returned") {
		w.t.Errorf("rita, who only reads, is answered %+v", rita)
	}
	lena := w.bulk(w.open("lena"))
	w.expect("lena, who may have links", http.StatusOK, lena.FileURL)
	if got := audited(w.t, w.program, "served", w.dir, "emea"); !strings.HasPrefix(got[len(got)-1], "lena ") {
		w.t.Errorf("the audit log has %q", got)
	}
}

// revoked gives carl another token, moves lena to another account, and takes her right.
func (w *filesWorld) revoked() {
	carl, lena := w.bulk(w.open("carl")), w.bulk(w.open("lena"))
	w.expect("before", http.StatusOK, carl.FileURL)
	w.callers.add("carl", "--account", "emea")
	w.callers.add("lena", "--account", "apac", "--read-only", "--links")
	for what, link := range map[string]string{"a new token": carl.FileURL, "another account": lena.FileURL} {
		eventually(w.t, "the link ends with "+what, func() bool {
			return get(w.t, w.plain, http.MethodGet, link).status == http.StatusForbidden
		})
	}
	w.expect("anna's link after that", http.StatusOK, w.one.FileURL)
}

// TestFilesOnDisk changes stored files after their links were made: what was not verified is
// not served, and nothing from outside of the folder.
func TestFilesOnDisk(t *testing.T) {
	t.Parallel()
	w := newFilesWorld(t)
	secret := filepath.Join(w.dir, "secret")
	raw, err := os.ReadFile(w.one.Path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1]++
	if err := os.WriteFile(secret, raw, 0o600); err != nil { // of the same size
		t.Fatal(err)
	}
	if err := os.Remove(w.one.Path); err != nil {
		t.Fatal(err)
	}
	gone := w.expect("a file that is missing", http.StatusNotFound, w.one.FileURL)
	if !strings.Contains(string(gone.body), filepath.Base(w.one.Path)) {
		t.Errorf("the answer is %s", gone.body)
	}
	if err := os.Symlink(secret, w.one.Path); err != nil {
		t.Fatal(err)
	}
	w.expect("a link in its place", http.StatusNotFound, w.one.FileURL)
	if err := os.Rename(secret, w.one.Path); err != nil {
		t.Fatal(err)
	}
	if g := get(t, w.plain, http.MethodGet, w.one.FileURL); g.err == nil {
		t.Errorf("another file of the same size arrives whole, with %d bytes", len(g.body))
	}
	folder := filepath.Join(w.dir, "emea", "first-days")
	if err := os.Rename(folder, w.dir+"/elsewhere"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(w.dir+"/elsewhere", folder); err != nil {
		t.Fatal(err)
	}
	w.expect("a folder that leads out", http.StatusConflict, w.all.FileURL)
}

// TestManyDownloads fetches at the same time, as one caller and as two.
func TestManyDownloads(t *testing.T) {
	long(t)
	t.Parallel()
	w := newFilesWorld(t)
	carl := w.bulk(w.open("carl"))
	want := get(t, w.plain, http.MethodGet, w.all.FileURL)
	var fetching sync.WaitGroup
	for i := range 40 {
		link := []string{w.all.FileURL, carl.FileURL, w.one.FileURL}[i%3]
		fetching.Go(func() {
			answer, err := w.plain.Get(link)
			if err != nil {
				t.Error(err)
				return
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			sum := hexSum(body)
			if err != nil || link == w.one.FileURL && sum != w.one.SHA256 || link != w.one.FileURL && sum != hexSum(want.body) {
				t.Errorf("%d bytes arrived, %v", len(body), err)
			}
		})
	}
	fetching.Wait()
	metrics := get(t, w.callers.client("anna"), http.MethodGet, w.server.url+"/metrics")
	if strings.Contains(string(metrics.body), strings.Split(w.one.FileURL, "/")[4]) {
		t.Error("a metric has a ticket")
	}
}

// TestPublicURL asks for links of servers that are reached in different ways.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	program, dir := build(t), t.TempDir()
	for _, test := range []struct {
		args []string
		host string // that the client sends
		want string // how the link begins; "" is the address of the server
	}{
		{[]string{"--public-url", "https://mcp.example.com/exports/"}, "", "https://mcp.example.com/exports/files/"},
		{[]string{"--public-url", "https://mcp.example.com/mcp"}, "mcp.example.com", "https://mcp.example.com/files/"},
		{[]string{"--allow-host", "mcp.example.com"}, "mcp.example.com:8443", "http://mcp.example.com:8443/files/"},
		{nil, "localhost:1234", "http://localhost:1234/files/"},
		{nil, "", ""},
	} {
		s := serveProgram(t, program, dir, test.args...)
		client := newHTTPClient(t)
		client.Transport = namedHost{test.host, client.Transport}
		h, err := s.open(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		var made created
		if err := callTool(t.Context(), h, "create_segment_export", octoberFirst, &made); err != nil {
			t.Fatal(err)
		}
		f := fileOf(t, t.Context(), h, "download_export", map[string]any{"operation_id": made.OperationID})
		want := test.want
		if want == "" {
			want = s.url + "/files/"
		}
		if !strings.HasPrefix(f.FileURL, want) {
			t.Errorf("%v, host %s: the link is %s", test.args, test.host, f.FileURL)
		}
		local := s.url + "/files/" + strings.SplitN(f.FileURL, "/files/", 2)[1]
		if g := get(t, client, http.MethodGet, local); g.status != http.StatusOK || hexSum(g.body) != f.SHA256 {
			t.Errorf("%v: the file is answered %d", test.args, g.status)
		}
		s.terminate(testLimit)
	}
	for _, address := range []string{
		"ftp://x", "mcp.example.com", "https://", "https://x/?a=b", "https://user@x/", "https://x/#a", "/files",
	} {
		says := endsWith(t, 2, nil, "serve", "--public-url", address, "--dir", dir, "--sandbox")
		if !strings.Contains(says, "--public-url") {
			t.Errorf("--public-url %s: the program says %s", address, says)
		}
	}
}

// namedHost sends requests with another Host, if that is not empty.
type namedHost struct {
	host string
	next http.RoundTripper
}

func (h namedHost) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = h.host
	return h.next.RoundTrip(r)
}
