package command

import (
	"context"
	"errors"
	"testing"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/exports"
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
