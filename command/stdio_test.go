package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",` +
		`"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}` + "\n" +
		`{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n"
	list = `{"jsonrpc":"2.0","id":2,"method":"tools/list"}`
	// create is a request of one export.
	create = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"create_segment_export","arguments":` +
		`{"segment_id":"everyone","type":"TYPE_EVENT","time_range":{"start":"2026-10-01"}}}}` + "\n"
)

type reply struct {
	ID     json.RawMessage
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
	}
	Method string
}

// feed runs the program with an input and returns its replies, by id.
func feed(t *testing.T, in io.Reader, args ...string) map[string]reply {
	t.Helper()
	var stdout, stderr buffer
	args = append(simulated(t), args...)
	if err := Run(t.Context(), args, func(string) string { return "" }, in, &stdout, &stderr); err != nil {
		t.Errorf("ended with %v; stderr: %s", err, stderr.String())
	}
	checkLines(t, stdout.String())
	replies := map[string]reply{}
	for line := range strings.Lines(stdout.String()) {
		var r reply
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if _, twice := replies[string(r.ID)]; twice && string(r.ID) != "null" {
			t.Errorf("%s was answered twice", r.ID)
		}
		replies[string(r.ID)] = r
	}
	return replies
}

func TestEndOfInput(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"last line terminated":     hello + list + "\n",
		"last line not terminated": hello + list,
		"CRLF":                     strings.ReplaceAll(hello+list+"\n", "\n", "\r\n"),
		"blank lines":              "\n\n" + hello + "\n \n" + list + "\n\n",
	} {
		got := feed(t, strings.NewReader(in))
		if got["1"].Result == nil || !strings.Contains(string(got["2"].Result), "download_export") || len(got) != 2 {
			t.Errorf("%s: got %d replies", name, len(got))
		}
		if n := len(got["2"].Result); n > 32_000 {
			t.Errorf("tools/list has %d bytes, want at most 32000", n)
		}
	}
}

// TestCallsAreAnsweredAtTheEnd closes the input while calls run.
func TestCallsAreAnsweredAtTheEnd(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	in.WriteString(hello)
	for id := 10; id < 30; id++ {
		fmt.Fprintf(&in, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"list_segments",`+
			`"arguments":{"limit":5}}}`+"\n", id)
	}
	got := feed(t, strings.NewReader(in.String()))
	for id := 10; id < 30; id++ {
		if r := got[fmt.Sprint(id)]; !strings.Contains(string(r.Result), "segments") {
			t.Errorf("call %d was answered %s %v", id, r.Result, r.Error)
		}
	}
}

func TestBadLines(t *testing.T) {
	t.Parallel()
	long := `{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"list_segments",` +
		`"arguments":{"query":"%s"}}}` + "\n"
	ten := strings.Repeat("x", 10<<20)
	in := hello +
		"this is not JSON\n" +
		"{\"jsonrpc\":\"2.0\",\"id\":\n" +
		`{"jsonrpc":"2.0","id":3,"method":"no/such"}` + "\n" +
		`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"no_such_tool","arguments":{}}}` + "\n" +
		fmt.Sprintf(long, `"ten"`, ten) +
		`{"method":"tools/call","params":{"name":"x","arguments":{"query":"` + ten + `"}},"jsonrpc":"2.0","id":5}` + "\n" +
		fmt.Sprintf(long, "6", strings.Repeat("y", 3<<20)) +
		list + "\n"
	got := feed(t, strings.NewReader(in))
	for id, says := range map[string]string{`"ten"`: "longer than 4 MiB", "5": "longer than 4 MiB"} {
		if r := got[id]; r.Error == nil || r.Error.Code != -32600 || !strings.Contains(r.Error.Message, says) {
			t.Errorf("%s was answered %+v", id, r.Error)
		}
	}
	if r := got["null"]; r.Error == nil || r.Error.Code != -32700 {
		t.Errorf("a line that is not JSON was answered %+v", r.Error)
	}
	if r := got["6"]; !strings.Contains(string(r.Result), "query: got") || len(r.Result) > 2000 {
		t.Errorf("a long argument was answered %.300s %+v", r.Result, r.Error)
	}
	if got["3"].Error == nil || got["4"].Error == nil || got["2"].Result == nil {
		t.Errorf("the server does not continue after bad lines; it answered %q", slices.Sorted(maps.Keys(got)))
	}
}

// TestCancelledCallIsNotAnswered cancels a call that waits for a long export. A
// later call must be answered while it waits.
func TestCancelledCallIsNotAnswered(t *testing.T) {
	t.Parallel()
	read, write := io.Pipe()
	outRead, outWrite := io.Pipe()
	var stderr buffer
	ended := make(chan error, 1)
	args := append(simulated(t), "--sandbox-op-time", "1h")
	go func() {
		err := Run(t.Context(), args, func(string) string { return "" }, read, outWrite, &stderr)
		outWrite.Close()
		ended <- err
	}()
	replies := make(chan reply)
	go func() {
		defer close(replies)
		for d := json.NewDecoder(outRead); ; {
			var r reply
			if d.Decode(&r) != nil {
				return
			}
			replies <- r
		}
	}()
	send := func(line string) { io.WriteString(write, line+"\n") }
	send(hello + strings.TrimSuffix(create, "\n"))
	<-replies
	var made struct{ StructuredContent created }
	if err := json.Unmarshal((<-replies).Result, &made); err != nil || made.StructuredContent.OperationID == "" {
		t.Fatal(err, made)
	}
	send(fmt.Sprintf(`{"jsonrpc":"2.0","id":"wait","method":"tools/call","params":{"name":"download_export",`+
		`"arguments":{"operation_id":%q,"wait_seconds":20}}}`, made.StructuredContent.OperationID))
	send(`{"jsonrpc":"2.0","id":3,"method":"ping"}`)
	if r := <-replies; string(r.ID) != "3" {
		t.Errorf("a waiting call blocks others: got %s", r.ID)
	}
	began := time.Now()
	send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"wait"}}`)
	write.Close()
	for r := range replies {
		t.Errorf("reply after the cancellation, %s: %s", r.ID, r.Result)
	}
	// The call would wait for 20 s.
	if err := <-ended; err != nil || time.Since(began) > 19*time.Second {
		t.Errorf("ended with %v after %v", err, time.Since(began))
	}
}

// TestEqualIDs gives two concurrent calls the same id, which the protocol forbids:
// the end of the first must not end the second.
func TestEqualIDs(t *testing.T) {
	t.Parallel()
	read, write := io.Pipe()
	outRead, outWrite := io.Pipe()
	var stderr buffer
	args := append(simulated(t), "--sandbox-op-time", "1h")
	go func() {
		Run(t.Context(), args, func(string) string { return "" }, read, outWrite, &stderr)
		outWrite.Close()
	}()
	d := json.NewDecoder(outRead)
	next := func() (r reply) {
		t.Helper()
		if err := d.Decode(&r); err != nil {
			t.Fatal("a call is not answered: ", err)
		}
		return r
	}
	io.WriteString(write, hello+create)
	next()
	var made struct{ StructuredContent created }
	if err := json.Unmarshal(next().Result, &made); err != nil || made.StructuredContent.OperationID == "" {
		t.Fatal(err, made)
	}
	for seconds := 1; seconds <= 2; seconds++ {
		fmt.Fprintf(write, `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"get_export_operation",`+
			`"arguments":{"operation_id":%q,"wait_seconds":%d}}}`+"\n", made.StructuredContent.OperationID, seconds)
	}
	write.Close()
	for range 2 {
		if r := next(); string(r.ID) != "5" || !strings.Contains(string(r.Result), "PENDING") {
			t.Errorf("got %s: %s", r.ID, r.Result)
		}
	}
}

func TestStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	defer write.Close()
	ended := make(chan error, 1)
	var stdout, stderr buffer
	go func() { ended <- Run(ctx, simulated(t), func(string) string { return "" }, read, &stdout, &stderr) }()
	io.WriteString(write, hello)
	cancel()
	select {
	case err := <-ended:
		if Status(err) != 0 {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(patience):
		t.Error("does not end with its context")
	}
}

// BenchmarkStart measures the time from the start of the program to the answer to
// initialize.
func BenchmarkStart(b *testing.B) {
	program := build(b)
	var took []time.Duration
	for b.Loop() {
		took = append(took, start(b, program))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*9/10].Microseconds())/1000, "p90-ms")
}
