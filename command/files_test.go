//go:build unix

package command

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// fileResult is what download_export and get_bulk_export say about files.
type fileResult struct {
	Summary, State, Path, Folder, SHA256 string
	Bytes                                int64
	BulkID                               string `json:"bulk_id"`
	FileURL                              string `json:"file_url"`
	Content                              []contentBlock
}

// fileOf calls a tool until the file is there, and returns the result with its content.
func fileOf(t *testing.T, ctx context.Context, c caller, tool string, args map[string]any) (f fileResult) {
	t.Helper()
	args["wait_seconds"] = 20
	for {
		var r toolResult
		if err := c.call(ctx, "tools/call", toolCall(tool, args), &r); err != nil {
			t.Fatal(err)
		}
		f = fileResult{}
		if err := r.into(&f); err != nil {
			t.Fatalf("%s: %v", tool, err)
		}
		if f.Content = r.Content; f.State == "stored" || f.State == "complete" {
			return f
		}
		if f.State != "running" && f.State != "waiting" && f.State != "downloading" {
			t.Fatalf("%s answers %+v", tool, f)
		}
	}
}

// got is an answer to a request for a file.
type got struct {
	status int
	header http.Header
	body   []byte
	err    error // of reading the body
}

// get makes a request with headers given in pairs.
func get(t *testing.T, client *http.Client, method, url string, headers ...string) (g got) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	g = got{status: answer.StatusCode, header: answer.Header}
	g.body, g.err = io.ReadAll(answer.Body)
	return g
}

// filesWorld is a server with callers, and anna's stored files.
type filesWorld struct {
	t       *testing.T
	ctx     context.Context
	program string
	dir     string
	callers *callers
	server  *served
	plain   *http.Client // a browser: it has no token
	anna    *httpSession
	made    created
	one     fileResult // of her single export
	all     fileResult // of her bulk export
}

func newFilesWorld(t *testing.T) *filesWorld {
	w := &filesWorld{t: t, program: build(t), dir: t.TempDir(), plain: newHTTPClient(t)}
	var cancel context.CancelFunc
	w.ctx, cancel = context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	w.callers = newCallers(t)
	w.callers.add("anna", "--account", "emea")
	w.callers.add("carl", "--account", "emea")
	w.callers.add("rita", "--account", "emea", "--read-only")
	w.callers.add("lena", "--account", "emea", "--read-only", "--links")
	w.callers.add("bert", "--account", "apac")
	w.server = serveProgram(t, w.program, w.dir, "--callers", w.callers.file, "--log-level", "debug")
	w.anna = w.open("anna")
	w.export()
	return w
}

// export has anna's files stored.
func (w *filesWorld) export() {
	w.t.Helper()
	if err := callTool(w.ctx, w.anna, "create_segment_export", octoberFirst, &w.made); err != nil {
		w.t.Fatal(err)
	}
	bulk := map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "day", "name": "first-days",
		"time_range": window{"2026-10-01", "2026-10-04"},
	}
	if err := callTool(w.ctx, w.anna, "start_bulk_export", bulk, nil); err != nil {
		w.t.Fatal(err)
	}
	w.one, w.all = w.single(w.anna), w.bulk(w.anna)
}

func (w *filesWorld) open(name string) *httpSession {
	w.t.Helper()
	h, err := w.server.open(w.ctx, w.callers.client(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *filesWorld) single(h *httpSession) fileResult {
	w.t.Helper()
	return fileOf(w.t, w.ctx, h, "download_export", map[string]any{"operation_id": w.made.OperationID})
}

func (w *filesWorld) bulk(h *httpSession) fileResult {
	w.t.Helper()
	return fileOf(w.t, w.ctx, h, "get_bulk_export", map[string]any{"bulk_id": "first-days"})
}

// expect makes a request without a token, and checks the status of the answer.
func (w *filesWorld) expect(what string, status int, url string, headers ...string) got {
	w.t.Helper()
	g := get(w.t, w.plain, http.MethodGet, url, headers...)
	if g.status != status {
		w.t.Errorf("%s: answered %d %.300q, want %d", what, g.status, g.body, status)
	}
	return g
}

// sumOf returns the sha256 of bytes.
func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestFileURL fetches the file of an export as a person does to whom an assistant gave the
// link: without a token, whole, in parts, and only its headers.
func TestFileURL(t *testing.T) {
	t.Parallel()
	w := newFilesWorld(t)
	if len(w.one.Content) != 2 || w.one.Content[1].Type != "resource_link" || w.one.Content[1].URI != w.one.FileURL ||
		w.one.Content[1].Size != w.one.Bytes || !strings.Contains(w.one.Summary, "file_url") ||
		!strings.Contains(w.one.Summary, "for 15 minutes") {
		t.Errorf("download_export answers %+v", w.one)
	}
	whole := w.expect("the file", http.StatusOK, w.one.FileURL)
	if hexSum(whole.body) != w.one.SHA256 {
		t.Errorf("%d bytes arrived, %v, with another sha256 than that of the tool", len(whole.body), whole.err)
	}
	name := filepath.Base(w.one.Path)
	for header, want := range map[string]string{
		"Content-Type": "application/gzip", "Content-Encoding": "", "X-Content-Type-Options": "nosniff",
		"ETag": `"` + w.one.SHA256 + `"`, "Content-Disposition": "attachment; filename=" + name, "Accept-Ranges": "bytes",
		"Cache-Control": "private, no-store", "Last-Modified": "",
	} {
		if got := whole.header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	head := get(t, w.plain, http.MethodHead, w.one.FileURL)
	if head.status != http.StatusOK || len(head.body) > 0 || head.header.Get("Content-Length") !=
		whole.header.Get("Content-Length") || head.header.Get("ETag") != whole.header.Get("ETag") {
		t.Errorf("HEAD is answered %+v", head)
	}
	part := w.expect("a part", http.StatusPartialContent, w.one.FileURL, "Range", "bytes=100-", "If-Range",
		whole.header.Get("ETag"))
	if !bytes.Equal(part.body, whole.body[100:]) {
		t.Errorf("the part has %d bytes that differ", len(part.body))
	}
	other := w.expect("a part of another file", http.StatusOK, w.one.FileURL, "Range", "bytes=100-", "If-Range", `"other"`)
	if !bytes.Equal(other.body, whole.body) {
		t.Error("a part of another file is not the whole file")
	}
	w.expect("what is known", http.StatusNotModified, w.one.FileURL, "If-None-Match", whole.header.Get("ETag"))
	w.expect("after the end", http.StatusRequestedRangeNotSatisfiable, w.one.FileURL, "Range", "bytes=99999999-")
	w.expect("her own token", http.StatusOK, w.one.FileURL, "Authorization", "Bearer "+w.callers.tokens["anna"])
	w.audited()
	w.oldClient()
	for _, secret := range []string{path.Base(path.Dir(w.one.FileURL)), path.Base(path.Dir(w.all.FileURL))} {
		if strings.Contains(w.server.stderr.String(), secret) {
			t.Error("the log has a ticket")
		}
	}
}

// oldClient asks for the file in a version of the protocol that has no links in content.
func (w *filesWorld) oldClient() {
	w.t.Helper()
	h := &httpSession{client: w.callers.client("anna"), url: w.server.url}
	old := maps.Clone(greeting)
	old["protocolVersion"] = "2025-03-26"
	if err := h.call(w.ctx, "initialize", old, nil); err != nil {
		w.t.Fatal(err)
	}
	if f := w.single(h); len(f.Content) != 1 || f.FileURL == "" {
		w.t.Errorf("an old client is answered %+v", f)
	}
}

// audited checks the entries about tickets and what was fetched with them.
func (w *filesWorld) audited() {
	w.t.Helper()
	mine := "anna " + w.made.OperationID
	if got := audited(w.t, w.program, "offered", w.dir, "emea"); len(got) != 2 || got[0] != mine {
		w.t.Errorf("the audit log has %q offered", got)
	}
	if got := audited(w.t, w.program, "served", w.dir, "emea"); len(got) != 1 || got[0] != mine {
		w.t.Errorf("the audit log has %q served", got)
	}
	if got := audited(w.t, w.program, "linked", w.dir, "emea"); len(got) != 0 {
		w.t.Errorf("the audit log has %q linked", got)
	}
}

// TestTarURL fetches the files of a bulk export as one tar file, whole and resumed, and
// verifies it when it is unpacked.
func TestTarURL(t *testing.T) {
	t.Parallel()
	w := newFilesWorld(t)
	if len(w.all.Content) != 2 || w.all.Content[1].URI != w.all.FileURL || path.Base(w.all.FileURL) != "first-days.tar" {
		t.Errorf("get_bulk_export answers %+v", w.all)
	}
	whole := w.expect("the tar file", http.StatusOK, w.all.FileURL)
	head := get(t, w.plain, http.MethodHead, w.all.FileURL)
	if head.header.Get("Content-Length") != whole.header.Get("Content-Length") || len(head.body) > 0 ||
		whole.header.Get("Content-Type") != "application/x-tar" || head.header.Get("ETag") != whole.header.Get("ETag") {
		t.Errorf("HEAD is answered %+v", head)
	}
	part := w.expect("a part", http.StatusPartialContent, w.all.FileURL, "Range", "bytes=700-", "If-Range",
		whole.header.Get("ETag"))
	if !bytes.Equal(part.body, whole.body[700:]) {
		t.Errorf("the part has %d bytes that differ", len(part.body))
	}
	unpacked := t.TempDir()
	names := unpack(t, whole.body, unpacked)
	if len(names) != 4 || names[0] != "manifest.json" || !strings.HasPrefix(names[1], "20261001T") ||
		!strings.HasPrefix(names[3], "20261003T") {
		t.Errorf("the tar file has %q", names)
	}
	if out, err := exec.Command(w.program, "verify", unpacked).CombinedOutput(); err != nil {
		t.Errorf("verify of what was unpacked: %v\n%s", err, out)
	}
	if err := os.Remove(filepath.Join(w.dir, "emea", "first-days", names[2])); err != nil {
		t.Fatal(err)
	}
	gone := w.expect("a tar file without a file", http.StatusConflict, w.all.FileURL)
	if !strings.Contains(string(gone.body), names[2]) {
		t.Errorf("the answer does not name the missing file: %s", gone.body)
	}
	if head := get(t, w.plain, http.MethodHead, w.all.FileURL); head.status != http.StatusConflict {
		t.Errorf("HEAD of it is answered %d", head.status)
	}
	var partial fileResult
	if err := callTool(w.ctx, w.anna, "get_bulk_export", map[string]any{"bulk_id": "first-days"}, &partial); err != nil ||
		partial.State != "partial" || partial.FileURL != "" {
		t.Errorf("get_bulk_export answers %+v, %v", partial, err)
	}
}

// unpack writes the members of a tar file to a folder, and returns their names in order.
func unpack(t *testing.T, content []byte, folder string) (names []string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		member, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if err := os.WriteFile(filepath.Join(folder, h.Name), member, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoFileURLOverStdio has the files on the user's own disk, so no link is needed.
func TestNoFileURLOverStdio(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t)...)
	var made created
	c.call("create_segment_export", octoberFirst, &made)
	var f fileResult
	for f.State != "stored" {
		c.call("download_export", map[string]any{"operation_id": made.OperationID, "wait_seconds": 20}, &f)
	}
	if _, err := os.Stat(f.Path); f.FileURL != "" || strings.Contains(f.Summary, "file_url") || err != nil {
		t.Errorf("download_export answers %+v, %v", f, err)
	}
}
