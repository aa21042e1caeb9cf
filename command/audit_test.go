//go:build unix

package command

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/sandbox"
)

// auditOf runs `audit` and returns its lines, its exit status and what it says.
func auditOf[T any](t *testing.T, args ...string) (lines []T, status int, says string) {
	t.Helper()
	var stdout, stderr buffer
	noEnv := func(string) string { return "" }
	status = Status(Run(t.Context(), append([]string{"audit"}, args...), noEnv, strings.NewReader(""), &stdout, &stderr))
	for line := range strings.Lines(stdout.String()) {
		var one T
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines = append(lines, one)
	}
	return lines, status, stderr.String()
}

// sqlite runs statements on a SQLite file.
func sqlite(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// TestAuditOfReads reads personal data in every way that tools offer. Each is in the
// audit log before the data is handed out: without an entry there is none.
func TestAuditOfReads(t *testing.T) {
	t.Parallel()
	program := build(t)
	w := newWorld(t, program, "--op-time", "10ms")
	env, args := remoteKey(t, w.url, sandbox.KeyArchitect)
	c := converse(t, env, args...)
	var made created
	c.call("create_segment_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-10-18T10:00:00Z", "2026-10-18T11:00:00Z"},
	}, &made)
	if d := c.download(made.OperationID); d.State != "stored" {
		t.Fatalf("%+v", d)
	}
	operation := map[string]any{"operation_id": made.OperationID}
	link := map[string]any{"operation_id": made.OperationID, "include_download_url": true}
	c.call("download_export", operation, &struct{}{}) // the same file again
	c.call("get_export_operation", operation, &struct{}{})
	for range 2 {
		var shown struct {
			URL string `json:"download_url"`
		}
		if c.call("get_export_operation", link, &shown); !strings.HasPrefix(shown.URL, w.url) {
			t.Errorf("the link is %q", shown.URL)
		}
	}
	lines, _, _ := auditOf[ledger.Entry](t, args...)
	var events []string
	for _, e := range lines {
		if e.Caller != ledger.Local {
			t.Errorf("%s has the caller %q", e.ID, e.Caller)
		}
		if e.Operation == made.OperationID && (e.Event == ledger.Fetched || e.Event == ledger.Linked) {
			events = append(events, string(e.Event))
		}
	}
	if want := []string{"fetched", "linked", "linked"}; !slices.Equal(events, want) {
		t.Errorf("the audit log has %v, want %v", events, want)
	}
	sqlite(t, filepath.Join(args[1], ".state", "ledger.db"),
		"CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
	if text, failed := c.try("get_export_operation", link); !failed || strings.Contains(text, "signature") {
		t.Errorf("a link that cannot be recorded: %s", text)
	}
}

// TestAuditVerify changes the ledger of a bulk export, and checks what `audit` says.
func TestAuditVerify(t *testing.T) {
	t.Parallel()
	program := build(t)
	j := &job{world: newWorld(t, program, "--op-time", "1ms"), dir: t.TempDir(), hours: 2}
	if err := j.start().Wait(); err != nil {
		t.Fatal(err, j.stderr.String())
	}
	database := filepath.Join(j.dir, ".state", "ledger.db")
	args := func(more ...string) []string { return append([]string{"--dir", j.dir}, more...) }
	heads, status, _ := auditOf[ledger.Head](t, args("--head")...)
	if status != 0 || len(heads) != 1 || heads[0].Entries < 4 || len(heads[0].Hash) != 64 {
		t.Fatalf("heads: %d %+v", status, heads)
	}
	last := heads[0].Entries
	entries, _, _ := auditOf[ledger.Entry](t, args()...)
	if e := entries[len(entries)-1]; e.Number != last || e.Hash != heads[0].Hash {
		t.Errorf("the last entry is %+v, the head %+v", e, heads[0])
	}
	check := func(status int, says string, more ...string) {
		t.Helper()
		lines, got, text := auditOf[verified](t, args(append([]string{"--verify"}, more...)...)...)
		broken := says != "" && len(more) == 0
		if got != status || !strings.Contains(text, says) || len(lines) != 1 || lines[0].Whole == broken {
			t.Errorf("--verify %v: status %d, want %d; %+v %s\nwant text with %q", more, got, status, lines, text, says)
		}
	}
	kept := heads[0].Hash
	check(0, "")
	check(0, "", "--against", kept)
	check(1, "no entry of an unbroken chain has the hash 0000", "--against", kept+","+strings.Repeat("0", 64))
	for text, wrong := range map[string][]string{
		"needs --verify": {"--against", kept}, "64 characters": {"--verify", "--against", "abc"},
		"give one of them": {"--verify", "--head"}, "--since does not go": {"--head", "--since", "2026-10-01"},
	} {
		_, got, says := auditOf[verified](t, args(wrong...)...)
		if got != statusUsage || !strings.Contains(says, text) {
			t.Errorf("%v: %d %s", wrong, got, says)
		}
	}
	sqlite(t, database, "DROP TRIGGER audit_kept", "DROP TRIGGER audit_unchanged",
		"UPDATE audit SET caller = 'somebody' WHERE number = 2")
	check(1, "is broken at entry 2 ("+entries[1].ID+", "+entries[1].At.Format("2006-01-02T"))
	sqlite(t, database, "UPDATE audit SET caller = 'local' WHERE number = 2")
	check(0, "")
	sqlite(t, database, "UPDATE audit SET detail = '{' WHERE number = 1")
	if lines, got, says := auditOf[ledger.Entry](t, args()...); got != 0 || len(lines) != int(last) ||
		string(lines[0].Detail) != `"{"` {
		t.Errorf("an entry with a detail that is not JSON: %d %s, %d lines", got, says, len(lines))
	}
	sqlite(t, database, "UPDATE audit SET detail = '"+string(entries[0].Detail)+"' WHERE number = 1")
	sqlite(t, database, "DELETE FROM audit WHERE number > 3",
		"UPDATE audit_chains SET number = 3, hash = (SELECT hash FROM audit WHERE number = 3)")
	check(0, "") // only a kept head shows that
	check(1, "has the hash "+kept, "--against", kept)
}

// TestAuditPrintsSafely prints entries with characters that control a terminal, or that
// nobody sees.
func TestAuditPrintsSafely(t *testing.T) {
	t.Parallel()
	const text = "a\u202eb\u009b31m\u007f\x1b[2J\u2066\ufe0f\u3164\u2800\U000e0041é 😀 \u00a0\u2028\ufeff"
	var out bytes.Buffer
	if err := (printableJSON{&out}).print(map[string]string{"caller": text}); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["caller"] != text {
		t.Errorf("%v: %q is read as %q", err, out.String(), back["caller"])
	}
	if want := `{"caller":"a\u202eb\u009b31m\u007f\u001b[2J\u2066\ufe0f\u3164\u2800\udb40\udc41é 😀 \u00a0\u2028\ufeff"}` +
		"\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// TestMigrate prepares a PostgreSQL for servers that do not own its tables: a bulk export
// runs with such a role, and nothing can be unwritten with it.
func TestMigrate(t *testing.T) {
	t.Parallel()
	program := build(t)
	owner := database(t)
	role := strings.ReplaceAll(ledger.NewID("server"), "-", "_")
	db, err := sql.Open("pgx", owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db.Exec("DROP OWNED BY " + role)
		db.Exec("DROP ROLE " + role)
		db.Close()
	})
	if _, err := db.Exec("CREATE ROLE " + role + " LOGIN"); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	server := u.String()
	w := newWorld(t, program, "--density", fewRows, "--op-time", "50ms")
	j := &job{world: w, dir: t.TempDir(), database: server, hours: 6}
	if j.start().Wait() == nil || !strings.Contains(j.stderr.String(), "has no tables") {
		t.Errorf("run without tables: %s", j.stderr.String())
	}
	out, err := exec.Command(program, "migrate", "--database", owner, "--grant-to", role).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `GRANT SELECT, INSERT ON "public"."audit" TO "`+role+`";`) {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	if err := j.start().Wait(); err != nil {
		t.Fatalf("run: %v\n%s", err, j.stderr.String())
	}
	j.check(false)
	checked, status, says := auditOf[verified](t, "--database", server, "--verify")
	if status != 0 || len(checked) != 1 || checked[0].Entries != 14 {
		t.Errorf("audit --verify: %d %+v %s", status, checked, says)
	}
	limited, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	defer limited.Close()
	for _, statement := range []string{"UPDATE audit SET caller = 'x'", "DELETE FROM audit", "TRUNCATE audit"} {
		if _, err := limited.Exec(statement); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	out, _ = exec.Command(program, "migrate", "--dir", t.TempDir(), "--grant-to", role).CombinedOutput()
	if !strings.Contains(string(out), "needs a postgres:// address") {
		t.Errorf("migrate of SQLite: %s", out)
	}
}
