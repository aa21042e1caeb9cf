//go:build unix

package command

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// bearer sends a token with every request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// callers are the callers of one server, with their tokens.
type callers struct {
	t      *testing.T
	file   string
	tokens map[string]string
}

// newCallers returns a new file of callers, which has none.
func newCallers(t *testing.T) *callers {
	file := filepath.Join(t.TempDir(), "callers.json")
	return &callers{t: t, file: file, tokens: map[string]string{}}
}

// add adds a caller with `serve token`.
func (c *callers) add(name string, more ...string) {
	c.t.Helper()
	var stdout, stderr buffer
	noEnv := func(string) string { return "" }
	args := append([]string{"serve", "token", name, "--callers", c.file}, more...)
	if err := Run(c.t.Context(), args, noEnv, strings.NewReader(""), &stdout, &stderr); err != nil {
		c.t.Fatalf("serve token %s: %v", name, err)
	}
	c.tokens[name] = strings.TrimSpace(stdout.String())
}

// client returns an HTTP client that sends the token of a caller.
func (c *callers) client(name string) *http.Client {
	client := newHTTPClient(c.t)
	client.Transport = bearer{c.tokens[name], client.Transport}
	return client
}

// TestCallersAreApart has bert try every tool, resource and session of anna, whose
// account is another one.
func TestCallersAreApart(t *testing.T) {
	t.Parallel()
	program, dir := build(t), t.TempDir()
	c := newCallers(t)
	c.add("anna", "--account", "emea")
	c.add("carl", "--account", "emea")
	c.add("rita", "--account", "emea", "--read-only")
	c.add("bert", "--account", "apac")
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
	anna, bert := open("anna"), open("bert")
	hers := annasThings(t, ctx, anna)
	before := treeOf(t, filepath.Join(dir, "emea"))
	t.Run("tools", func(t *testing.T) { hers.triedByTools(t, ctx, bert) })
	t.Run("resources", func(t *testing.T) { hers.triedByResources(t, ctx, anna, bert) })
	t.Run("sessions", func(t *testing.T) { triedBySessions(t, ctx, anna, bert, newHTTPClient(t)) })
	if after := treeOf(t, filepath.Join(dir, "emea")); before != after {
		t.Errorf("anna's files changed:\n%s\nwere\n%s", after, before)
	}
	var op struct{ State string }
	if err := callTool(ctx, anna, "get_export_operation", map[string]any{"operation_id": hers.pending}, &op); err != nil ||
		op.State != "PENDING" {
		t.Errorf("anna's running export is %q, %v", op.State, err)
	}
	t.Run("colleagues", func(t *testing.T) { hers.seenByColleagues(t, ctx, open("carl"), open("rita")) })
	for name, token := range c.tokens {
		if strings.Contains(s.stderr.String(), token) {
			t.Errorf("the log has %s's token", name)
		}
	}
	for _, secret := range []string{anna.id, bert.id, sandbox.KeyArchitect, "sig="} {
		if strings.Contains(s.stderr.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

// things are the exports of a caller.
type things struct {
	operation, pending string // ids: one is stored, the other keeps running
	bulk, name         string // id and name of a bulk export
	sync, syncName     string // likewise of a sync
}

func annasThings(t *testing.T, ctx context.Context, anna *httpSession) (hers things) {
	t.Helper()
	do := func(tool string, args map[string]any, out any) {
		t.Helper()
		if err := callTool(ctx, anna, tool, args, out); err != nil {
			t.Fatal(err)
		}
	}
	var api struct {
		URL string `json:"api_url"`
		Org string `json:"org_id"`
	}
	do("check_connection", nil, &api)
	if api.Org != "SANDBOX-EMEA" {
		t.Errorf("anna's organisation is %s", api.Org)
	}
	hers.name = "september"
	var started struct {
		ID string `json:"bulk_id"`
	}
	do("start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "name": hers.name, "chunk": "PT12H",
		"time_range": window{"2026-09-01", "2026-09-02"},
	}, &started)
	hers.bulk = started.ID
	var status bulkStatus
	for status.State != "complete" {
		do("get_bulk_export", map[string]any{"bulk_id": hers.bulk, "wait_seconds": 20}, &status)
	}
	hers.syncName = "annas-visits"
	var kept syncResult
	do("sync_export", map[string]any{
		"action": "create", "name": hers.syncName, "segment_id": "everyone", "type": "TYPE_EVENT", "from": "now-3d/d",
	}, &kept)
	hers.sync = kept.Sync.SyncID
	for status.State = ""; status.State != "complete"; { // until then it writes files, and creates exports
		do("get_bulk_export", map[string]any{"bulk_id": kept.Sync.BulkID, "wait_seconds": 20}, &status)
	}
	var made created
	do("create_segment_export", octoberFirst, &made)
	hers.operation = made.OperationID
	var d struct{ State string }
	for d.State != "stored" {
		do("download_export", map[string]any{"operation_id": hers.operation, "wait_seconds": 20}, &d)
		if d.State == "failed" {
			t.Fatal("anna's download has failed")
		}
	}
	(&world{t: t, url: api.URL}).faults(`{"script":[{"on":"operation","nth":1,"do":"stuck","percent":60}]}`)
	do("create_segment_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-10-02", "2026-10-03"},
	}, &made)
	hers.pending = made.OperationID
	return hers
}

// nobodys returns ids that look like hers and do not exist.
func (hers things) nobodys() things {
	other := func(operation string) string {
		raw, err := base64.StdEncoding.DecodeString(operation)
		if err != nil {
			panic(err)
		}
		raw[20], raw[21] = raw[21], raw[20]+1
		return base64.StdEncoding.EncodeToString(raw)
	}
	return things{
		operation: other(hers.operation), pending: other(hers.pending), bulk: hers.bulk[:len(hers.bulk)-3] + "aaa",
		name: "octobers9", sync: hers.sync[:len(hers.sync)-3] + "aaa", syncName: "annas-others",
	}
}

// calls returns the arguments of each tool that name exports of a caller. Tools
// without such an argument have none.
func (x things) calls() map[string][]map[string]any {
	operation := func(more ...any) (all []map[string]any) {
		for _, id := range []string{x.operation, x.pending} {
			args := map[string]any{"operation_id": id}
			for i := 0; i < len(more); i += 2 {
				args[more[i].(string)] = more[i+1]
			}
			all = append(all, args)
		}
		return all
	}
	var bulks, controls, missing []map[string]any
	for _, id := range []string{x.bulk, x.name, "../emea/" + x.name, "emea/" + x.name} {
		for _, detail := range []string{"summary", "problems", "chunks"} {
			bulks = append(bulks, map[string]any{"bulk_id": id, "detail": detail})
		}
		for _, action := range []string{"pause", "resume", "cancel", "retry_failed"} {
			controls = append(controls, map[string]any{"bulk_id": id, "action": action})
		}
	}
	for _, from := range []string{
		x.bulk, x.name, x.operation, "../emea/" + x.name, "emea/" + x.name, "./../emea/" + x.name,
	} {
		missing = append(missing, map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "PT12H", "time_range": window{"2026-09-01", "2026-09-02"},
			"missing_from": from,
		})
	}
	var sources, queries []map[string]any
	for _, source := range []string{
		x.bulk, x.name, x.operation, "../emea/" + x.name, "emea/" + x.name, "./../emea/" + x.name,
	} {
		sources = append(sources, map[string]any{"source": source, "detail": "sample"})
		queries = append(queries, map[string]any{"source": source, "sql": "SELECT count(*) FROM rows"})
	}
	var syncs, lists []map[string]any
	for _, name := range []string{x.sync, x.syncName} {
		for _, action := range []string{"change", "pause", "resume", "remove"} {
			syncs = append(syncs, map[string]any{"action": action, "name": name})
		}
		lists = append(lists, map[string]any{"name": name})
	}
	return map[string][]map[string]any{
		"sync_export":             syncs,
		"list_syncs":              lists,
		"get_export_operation":    operation("include_download_url", true),
		"cancel_export_operation": operation(),
		"download_export":         operation("wait_seconds", 1),
		"get_bulk_export":         bulks,
		"control_bulk_export":     controls,
		"plan_time_chunks":        missing,
		"describe_export":         sources,
		"query_export":            queries,
		"check_connection":        nil, "list_segments": nil, "create_segment_export": nil,
		"list_export_operations": nil, "start_bulk_export": nil, "list_bulk_exports": nil,
	}
}

// triedByTools passes her ids to every tool: the answers must be those for ids that
// do not exist. The lists must not contain them.
func (hers things) triedByTools(t *testing.T, ctx context.Context, bert *httpSession) {
	var listed struct{ Tools []struct{ Name string } }
	if err := bert.call(ctx, "tools/list", nil, &listed); err != nil {
		t.Fatal(err)
	}
	calls, nobodys := hers.calls(), hers.nobodys().calls()
	for _, tool := range listed.Tools {
		if _, ok := calls[tool.Name]; !ok {
			t.Errorf("%s is not in calls", tool.Name)
		}
		for i, args := range calls[tool.Name] {
			got, unknown := answerOf(t, ctx, bert, tool.Name, args), answerOf(t, ctx, bert, tool.Name, nobodys[tool.Name][i])
			got, unknown = hers.without(got), hers.nobodys().without(unknown)
			if got != unknown || !strings.HasPrefix(got, "failed: ") {
				t.Errorf("%s %v is answered\n%s\nand for an unknown id\n%s", tool.Name, args, got, unknown)
			}
		}
	}
	for _, tool := range []string{"list_export_operations", "list_bulk_exports", "list_syncs", "list_segments",
		"check_connection"} {
		if text := answerOf(t, ctx, bert, tool, nil); text != hers.without(text) || strings.Contains(text, "EMEA") {
			t.Errorf("%s shows bert an export of anna: %s", tool, text)
		}
	}
	// With the same name and the same request bert gets exports of his own.
	var made struct {
		ID     string `json:"operation_id"`
		Reused bool
	}
	if err := callTool(ctx, bert, "create_segment_export", octoberFirst, &made); err != nil || made.Reused ||
		made.ID == hers.operation {
		t.Errorf("bert's own export is %+v, %v", made, err)
	}
	var started struct {
		ID     string `json:"bulk_id"`
		Folder string
	}
	err := callTool(ctx, bert, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "name": hers.name, "chunk": "PT6H",
		"time_range": window{"2026-09-01", "2026-09-02"},
	}, &started)
	if err != nil || started.ID == hers.bulk || strings.Contains(started.Folder, "emea") {
		t.Errorf("bert's own bulk export is %+v, %v", started, err)
	}
}

// answerOf returns the answer to a call as text, with a prefix if it failed.
func answerOf(t *testing.T, ctx context.Context, c caller, tool string, args any) string {
	t.Helper()
	if args == nil {
		args = struct{}{}
	}
	var r toolResult
	if err := c.call(ctx, "tools/call", toolCall(tool, args), &r); err != nil {
		return "failed: " + err.Error()
	}
	text := fmt.Sprint(r.Content)
	if r.IsError {
		return "failed: " + text
	}
	return text
}

// without returns text with the ids replaced by a constant.
func (x things) without(text string) string {
	return strings.NewReplacer(x.operation, "HANDLE", x.pending, "HANDLE", x.bulk, "HANDLE", x.name, "HANDLE",
		x.sync, "HANDLE", x.syncName, "HANDLE", url.PathEscape(x.operation), "HANDLE",
		url.PathEscape(x.pending), "HANDLE").Replace(text)
}

// triedByResources reads her resources and subscribes to them.
func (hers things) triedByResources(t *testing.T, ctx context.Context, anna, bert *httpSession) {
	addresses := func(x things) []string {
		return []string{
			"fullstory-export://operations/" + url.PathEscape(x.operation),
			"fullstory-export://operations/" + url.PathEscape(x.pending),
			"fullstory-export://bulk/" + x.bulk, "fullstory-export://bulk/" + x.bulk + "/manifest",
			"fullstory-export://bulk/" + x.bulk + "x",
			"fullstory-export://sync/" + x.sync,
			"fullstory-export://sync/" + x.syncName,
		}
	}
	unknown := addresses(hers.nobodys())
	for i, uri := range addresses(hers) {
		got := bert.call(ctx, "resources/read", map[string]any{"uri": uri}, nil)
		want := bert.call(ctx, "resources/read", map[string]any{"uri": unknown[i]}, nil)
		if got == nil || want == nil || hers.without(got.Error()) != hers.nobodys().without(want.Error()) {
			t.Errorf("%s is answered %v, and an unknown one %v", uri, got, want)
		}
	}
	var completed struct{ Completion struct{ Values []string } }
	reference := map[string]any{
		"ref":      map[string]any{"type": "ref/resource", "uri": "fullstory-export://bulk/{bulk_id}"},
		"argument": map[string]any{"name": "bulk_id", "value": "bulk"},
	}
	if err := bert.call(ctx, "completion/complete", reference, &completed); err != nil ||
		strings.Contains(fmt.Sprint(completed), hers.bulk) {
		t.Errorf("completion for bert: %v, %v", completed, err)
	}
	hers.followed(t, ctx, anna, bert)
}

// followed has both subscribe to an export of anna: only she is notified.
func (hers things) followed(t *testing.T, ctx context.Context, anna, bert *httpSession) {
	var started struct {
		ID string `json:"bulk_id"`
	}
	err := callTool(ctx, anna, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "name": "followed", "chunk": "PT2H",
		"time_range": window{"2026-09-03", "2026-09-04"},
	}, &started)
	if err != nil {
		t.Fatal(err)
	}
	received := map[*httpSession]chan string{anna: make(chan string, 100), bert: make(chan string, 100)}
	for h, messages := range received {
		stream, err := h.listen(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		go func() {
			for e, err := range events(stream) {
				if err != nil {
					return
				}
				messages <- e.data
			}
		}()
		for _, uri := range []string{
			"fullstory-export://bulk/" + started.ID, "fullstory-export://bulk/" + started.ID + "/manifest",
			"fullstory-export://bulk/followed",
		} {
			h.subscribe(t, ctx, uri, h == anna)
		}
	}
	var status bulkStatus
	for status.State != "complete" {
		if err := callTool(ctx, anna, "get_bulk_export", map[string]any{
			"bulk_id": started.ID, "wait_seconds": 20,
		}, &status); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-received[anna]:
	case <-ctx.Done():
		t.Error("anna is not notified")
	}
	quiet(t, received[bert])
}

// subscribe subscribes to a resource. If it does not exist for the session, subscribing must
// fail as reading does.
func (h *httpSession) subscribe(t *testing.T, ctx context.Context, uri string, exists bool) {
	t.Helper()
	err := h.call(ctx, "resources/subscribe", map[string]any{"uri": uri}, nil)
	read := h.call(ctx, "resources/read", map[string]any{"uri": uri}, nil)
	text := func(err error) string { return strings.TrimPrefix(fmt.Sprint(err), "resources/read: ") }
	if (err == nil) != exists || text(read) != strings.TrimPrefix(fmt.Sprint(err), "resources/subscribe: ") {
		t.Fatalf("subscribing to %s is answered %v, and reading it %v", uri, err, read)
	}
}

// triedBySessions uses anna's session with bert's token, and without a token.
func triedBySessions(t *testing.T, ctx context.Context, anna, bert *httpSession, nobody *http.Client) {
	for who, test := range map[string]struct {
		client *http.Client
		want   int
	}{"bert": {bert.client, http.StatusNotFound}, "nobody": {nobody, http.StatusUnauthorized}} {
		stolen := &httpSession{client: test.client, url: anna.url, id: anna.id}
		for method, body := range map[string][]byte{"POST": rpcRequest(1, "ping", nil), "GET": nil, "DELETE": nil} {
			r, err := stolen.do(ctx, method, "application/json, text/event-stream", body)
			if err != nil {
				t.Fatal(err)
			}
			if r.Body.Close(); r.StatusCode != test.want {
				t.Errorf("%s: %s with anna's session is answered %d", who, method, r.StatusCode)
			}
		}
	}
	if err := anna.call(ctx, "ping", nil, nil); err != nil {
		t.Errorf("anna's session: %v", err)
	}
}

// seenByColleagues checks callers of the same account: carl may use everything,
// rita only what reads.
func (hers things) seenByColleagues(t *testing.T, ctx context.Context, carl, rita *httpSession) {
	for name, h := range map[string]*httpSession{"carl": carl, "rita": rita} {
		var status bulkStatus
		if err := callTool(ctx, h, "get_bulk_export", map[string]any{"bulk_id": hers.bulk}, &status); err != nil ||
			status.State != "complete" {
			t.Errorf("%s sees anna's bulk export as %q, %v", name, status.State, err)
		}
	}
	var listed struct {
		Tools []struct {
			Name        string
			Annotations struct{ ReadOnlyHint bool }
		}
	}
	if err := rita.call(ctx, "tools/list", nil, &listed); err != nil || len(listed.Tools) == 0 {
		t.Fatal(listed, err)
	}
	offered := map[string]bool{}
	for _, tool := range listed.Tools {
		offered[tool.Name] = true
		if !tool.Annotations.ReadOnlyHint {
			t.Errorf("rita is offered %s", tool.Name)
		}
	}
	for tool := range hers.calls() {
		if got := answerOf(t, ctx, rita, tool, nil); !offered[tool] && !strings.Contains(got, "not found") {
			t.Errorf("rita calls %s and gets %s", tool, got)
		}
	}
}

// treeOf lists the files under dir with the hash of each, without the state of the
// ledger and of the sandbox.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && (d.Name() == ".state" || d.Name() == "followed") {
				return fs.SkipDir
			}
			return err
		}
		raw, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, sha256.Sum256(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestAccountsHaveTheirKeys serves two accounts with keys of their own from one
// address of the API, and one whose key is missing.
func TestAccountsHaveTheirKeys(t *testing.T) {
	t.Parallel()
	program := build(t)
	c := newCallers(t)
	keys := map[string]string{"anna": sandbox.KeyArchitect, "bert": sandbox.KeyAdmin}
	orgs := map[string]*httptest.Server{}
	for name, key := range keys {
		c.add(name, "--account", "of_"+name)
		orgs[key] = fullstory(t, sandbox.Config{Org: "ORG-" + name})
	}
	c.add("nobody", "--account", "of_nobody")
	api := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		key := strings.TrimPrefix(r.In.Header.Get("Authorization"), "Basic ")
		if orgs[key] == nil {
			t.Errorf("request to the API with the key %q", key)
			return
		}
		target, err := url.Parse(orgs[key].URL)
		if err != nil {
			t.Error(err)
		}
		r.SetURL(target)
	}})
	t.Cleanup(api.Close)
	command := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--callers", c.file, "--dir", t.TempDir())
	command.Env = append(os.Environ(), "FULLSTORY_API_KEY=", "FULLSTORY_API_URL="+api.URL,
		"FULLSTORY_API_KEY_OF_ANNA="+keys["anna"], "FULLSTORY_API_KEY_OF_BERT_FILE="+keyFile(t, keys["bert"]))
	s := serveCommandLine(t, command)
	for name := range keys {
		h, err := s.open(t.Context(), c.client(name))
		if err != nil {
			t.Fatal(err)
		}
		var connection struct {
			Org string `json:"org_id"`
		}
		if err := callTool(t.Context(), h, "check_connection", struct{}{}, &connection); err != nil ||
			connection.Org != "ORG-"+name {
			t.Errorf("%s's organisation is %s, %v", name, connection.Org, err)
		}
	}
	h, err := s.open(t.Context(), c.client("nobody"))
	if err != nil {
		t.Fatal(err)
	}
	if got := answerOf(t, t.Context(), h, "list_segments", nil); !strings.Contains(got, "FULLSTORY_API_KEY_OF_NOBODY") {
		t.Errorf("without a key: %s", got)
	}
	r, err := http.Get(s.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without a key /readyz answers %d", r.StatusCode)
	}
}
