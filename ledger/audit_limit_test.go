package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// countEntries counts the entries of an account by event and caller, and those of LeftOut
// also by their detail.
func countEntries(t *testing.T, l *Ledger, account string) map[string]int {
	t.Helper()
	n := map[string]int{}
	err := l.Audit(t.Context(), time.Time{}, func(e Entry) error {
		if e.Account != account {
			return nil
		}
		key := string(e.Event)
		if e.Event == LeftOut {
			key += string(e.Detail)
		}
		n[key+" "+e.Caller]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// testAuditLimit has callers make endless entries: those of each are bounded, one says
// how many were left out, and what concerns operations at Fullstory is kept.
func testAuditLimit(t *testing.T, l *Ledger, _ string) {
	const account = "a-limit"
	count := func() map[string]int { return countEntries(t, l, account) }
	flood := func(caller string, n int) {
		var notes []Entry
		for range n {
			notes = append(notes,
				Entry{Account: account, Caller: caller, Event: Linked, Operation: "op=1"},
				Entry{Account: account, Caller: caller, Event: Fetched, Operation: "op=1"}) // repeats are not counted
		}
		write(t, l, func(t *Tx) error { return t.noteAll(notes) })
	}
	today := time.Now().UTC()
	flood("anna", mostEntries+500)
	flood("anna", 30)
	flood("ben", 1)
	entries(t, l, account, 3) // of the caller "local"
	var kept []Entry
	for _, e := range []Event{Created, Unclear, Stored, "completed", "failed", "cancelled", "lost"} {
		kept = append(kept, Entry{Account: account, Caller: "anna", Event: e, Operation: "op=kept"})
	}
	write(t, l, func(t *Tx) error { return t.noteAll(kept) })
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
