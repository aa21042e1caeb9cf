package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

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
			return t.Note(Entry{
				Account: account, Event: Created, Operation: fmt.Sprintf("op=%d", i), Request: []byte(`{"a": 1}`),
			})
		})
	}
}

// noteAll adds entries.
func (t *Tx) noteAll(entries []Entry) error {
	for _, e := range entries {
		if err := t.Note(e); err != nil {
			return err
		}
	}
	return nil
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
				operation := fmt.Sprintf("op=%d", n)
				var notes []Entry
				for i := range accounts {
					account := accounts[(p+i)%2]
					notes = append(notes,
						Entry{Account: account, Event: Created, Operation: operation}, // only one process adds it
						Entry{Account: account, Event: Stored, Operation: operation})
				}
				if err := process.Write(t.Context(), func(t *Tx) error { return t.noteAll(notes) }); err != nil {
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

// TestChainBreaks changes the audit log as the owner of the database could: VerifyAudit
// names the first entry that differs, and says what does.
func TestChainBreaks(t *testing.T) {
	t.Parallel()
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			l := open(t, place)
			for name, test := range map[string]struct {
				changes []string // %s is the account
				number  int64
				differs string
			}{
				"caller":        {[]string{"UPDATE audit SET caller = 'x' WHERE %s AND number = 3"}, 3, "content"},
				"request":       {[]string{`UPDATE audit SET request = '{"a":1}' WHERE %s AND number = 3`}, 3, "content"},
				"time":          {[]string{"UPDATE audit SET at = at + 1 WHERE %s AND number = 1"}, 1, "content"},
				"once":          {[]string{"UPDATE audit SET once = NULL WHERE %s AND number = 2"}, 2, "content"},
				"previous":      {[]string{"UPDATE audit SET previous = 'x' WHERE %s AND number = 4"}, 4, "another hash"},
				"removed":       {[]string{"DELETE FROM audit WHERE %s AND number = 2"}, 3, "Entry 2 is missing"},
				"all removed":   {[]string{"DELETE FROM audit WHERE %s"}, 1, "from 1 on are missing"},
				"cut off":       {[]string{"DELETE FROM audit WHERE %s AND number > 3"}, 4, "from 4 on are missing"},
				"replaced head": {[]string{"UPDATE audit_chains SET hash = 'x' WHERE %s"}, 5, "entries were replaced"},
				"moved letter": {[]string{
					"UPDATE audit SET caller = 'loca', event = 'lcreated' WHERE %s AND number = 4",
				}, 4, "content"},
				"swapped": {[]string{
					"UPDATE audit SET number = 99 WHERE %s AND number = 2",
					"UPDATE audit SET number = 2 WHERE %s AND number = 3",
					"UPDATE audit SET number = 3 WHERE %s AND number = 99",
				}, 2, "another hash"},
			} {
				account := "a-" + name
				entries(t, l, account, 5)
				if broken, before := verify(t, l, account); broken != nil || len(before) != 5 {
					t.Errorf("%s: %d entries, broken: %+v", name, len(before), broken)
				}
				for _, change := range test.changes {
					unprotected(t, l, fmt.Sprintf(change, "account = '"+account+"'"))
				}
				broken, _ := verify(t, l, account)
				if broken == nil || broken.Number != test.number || !strings.Contains(broken.Differs, test.differs) {
					t.Errorf("%s: %+v, want entry %d and %q", name, broken, test.number, test.differs)
				}
			}
			testAuditProtected(t, l)
			checkTampered(t, l)
			checkCutOff(t, l)
			checkForeign(t, l)
		})
	}
}

// unprotected runs a statement while the database accepts changes of entries.
func unprotected(t *testing.T, l *Ledger, statement string) {
	t.Helper()
	dialect := goose.DialectSQLite3
	if l.lock != "" {
		dialect = goose.DialectPostgres
	}
	statements := slices.Concat(suspension[dialect], []string{statement}, protection[dialect])
	for _, s := range statements {
		if _, err := l.write.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// checkTampered adds an entry to a chain whose record was changed, or is missing.
func checkTampered(t *testing.T, l *Ledger) {
	for i, change := range []string{"UPDATE audit_chains SET number = 1", "DELETE FROM audit_chains"} {
		account := fmt.Sprintf("a-tampered-%d", i)
		entries(t, l, account, 3)
		unprotected(t, l, change+" WHERE account = '"+account+"'")
		err := l.Write(t.Context(), func(t *Tx) error { return t.Note(Entry{Account: account, Event: Asked}) })
		var rejected *Error
		if !errors.As(err, &rejected) || rejected.Busy || !strings.Contains(rejected.Error(), "audit --verify") {
			t.Errorf("%s: %v", change, err)
		}
		unprotected(t, l, "DELETE FROM audit WHERE account = '"+account+"'") // others look for such entries
	}
}

// checkCutOff removes the newest entries together with the record of the chain: only a
// head that was kept shows that.
func checkCutOff(t *testing.T, l *Ledger) {
	const account = "a-cut-off-whole"
	entries(t, l, account, 5)
	kept := headOf(t, l, account).Hash
	_, before := verify(t, l, account)
	unprotected(t, l, "DELETE FROM audit WHERE account = '"+account+"' AND number > 3")
	unprotected(t, l, "UPDATE audit_chains SET number = 3, hash = '"+before[2]+"' WHERE account = '"+account+"'")
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
		VALUES ('audit_x', 1, 'a-foreign', '', 'asked', '', '', '', '', '')`
	_, err := l.write.ExecContext(t.Context(), insert)
	if err == nil || !strings.Contains(err.Error(), "not the next one of its chain") {
		t.Errorf("an entry without a number: %v", err)
	}
	if e, err := l.Unchained(t.Context()); e != nil || err != nil {
		t.Errorf("in no chain: %+v, %v", e, err)
	}
	drop := "DROP TRIGGER audit_chained"
	if l.lock != "" {
		drop += " ON audit"
	}
	for _, s := range []string{drop, insert} {
		if _, err := l.write.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if e, err := l.Unchained(t.Context()); err != nil || e == nil || e.ID != "audit_x" {
		t.Errorf("in no chain: %+v, %v", e, err)
	}
}

// earlierEntries adds entries without hashes. There are three instants for all of them, so
// that their ids decide the order.
func earlierEntries(t *testing.T, db *sql.DB) {
	for i := range 3 * hashBatch {
		_, err := db.Exec(`INSERT INTO audit (id, at, account, caller, event, bulk, export, operation, request,
			detail, once) VALUES ($1, $2, $3, 'anna', 'created', '', '', $1, '{"b": "é"}', '', $1)`,
			fmt.Sprintf("audit_%03d", i*7%150), i/50+1, fmt.Sprint("account ", i%2))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestChainOfEarlierEntries migrates a ledger whose entries have no hashes yet.
func TestChainOfEarlierEntries(t *testing.T) {
	t.Parallel()
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			migrateTo(t, kind, place, 9, func(db *sql.DB) { earlierEntries(t, db) })
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
