//go:build unix

package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// spelt returns the nth spelling of the address of a bulk export, of 256 for a name of
// eight letters.
func spelt(name string, n int) string {
	uri := "fullstory-export://bulk/"
	for i, letter := range name {
		if n>>i&1 == 1 {
			uri += fmt.Sprintf("%%%02X", letter)
		} else {
			uri += string(letter)
		}
	}
	return uri
}

// inventOperations follows more operations that do not exist at the same time than can be
// checked in the time of a subscription.
func inventOperations(t *testing.T, follow func(uri string) error) {
	var inventing sync.WaitGroup
	for i := range 60 {
		inventing.Go(func() {
			if follow(fmt.Sprint("fullstory-export://operations/invented", i)) == nil {
				t.Error("an invented operation is followed")
			}
		})
	}
	inventing.Wait()
}

// TestSubscriptionsOfAGreedyCaller has one caller follow as much as it can, things that
// do not exist as well: each subscription beyond its part is rejected with the reason,
// and another caller still follows its export.
func TestSubscriptionsOfAGreedyCaller(t *testing.T) {
	long(t)
	t.Parallel()
	program := build(t)
	c := newCallers(t)
	c.add("greedy")
	c.add("anna")
	s := serveProgram(t, program, t.TempDir(), "--callers", c.file, "--sandbox-op-time", "1h")
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	open := func(client *http.Client) *httpSession {
		h, err := s.open(ctx, client)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	follow := func(h *httpSession, uri string) error {
		return h.call(ctx, "resources/subscribe", map[string]any{"uri": uri}, nil)
	}
	client, anna := c.client("greedy"), open(c.client("anna"))
	inventive := open(client)
	if err := callTool(ctx, inventive, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "name": "followed", "chunk": "PT2H",
		"time_range": window{"2026-09-03", "2026-09-04"},
	}, nil); err != nil {
		t.Fatal(err)
	}
	inventOperations(t, func(uri string) error { return follow(inventive, uri) })
	const perSession, perCaller = 100, 1250
	taken, last := 0, error(nil)
	fill := func(h *httpSession) {
		for i := 0; last == nil && i < 200; i++ {
			if last = follow(h, spelt("followed", i)); last == nil {
				taken++
			}
		}
	}
	for taken < perCaller {
		last = nil
		fill(open(client))
		if e := (*rpcError)(nil); !errors.As(last, &e) || e.Code != -32602 ||
			taken < perCaller && !strings.HasPrefix(e.Message, "This session follows 100 resources, which is its limit.") {
			t.Fatalf("subscription %d is answered %v", taken+1, last)
		}
	}
	if taken != perCaller || !strings.Contains(last.Error(), "Your sessions follow 1250 resources") {
		t.Errorf("the greedy caller follows %d resources; one more is answered %v", taken, last)
	}
	for i := range perSession {
		if err := follow(anna, spelt("followed", i)); err != nil {
			t.Fatalf("subscription %d of another caller: %v", i+1, err)
		}
	}
}
