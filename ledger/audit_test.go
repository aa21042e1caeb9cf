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
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s%s", e.Event, e.Caller, e.Operation, e.Detail, e.Request)))
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
		if err := l.Write(WithCaller(t.Context(), caller), change); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	one := Export{ID: NewID("export"), Account: "a-audit", Request: []byte(`{"r":1}`), State: ExportPlanned, AskedAt: noon}
	by("anna", func(t *Tx) error { return t.AddExport(one) })
	one, err := l.Export(t.Context(), one.ID)
	if err != nil || one.AskedBy != "anna" {
		t.Fatalf("asked by %q, %v", one.AskedBy, err)
	}
	save := func(x *Export, to ExportState, operation string) {
		t.Helper()
		from := x.State
		x.State, x.Operation = to, operation
		write(t, l, func(t *Tx) error { return t.SaveExport(*x, from) })
	}
	save(&one, ExportCreating, "")
	save(&one, ExportRunning, "op=1")
	save(&one, ExportCompleted, "op=1")
	again := one
	again.ID, again.AskedBy, again.Bulk = NewID("export"), "", "bulk_x"
	by("ben", func(t *Tx) error { return t.AddExport(again) })
	by("ben", func(t *Tx) error {
		for range 2 {
			if err := t.Note(Entry{Account: "a-audit", Event: Fetched, Operation: "op=1"}); err != nil {
				return err
			}
		}
		return nil
	})
	found := Export{ID: NewID("export"), Account: "a-audit", AskedBy: "cleo", State: ExportCreating, AskedAt: noon}
	write(t, l, func(t *Tx) error { return t.AddExport(found) })
	found.Candidates = []byte(`[{"operation":"op=2"}]`)
	save(&found, ExportUncertain, "")
	save(&found, ExportCompleted, "op=2") // its file has not decided yet
	save(&found, ExportLost, "op=2")
	want := []string{
		`asked anna  {"r":1}`, `created anna op=1 {"r":1}`, "reused ben op=1", "fetched ben op=1", "unclear cleo op=2", "lost cleo op=2",
	}
	if diff := cmp.Diff(want, audited(t, l, "a-audit", began.Add(-time.Minute))); diff != "" {
		t.Error(diff)
	}
	if late := audited(t, l, "a-audit", time.Now().Add(time.Hour)); len(late) != 0 {
		t.Errorf("entries of the future: %v", late)
	}

	b := Bulk{ID: NewID("bulk"), Account: "a-turns", Name: "n", Request: []byte(`{}`), Chunk: "PT1H", State: BulkRunning, CreatedAt: noon}
	by("anna", func(t *Tx) error { return t.AddBulk(b) })
	by("ben", func(t *Tx) error { return t.MoveBulk(b.ID, BulkRunning, BulkPaused, "Paused on request.", time.Time{}) })
	write(t, l, func(t *Tx) error { return t.MoveBulk(b.ID, BulkPaused, BulkComplete, "", noon) })
	want = []string{`asked anna  {"reason":"in chunks: PT1H"}{}`, `paused ben  {"reason":"Paused on request."}`, "complete anna"}
	if diff := cmp.Diff(want, audited(t, l, "a-turns", time.Time{})); diff != "" {
		t.Error(diff)
	}

	for _, statement := range []string{"UPDATE audit SET caller = 'nobody'", "DELETE FROM audit"} {
		if _, err := l.write.ExecContext(context.Background(), statement); err == nil || !strings.Contains(err.Error(), "only added to") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}
