//go:build unix

package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fullstory-export-mcp/sandbox"
)

// syncTerminal runs commands about syncs against a simulated Fullstory at noon of 10 November.
func syncTerminal(t *testing.T) (dir string, run func(words ...string) (int, string)) {
	api := fullstory(t, sandbox.Config{Now: time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC)})
	env, args := remoteKey(t, api.URL, sandbox.KeyArchitect)
	return args[1], func(words ...string) (int, string) {
		r := lineIn(t.Context(), env, append(words, args...))
		return r.status, r.all
	}
}

// TestSyncRunRetriesParquet runs a sync from cron whose Parquet files cannot be made at first. No
// window is due, so that only what follows from the windows is left.
func TestSyncRunRetriesParquet(t *testing.T) {
	t.Parallel()
	dir, run := syncTerminal(t)
	if status, out := run("sync", "add", "my visits", "--segment", "everyone", "--from", "2026-11-07",
		"--parquet"); status != 0 {
		t.Fatal(status, out)
	}
	if status, out := run("sync", "pause", "my visits"); status != 0 {
		t.Fatal(status, out)
	}
	folder := filepath.Join(dir, "my-visits")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	inTheWay := filepath.Join(folder, "parquet")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out := run("sync", "resume", "my visits"); status != 0 {
		t.Fatal(status, out)
	}
	status, out := run("sync", "run", "--due")
	if want := "2 of 2 windows stored, and their Parquet files are not all made yet"; status != statusIncomplete ||
		!strings.Contains(out, want) || !strings.Contains(out, "Parquet files could not be made: ") {
		t.Errorf("with a file in the way: %d, want %d and %q: %s", status, statusIncomplete, want, out)
	}
	if _, out := run("sync", "list"); !strings.Contains(out, "my-visits  behind  day        2/2") {
		t.Errorf("the list: %s", out)
	}
	if status, out := run("sync", "run", "my visits"); status != statusIncomplete {
		t.Errorf("with a file in the way, again: %d: %s", status, out)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		status, out = run("sync", "run", "--due")
		if !strings.Contains(out, "No sync is due") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the Parquet files are not tried again")
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "parquet", "day=*", "*.parquet"))
	if status != 0 || err != nil || len(files) != 2 {
		t.Errorf("without it: %d, %d files, %v: %s", status, len(files), err, out)
	}
	if _, out := run("sync", "list"); !strings.Contains(out, "my-visits  current  day        2/2") {
		t.Errorf("the list: %s", out)
	}
}

// TestSyncRunAfterGivingUp has a person run a sync whose Parquet files are not tried again.
func TestSyncRunAfterGivingUp(t *testing.T) {
	t.Parallel()
	dir, run := syncTerminal(t)
	if status, out := run("sync", "add", "visits", "--segment", "everyone", "--from", "2026-11-08"); status != 0 {
		t.Fatal(status, out)
	}
	if status, out := run("sync", "run", "visits"); status != 0 {
		t.Fatal(status, out)
	}
	if status, out := run("sync", "change", "visits", "--parquet"); status != 0 ||
		!strings.Contains(out, "fullstory-export-mcp sync run visits") {
		t.Errorf("what to do next is missing: %d, %s", status, out)
	}
	db, err := openLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE conversions SET tries = 12, reason = 'No.'"); err != nil {
		t.Fatal(err)
	}
	if status, out := run("sync", "run", "--due"); status != 0 || !strings.Contains(out, "No sync is due") {
		t.Errorf("it was given up: %d, %s", status, out)
	}
	if _, out := run("sync", "list"); !strings.Contains(out, "visits  failing") {
		t.Errorf("the list: %s", out)
	}
	if status, out := run("sync", "run", "visits"); status != 0 || !strings.Contains(out, "up to date") {
		t.Errorf("a person tries again: %d, %s", status, out)
	}
	if _, err := db.Exec("UPDATE bulks SET state = 'paused', reason = 'The disk is full.'"); err != nil {
		t.Fatal(err)
	}
	if status, out := run("sync", "run", "visits"); status != statusBlocked ||
		!strings.Contains(out, "fullstory-export-mcp sync resume visits") {
		t.Errorf("blocked: %d, %s", status, out)
	}
}

// TestSyncWithoutName rejects a name of no characters.
func TestSyncWithoutName(t *testing.T) {
	t.Parallel()
	_, run := syncTerminal(t)
	if status, out := run("sync", "add", " ", "--segment", "everyone"); status != 2 ||
		!strings.Contains(out, "NAME: give the sync a name") {
		t.Errorf("%d, %s", status, out)
	}
}

// TestSyncInto sets up destinations: mistakes are noticed at once, and what is not given stays.
func TestSyncInto(t *testing.T) {
	t.Parallel()
	address := database(t)
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE SCHEMA web; CREATE TABLE web.people (name text)"); err != nil {
		t.Fatal(err)
	}
	_, run := syncTerminal(t)
	add := func(name, table string) (int, string) {
		return run("sync", "add", name, "--segment", "everyone", "--from", "2026-11-08", "--into", address,
			"--into-table", table)
	}
	for table, want := range map[string]string{
		"nowhere.visits": `has no schema "nowhere" for the table visits`,
		"web.people":     "was not made for exports",
	} {
		if status, out := add("visits", table); status == 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d, want %q: %s", table, status, want, out)
		}
	}
	if status, out := add("visits", "web.hits"); status != 0 {
		t.Fatal(status, out)
	}
	for _, c := range [][]string{
		{"--table", "delta", "would become a Delta table"},
		{"--timezone", "Asia/Tokyo", "exported to a new one. The rows would be loaded into web.hits_2 of "},
		{"--into", "none", "Rows would no longer be loaded into "},
	} {
		status, out := run("sync", "change", "visits", c[0], c[1], "--dry-run")
		if status != 0 || !strings.Contains(out, c[2]) {
			t.Errorf("a dry run of %q: %d, want %q: %s", c[:2], status, c[2], out)
		}
	}
	if status, out := add("others", "web.hits"); status == 0 ||
		!strings.Contains(out, "The sync visits loads its rows into the table web.hits") {
		t.Errorf("the table of another sync: %d, %s", status, out)
	}
	other := address + "&application_name=other"
	if !strings.Contains(address, "?") {
		other = address + "?application_name=other"
	}
	if status, out := run("sync", "change", "visits", "--into", other); status != 0 ||
		!strings.Contains(out, "loaded into web.hits of ") {
		t.Errorf("another address: %d, %s", status, out)
	}
	if status, out := run("sync", "run", "visits"); status != 0 {
		t.Errorf("run: %d, %s", status, out)
	}
	rows := 0
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM web.hits").Scan(&rows); err != nil || rows == 0 {
		t.Errorf("%d rows were loaded, %v", rows, err)
	}
}

// TestConvertOfDamagedTable converts a folder whose Delta log is damaged, and one whose folder of
// Parquet files is a link to elsewhere: the messages say what to do.
func TestConvertOfDamagedTable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, t.Context(), dir, append(fourChunks, "--table", "delta")...).says(t, "run --table delta", 0, "A Delta table")
	convert := func() ran { return lineIn(t.Context(), nil, []string{"convert", "day", "--dir", dir}) }
	parquet := filepath.Join(dir, "day", "parquet")
	first := filepath.Join(parquet, "_delta_log", "00000000000000000000.json")
	if err := os.WriteFile(first, []byte("not an action\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	convert().says(t, "a damaged log", 1, "00000000000000000000.json is damaged", "Move the folder parquet")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(parquet, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, parquet); err != nil {
		t.Fatal(err)
	}
	convert().says(t, "a link", 1, parquet+" is a symbolic link out of the folder of exports")
}

// TestDamagedParquet damages a Parquet file without changing its length, which convert does not
// notice, and does what the message of query says.
func TestDamagedParquet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, t.Context(), dir, append(fourChunks, "--parquet")...).says(t, "run --parquet", 0, "4 made")
	made, err := filepath.Glob(filepath.Join(dir, "day", "parquet", "day=*", "*.parquet"))
	if err != nil || len(made) != 4 {
		t.Fatal(made, err)
	}
	raw, err := os.ReadFile(made[2])
	if err != nil {
		t.Fatal(err)
	}
	for i := 4; i < len(raw)/2; i++ {
		raw[i] ^= 0x5a
	}
	if err := os.WriteFile(made[2], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(words ...string) ran { return lineIn(t.Context(), nil, append(words, "--dir", dir)) }
	sql := `SELECT count(DISTINCT IndvId) + count(DISTINCT PageId), count(*) FROM rows`
	do("query", "day", sql).says(t, "damaged", 1, "Delete "+filepath.Base(made[2])+", and convert")
	if err := os.Remove(made[2]); err != nil {
		t.Fatal(err)
	}
	do("convert", "day").says(t, "deleted", 0, "1 made, 3 kept")
	do("query", "day", sql).says(t, "made again", 0, "1141")
}
