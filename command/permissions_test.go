//go:build unix

package command

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// linkSign is in every signed link of the sandbox.
const linkSign = "sig="

// audited returns the callers and operations of the entries with that event in the audit
// log of an account, each as "caller operation".
func audited(t *testing.T, program, event, dir, account string) (entries []string) {
	t.Helper()
	out, err := exec.Command(program, "audit", "--dir", dir, "--account", account).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var e struct {
			Event, Caller string
			Operation     string `json:"operation_id"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event == event {
			entries = append(entries, e.Caller+" "+e.Operation)
		}
	}
	return entries
}

// TestLinks asks for signed links as callers with and without the right to them. No
// tool and no resource may show one to the others, and the audit log has each that was
// handed out.
func TestLinks(t *testing.T) {
	t.Parallel()
	program, dir := build(t), t.TempDir()
	c := newCallers(t)
	c.add("anna", "--account", "emea")
	c.add("lena", "--account", "emea", "--links", "--read-only")
	c.add("rita", "--account", "emea", "--read-only")
	s := serveProgram(t, program, dir, "--callers", c.file, "--log-level", "debug")
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	open := func(name string) *httpSession {
		h, err := s.open(ctx, c.client(name))
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	anna, lena := open("anna"), open("lena")
	var made created
	if err := callTool(ctx, anna, "create_segment_export", octoberFirst, &made); err != nil {
		t.Fatal(err)
	}
	ask := map[string]any{"operation_id": made.OperationID, "include_download_url": true, "wait_seconds": 20}
	getsNoLink(t, ctx, anna, made.OperationID)
	getsNoLink(t, ctx, open("rita"), made.OperationID)
	if got := audited(t, program, "linked", dir, "emea"); len(got) != 0 {
		t.Errorf("before any link the audit log has %q", got)
	}
	for range 2 {
		if got := answerOf(t, ctx, lena, "get_export_operation", ask); !strings.Contains(got, linkSign) {
			t.Errorf("lena is answered %s", got)
		}
	}
	answerOf(t, ctx, lena, "get_export_operation", map[string]any{"operation_id": made.OperationID})
	want := []string{"lena " + made.OperationID, "lena " + made.OperationID}
	if got := audited(t, program, "linked", dir, "emea"); !slices.Equal(got, want) {
		t.Errorf("the audit log has %q, want %q", got, want)
	}
	if strings.Contains(s.stderr.String(), linkSign) {
		t.Error("the log has a link")
	}
}

// getsNoLink tries every tool and the resource of an operation that has completed.
func getsNoLink(t *testing.T, ctx context.Context, h *httpSession, operation string) {
	t.Helper()
	ask := map[string]any{"operation_id": operation, "include_download_url": true, "wait_seconds": 20}
	got := answerOf(t, ctx, h, "get_export_operation", ask)
	if strings.HasPrefix(got, "failed") || !strings.Contains(got, "COMPLETED") ||
		!strings.Contains(got, "Ask the operator of this server") || !strings.Contains(got, "--links") {
		t.Errorf("answered %s", got)
	}
	hers := things{operation: operation, pending: operation, bulk: "none", name: "none"}
	for tool, calls := range hers.calls() {
		for _, args := range append(calls, nil) {
			if got := answerOf(t, ctx, h, tool, args); strings.Contains(got, linkSign) {
				t.Errorf("%s returns a link: %s", tool, got)
			}
		}
	}
	var read json.RawMessage
	uri := "fullstory-export://operations/" + url.PathEscape(operation)
	err := h.call(ctx, "resources/read", map[string]any{"uri": uri}, &read)
	if err != nil || strings.Contains(string(read), linkSign) {
		t.Errorf("%s has %s, %v", uri, read, err)
	}
}

// TestLinksWithoutCallers asks for links over stdio, and over HTTP on this machine.
func TestLinksWithoutCallers(t *testing.T) {
	t.Parallel()
	program, dir := build(t), t.TempDir()
	s := serveProgram(t, program, dir)
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	h, err := s.open(ctx, newHTTPClient(t))
	if err != nil {
		t.Fatal(err)
	}
	var made created
	if err := callTool(ctx, h, "create_segment_export", octoberFirst, &made); err != nil {
		t.Fatal(err)
	}
	ask := map[string]any{"operation_id": made.OperationID, "include_download_url": true, "wait_seconds": 20}
	if got := answerOf(t, ctx, h, "get_export_operation", ask); !strings.Contains(got, linkSign) {
		t.Errorf("over HTTP: %s", got)
	}
	if got := audited(t, program, "linked", dir, ""); !slices.Equal(got, []string{"local " + made.OperationID}) {
		t.Errorf("the audit log has %q", got)
	}
	api := fullstory(t, sandbox.Config{})
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	stdio := converse(t, env, args...)
	stdio.call("create_segment_export", octoberFirst, &made)
	ask["operation_id"] = made.OperationID
	if got, _ := stdio.try("get_export_operation", ask); !strings.Contains(got, linkSign) {
		t.Errorf("over stdio: %s", got)
	}
}

// TestMetricsOfAccounts reads the metrics as callers of two accounts, and as one that
// may read nothing else.
func TestMetricsOfAccounts(t *testing.T) {
	t.Parallel()
	program := build(t)
	c := newCallers(t)
	c.add("anna", "--account", "emea")
	c.add("bert", "--account", "apac")
	c.add("scraper", "--metrics")
	s := serveProgram(t, program, t.TempDir(), "--callers", c.file)
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	read := func(name string) string {
		r, err := c.client(name).Get(s.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		raw, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s is answered %d, %v", name, r.StatusCode, err)
		}
		return string(raw)
	}
	for _, name := range []string{"anna", "bert"} { // opens their accounts
		h, err := s.open(ctx, c.client(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := callTool(ctx, h, "list_bulk_exports", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	const emea, apac, calls = `account="emea"`, `account="apac"`, "fullstory_export_calls_total"
	eventually(t, "that both accounts are measured", func() bool {
		all := read("scraper")
		return strings.Contains(all, emea) && strings.Contains(all, apac) && strings.Contains(all, calls)
	})
	for name, account := range map[string]string{"anna": emea, "bert": apac} {
		for line := range strings.Lines(read(name)) {
			if !strings.HasPrefix(line, "#") && !strings.Contains(line, account) {
				t.Errorf("%s reads %s", name, line)
			}
		}
	}
	if h, err := s.open(ctx, c.client("scraper")); err == nil {
		t.Errorf("the caller for metrics has the session %s", h.id)
	}
}
