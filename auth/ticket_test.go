package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ticketWorld has tickets of the callers of a file, whose clock is now.
type ticketWorld struct {
	t       *testing.T
	path    string
	callers *Callers
	tickets *Tickets
	now     time.Time
}

const fileName = "20261001T000000Z_20261002T000000Z.ndjson.gz"

func newTicketWorld(t *testing.T) *ticketWorld {
	w := &ticketWorld{t: t, path: filepath.Join(t.TempDir(), "callers.json"), now: time.Unix(1_790_000_000, 0)}
	w.add(Caller{Name: "anna", Account: "emea"})
	w.add(Caller{Name: "carl", Account: "emea"})
	w.add(Caller{Name: "rita", Account: "emea", ReadOnly: true})
	w.add(Caller{Name: "lena", Account: "emea", ReadOnly: true, Links: true})
	w.add(Caller{Name: "bert", Account: "apac"})
	var err error
	if w.callers, err = OpenCallers(w.path); err != nil {
		t.Fatal(err)
	}
	w.tickets = w.with("key", Gate{Callers: w.callers})
	return w
}

func (w *ticketWorld) with(key string, g Gate) *Tickets {
	t := NewTickets([]byte(key), g)
	t.now = func() time.Time { return w.now }
	return t
}

// add adds a caller to the file, or gives one a new token.
func (w *ticketWorld) add(c Caller) {
	w.t.Helper()
	if _, _, err := NewToken(w.path, c); err != nil {
		w.t.Fatal(err)
	}
	if w.callers == nil {
		return
	}
	if _, err := w.callers.Refresh(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *ticketWorld) issue(name string) string {
	w.t.Helper()
	c, ok := w.callers.byName(name)
	if !ok {
		w.t.Fatalf("there is no %s", name)
	}
	ticket, _ := w.tickets.Issue(c, "bulk_1", fileName)
	return ticket
}

// expect reads a ticket, which must fail with want.
func (w *ticketWorld) expect(what, ticket string, want error) {
	w.t.Helper()
	if _, err := w.tickets.Read(ticket, fileName); !errors.Is(err, want) {
		w.t.Errorf("%q: %v, want %v", what, err, want)
	}
}

// TestTickets reads tickets that are genuine, and those whose caller has changed since.
func TestTickets(t *testing.T) {
	w := newTicketWorld(t)
	anna := w.issue("anna")
	got, err := w.tickets.Read(anna, fileName)
	if err != nil || got.Subject != "bulk_1" || got.Caller.Name != "anna" || got.Caller.Account != "emea" ||
		got.Caller.Calls == 0 || got.Caller.Token == "" || !got.Expires.Equal(w.now.Add(TicketLife)) {
		t.Errorf("the ticket is %+v, %v", got, err)
	}
	w.expect("a reader's", w.issue("rita"), ErrTicketRight)
	w.expect("that of a reader with links", w.issue("lena"), nil)
	if _, err := w.tickets.Read(anna, "another name"); !errors.Is(err, ErrTicket) {
		t.Errorf("for another file: %v", err)
	}
	w.now = w.now.Add(TicketLife - time.Second)
	w.expect("in its last second", anna, nil)
	w.now = w.now.Add(time.Second)
	w.expect("expired", anna, ErrTicketExpired)
	w.now = w.now.Add(-time.Minute)
	w.add(Caller{Name: "anna", Account: "emea"})
	w.expect("after a new token", anna, ErrTicket)
	carl, lena := w.issue("carl"), w.issue("lena")
	w.add(Caller{Name: "carl", Account: "apac"})
	w.expect("in another account", carl, ErrTicket)
	w.tickets = w.with("key", Gate{})
	w.expect("without callers", lena, ErrTicket)
	w.tickets = w.with("other key", Gate{Callers: w.callers})
	w.expect("with another key", lena, ErrTicket)
}

// claimOf returns the part of a ticket before its signature.
func claimOf(ticket string) string { return ticket[:strings.IndexByte(ticket, '.')] }

// TestForgedTickets changes every byte of a ticket, and puts parts of two together.
func TestForgedTickets(t *testing.T) {
	w := newTicketWorld(t)
	ticket := w.issue("anna")
	for i := range ticket {
		for _, c := range []byte("A.-_/=\x00") {
			if forged := ticket[:i] + string(c) + ticket[i+1:]; forged != ticket {
				w.expect(forged, forged, ErrTicket)
			}
		}
		w.expect("cut", ticket[:i], ErrTicket)
	}
	for _, forged := range []string{
		"", ".", ticket + "A", ticket + "=", ticket + "." + ticket, "A" + ticket, ticket + "\n",
		string(make([]byte, 1<<20)), "e30." + ticket, claimOf(w.issue("bert")) + ticket[len(claimOf(ticket)):],
	} {
		w.expect(forged[:min(len(forged), 100)], forged, ErrTicket)
	}
	// What bert may have signed is not what names anna.
	mine := Caller{Name: "anna", Account: "emea"}
	bert, _ := w.callers.byName("bert")
	mine.Token = bert.Token
	forged, _ := w.tickets.Issue(mine, "bulk_1", fileName)
	w.expect("with the token of another", forged, ErrTicket)
	mine.Account, mine.Name = "apac", "anna"
	forged, _ = w.tickets.Issue(mine, "bulk_1", fileName)
	w.expect("in the account of another", forged, ErrTicket)
}

// TestTicketsOfAnybody reads tickets where there are no callers, and those of an issuer.
func TestTicketsOfAnybody(t *testing.T) {
	w := newTicketWorld(t)
	w.tickets = w.with("key", Gate{})
	ticket, _ := w.tickets.Issue(Caller{}, "bulk_1", fileName)
	w.expect("anybody's", ticket, nil)
	w.tickets = w.with("key", Gate{Callers: w.callers})
	w.expect("anybody's, with callers", ticket, ErrTicket)
	issued := Caller{Name: "oauth:u1", Account: "emea", Issued: true, Expires: w.now.Add(time.Minute)}
	ticket, until := w.tickets.Issue(issued, "bulk_1", fileName)
	if !until.Equal(issued.Expires) {
		t.Errorf("it is valid until %v, after the token", until)
	}
	w.expect("an issuer's, without one", ticket, ErrTicket)
	w.tickets = w.with("key", Gate{Callers: w.callers, Issuer: &Issuer{}})
	w.expect("an issuer's", ticket, nil)
	w.now = w.now.Add(time.Minute)
	w.expect("after the token", ticket, ErrTicketExpired)
}

// TestTicketsWithoutCallersFile damages the file of callers: nobody knows then whose tokens
// are valid.
func TestTicketsWithoutCallersFile(t *testing.T) {
	w := newTicketWorld(t)
	w.callers.now = func() time.Time { return w.now }
	ticket := w.issue("anna")
	if err := os.WriteFile(w.path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.callers.Refresh()
	w.now = w.now.Add(repairTime)
	_, err := w.tickets.Read(ticket, fileName)
	if _, ok := errors.AsType[*CallersError](err); !ok {
		t.Errorf("with a damaged file: %v", err)
	}
}
