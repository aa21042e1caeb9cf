package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
)

// headOf returns the head of an account.
func headOf(t *testing.T, l *Ledger, account string) Head {
	t.Helper()
	heads, err := l.AuditHeads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range heads {
		if h.Account == account {
			return h
		}
	}
	t.Fatalf("%s has no chain: %+v", account, heads)
	return Head{}
}

// verify returns the break of an account's chain, and the hashes of its entries before.
func verify(t *testing.T, l *Ledger, account string) (*Break, []string) {
	t.Helper()
	var hashes []string
	broken, err := l.VerifyAudit(t.Context(), headOf(t, l, account), func(e Entry) { hashes = append(hashes, e.Hash) })
	if err != nil {
		t.Fatal(err)
	}
	return broken, hashes
}

// entries adds n entries to an account, each in a transaction of its own.
func entries(t *testing.T, l *Ledger, account string, n int) {
	t.Helper()
	for i := range n {
		write(t, l, func(t *Tx) error {
			return t.Note(Entry{Account: account, Event: Created, Operation: fmt.Sprintf("op=%d", i), Request: []byte(`{"a": 1}`)})
		})
	}
}

// testChain has several processes write entries of the same accounts at once, in
// opposite orders: none waits for another forever, and the chains are whole.
func testChain(t *testing.T, l *Ledger, place string) {
	const processes, transactions = 4, 12
	accounts := []string{"a-chain", "b-chain"}
	var writing sync.WaitGroup
	for p := range processes {
		process := open(t, place)
		writing.Go(func() {
			for n := range transactions {
				err := process.Write(t.Context(), func(t *Tx) error {
					for i := range accounts {
						e := Entry{Account: accounts[(p+i)%2], Event: Created, Operation: fmt.Sprintf("op=%d", n)}
						if err := t.Note(e); err != nil { // once for each operation: one process adds it
							return err
						}
						e.Event = Stored
						if err := t.Note(e); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	for _, account := range accounts {
		const want = transactions + processes*transactions
		broken, hashes := verify(t, l, account)
		if broken != nil || len(hashes) != want || headOf(t, l, account).Entries != want {
			t.Errorf("%s: %d entries, want %d; broken: %+v", account, len(hashes), want, broken)
		}
	}
	if e, err := l.Unchained(t.Context()); e != nil || err != nil {
		t.Errorf("in no chain: %+v, %v", e, err)
	}
}

// unprotect makes a database accept changes of entries, as its owner can.
func unprotect(t *testing.T, l *Ledger) {
	statements := []string{"DROP TRIGGER audit_unchanged", "DROP TRIGGER audit_kept", "DROP TRIGGER audit_chained"}
	if l.lock != "" {
		statements = []string{"ALTER TABLE audit DISABLE TRIGGER ALL"}
	}
	for _, s := range statements {
		if _, err := l.write.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// TestChainBreaks changes the audit log as the owner of the database could: VerifyAudit
// names the first entry that differs, and says what does.
func TestChainBreaks(t *testing.T) {
	t.Parallel()
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			l := open(t, place)
			for name, test := range map[string]struct {
				statements []string // %s is the account
				number     int64
				differs    string
			}{
				"whole":       {nil, 0, ""},
				"caller":      {[]string{"UPDATE audit SET caller = 'x' WHERE account = '%s' AND number = 3"}, 3, "content"},
				"request":     {[]string{`UPDATE audit SET request = '{"a":1}' WHERE account = '%s' AND number = 3`}, 3, "content"},
				"time":        {[]string{"UPDATE audit SET at = at + 1 WHERE account = '%s' AND number = 1"}, 1, "content"},
				"once":        {[]string{"UPDATE audit SET once = NULL WHERE account = '%s' AND number = 2"}, 2, "content"},
				"shift":       {[]string{"UPDATE audit SET caller = 'loca', event = 'lcreated' WHERE account = '%s' AND number = 4"}, 4, "content"},
				"previous":    {[]string{"UPDATE audit SET previous = 'x' WHERE account = '%s' AND number = 4"}, 4, "another hash"},
				"removed":     {[]string{"DELETE FROM audit WHERE account = '%s' AND number = 2"}, 3, "Entry 2 is missing"},
				"all removed": {[]string{"DELETE FROM audit WHERE account = '%s'"}, 1, "from 1 on are missing"},
				"swapped": {[]string{
					"UPDATE audit SET number = 99 WHERE account = '%s' AND number = 2",
					"UPDATE audit SET number = 2 WHERE account = '%s' AND number = 3",
					"UPDATE audit SET number = 3 WHERE account = '%s' AND number = 99",
				}, 2, "another hash"},
				"cut off": {[]string{"DELETE FROM audit WHERE account = '%s' AND number > 3"}, 4, "from 4 on are missing"},
				"replaced head": {[]string{
					"UPDATE audit_chains SET hash = 'x' WHERE account = '%s'",
				}, 5, "entries were replaced"},
			} {
				account := "a-" + name
				entries(t, l, account, 5)
				for _, s := range test.statements {
					change := func(t *Tx) error {
						_, err := t.tx.ExecContext(t.ctx, fmt.Sprintf(s, account))
						return err
					}
					if strings.Contains(s, "audit ") { // the protection of entries is in the way
						if err := l.Write(t.Context(), change); err == nil {
							t.Errorf("%s: the database accepts %s", name, s)
						}
						protect := suspend(t, l)
						write(t, l, change)
						protect()
					} else {
						write(t, l, change)
					}
				}
				broken, before := verify(t, l, account)
				switch {
				case test.differs == "":
					if broken != nil || len(before) != 5 {
						t.Errorf("%s: %+v", name, broken)
					}
				case broken == nil || broken.Number != test.number || !strings.Contains(broken.Differs, test.differs):
					t.Errorf("%s: %+v, want entry %d and %q", name, broken, test.number, test.differs)
				}
			}
			checkCutOff(t, l)
			checkForeign(t, l)
		})
	}
}

// suspend lets entries be changed until the function that it returns is called.
func suspend(t *testing.T, l *Ledger) (protect func()) {
	t.Helper()
	off, on := chainBegins[goose.DialectSQLite3], chainEnds[goose.DialectSQLite3][1:2]
	off, on = append(off[:1:1], "DROP TRIGGER audit_kept"), append(on[:1:1], `CREATE TRIGGER audit_kept BEFORE DELETE ON audit
		BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END`)
	if l.lock != "" {
		off, on = chainBegins[goose.DialectPostgres], chainEnds[goose.DialectPostgres][1:2]
	}
	run := func(statements []string) {
		for _, s := range statements {
			if _, err := l.write.ExecContext(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(off)
	return func() { run(on) }
}

// checkCutOff removes the newest entries together with the record of the chain: only a
// head that was kept shows that.
func checkCutOff(t *testing.T, l *Ledger) {
	const account = "a-cut-off-whole"
	entries(t, l, account, 5)
	kept := headOf(t, l, account).Hash
	_, before := verify(t, l, account)
	protect := suspend(t, l)
	write(t, l, func(t *Tx) error {
		_, err := t.tx.ExecContext(t.ctx, "DELETE FROM audit WHERE account = $1 AND number > 3", account)
		if err == nil {
			_, err = t.tx.ExecContext(t.ctx, "UPDATE audit_chains SET number = 3, hash = $1 WHERE account = $2",
				before[2], account)
		}
		return err
	})
	protect()
	broken, after := verify(t, l, account)
	if broken != nil || len(after) != 3 {
		t.Errorf("a chain that was cut off is broken: %+v", broken)
	}
	for _, hash := range after {
		if hash == kept {
			t.Error("the head that was kept is still there")
		}
	}
	entries(t, l, account, 1) // op=0 is there already
	write(t, l, func(t *Tx) error { return t.Note(Entry{Account: account, Event: Asked}) })
	if broken, after := verify(t, l, account); broken != nil || len(after) != 4 {
		t.Errorf("the chain does not continue: %+v", broken)
	}
}

// checkForeign writes an entry with SQL: the database rejects one that is not the next
// of its chain, and Unchained finds one that was written nevertheless.
func checkForeign(t *testing.T, l *Ledger) {
	const insert = `INSERT INTO audit (id, at, account, caller, event, bulk, export, operation, request, detail)
		VALUES ('audit_x', 1, 'a-whole', '', 'asked', '', '', '', '', '')`
	_, err := l.write.ExecContext(t.Context(), insert)
	if err == nil || !strings.Contains(err.Error(), "not the next one of its chain") {
		t.Errorf("an entry without a number: %v", err)
	}
	if e, err := l.Unchained(t.Context()); e != nil || err != nil {
		t.Errorf("in no chain: %+v, %v", e, err)
	}
	unprotect(t, l)
	if _, err := l.write.ExecContext(t.Context(), insert); err != nil {
		t.Fatal(err)
	}
	if e, err := l.Unchained(t.Context()); err != nil || e == nil || e.ID != "audit_x" {
		t.Errorf("in no chain: %+v, %v", e, err)
	}
}

// TestChainOfEarlierEntries migrates a ledger whose entries have no hashes yet.
func TestChainOfEarlierEntries(t *testing.T) {
	t.Parallel()
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			migrateTo(t, kind, place, 9, func(db *sql.DB) {
				for i := range 3 * hashBatch {
					// Three instants for all entries: ids decide the order of equal ones.
					_, err := db.Exec(`INSERT INTO audit (id, at, account, caller, event, bulk, export, operation, request,
						detail, once) VALUES ($1, $2, $3, 'anna', 'created', '', '', $1, '{"b": "é"}', '', $1)`,
						fmt.Sprintf("audit_%03d", i*7%150), i/50+1, fmt.Sprint("account ", i%2))
					if err != nil {
						t.Fatal(err)
					}
				}
			})
			l := open(t, place)
			for _, account := range []string{"account 0", "account 1"} {
				entries(t, l, account, 2)
				if broken, hashes := verify(t, l, account); broken != nil || len(hashes) != 3*hashBatch/2+2 {
					t.Errorf("%s: %d entries, broken: %+v", account, len(hashes), broken)
				}
			}
			if e, err := l.Unchained(t.Context()); e != nil || err != nil {
				t.Errorf("in no chain: %+v, %v", e, err)
			}
			testAuditProtected(t, l)
		})
	}
}

// migrateTo migrates a new ledger to a version only, and then calls fill.
func migrateTo(t *testing.T, kind, place string, version int64, fill func(*sql.DB)) {
	t.Helper()
	driver, address, dialect := "sqlite", "file:"+place, goose.DialectSQLite3
	if kind != "sqlite" {
		driver, address, dialect = "pgx", place, goose.DialectPostgres
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m, err := migrator(db, dialect)
	if err == nil {
		_, err = m.UpTo(context.Background(), version)
	}
	if err == nil && driver == "sqlite" {
		_, err = db.Exec(fmt.Sprintf("PRAGMA application_id=%d", applicationID))
	}
	if err != nil {
		t.Fatal(err)
	}
	fill(db)
}

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
	today := time.Now().UTC()
	leftOut := func(n int, day time.Time) string {
		return fmt.Sprintf(`left_out{"day":"%s","entries":%d} anna`, day.Format(time.DateOnly), n)
	}
	n := count()
	if n["linked anna"] != mostEntries-1 || n["fetched anna"] != 1 || n[leftOut(531, today)] != 1 || n["linked ben"] != 1 ||
		n["created local"] != 3 || n["lost anna"] != 1 || n["created anna"] != 1 || n["stored anna"] != 1 {
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
	err = l.Write(t.Context(), func(t *Tx) error { return t.Note(Entry{Account: account, Event: Asked, Detail: []byte("{")}) })
	if err == nil || !strings.Contains(err.Error(), "not JSON") {
		t.Errorf("a detail that is not JSON: %v", err)
	}
}
