package command

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/transport"
)

// TestLargeCallsTakeTurns has calls hold much memory: one of a caller, and largeCalls in
// all. The others wait until their context ends.
func TestLargeCallsTakeTurns(t *testing.T) {
	t.Parallel()
	a := &accounts{large: auth.NewSlots(largeCalls)}
	account := &exports.Account{Reserve: a.reserve}
	as := func(name string) context.Context { return auth.WithCaller(t.Context(), auth.Caller{Name: name}) }
	waits := func(name string) {
		t.Helper()
		ctx, cancel := context.WithCancel(as(name))
		cancel()
		if release, err := account.Hold(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s does not wait: %v", name, err)
			release()
		}
	}
	first, err := account.Hold(as("anna"))
	if err != nil {
		t.Fatal(err)
	}
	waits("anna")
	second, err := account.Hold(as("bert"))
	if err != nil {
		t.Fatal(err)
	}
	waits("carl")
	first()
	third, err := account.Hold(as("carl"))
	if err != nil {
		t.Fatal(err)
	}
	second()
	third()
	for range largeCalls { // a process with one caller uses all
		release, err := account.Hold(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	waits("")
}

// TestTarFilesTakeTurns has all tar files open that may be: one more is not served, and
// single files are.
func TestTarFilesTakeTurns(t *testing.T) {
	t.Parallel()
	d := &deps{app: &app{log: slog.New(slog.DiscardHandler)}, accounts: &accounts{tars: auth.NewSlots(tarFiles)}}
	unknown := errors.New("this account cannot be opened")
	d.account = func(context.Context) (*exports.Account, error) {
		return &exports.Account{
			OpenLedger: func(context.Context, string) (*ledger.Ledger, error) { return nil, unknown },
		}, nil
	}
	served := func(ctx context.Context, subject string) bool {
		_, err := d.openOffer(ctx, subject, false)
		failed, ok := errors.AsType[*transport.FileError](err)
		return !ok || !strings.Contains(failed.Text, "Other tar files")
	}
	for range tarFiles + 1 { // what fails gives its turn back
		if !served(t.Context(), "bulk_x") {
			t.Fatal("a tar file is not opened while there are no others")
		}
	}
	for range tarFiles {
		release, err := takeOne(t.Context(), d.accounts.tars)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if served(ended, "bulk_x") || !served(ended, "bulk_x/1/abc") {
		t.Error("one tar file too many is opened, or a single file is not")
	}
}
