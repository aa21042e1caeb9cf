//go:build unix

package command

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// mostGreedy is how much the peak memory may grow, in kB, whatever one caller sends.
const mostGreedy = 200 << 10

// TestMemoryOfLargePlans has one caller make plans of half a million chunks, and dry runs
// of bulk exports, 20 at the same time. The unit of deploy allows 1 GB.
func TestMemoryOfLargePlans(t *testing.T) {
	long(t)
	t.Parallel()
	program := build(t)
	for _, test := range []struct {
		name, tool string
		args       map[string]any
	}{
		{"plans by the hour", "plan_time_chunks", map[string]any{
			"time_range": map[string]any{"start": "1970-01-01", "end": "2026-11-01"}, "chunk": "hour",
			"timezone": "Europe/Berlin", "limit": 1,
		}},
		{"plans that are cut in another way as well", "plan_time_chunks", map[string]any{
			"time_range": map[string]any{"start": "1970-01-01", "end": "2026-11-01"}, "chunk": "hour",
			"timezone": "Europe/Berlin", "align": false, "week_start": "sunday", "limit": 500,
		}},
		{"dry runs by the hour", "start_bulk_export", map[string]any{
			"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "hour", "timezone": "Europe/Berlin", "dry_run": true,
			"time_range": map[string]any{"start": "1970-01-01", "end": "2026-11-01"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCallers(t)
			c.add("anna")
			c.add("bert")
			s := serveProgram(t, program, t.TempDir(), "--callers", c.file)
			ctx, cancel := context.WithTimeout(t.Context(), testLimit)
			defer cancel()
			h, err := s.open(ctx, c.client("anna"))
			if err != nil {
				t.Fatal(err)
			}
			_, before := s.resident()
			var calling sync.WaitGroup
			for range 20 {
				calling.Go(func() {
					if err := callTool(ctx, h, test.tool, test.args, nil); err != nil {
						t.Error(err)
					}
				})
			}
			calling.Wait()
			grown := s.growth(before)
			t.Logf("the peak memory grew by %d MB", grown>>10)
			if grown > mostGreedy {
				t.Errorf("the peak memory grew by %d MB, want at most %d", grown>>10, mostGreedy>>10)
			}
		})
	}
}

// TestMemoryOfQueries has one caller ask again and again, also for what is too large. The
// rows are held by child processes, of which none may be left.
func TestMemoryOfQueries(t *testing.T) {
	long(t)
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	h, err := s.open(ctx, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	if err := callTool(ctx, h, "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": "2026-10-01/P3D", "name": "days",
	}, nil); err != nil {
		t.Fatal(err)
	}
	for state := "running"; state == "running"; {
		var b struct{ State string }
		if err := callTool(ctx, h, "get_bulk_export", map[string]any{"bulk_id": "days", "wait_seconds": 10}, &b); err != nil {
			t.Fatal(err)
		}
		state = b.State
	}
	var failed atomic.Int64
	round := func() {
		for _, sql := range []string{
			"SELECT * FROM rows", "SELECT PageUrl, _rest FROM rows ORDER BY PageUrl", "SELECT Nothing FROM rows",
			"SELECT hex(randomblob(4000000)) FROM rows", "SELECT count(*) FROM rows a JOIN rows b USING (SessionId)",
		} {
			var asking sync.WaitGroup
			for range 4 {
				asking.Go(func() {
					if callTool(ctx, h, "query_export", map[string]any{"source": "days", "sql": sql, "limit": 200}, nil) != nil {
						failed.Add(1)
					}
				})
			}
			asking.Wait()
		}
	}
	round()
	_, before := s.resident()
	for range 2 {
		round()
	}
	grown := s.growth(before)
	t.Logf("the peak memory grew from %d by %d MB; %d of 60 queries failed", before>>10, grown>>10, failed.Load())
	if grown > mostGreedy/5 || failed.Load() < 12 || failed.Load() > 40 {
		t.Errorf("the peak memory grew by %d MB, and %d queries failed", grown>>10, failed.Load())
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", s.process.Process.Pid))
	if err == nil && len(children) > 0 {
		t.Errorf("child processes are left: %s", children)
	}
}

// TestMemoryOfSlowBodies has one caller send the headers of many requests and most of their
// bodies, while another is served. The connections beyond the caller's share are closed.
func TestMemoryOfSlowBodies(t *testing.T) {
	long(t)
	t.Parallel()
	const connections, share = 1500, 128
	program := build(t)
	c := newCallers(t)
	c.add("anna")
	c.add("bert")
	s := serveProgram(t, program, t.TempDir(), "--callers", c.file)
	bert, err := s.open(t.Context(), c.client("bert"))
	if err != nil {
		t.Fatal(err)
	}
	_, before := s.resident()
	head := "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + c.tokens["anna"] + "\r\n" +
		"Content-Type: application/json\r\nX: " + strings.Repeat("y", 30_000) + "\r\nContent-Length: 65000\r\n\r\n"
	request := head + strings.Repeat("{", 64_000)
	rejected, sending := make(chan bool, connections), make(chan struct{}, 2*share)
	go func() {
		for range connections {
			sending <- struct{}{}
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				rejected <- false
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, request)
				rejected <- turnedAway(conn)
				<-sending
			}()
		}
	}()
	for range connections - share {
		if !<-rejected {
			t.Fatal("a request beyond the share is not rejected")
		}
		if err := bert.call(t.Context(), "ping", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	grown := s.growth(before)
	t.Logf("the peak memory grew by %d MB", grown>>10)
	if grown > mostGreedy/2 {
		t.Errorf("the peak memory grew by %d MB, want at most %d", grown>>10, mostGreedy/2>>10)
	}
}

// turnedAway reports whether the other end answers that there are too many requests or, on
// a slow machine, that the body took too long, or closes the connection.
func turnedAway(conn net.Conn) bool {
	var answer [512]byte
	n, err := conn.Read(answer[:])
	return err != nil || slices.ContainsFunc([]int{http.StatusTooManyRequests, http.StatusRequestTimeout},
		func(status int) bool {
			return strings.HasPrefix(string(answer[:n]), fmt.Sprintf("HTTP/1.1 %d ", status))
		})
}

// TestStrangersDoNotStay looks at the answers to requests without a valid token: each closes
// its connection.
func TestStrangersDoNotStay(t *testing.T) {
	t.Parallel()
	program := build(t)
	c := newCallers(t)
	c.add("anna")
	s := serveProgram(t, program, t.TempDir(), "--callers", c.file)
	for _, request := range []string{
		"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
		"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\n\r\n",
		"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{",
		"GET /mcp HTTP/1.1\r\nHost: example.com\r\n\r\n",
	} {
		conn := s.dial()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(conn); err != nil || !strings.Contains(string(answer), "Connection: close") {
			t.Errorf("%q: %v, %s", request, err, answer)
		}
	}
}
