//go:build unix

package command

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestFilesOfTheMirror fetches files whose copies are in the mirror alone: the file of an
// export, a part of it, and the tar file of a bulk export, until a copy is missing.
func TestFilesOfTheMirror(t *testing.T) {
	t.Parallel()
	store, program, dir := newStore(t), build(t), t.TempDir()
	c := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--sandbox", "--sandbox-now", "2026-11-05T12:00:00Z",
		"--sandbox-op-time", "200ms", "--dir", dir)
	c.Env = append(os.Environ(), store.env...)
	w := &filesWorld{t: t, ctx: t.Context(), dir: dir, server: serveCommandLine(t, c), plain: newHTTPClient(t)}
	var err error
	if w.anna, err = w.server.open(w.ctx, w.plain); err != nil {
		t.Fatal(err)
	}
	w.export()
	before := w.expect("the tar file", http.StatusOK, w.all.FileURL)
	for _, folder := range []string{filepath.Dir(w.one.Path), w.all.Folder} {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
	}
	whole := w.expect("the file", http.StatusOK, w.one.FileURL)
	if hexSum(whole.body) != w.one.SHA256 {
		t.Errorf("%d bytes arrived, %v, with another sha256", len(whole.body), whole.err)
	}
	part := w.expect("a part", http.StatusPartialContent, w.one.FileURL, "Range", "bytes=50-99")
	if !bytes.Equal(part.body, whole.body[50:100]) {
		t.Errorf("the part has %d other bytes", len(part.body))
	}
	if f := w.single(w.anna); f.FileURL == "" || f.Path != "" {
		t.Errorf("without the file on disk download_export answers %+v", f)
	}
	after := w.expect("the tar file of copies", http.StatusOK, w.all.FileURL)
	if !bytes.Equal(before.body, after.body) {
		t.Errorf("the tar file has %d bytes and had %d", len(after.body), len(before.body))
	}
	for _, name := range store.names(w.ctx) {
		if filepath.Dir(name) == "first-days" && filepath.Base(name) != "manifest.json" {
			key := store.prefix + "/" + name
			if err := store.client.RemoveObject(w.ctx, store.bucket, key, minio.RemoveObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			w.expect("a tar file without the copy "+name, http.StatusConflict, w.all.FileURL)
			return
		}
	}
	t.Error("the mirror has no copy")
}
