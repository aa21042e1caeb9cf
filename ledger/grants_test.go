package ledger

import (
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// newRole creates a role that may log in, and returns its name and the address of a
// database for it.
func newRole(t *testing.T, place string) (role, address string) {
	t.Helper()
	role = "Server " + strings.TrimPrefix(NewID("r"), "r_") // a name that must be quoted
	execute(t, place, `CREATE ROLE "`+role+`" LOGIN`)
	t.Cleanup(func() { // before that of the database
		server, err := sql.Open("pgx", place)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		server.Exec(`DROP OWNED BY "` + role + `"`)
		server.Exec(`DROP ROLE "` + role + `"`)
	})
	u, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	return role, u.String()
}

// execute runs statements on a PostgreSQL database.
func execute(t *testing.T, place string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", place)
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

// withoutOwnership migrates a database with the role of its address, and returns its
// address for another one that has only what Grant gives.
func withoutOwnership(t *testing.T, place string) string {
	t.Helper()
	role, address := newRole(t, place)
	if _, err := open(t, place).Grant(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	return address
}

// checkAuditor verifies the audit log with a role that may only read it.
func checkAuditor(t *testing.T, place string) {
	role, address := newRole(t, place)
	execute(t, place, `GRANT SELECT ON goose_db_version, audit, audit_chains TO "`+role+`"`)
	_, err := OpenAudit(t.Context(), address)
	if err == nil || !strings.Contains(err.Error(), "SELECT ON audit_callers.") {
		t.Errorf("an auditor with a right too few: %v", err)
	}
	execute(t, place, `GRANT SELECT ON audit_callers TO "`+role+`"`)
	l, err := OpenAudit(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if broken, hashes := verify(t, l, "a"); broken != nil || len(hashes) != 2 {
		t.Errorf("%d entries, broken: %+v", len(hashes), broken)
	}
	if e, err := l.Unchained(t.Context()); e != nil || err != nil {
		t.Errorf("in no chain: %+v, %v", e, err)
	}
	if lines := audited(t, l, "a", time.Time{}); len(lines) != 2 {
		t.Errorf("the auditor reads %q", lines)
	}
}

// TestRights opens a ledger with a role that does not own its tables: what is missing is
// said, and with exactly what Grant gives nothing is missing and nothing else is allowed.
func TestRights(t *testing.T) {
	t.Parallel()
	place := places(t)["postgres"]
	if place == "" {
		t.Skip()
	}
	role, address := newRole(t, place)
	rejected := func(when string, says ...string) {
		t.Helper()
		_, err := Open(t.Context(), address)
		var rejected *Error
		for _, text := range append(says, "migrate --grant-to") {
			if !errors.As(err, &rejected) || rejected.Busy || !strings.Contains(rejected.Error(), text) {
				t.Errorf("%s: %v, want a message with %q", when, err, text)
			}
		}
	}
	rejected("without tables", "has no tables", "needs version 15", "permission denied")
	migrateTo(t, "postgres", place, 9, func(*sql.DB) {})
	rejected("without a right to read", "may not read")
	execute(t, place, `GRANT SELECT ON goose_db_version TO "`+role+`"`)
	rejected("with old tables", "version 9", "needs version 15", "may not change them")
	owner := open(t, place)
	rejected("without rights", "lacks rights: DELETE ON leases", "INSERT ON audit,", "UPDATE ON bulks")
	if _, err := owner.Grant(t.Context(), "nobody at all"); err == nil || !strings.Contains(err.Error(), "CREATE ROLE") {
		t.Errorf("rights of a role that does not exist: %v", err)
	}
	if _, err := owner.Grant(t.Context(), "postgres"); err == nil || !strings.Contains(err.Error(), "superuser") {
		t.Errorf("rights of the owner: %v", err)
	}
	execute(t, place, `GRANT ALL ON audit, bulks TO "`+role+`"`) // Grant takes back what is too much
	if _, err := owner.Grant(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	l := open(t, address)
	entries(t, l, "a", 2)
	if broken, hashes := verify(t, l, "a"); broken != nil || len(hashes) != 2 {
		t.Errorf("%d entries, broken: %+v", len(hashes), broken)
	}
	for _, statement := range []string{
		"UPDATE audit SET caller = 'x'", "DELETE FROM audit", "TRUNCATE audit", "DROP TABLE audit", "DELETE FROM bulks",
		"ALTER TABLE audit DISABLE TRIGGER ALL", "DROP TRIGGER audit_kept ON audit", "DELETE FROM audit_chains",
		"CREATE TABLE mine (x int)", "UPDATE goose_db_version SET version_id = 1", "DROP FUNCTION audit_chained",
		"CREATE TRIGGER mine BEFORE INSERT ON audit EXECUTE FUNCTION audit_only_added()",
	} {
		_, err := l.write.ExecContext(t.Context(), statement)
		var server *pgconn.PgError
		if !errors.As(err, &server) || server.Code != "42501" {
			t.Errorf("%s: %v, want it denied", statement, err)
		}
	}
	checkAuditor(t, place)
	execute(t, place, `REVOKE INSERT ON files FROM "`+role+`"`)
	rejected("with a right less", "lacks rights: INSERT ON files.")
	execute(t, place, `REVOKE USAGE ON SCHEMA public FROM PUBLIC, "`+role+`"`)
	rejected("without the schema", "may not read")
}
