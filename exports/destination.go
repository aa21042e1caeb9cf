package exports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/destination"
	"fullstory-export-mcp/landing"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/load"
)

// Destination is a table of a database that the rows of a sync are loaded into.
type Destination struct {
	Address string // of a PostgreSQL, such as postgres://user@host/database; "": none
	Table   string // such as events or web.events; "": as before, or else the name of the sync
}

// into sets the destination of a sync from its request. It connects to the database, so that a
// mistake is noticed at once.
func (p *plannedSync) into(ctx context.Context, a *Account) error {
	given := p.in.Into
	if given == nil {
		return nil
	}
	if given.Address == "" {
		p.sync.Destination, p.sync.DestinationTable = "", ""
		return nil
	}
	d, err := destination.Open(ctx, given.Address)
	if err != nil {
		return err
	}
	defer d.Close()
	name := cmp.Or(p.sync.Name, p.in.Name) // a sync may be given by its id
	p.sync.DestinationTable = cmp.Or(given.Table, p.sync.DestinationTable, load.TableName(name))
	p.sync.Destination, p.sync.Parquet = d.String(), true
	if err := p.ownTable(ctx, a); err != nil {
		return err
	}
	return d.Check(ctx, destinationTable(p.sync))
}

// ownTable fails if another sync of the account loads rows into the same table: each would remove
// the windows of the other.
func (p *plannedSync) ownTable(ctx context.Context, a *Account) error {
	engine, err := a.Engine(ctx)
	if err != nil {
		return err
	}
	syncs, err := engine.o.Ledger.Syncs(ctx, engine.o.Account)
	for _, s := range syncs {
		table := destinationTable(s)
		if s.ID != p.sync.ID && s.Destination == p.sync.Destination && table == destinationTable(p.sync) {
			text := fmt.Sprintf("The sync %s loads its rows into the table %s of %s already.", s.Name, table, s.Destination)
			return &Error{Err: errors.New(text), Explanation: Explanation{
				Kind: Database, Cause: text, Remedy: "Name another table: each sync needs its own.", Retry: RetryWorks,
			}}
		}
	}
	return err
}

// saveDestination keeps the address of the destination, with its password, with the secrets.
func (p *plannedSync) saveDestination(t *ledger.Tx) error {
	if p.in.Into == nil {
		return nil
	}
	return t.SetSecret(p.sync.DestinationSecret(), p.in.Into.Address)
}

// destinationTable returns the table of the present generation of a sync: the rows of two requests
// are never in one table. Its name is cut to what PostgreSQL allows.
func destinationTable(s ledger.Sync) string {
	if s.Generation <= 1 {
		return s.DestinationTable
	}
	suffix := fmt.Sprintf("_%d", s.Generation)
	dot := strings.LastIndexByte(s.DestinationTable, '.') // -1 without a schema
	table := s.DestinationTable[:min(len(s.DestinationTable), dot+1+destination.LongestName-len(suffix))]
	for !utf8.ValidString(table) {
		table = table[:len(table)-1]
	}
	return table + suffix
}

// loadRows makes the destination of the sync that b is of have the rows of the Parquet files. It
// does nothing if there is none. It returns how many windows the destination has. It fails with a
// *destination.Error; what was loaded stays, and the next call loads the rest.
func (a *Account) loadRows(
	ctx context.Context, b ledger.Bulk, made []landing.Made, report func(bulk.ConvertProgress),
) (loaded int, err error) {
	if b.Sync == "" {
		return 0, nil
	}
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return 0, err
	}
	s, err := l.Sync(ctx, id, b.Sync)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && (s.Bulk != b.ID || s.Destination == "") {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	address, err := l.Secret(ctx, s.DestinationSecret(), func() string { return "" })
	if err != nil {
		return 0, err
	}
	d, err := destination.Open(ctx, address)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	files := make([]destination.File, len(made))
	for i, m := range made {
		window := m.File.Window()
		files[i] = destination.File{
			Path: m.Path, Window: m.Window, Start: window.Start, End: window.End, SHA256: m.File.SHA256,
		}
	}
	p := bulk.ConvertProgress{Files: len(made)}
	r, err := d.Update(ctx, destinationTable(s), files, func(destination.Loaded) {
		p.Loaded, p.New = p.Loaded+1, p.New+1
		report(p)
	})
	return r.Loaded + r.Skipped, err
}

// notLoaded says in sentences why rows could not be loaded.
func notLoaded(err error) string {
	cause, remedy := Explain(err).Recorded()
	return sentences("Rows could not be loaded into the database: "+cause, remedy)
}
