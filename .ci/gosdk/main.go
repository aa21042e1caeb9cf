// Command conversation drives the server with the official Go SDK: one whole
// conversation over each transport. It exits with a non-zero status if anything fails.
//
//	go run . PROGRAM [FLAG OF SERVE ...]
//
// TOKEN may have a bearer token for the calls.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: conversation PROGRAM [FLAG OF SERVE ...]")
	}
	client := &http.Client{Transport: bearer(os.Getenv("TOKEN"))}
	streamable := func(base string) mcp.Transport {
		return &mcp.StreamableClientTransport{Endpoint: base + "/mcp", HTTPClient: client}
	}
	sse := func(base string) mcp.Transport {
		return &mcp.SSEClientTransport{Endpoint: base + "/sse", HTTPClient: client}
	}
	for _, over := range []struct {
		name, version string
		transport     func(base string) mcp.Transport
	}{
		{"/mcp", "2025-11-25", streamable},
		{"/mcp of 2026-07-28", "2026-07-28", streamable},
		{"/sse", "2025-11-25", sse},
	} {
		// Each transport has its own server: on one that has exported the same before,
		// a bulk export ends before the client can subscribe to it.
		err := serving(ctx, args[0], args[1:], func(base string) error {
			c := &conversation{name: over.name, version: over.version}
			return c.hold(ctx, over.transport(base))
		})
		if err != nil {
			return fmt.Errorf("%s: %w", over.name, err)
		}
	}
	return nil
}

// serving starts the program on a free port with an empty folder, calls use with the base
// of its URL, and stops it.
func serving(ctx context.Context, program string, flags []string, use func(base string) error) error {
	dir, err := os.MkdirTemp("", "conversation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	log := &output{url: make(chan string, 1)}
	server := exec.CommandContext(ctx, program, append([]string{
		"serve", "--addr", "127.0.0.1:0", "--dir", dir, "--sandbox",
		"--sandbox-now", "2026-11-05T12:00:00Z", "--sandbox-op-time", "200ms",
	}, flags...)...)
	server.Stderr = log
	if err := server.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	defer server.Process.Kill()

	select {
	case base := <-log.url:
		if err := use(base); err != nil {
			return err
		}
	case err := <-ended:
		return fmt.Errorf("serve ended (%v)\n%s", err, log)
	}
	return stop(server.Process, ended)
}

// stop stops the server with SIGTERM, as a service manager does, and waits for it.
func stop(server *os.Process, ended <-chan error) error {
	if err := server.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("SIGTERM does not end serve with status 0: %w", err)
		}
		return nil
	case <-time.After(10 * time.Second):
		return errors.New("SIGTERM does not end serve within 10 s")
	}
}

// output keeps the log of the server and sends the base of its URL once, when the log has
// it. It is safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text []byte
	sent bool
	url  chan string
}

var served = regexp.MustCompile(`(http://\S+)/mcp`)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	if found := served.FindSubmatch(o.text); found != nil && !o.sent {
		o.sent = true
		o.url <- string(found[1])
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// bearer sends a token with every request, unless it is empty.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+string(b))
	}
	return http.DefaultTransport.RoundTrip(r)
}
