package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// testAuditLimit has callers make endless entries: those of each are bounded, one says
// how many were left out, and what concerns operations at Fullstory is kept.
func testAuditLimit(t *testing.T, l *Ledger, _ string) {
	const account = "a-limit"
	count := func() (n map[string]int) {
		n = map[string]int{}
		for _, line := range audited(t, l, account, time.Time{}) {
			event, caller, _ := strings.Cut(line, " ")
			caller, detail, _ := strings.Cut(caller, " ")
			if event == string(LeftOut) {
				event += strings.TrimSpace(detail)
			}
			n[event+" "+caller]++
		}
		return n
	}
	flood := func(caller string, n int) {
		write(t, l, func(t *Tx) error {
			for range n {
				for _, e := range []Entry{
					{Account: account, Caller: caller, Event: Linked, Operation: "op=1"},
					{Account: account, Caller: caller, Event: Fetched, Operation: "op=1"}, // repeats are dropped, not counted
				} {
					if err := t.Note(e); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	today := time.Now().UTC()
	flood("anna", mostEntries+500)
	flood("anna", 30)
	flood("ben", 1)
	entries(t, l, account, 3) // of the caller "local"
	write(t, l, func(t *Tx) error {
		for _, e := range []Event{Created, Unclear, Stored, "completed", "failed", "cancelled", "lost"} {
			if err := t.Note(Entry{Account: account, Caller: "anna", Event: e, Operation: "op=kept"}); err != nil {
				return err
			}
		}
		return nil
	})
	if dayOf(time.Now()) != dayOf(today) {
		t.Skip("a day began meanwhile")
	}
	leftOut := func(n int, day time.Time) string {
		return fmt.Sprintf(`left_out{"day":"%s","entries":%d} anna`, day.Format(time.DateOnly), n)
	}
	n := count()
	if n["linked anna"] != mostEntries-1 || n["fetched anna"] != 1 || n[leftOut(531, today)] != 1 ||
		n["linked ben"] != 1 || n["created local"] != 3 || n["created anna"] != 1 || n["lost anna"] != 1 {
		t.Errorf("after a flood: %v", n)
	}
	if headOf(t, l, account).Entries != int64(mostEntries+2+3+7) {
		t.Errorf("the chain has %d entries", headOf(t, l, account).Entries)
	}
	// The next day.
	yesterday := today.AddDate(0, 0, -1)
	write(t, l, func(t *Tx) error {
		_, err := t.tx.ExecContext(t.ctx, "UPDATE audit_callers SET day = day - 1 WHERE account = $1", account)
		return err
	})
	if n := count(); n[leftOut(531, yesterday)] != 1 {
		t.Errorf("before the first entry of the next day: %v", n)
	}
	flood("anna", 2)
	if n := count(); n["linked anna"] != mostEntries+1 || n[leftOut(531, yesterday)] != 1 {
		t.Errorf("on the next day: %v", n)
	}
	if broken, hashes := verify(t, l, account); broken != nil || len(hashes) != mostEntries+2+3+7+3 {
		t.Errorf("%d entries are in the chain, broken: %+v", len(hashes), broken)
	}
}

// testAuditBounds adds entries with very long text.
func testAuditBounds(t *testing.T, l *Ledger, _ string) {
	const account = "a-bounds"
	long := strings.Repeat("é", 1<<20)
	write(t, l, func(t *Tx) error {
		return t.Note(Entry{
			Account: account, Caller: long, Event: Event(long), Bulk: long, Export: long, Operation: long,
			Request: []byte(`{"fields":["` + long + `"]}`), Detail: Because(long),
		})
	})
	err := l.Audit(t.Context(), time.Time{}, func(e Entry) error {
		size := len(e.Caller) + len(e.Event) + len(e.Bulk) + len(e.Export) + len(e.Operation) + len(e.Request) + len(e.Detail)
		if e.Account == account && (size > 10_000 || !strings.Contains(string(e.Request), `"sha256":"`)) {
			t.Errorf("an entry has %d bytes, and the request %.100s", size, e.Request)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if broken, hashes := verify(t, l, account); broken != nil || len(hashes) != 1 {
		t.Errorf("%d entries, broken: %+v", len(hashes), broken)
	}
	wrong := Entry{Account: account, Event: Asked, Detail: []byte("{")}
	err = l.Write(t.Context(), func(t *Tx) error { return t.Note(wrong) })
	if err == nil || !strings.Contains(err.Error(), "not JSON") {
		t.Errorf("a detail that is not JSON: %v", err)
	}
}
