package destination

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// internals are words of the driver, of Go and of SQLSTATE that no message has.
var internals = regexp.MustCompile(`(?i)s3cret|SQLSTATE|pgx|pgconn|\bdial\b|\btcp\b|%!|\*errors|0x|goroutine|ERROR:`)

// checkError fails unless an error is of a kind, says what to do next, and hides the password.
func checkError(t *testing.T, what string, err error, kind Kind, part string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Errorf("%s: %v (%T), want an Error", what, err, err)
		return
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	passing := kind == Unreachable || kind == Unavailable || kind == Locked
	if e.Kind != kind || !strings.Contains(e.Error(), part) || internals.MatchString(text) || e.Passing() != passing {
		t.Errorf("%s: %s %q, want %s with %q", what, e.Kind, e, kind, part)
	}
	t.Logf("%s: %v", what, err)
}

// TestOpenErrors opens what is no database that can be used.
func TestOpenErrors(t *testing.T) {
	t.Parallel()
	good, err := url.Parse(address(t))
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*url.URL)) string {
		u := *good
		u.User = url.UserPassword(u.User.Username(), "s3cret")
		change(&u)
		return u.String()
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for what, c := range map[string]struct {
		address string
		kind    Kind
		part    string
	}{
		"not an address":  {"postgres://u:s3cret@host:port/db", BadAddress, "postgres://user@host/database"},
		"bad percent":     {"postgres://u:s3cret%zz@host/db", BadAddress, "postgres://user@host/database"},
		"another keyword": {"host=x password=s3cret sslmode=odd", BadAddress, "postgres://user@host/database"},
		"closed port":     {changed(func(u *url.URL) { u.Host = closed.Addr().String() }), Unreachable, "cannot be reached"},
		"silent": {changed(func(u *url.URL) {
			u.Host, u.RawQuery = silent.Addr().String(), "sslmode=disable&connect_timeout=1"
		}), Unreachable, "in time"},
		"no such host": {changed(func(u *url.URL) { u.Host = "no-such-host.invalid:5432" }), Unreachable,
			"no host of that name"},
		"no such user": {changed(func(u *url.URL) { u.User = url.UserPassword("nobody_x", "s3cret") }), Rejected,
			"does not accept the user"},
		"no such database": {changed(func(u *url.URL) { u.Path = "/none_x" }), Rejected, "no database of that name"},
		"TLS":              {changed(func(u *url.URL) { u.RawQuery = "sslmode=require" }), Unreachable, "sslmode"},
	} {
		_, err := Open(t.Context(), c.address)
		checkError(t, what, err, c.kind, c.part)
	}
	if d := opened(t, changed(func(*url.URL) {})); strings.Contains(d.String(), "s3cret") {
		t.Errorf("the place is %s", d)
	}
}

// TestLoadErrors loads where that must fail. What the table had before stays.
func TestLoadErrors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFolder(t, t.TempDir())
	f.put(1, `{"UserId":1,"evt_secret_str":"private"}`+"\n")
	files := f.convert()
	d := opened(t, address(t))
	fails := func(what string, d *Destination, table string, kind Kind, part string) {
		t.Helper()
		_, err := d.Update(t.Context(), table, filesAt(files[0]), nil)
		checkError(t, what, err, kind, part)
		if err != nil && strings.Contains(err.Error(), "private") {
			t.Errorf("%s: the message has a value of a row", what)
		}
	}
	for _, name := range []string{"", ".", "a.", ".b", "a.b.c", strings.Repeat("x", 64), "a\x00", "fullstory_loads"} {
		fails(fmt.Sprintf("table %q", name), d, name, OtherTable, "cannot be the name")
	}
	fails("no schema", d, s.schema+"x.events", OtherTable, `has no schema "`+s.schema+`x" for the table events`)

	if err := d.Check(t.Context(), s.table()); err != nil {
		t.Errorf("a table that is to be made: %v", err)
	}
	checkError(t, "check of a schema", d.Check(t.Context(), s.schema+"x.events"), OtherTable, "has no schema")
	s.exec("CREATE TABLE " + s.schema + ".foreign_one (id int)")
	checkError(t, "check of a table", d.Check(t.Context(), s.schema+".foreign_one"), OtherTable, "not made for exports")

	role := s.schema + "_role"
	s.exec("CREATE ROLE " + role + " LOGIN")
	t.Cleanup(func() { s.exec("DROP OWNED BY " + role + "; DROP ROLE " + role) })
	u, _ := url.Parse(address(t))
	u.User = url.UserPassword(role, "s3cret")
	lesser := opened(t, u.String())
	fails("no privilege for the schema", lesser, s.table(), NotAllowed, "GRANT")
	s.exec("GRANT USAGE ON SCHEMA " + s.schema + " TO " + role)
	fails("no privilege to create", lesser, s.table(), NotAllowed, "GRANT")
	fails("read-only", opened(t, with(address(t), "options=-c%20default_transaction_read_only%3Don")), s.table(),
		Unsuitable, "primary")

	d.update(t, s.table(), files)
	f.put(1, `{"UserId":2,"evt_secret_str":"private"}`+"\n")
	files = f.convert()
	fails("no privilege for the table", lesser, s.table(), NotAllowed, "GRANT")
	for _, c := range []struct {
		what, code string
		kind       Kind
		part       string
	}{
		{"disk full", "53100", Full, "Make room"}, {"no memory", "53200", Unavailable, "later"},
		{"shutdown", "57P01", Unavailable, "later"}, {"cancelled", "57014", Unavailable, "statement_timeout"},
		{"deadlock", "40P01", Locked, "later"}, {"too many columns", "54011", Unsuitable, "1,600"},
		{"encoding", "22P05", Unsuitable, "UTF8"}, {"odd", "XX000", Unexplained, "log of the server"},
		{"constraint", "23514", OtherTable, "constraint"},
	} {
		s.exec(fmt.Sprintf(`CREATE OR REPLACE FUNCTION %s.fail() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION 'it is %%', NEW.evt_secret_str USING ERRCODE = '%s'; END $$`, s.schema, c.code))
		s.exec(fmt.Sprintf("CREATE OR REPLACE TRIGGER fails BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION %s.fail()",
			s.table(), s.schema))
		fails(c.what, d, s.table(), c.kind, c.part)
	}
	s.exec(fmt.Sprintf(`CREATE OR REPLACE FUNCTION %s.fail() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RETURN NULL; END $$`, s.schema))
	fails("rows are dropped", d, s.table(), OtherTable, "0 of the 1 rows")
	s.exec("DROP TRIGGER fails ON " + s.table())
	if got := s.text("count(*), sum(userid)", ""); got != "1|1" {
		t.Errorf("after the failures the table has %s", got)
	}
	s.exec("ALTER TABLE " + s.table() + " ALTER userid TYPE text")
	fails("another type", d, s.table(), OtherTable, "has the type text, and the Parquet file has bigint")
	s.exec("CREATE TABLE " + s.schema + ".mine (userid bigint)")
	fails("a table of others", d, s.schema+".mine", OtherTable, "was not made for exports")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Update(ended, s.table(), filesAt(files[0]), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that of the context", err)
	}
}

// TestDamagedFiles loads files that are not Parquet files of exports, whole or not.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := opened(t, address(t))
	f := newFolder(t, t.TempDir())
	f.put(1, strings.Repeat(`{"UserId":1,"PageUrl":"/a","evt_l_strs":["x","y"]}`+"\n", 3000))
	path := f.convert()[0]
	d.update(t, s.table(), []string{path})
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.exec("UPDATE " + s.schema + ".fullstory_loads SET sha256 = 'other'") // the file is to be loaded
	failed := 0
	for at := 4; at < len(good); at += max(1, len(good)/120) {
		bad := append([]byte(nil), good...)
		bad[at] ^= 0xff
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := d.Update(t.Context(), s.table(), filesAt(path), nil)
		if err == nil { // the byte is one that nothing reads, or part of a value
			s.exec("UPDATE " + s.schema + ".fullstory_loads SET sha256 = 'other'")
			continue
		}
		failed++
		if e, ok := errors.AsType[*Error](err); !ok || internals.MatchString(e.Error()) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if got := s.text("count(*)", ""); got != "3000" {
			t.Fatalf("byte %d: the table has %s rows", at, got)
		}
	}
	if failed == 0 {
		t.Error("no damage was noticed")
	}
	for what, content := range map[string]string{"empty": "", "text": "not Parquet", "short": string(good[:len(good)/2])} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := d.Update(t.Context(), s.table(), filesAt(path), nil)
		checkError(t, what, err, DamagedFile, "convert")
	}
	if _, err := d.Update(t.Context(), s.table(), filesAt(path+".none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that the file is missing", err)
	}
}
