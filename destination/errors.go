package destination

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"fullstory-export-mcp/columnar"
)

// Kind is why a database could not be used.
type Kind string

// The kinds of errors.
const (
	BadAddress  Kind = "bad_address"  // it is not one of PostgreSQL
	Unreachable Kind = "unreachable"  // no server answers there
	Unavailable Kind = "unavailable"  // it answers, but cannot serve at present
	Rejected    Kind = "rejected"     // it does not accept the user or password
	NotAllowed  Kind = "not_allowed"  // the role lacks a privilege
	Full        Kind = "full"         // its disk is full
	Locked      Kind = "locked"       // others use the table
	OtherTable  Kind = "other_table"  // the table has other columns or types
	Unsuitable  Kind = "unsuitable"   // it can never hold the rows
	DamagedFile Kind = "damaged_file" // the Parquet file cannot be read
	Unexplained Kind = "unexplained"
)

const retryLater = "Load again later: what was loaded before stays, and only the rest is loaded."

// Error says why a database could not be used: one sentence of what and why, then what to do
// next. It has neither the password nor values of rows.
type Error struct {
	Kind Kind
	What string // without a full stop
	Next string
}

// Error implements error.
func (e *Error) Error() string { return e.What + ". " + e.Next }

// Passing reports whether the same call may succeed later without anybody's help.
func (e *Error) Passing() bool {
	return e.Kind == Unreachable || e.Kind == Unavailable || e.Kind == Locked
}

// explain returns an error as an *Error. That of a context that has ended stays as it is, and
// so does that of a file.
func (d *Destination) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, explained := errors.AsType[*Error](err); explained {
		return err
	}
	if server, ok := errors.AsType[*pgconn.PgError](err); ok {
		return d.explainServer(server)
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err
	}
	return d.explainConnection(err)
}

// explainFile returns the error of a damaged file as an *Error, and others as they are.
func explainFile(path string, err error) error {
	if !errors.Is(err, columnar.ErrDamaged) {
		return err
	}
	what := fmt.Sprintf("The Parquet file %s cannot be loaded, since %v", filepath.Base(path), err)
	return &Error{DamagedFile, what, "Delete that file, and make it again with convert."}
}

// explainConnection explains why no server answers.
func (d *Destination) explainConnection(err error) error {
	why := "the connection failed"
	next := "Check that the database runs, that its host, port and sslmode are right, and that no firewall is between."
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		why, next = "there is no host of that name", "Correct the host in the address."
	} else if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		why = "it did not answer in time"
	}
	return &Error{Unreachable, fmt.Sprintf("The destination %s cannot be reached: %s", d.place, why), next}
}

// said is what there is to say about a code of PostgreSQL, or of all codes that begin so.
type said struct {
	kind       Kind
	what, next string // what has %s for the place
}

// codes are the codes of PostgreSQL that somebody can do something about.
var codes = map[string]said{
	"28": {Rejected, "The destination %s does not accept the user or its password",
		"Correct them in the address, or let the server accept the user from this machine in pg_hba.conf."},
	"3D000": {Rejected, "The server of the destination %s has no database of that name",
		"Create it, or correct the name at the end of the address."},
	"3F000": {OtherTable, "The destination %s has no schema of that name",
		"Create the schema, or name another table."},
	"53100": {Full, "The disk of the destination %s is full, so nothing of the window was loaded",
		"Make room there. " + retryLater},
	"53": {Unavailable, "The destination %s has no connection or memory to spare", retryLater},
	"57014": {Unavailable, "The destination %s has stopped the load, since it took longer than statement_timeout allows",
		"Set statement_timeout of the role to 0, and load again."},
	"57":    {Unavailable, "The destination %s is starting, stopping or was stopped", retryLater},
	"40":    {Locked, "The destination %s has stopped the load in favour of another session", retryLater},
	"55P03": {Locked, "The table of the destination %s is in use by other sessions", retryLater},
	"25006": {Unsuitable,
		"The destination %s can only be read, for it is a replica or default_transaction_read_only is on",
		"Give the address of the primary server."},
	"54011": {Unsuitable, "The table would have more columns than PostgreSQL allows, which is 1,600",
		"Load the Parquet files into another database, or export fewer columns."},
	"54": {Unsuitable, "A row is larger than PostgreSQL allows",
		"Load the Parquet files into another database, or export fewer columns."},
	"22P05": {Unsuitable, "The encoding of the destination %s lacks characters of the rows",
		"Use a database with the encoding UTF8."},
	"22021": {Unsuitable, "The encoding of the destination %s lacks characters of the rows",
		"Use a database with the encoding UTF8."},
	"22": {OtherTable, "The table has columns of other types than the Parquet file",
		"Name another table, or drop it to have it made again."},
	"23": {OtherTable, "A constraint or trigger of the table rejects the rows",
		"Remove it, or name another table."},
	"42501": {NotAllowed, "The role of the destination %s lacks a privilege",
		"Let its owner GRANT SELECT, INSERT, DELETE, UPDATE on the table and fullstory_loads, and make the role the " +
			"owner of the table or GRANT CREATE on its schema, for columns are added."},
	"42": {OtherTable, "The table was changed while it was being loaded, or has other columns than it should have",
		"Load again. If that fails too, name another table."},
}

// explainServer explains an error of the server. It leaves out its text, which may have
// values of rows.
func (d *Destination) explainServer(server *pgconn.PgError) error {
	s, ok := codes[server.Code]
	if !ok {
		s, ok = codes[server.Code[:min(2, len(server.Code))]]
	}
	if !ok {
		s = said{Unexplained, "The destination %s has failed with the code " + server.Code + " of PostgreSQL",
			"Look at the log of the server."}
	}
	return &Error{s.kind, strings.ReplaceAll(s.what, "%s", d.place), s.next}
}
