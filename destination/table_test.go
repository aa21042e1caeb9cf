package destination

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTables loads eight tables of one schema at once, which all need fullstory_loads first.
func TestTables(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	f := newFolder(t, t.TempDir())
	f.put(1, "{\"UserId\":1}\n")
	files := f.convert()
	// All of them wait for the test, so that they make the table at the same time.
	tx, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{fmt.Sprint(uint32(table{s.schema, ""}.key("tables")))}
	for i := range 8 {
		key := table{s.schema, ""}.key(fmt.Sprintf("table\x00t%d", i))
		if _, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock($1)", key); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, fmt.Sprint(uint32(key)))
	}
	var all sync.WaitGroup
	for i := range 8 {
		d := opened(t, address(t))
		all.Go(func() {
			if _, err := d.Update(t.Context(), fmt.Sprintf("%s.t%d", s.schema, i), filesAt(files...), nil); err != nil {
				t.Error(err)
			}
		})
	}
	waiting := fmt.Sprintf("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid IN (%s)",
		strings.Join(keys, ", "))
	for s.number(waiting) < 8 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if n := s.number("SELECT count(*) FROM " + s.schema + ".fullstory_loads"); n != 8 {
		t.Errorf("%d loads were recorded, want 8", n)
	}
}

// TestColumnWaits adds a column to a table that another session reads. Readers that come later
// do not wait for long, and the load succeeds once the session has ended.
func TestColumnWaits(t *testing.T) {
	t.Parallel()
	s, f := newServer(t), newFolder(t, t.TempDir())
	d := opened(t, address(t))
	f.put(1, "{\"UserId\":1}\n")
	d.update(t, s.table(), f.convert())
	f.put(2, `{"UserId":2,"evt_new_int":3}`+"\n")
	files := f.convert()
	reader := newServer(t)
	tx, err := reader.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT * FROM "+s.table()); err != nil {
		t.Fatal(err)
	}
	loaded := make(chan error)
	go func() {
		_, err := d.Update(t.Context(), s.table(), filesAt(files...), nil)
		loaded <- err
	}()
	for s.number("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass('"+s.table()+"')") == 0 {
		select {
		case err := <-loaded:
			t.Fatalf("the load has not waited: %v", err)
		default:
		}
	}
	began := time.Now()
	if got := s.text("count(*)", ""); got != "1" || time.Since(began) > 2*alterWait {
		t.Errorf("another reader got %s rows after %s", got, time.Since(began))
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	if got := s.text("count(*), sum(evt_new_int)", ""); got != "2|3" {
		t.Errorf("the table has %s", got)
	}
}
