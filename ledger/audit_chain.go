package ledger

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"
)

// chain is the end of the chain of an account's entries: the number and the hash of
// the newest one, zero without entries.
//
// Each entry has the hash of the one before, and its own hash covers that. So an
// entry cannot be changed, removed or inserted without a change of every hash after
// it, and a hash that was kept elsewhere (audit --head) proves such a change.
type chain struct {
	number int64
	hash   string
}

// hashVersion begins the text that is hashed. A change of the encoding needs another one.
const hashVersion = "fullstory-export-mcp audit 1\n"

// chainHash returns the hash of an entry as the ledger has it: SHA-256, in hexadecimal,
// over hashVersion and these columns in this order, each as its length in bytes, a
// colon, and its bytes: previous, number, id, at, account, caller, event, bulk, export,
// operation, request, detail, once. Numbers are decimal; at is in microseconds since
// 1970 UTC; NULL is empty. README.md documents this for other programs.
func (e Entry) chainHash() string {
	h := sha256.New()
	io.WriteString(h, hashVersion)
	for _, column := range []string{
		e.Previous, strconv.FormatInt(e.Number, 10), e.ID, strconv.FormatInt(micros(e.At), 10), e.Account, e.Caller,
		string(e.Event), e.Bulk, e.Export, e.Operation, string(e.Request), string(e.Detail), e.once,
	} {
		fmt.Fprintf(h, "%d:%s", len(column), column)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// next returns an entry as the one after c, with its number and hashes, and the chain
// that ends with it.
func (c chain) next(e Entry) (Entry, chain) {
	e.Number, e.Previous = c.number+1, c.hash
	e.Hash = e.chainHash()
	return e, chain{e.Number, e.Hash}
}

// cleaned returns an entry with its text as the ledger keeps it, which is what is hashed.
func (e Entry) cleaned() Entry {
	for _, key := range []*string{&e.Account, &e.Caller, (*string)(&e.Event), &e.Bulk, &e.Export} {
		*key = cleanText(*key, maxKey)
	}
	e.Operation = cleanText(e.Operation, maxOperation)
	return e
}

// writeEntries writes the entries of the transaction. It must be the last thing that
// the transaction does: it locks the chain of each account, in the order of their ids,
// and nothing else is waited for before the commit. So transactions of several
// processes wait for each other, but not in a circle, and not for long.
func (t *Tx) writeEntries() error {
	slices.SortStableFunc(t.entries, func(a, b Entry) int { return cmp.Compare(a.Account, b.Account) })
	var c chain
	for i, e := range t.entries {
		var err error
		if i == 0 || e.Account != t.entries[i-1].Account {
			if c, err = t.lockChain(e.Account); err != nil {
				return err
			}
		}
		if c, err = t.addLimited(c, e); err != nil {
			return err
		}
	}
	t.entries = nil
	return nil
}

// lockChain returns the chain of an account, and locks it until the transaction ends.
func (t *Tx) lockChain(account string) (c chain, err error) {
	read := func() error {
		return t.tx.QueryRowContext(t.ctx, "SELECT number, hash FROM audit_chains WHERE account = $1"+t.lock, account).
			Scan(&c.number, &c.hash)
	}
	if err = read(); !errors.Is(err, sql.ErrNoRows) {
		return c, err
	}
	_, err = t.tx.ExecContext(t.ctx,
		"INSERT INTO audit_chains (account, number, hash) VALUES ($1, 0, '') ON CONFLICT DO NOTHING", account)
	if err != nil {
		return c, err
	}
	return c, read()
}

// addEntry adds an entry after c, which the transaction has locked, and returns the new
// end of the chain. It drops an entry whose once key exists. A trigger of the database
// keeps audit_chains.
func (t *Tx) addEntry(c chain, e Entry) (chain, error) {
	e.ID = cmp.Or(e.as, NewID("audit"))
	e, after := c.next(e)
	result, err := t.tx.ExecContext(t.ctx,
		"INSERT INTO audit ("+auditColumns+") VALUES "+placeholders(0, 14)+" ON CONFLICT (account, once) DO NOTHING",
		e.ID, micros(e.At), e.Account, e.Caller, e.Event, e.Bulk, e.Export,
		operation(e.Operation), document(e.Request), document(e.Detail),
		sql.NullString{String: e.once, Valid: e.once != ""}, // NULLs do not conflict with each other
		e.Number, e.Previous, e.Hash)
	if err != nil {
		return c, chainError(e, err)
	}
	if added, err := result.RowsAffected(); err != nil || added == 0 {
		return c, err
	}
	return after, nil
}

// chainError returns the error for an entry that could not be added. A constraint that
// it violates, or a trigger that rejects it, means that its chain was tampered with.
func chainError(e Entry, err error) error {
	var server *pgconn.PgError
	rejected := errors.As(err, &server) && slices.Contains([]string{"23505", "P0001"}, server.Code)
	if !rejected && sqliteCode(err) != sqlite3.SQLITE_CONSTRAINT {
		return err
	}
	return &Error{
		Err: err,
		Message: fmt.Sprintf("The audit log of account %q does not accept entry %d, because it does not end with entry %d.",
			e.Account, e.Number, e.Number-1),
		Remedy: "Somebody changed it: run `fullstory-export-mcp audit --verify` and restore the database.",
	}
}

// Head is the newest entry of the chain of an account.
type Head struct {
	Account string `json:"account"`
	Entries int64  `json:"entries"` // number of the entry
	Hash    string `json:"hash"`
}

// AuditHeads returns the heads of all accounts, by account. A head that is kept
// elsewhere proves, together with VerifyAudit, that the entries up to it are unchanged.
func (l *Ledger) AuditHeads(ctx context.Context) ([]Head, error) {
	rows, err := l.read.QueryContext(ctx, "SELECT account, number, hash FROM audit_chains ORDER BY account")
	heads, err := all(rows, err, func(row scanner) (h Head, err error) {
		err = row.Scan(&h.Account, &h.Entries, &h.Hash)
		return h, err
	})
	return heads, l.wrap(err)
}
