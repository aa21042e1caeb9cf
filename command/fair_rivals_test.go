//go:build unix

package command

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// rivalries are the resources that callers share, those of bulk work last: the rate of
// requests grows with the time.
func (c *crowd) rivalries() []rivalry {
	return []rivalry{
		c.sessionRivalry(), c.streamRivalry(), c.subscriptionRivalry(), c.bodyRivalry(), c.callRivalry(),
		c.requestRivalry(), c.bulkRivalry(), c.bulkBesideCalls(),
	}
}

// until calls do until ctx ends, with a pause after each failure.
func until(ctx context.Context, do func() error) {
	for ctx.Err() == nil {
		if do() != nil {
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

func (c *crowd) sessionRivalry() rivalry {
	return rivalry{
		name: "sessions", think: 50 * time.Millisecond,
		use: func(ctx context.Context, n *normal) error {
			h, err := c.greet(ctx, n.client)
			if err != nil {
				return err
			}
			return h.end(ctx)
		},
		grab: func(ctx context.Context, _ int) {
			until(ctx, func() error {
				h, err := c.greet(ctx, c.greedy)
				if err != nil {
					return err
				}
				stream, err := h.listen(ctx)
				hold(ctx, stream, err)
				return err
			})
		},
	}
}

func (c *crowd) streamRivalry() rivalry {
	return rivalry{
		name: "streams", think: 50 * time.Millisecond,
		use: func(ctx context.Context, n *normal) error {
			stream, err := n.listen(ctx)
			if err != nil {
				return err
			}
			defer stream.Close()
			_, err = stream.Read(make([]byte, 1))
			return err
		},
		grab: func(ctx context.Context, _ int) {
			until(ctx, func() error { // over the older transport a stream is a session
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/sse", nil)
				if err != nil {
					return err
				}
				stream, err := c.greedy.Do(r)
				if err != nil {
					return err
				}
				hold(ctx, stream.Body, nil)
				if stream.StatusCode != http.StatusOK {
					return fmt.Errorf("status %s", stream.Status)
				}
				return nil
			})
		},
	}
}

func (c *crowd) subscriptionRivalry() rivalry {
	subscribe := func(ctx context.Context, h *httpSession, uri string) error {
		return h.call(ctx, "resources/subscribe", map[string]any{"uri": uri}, nil)
	}
	return rivalry{
		name: "subscriptions", think: 50 * time.Millisecond,
		use: func(ctx context.Context, n *normal) error {
			uri := spelt("followed", 0)
			if err := subscribe(ctx, n.httpSession, uri); err != nil {
				return err
			}
			return n.call(ctx, "resources/unsubscribe", map[string]any{"uri": uri}, nil)
		},
		grab: func(ctx context.Context, thread int) {
			h, i := c.his[thread%len(c.his)], 0
			until(ctx, func() error {
				i++
				if i%2 == 0 {
					return subscribe(ctx, h, fmt.Sprintf("fullstory-export://operations/invented-%d-%d", thread, i))
				}
				return subscribe(ctx, h, spelt("followed", i%256))
			})
		},
	}
}

// largeCall is a call with a large body.
func largeCall(name string, args any) map[string]any {
	call := toolCall(name, args)
	call["_meta"] = map[string]string{"padding": padding}
	return call
}

// bodyRivalry has the greedy caller send large bodies slowly, and others whose calls wait.
func (c *crowd) bodyRivalry() rivalry {
	return rivalry{
		name: "large bodies", think: 100 * time.Millisecond,
		use: func(ctx context.Context, n *normal) error {
			call := largeCall("get_export_operation", map[string]any{"operation_id": c.stored})
			return n.call(ctx, "tools/call", call, nil)
		},
		before: func() {
			if c.start(c.his[0], "waited-for", 1, 1500) {
				c.control(c.his[0], "waited-for", "resume")
			}
		},
		grab: func(ctx context.Context, thread int) {
			h := c.his[thread%len(c.his)]
			until(ctx, func() error {
				if thread%4 > 0 {
					call := largeCall("get_bulk_export", map[string]any{"bulk_id": "waited-for", "wait_seconds": 20})
					return h.call(ctx, "tools/call", call, nil)
				}
				body, never := io.Pipe()
				context.AfterFunc(ctx, func() { never.Close() })
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/mcp", body)
				if err != nil {
					return err
				}
				r.Header.Set("Content-Type", "application/json")
				answer, err := c.greedy.Do(r)
				if err == nil {
					answer.Body.Close()
				}
				return err
			})
		},
		after: func() { c.control(c.his[0], "waited-for", "pause") },
	}
}

func (c *crowd) callRivalry() rivalry {
	ask := func(ctx context.Context, h *httpSession) error {
		return callTool(ctx, h, "get_export_operation", map[string]any{"operation_id": c.stored}, nil)
	}
	return rivalry{
		name: "calls", think: 100 * time.Millisecond,
		use: func(ctx context.Context, n *normal) error { return ask(ctx, n.httpSession) },
		grab: func(ctx context.Context, thread int) {
			until(ctx, func() error { return ask(ctx, c.his[thread%len(c.his)]) })
		},
	}
}

// listOne sends one request to Fullstory.
func listOne(ctx context.Context, h *httpSession) error {
	return callTool(ctx, h, "list_export_operations", map[string]any{"limit": 1}, nil)
}

// grabRequests sends requests to Fullstory as fast as it can.
func (c *crowd) grabRequests(ctx context.Context, thread int) {
	until(ctx, func() error { return listOne(ctx, c.his[thread%len(c.his)]) })
}

func (c *crowd) requestRivalry() rivalry {
	return rivalry{
		name: "requests to Fullstory", think: 300 * time.Millisecond, slow: true,
		use:  func(ctx context.Context, n *normal) error { return listOne(ctx, n.httpSession) },
		grab: c.grabRequests,
	}
}

// storedChunks returns how many chunks of the normal callers' bulk exports are stored. The
// first call starts them.
func (c *crowd) storedChunks() (stored int) {
	for i, n := range c.normals {
		if n.bulk == "" {
			n.bulk = fmt.Sprint("bulk-of-", i)
			c.start(n.httpSession, n.bulk, 2+i, 1600)
		}
		var s bulkStatus
		if err := callTool(c.ctx, n, "get_bulk_export", map[string]any{"bulk_id": n.bulk}, &s); err != nil {
			c.failed(rivalry{name: "bulk work"}, err)
		}
		stored += s.Chunks.Stored
	}
	return stored
}

// bulkRivalry has the greedy caller run many bulk exports, which are older than those of
// the others.
func (c *crowd) bulkRivalry() rivalry {
	names := make([]string, c.threads/2)
	all := func(action string) {
		for _, name := range names {
			c.control(c.his[0], name, action)
		}
	}
	return rivalry{
		name: "bulk work beside bulk work", slow: true,
		count: func() int {
			for i := range names {
				if names[i] == "" {
					names[i] = fmt.Sprint("greedy-", i)
					c.start(c.his[0], names[i], 11+i, 1600)
					c.control(c.his[0], names[i], "pause")
				}
			}
			return c.storedChunks()
		},
		before: func() { all("resume") },
		grab:   func(ctx context.Context, _ int) { <-ctx.Done() },
		after:  func() { all("pause") },
	}
}

// bulkBesideCalls has the greedy caller send requests beside the others' bulk work.
func (c *crowd) bulkBesideCalls() rivalry {
	return rivalry{name: "bulk work beside calls", slow: true, count: c.storedChunks, grab: c.grabRequests}
}
