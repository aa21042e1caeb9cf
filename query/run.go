package query

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

const (
	// usualDeadline is how long a question may take, and killAfter how long after it the
	// parent kills the child: SQLite cannot be interrupted within one operation.
	usualDeadline = 20 * time.Second
	killAfter     = time.Second
	// memoryLimit is the most memory of a child, in bytes. goLimit is that at which its
	// garbage is collected more often; SQLite's memory is not part of it.
	memoryLimit = 512 << 20
	goLimit     = 160 << 20
	// storageLimit is the most bytes of a temporary file, and allStorage about that of all.
	storageLimit = 256 << 20
	allStorage   = 1 << 30
	// fileLimit is how many files a child may have open.
	fileLimit = 256
	// mostComplaint is how much of the stderr of a child is kept, in bytes.
	mostComplaint = 8 << 10
)

// Run answers a question in a child process, which is this program with WorkerCommand. An
// error of the question is an *Error; ctx.Err() is returned if ctx ends. The child has ended
// when Run returns, and its files are gone. Run is safe for concurrent use.
func Run(ctx context.Context, o Options) (r Result, err error) {
	if err := o.check(); err != nil {
		return r, err
	}
	began := time.Now()
	storage, err := os.MkdirTemp("", "fullstory-query-*")
	if err != nil {
		return r, &Error{Internal, fmt.Sprintf("No temporary folder can be made: %v.", err)}
	}
	defer os.RemoveAll(storage)
	deadline := usualDeadline
	if o.Deadline > 0 {
		deadline = min(o.Deadline, usualDeadline)
	}
	limits := o.Limits.or()
	c, err := newChild(storage, 8*limits.Bytes+(64<<10)+8*longestName*limits.Columns)
	if err != nil {
		return r, err
	}
	timed, stop := context.WithTimeout(ctx, deadline+killAfter)
	defer stop()
	a, err := c.ask(timed, question{
		Files: o.Files, SQL: o.SQL, Limits: limits, MaskKey: o.MaskKey, Deadline: deadline,
		NoPushDown: o.noPushDown,
	})
	r.memory, r.cpu = a.Memory, a.CPU
	if c.complaint.Len() > 0 && o.Log != nil {
		o.Log.Debug("a query wrote to stderr", "text", c.complaint.String())
	}
	switch {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case err != nil:
		return r, err
	case a.Error != nil:
		return r, a.Error
	}
	r.Columns, r.Cut, r.Took = a.Columns, a.Cut, time.Since(began)
	r.Rows, err = a.values()
	return r, err
}

// check returns what is wrong with options.
func (o Options) check() error {
	if n := len(o.MaskKey); n > 0 && n < 16 {
		return errors.New("the key of a mask has less than 16 bytes")
	}
	if len(o.Files) == 0 {
		return &Error{Invalid, "There are no Parquet files to ask about. Convert the export first."}
	}
	return checkSQL(o.SQL)
}

// child is a process that answers one question.
type child struct {
	cmd       *exec.Cmd
	stdin     io.WriteCloser
	stdout    io.ReadCloser
	complaint *bounded
	most      int // bytes of an answer
}

// newChild returns a process that is not started. storage is its folder.
func newChild(storage string, most int) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, &Error{Internal, fmt.Sprintf("This program cannot start itself: %v.", err)}
	}
	c := &child{cmd: exec.Command(program, WorkerCommand), complaint: &bounded{left: mostComplaint}, most: most}
	c.cmd.Dir = storage
	c.cmd.Stderr = c.complaint
	// Nothing of this environment, which can have the API key, is for the child.
	c.cmd.Env = []string{
		"SQLITE_TMPDIR=" + storage, "TMPDIR=" + storage, "TMP=" + storage, "TEMP=" + storage,
		fmt.Sprintf("GOMEMLIMIT=%d", goLimit), "GOTRACEBACK=none",
	}
	if runtime.GOOS == "windows" {
		c.cmd.Env = append(c.cmd.Env, "SystemRoot="+os.Getenv("SystemRoot"))
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.stdout, err = c.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, nil
}

// ask starts the process, and kills it when ctx ends.
func (c *child) ask(ctx context.Context, q question) (a answer, err error) {
	if err := c.cmd.Start(); err != nil {
		return a, &Error{Internal, fmt.Sprintf("This program cannot start itself: %v.", err)}
	}
	stop := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	defer stop()
	asked := json.NewEncoder(c.stdin).Encode(q)
	out, read := io.ReadAll(io.LimitReader(c.stdout, int64(c.most)+1))
	if len(out) > c.most { // it is not what Work writes
		_ = c.cmd.Process.Kill()
	}
	ended := c.cmd.Wait()
	if err := json.Unmarshal(out, &a); err == nil && ended == nil {
		return a, nil
	}
	if ctx.Err() != nil {
		return answer{}, tooLong(q.Deadline)
	}
	return answer{}, c.failure(errors.Join(asked, read, ended), q.Deadline)
}

// failure returns the error of a process that ended without an answer.
func (c *child) failure(err error, deadline time.Duration) error {
	switch c.cmd.ProcessState.ExitCode() {
	case statusTooLong:
		return tooLong(deadline)
	case statusTooLarge:
		return tooLarge()
	case statusNoStorage:
		return noStorage()
	case -1: // killed, as the system does when memory is short
		return tooLarge()
	}
	complaint := c.complaint.String()
	// Beyond its limit of memory a process cannot make a thread either.
	signs := []string{
		"out of memory", "cannot allocate memory", "unable to allocate", "errno=12", "pthread_create failed",
		"failed to create new OS thread",
	}
	for _, sign := range signs {
		if strings.Contains(complaint, sign) {
			return tooLarge()
		}
	}
	return &Error{Internal, fmt.Sprintf("The query ended without an answer (%v). If it does so again, convert the "+
		"export again: a file may be damaged.", err)}
}

// values returns the rows of an answer.
func (a answer) values() ([][]any, error) {
	rows := make([][]any, len(a.Rows))
	for i, row := range a.Rows {
		rows[i] = make([]any, len(row))
		for j, raw := range row {
			v, err := value(raw)
			if err != nil {
				return nil, err
			}
			rows[i][j] = v
		}
	}
	return rows, nil
}

// value returns a value of an answer.
func value(raw json.RawMessage) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	n, ok := v.(json.Number)
	if !ok {
		return v, nil
	}
	if strings.ContainsAny(n.String(), ".e") {
		return n.Float64()
	}
	return n.Int64()
}

// bounded keeps the start of what is written.
type bounded struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	kept := p[:min(len(p), b.left)]
	b.left -= len(kept)
	b.Buffer.Write(kept)
	return len(p), nil
}
