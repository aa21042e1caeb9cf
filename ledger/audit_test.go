package ledger

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// audited returns the entries of an account, as event, caller, operation and
// detail.
func audited(t *testing.T, l *Ledger, account string, since time.Time) (lines []string) {
	t.Helper()
	err := l.Audit(t.Context(), since, func(e Entry) error {
		if e.Account == account {
			line := fmt.Sprintf("%s %s %s %s%s", e.Event, e.Caller, e.Operation, e.Detail, e.Request)
			lines = append(lines, strings.TrimSpace(line))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func testAudit(t *testing.T, l *Ledger, _ string) {
	by := func(caller string, change func(*Tx) error) {
		t.Helper()
		if err := l.Write(context.WithValue(t.Context(), asker{}, caller), change); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	one := Bulk{
		ID: NewID("export"), Account: "a-audit", Name: "one", Request: []byte(`{"r":1}`),
		State: BulkRunning, CreatedAt: noon, Single: true,
	}
	by("anna", func(t *Tx) error { return t.AddBulk(one) })
	one, err := l.Bulk(t.Context(), "a-audit", one.ID)
	if err != nil || one.AskedBy != "anna" {
		t.Fatalf("asked by %q, %v", one.AskedBy, err)
	}
	by("ben", func(t *Tx) error {
		for range 2 {
			created := one.About(Created)
			created.Operation, created.Request = "op=1", one.Request
			if err := t.Note(created); err != nil {
				return err
			}
			if err := t.Note(Entry{Account: "a-audit", Event: Fetched, Operation: "op=1"}); err != nil {
				return err
			}
		}
		return nil
	})
	want := []string{`asked anna  {"r":1}`, `created anna op=1 {"r":1}`, "fetched ben op=1"}
	if diff := cmp.Diff(want, audited(t, l, "a-audit", began.Add(-time.Minute))); diff != "" {
		t.Error(diff)
	}
	if late := audited(t, l, "a-audit", time.Now().Add(time.Hour)); len(late) != 0 {
		t.Errorf("entries of the future: %v", late)
	}

	b := Bulk{
		ID: NewID("bulk"), Account: "a-turns", Name: "n", Request: []byte(`{}`),
		Granularity: "PT1H", State: BulkRunning, CreatedAt: noon,
	}
	by("anna", func(t *Tx) error { return t.AddBulk(b) })
	by("ben", func(t *Tx) error {
		return t.MoveBulk(b.ID, BulkRunning, BulkPaused, "Paused on request.", time.Time{})
	})
	write(t, l, func(t *Tx) error { return t.MoveBulk(b.ID, BulkPaused, BulkComplete, "", noon) })
	want = []string{
		`asked anna  {"reason":"in chunks: PT1H"}{}`, `paused ben  {"reason":"Paused on request."}`, "complete anna",
	}
	if diff := cmp.Diff(want, audited(t, l, "a-turns", time.Time{})); diff != "" {
		t.Error(diff)
	}
	testAuditProtected(t, l)
}

// testAuditProtected changes and removes entries with SQL: the database rejects that, by
// the rights of the role or, if that owns the table, by its triggers.
func testAuditProtected(t *testing.T, l *Ledger) {
	statements := []string{"UPDATE audit SET caller = 'nobody'", "DELETE FROM audit"}
	if l.lock != "" {
		statements = append(statements, "TRUNCATE audit")
	}
	for _, statement := range statements {
		_, err := l.write.ExecContext(context.Background(), statement)
		if err == nil || !strings.Contains(err.Error(), "only added to") &&
			!strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v, want it rejected", statement, err)
		}
	}
}
