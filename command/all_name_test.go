package command

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fullstory-export-mcp/archive"
)

// TestEventsWithoutPeriod exports all events of a segment. Their window is known to be
// without bounds.
func TestEventsWithoutPeriod(t *testing.T) {
	t.Parallel()
	c := converse(t, nil, simulated(t, "--sandbox-density", "10")...)
	made := c.about("create_segment_export", map[string]any{
		"segment_id": "Big baskets", "type": "TYPE_EVENT", "time_range": window{}, "segment_time_range": "all",
	})
	got := c.about("download_export", map[string]any{"operation_id": made.OperationID, "wait_seconds": 20})
	const says = "from the beginning of the data to the time of the request. Event times were not checked, because the " +
		"export is not limited to a period."
	if got.State != "stored" || !strings.Contains(got.Summary, says) {
		t.Errorf("%s: %s", got.State, got.Summary)
	}
}

// TestAllInName exports individuals without a window. The file is called all; one that an
// earlier version called open_open keeps its name, also when it is fetched again.
func TestAllInName(t *testing.T) {
	t.Parallel()
	flags := simulated(t, "--sandbox-density", "20")
	c := converse(t, nil, flags...)
	d := c.store(map[string]any{
		"segment_id": "Checkout visitors", "type": "TYPE_INDIVIDUAL", "time_range": window{},
	})
	folder := filepath.Dir(d.Path)
	old := filepath.Join(folder, "open_open.ndjson.gz")
	if filepath.Base(d.Path) != "all.ndjson.gz" {
		t.Fatalf("the file is %s", d.Path)
	}
	listed := func() (operation string, stored bool) {
		t.Helper()
		var list struct {
			Operations []struct {
				OperationID string `json:"operation_id"`
				Stored      bool
			}
		}
		c.call("list_export_operations", map[string]any{}, &list)
		return list.Operations[0].OperationID, list.Operations[0].Stored
	}
	operation, _ := listed()
	c.end()
	asBefore(t, folder)

	c = converse(t, nil, flags...)
	whole := func(what string) {
		t.Helper()
		if d := c.download(operation); d.State != "stored" || d.Path != old {
			t.Errorf("%s: %+v", what, d)
		}
		checked, err := archive.Check(t.Context(), folder, nil)
		if err != nil || checked.Files != 1 || len(checked.Faults) > 0 {
			t.Errorf("%s: %d files agree, %+v, %v", what, checked.Files, checked.Faults, err)
		}
		if _, stored := listed(); !stored {
			t.Errorf("%s: the operation is listed as not stored", what)
		}
	}
	whole("an old name")
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	if _, stored := listed(); stored {
		t.Error("a deleted file is listed as stored")
	}
	whole("an old name, fetched again")
}

// asBefore gives the file of a single export the name that earlier versions gave it, on
// disk, in its manifest and in the ledger.
func asBefore(t *testing.T, folder string) {
	t.Helper()
	if err := os.Rename(filepath.Join(folder, "all.ndjson.gz"), filepath.Join(folder, "open_open.ndjson.gz")); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(folder, archive.ManifestName)
	raw, err := os.ReadFile(manifest)
	if err == nil {
		raw = []byte(strings.ReplaceAll(string(raw), `"all.ndjson.gz"`, `"open_open.ndjson.gz"`))
		err = os.WriteFile(manifest, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(filepath.Dir(folder), ".state", "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	done, err := db.Exec(`UPDATE files SET name = 'open_open.ndjson.gz',
		detail = replace(detail, '"all.ndjson.gz"', '"open_open.ndjson.gz"') WHERE name = 'all.ndjson.gz'`)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := done.RowsAffected(); n != 1 || err != nil {
		t.Fatalf("%d files of the ledger are renamed, %v", n, err)
	}
}
