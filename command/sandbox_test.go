//go:build unix

package command

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// TestSandboxOverTLS starts `sandbox --tls`, as clients of others need it, and exports
// from it: with a client that trusts the printed authority and with the program.
func TestSandboxOverTLS(t *testing.T) {
	t.Parallel()
	program, state := build(t), t.TempDir()
	w := newWorld(t, program, "--tls", "--state", state, "--op-time", "10ms")
	if !strings.HasPrefix(w.url, "https://127.0.0.1:") {
		t.Fatalf("the address is %s", w.url)
	}
	authority := filepath.Join(state, "tls-ca.pem")
	other := trustingOf(t, authority)
	for _, path := range []string{"/me", "/v2/users", "/v2/sessions", "/sessions/v2"} {
		r, err := http.NewRequest(http.MethodGet, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "basic "+sandbox.KeyArchitect)
		answer, err := other.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
			t.Fatalf("%s: %v, %v", path, answer, err)
		}
		answer.Body.Close()
	}
	if _, err := http.Get(w.url + "/me"); err == nil {
		t.Error("a client that does not know the authority accepts the certificate")
	}
	for kind, format := range map[string]string{"TYPE_EVENT": "FORMAT_JSON", "TYPE_INDIVIDUAL": "FORMAT_CSV"} {
		c := exec.Command(program, "run", "--segment", "everyone", "--from", "2026-10-18T10:00:00Z",
			"--to", "2026-10-18T12:00:00Z", "--type", kind, "--format", format, "--dir", t.TempDir(), "--json")
		c.Env = append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect, "FULLSTORY_API_URL="+w.url,
			"SSL_CERT_FILE="+authority)
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), `"complete"`) {
			t.Errorf("%s as %s: %v\n%s", kind, format, err, out)
		}
	}
}

// trustingOf returns a client that trusts the authority in a file.
func trustingOf(t *testing.T, authority string) *http.Client {
	t.Helper()
	signer, err := os.ReadFile(authority)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(signer)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted}, ForceAttemptHTTP2: true,
	}}
}

// TestLinksOfASandboxBehindAProxy asks the sandbox for a link as a proxy with TLS does.
func TestLinksOfASandboxBehindAProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, build(t), "--op-time", "1ms")
	ask := func(method, path, body string) (answer map[string]any) {
		r, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "BASIC "+sandbox.KeyArchitect)
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Forwarded-Host", "api.example.com")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		raw, _ := io.ReadAll(response.Body)
		if err := json.Unmarshal(raw, &answer); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, raw)
		}
		return answer
	}
	made := ask(http.MethodPost, "/segments/v1/exports", `{"segmentId":"everyone","type":"TYPE_EVENT",`+
		`"format":"FORMAT_JSON","timeRange":{"start":"2026-10-18T10:00:00Z","end":"2026-10-18T11:00:00Z"}}`)
	var results map[string]any
	eventually(t, "the export is complete", func() bool {
		results, _ = ask(http.MethodGet, fmt.Sprint("/operations/v1/", made["operationId"]), "")["results"].(map[string]any)
		return results != nil
	})
	link := ask(http.MethodGet, fmt.Sprintf("/search/v1/exports/%s/results", results["searchExportId"]), "")["location"]
	path, ok := strings.CutPrefix(fmt.Sprint(link), "https://api.example.com/")
	if !ok {
		t.Fatalf("the link is %s", link)
	}
	file, err := http.Get(w.url + "/" + path)
	if err != nil || file.StatusCode != http.StatusOK {
		t.Errorf("the file: %v, %v", file, err)
	}
}

// variants are exports of two hours whose files differ in form: of all columns, of
// some, and of individuals with fields of events, as Fullstory's SDK requests them.
var variants = []struct {
	kind    string
	fields  []string
	columns []string // that a file must have
}{
	{"TYPE_EVENT", nil, []string{"EventStart"}},
	{"TYPE_EVENT", []string{"EventStart", "evt_*", "user_*"}, []string{"EventStart"}},
	{"TYPE_INDIVIDUAL", []string{"EventStart", "Uid", "PageUrl", "NumEvents", "UserId"}, []string{"Uid", "NumEvents"}},
	{"TYPE_INDIVIDUAL", []string{"UserId", "EventStart"}, []string{"IndvId", "Uid", "LastPage"}},
}

// TestVariantsOfFiles exports the variants in every format from sandboxes that reverse
// assumptions about files. Every file must pass verification and have the same rows.
func TestVariantsOfFiles(t *testing.T) {
	long(t)
	t.Parallel()
	program := build(t)
	rows := map[string][]int64{}
	for _, quirks := range []string{"", "json_line_ends,csv_vars", "json_lines,optional_range"} {
		w := newWorld(t, program, "--op-time", "1ms", "--quirks", quirks)
		env, args := remoteKey(t, w.url, sandbox.KeyArchitect)
		c := converse(t, env, args...)
		for _, format := range []string{"FORMAT_NDJSON", "FORMAT_JSON", "FORMAT_CSV"} {
			for kind, counts := range c.storeVariants(quirks, format) {
				rows[kind] = append(rows[kind], counts...)
			}
		}
	}
	for kind, counts := range rows {
		if len(counts) != 18 || counts[0] == 0 || slices.Min(counts) != slices.Max(counts) {
			t.Errorf("the files of %s have %v rows", kind, counts)
		}
	}
}

// storeVariants stores a file of each variant, and returns their rows by type.
func (c *conversation) storeVariants(quirks, format string) (rows map[string][]int64) {
	c.t.Helper()
	rows = map[string][]int64{}
	for _, v := range variants {
		args := map[string]any{
			"segment_id": "everyone", "type": v.kind, "format": format,
			"time_range": window{"2026-10-18T10:00:00Z", "2026-10-18T12:00:00Z"},
		}
		if v.fields != nil {
			args["fields"] = v.fields
		}
		d := c.store(args)
		for _, column := range v.columns {
			if !slices.Contains(d.Columns, column) {
				c.t.Errorf("%q, %s, %s %v: the file has the columns %v", quirks, format, v.kind, v.fields, d.Columns)
			}
		}
		rows[v.kind] = append(rows[v.kind], d.Rows)
	}
	return rows
}
