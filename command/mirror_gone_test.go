//go:build unix

package command

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

// TestMirrorGone deletes a stored file from the disk, which does not matter while the
// mirror has it, and then from the mirror.
func TestMirrorGone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	env := map[string]string{}
	for _, pair := range s.env {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	flags := simulated(t, "--sandbox-density", "20")
	c := converse(t, env, flags...)
	var b goneBulk
	c.call("start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{Start: "2026-09"}, "name": "september",
	}, &struct{}{})
	for b.State != "complete" {
		c.call("get_bulk_export", map[string]any{"bulk_id": "september", "wait_seconds": 10}, &b)
	}
	folder := c.folder("september")
	c.end()
	storedLongAgo(t, filepath.Join(filepath.Dir(folder), ".state", "ledger.db"))
	c = converse(t, env, flags...)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	c.agree(30, "september is complete: 30 chunks, ")
	c.end()

	const name = "september/20260913T000000Z_20260914T000000Z.ndjson.gz"
	err := s.client.RemoveObject(t.Context(), s.bucket, s.prefix+"/"+name, minio.RemoveObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c = converse(t, env, flags...)
	c.agree(29, "september is incomplete: 29 of 30 files; missing: 13 Sep; `retry_failed` exports it again.")
}

// storedLongAgo makes a ledger say that its files were stored long ago. A list of the
// mirror does not count for a file that may be newer than the list.
func storedLongAgo(t *testing.T, place string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+place)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE attempts SET stored_at = 1 WHERE stored_at > 0"); err != nil {
		t.Fatal(err)
	}
}
