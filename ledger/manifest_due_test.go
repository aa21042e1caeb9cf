package ledger

import (
	"fmt"
	"testing"
	"time"
)

// testManifestDue keeps a manifest due while files are stored that it may lack.
func testManifestDue(t *testing.T, l *Ledger, _ string) {
	ctx := t.Context()
	id := day(t, l, "a-due-manifest", 1)
	number := 0
	store := func() {
		t.Helper()
		number++
		f := File{Account: "a-due-manifest", Folder: id, Name: fmt.Sprint(number), Bulk: id, Detail: []byte("{}")}
		write(t, l, func(t *Tx) error { return t.PutFile(f) })
	}
	expect := func(when string, want bool) {
		t.Helper()
		if b, err := l.Bulk(ctx, "a-due-manifest", id); err != nil || b.ManifestDue != want {
			t.Errorf("%s: due is %t, %v", when, b.ManifestDue, err)
		}
	}
	writing := func() {
		t.Helper()
		if err := l.WritingManifest(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	written := func() {
		t.Helper()
		if err := l.ManifestWritten(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	expect("at first", false)
	store()
	expect("after a file was stored", true)
	writing()
	expect("while it is written", true)
	written()
	expect("once it is written", false)
	store()
	writing()
	store()
	written()
	expect("if a file was stored meanwhile", true)
	writing()
	write(t, l, func(t *Tx) error { return t.EndBulk(id, BulkComplete, time.Now()) })
	expect("after the end", false)
	write(t, l, func(t *Tx) error { return t.MoveBulk(id, BulkComplete, BulkRunning, "", time.Time{}) })
	expect("after another state", true)
	writing()
	store()
	write(t, l, func(t *Tx) error { return t.EndBulk(id, BulkComplete, time.Now()) })
	expect("after an end before which a file was stored", true)
}
