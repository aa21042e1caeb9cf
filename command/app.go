// Package command is the command line. Each command is one file; app.go runs them, and
// config.go declares the flags that they share.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"fullstory-export-mcp/keys"
)

// app is what every command gets: its surroundings, its flags and its log.
type app struct {
	args           []string // without the program's name
	environment    *environment
	stdin          io.Reader
	stdout, stderr io.Writer
	config         *config
	flags          []string // those of config that were given, as they are given
	log            *slog.Logger
}

// Exit statuses of the process besides 0.
const (
	statusFailed     = 1
	statusUsage      = 2
	statusIncomplete = 3 // run: interrupted, or chunks failed; verify: interrupted
	statusBlocked    = 4 // run: paused until the user fixes the cause
)

// exitError is an error with an exit status of the process.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// Run runs one command line, args without the program's name, and stops it when ctx
// ends. It prints an error as one line on stderr, and returns it for Status.
func Run(
	ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer,
) error {
	defer postponeGC()()
	return printError(stderr, execute(ctx, args, getenv, stdin, stdout, stderr))
}

// execute is Run without printing the error.
func execute(
	ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer,
) error {
	env := &environment{lookup: getenv, done: ctx.Done()}
	line, err := parse(args, env.get, stdout, stderr)
	if err != nil || line.helped {
		return err
	}
	c, parsed := line.config, line.parsed
	env.keys = keys.New(keys.Options{
		Folder: keys.Folder(runtime.GOOS, homeOf(env.get), env.get), NoKeychain: c.NoKeychain,
		Getenv: getenv, Done: ctx.Done(),
	})
	a := &app{args: line.args, environment: env, stdin: stdin, stdout: stdout, stderr: stderr, config: c}
	a.flags = given(parsed)
	flush, err := a.openLog(serves(parsed))
	if err != nil {
		return &exitError{statusUsage, err}
	}
	defer flush()
	a.warnOfUnfilled(line.unfilled)
	if needless := sandboxFlags(parsed); len(needless) > 0 && !c.Sandbox && parsed.Command() != "demo" {
		err := fmt.Errorf("%s needs --sandbox: it affects only the built-in sandbox", strings.Join(needless, ", "))
		return &exitError{statusUsage, err}
	}
	if err := c.checkDatabase(); err != nil {
		return &exitError{statusUsage, err}
	}
	stop, err := a.traces(ctx)
	if err != nil {
		return fmt.Errorf("traces cannot be sent with the OTEL_ variables that are set: %w", err)
	}
	defer stop()
	// kong passes the context and a to the method Run of the command, by their types.
	parsed.BindTo(ctx, (*context.Context)(nil))
	return parsed.Run(a)
}

const (
	// startDuration is how long garbage collection is postponed: five times the
	// usual duration of a start, yet over before a burst of calls arrives.
	startDuration = 100 * time.Millisecond
	// startGC is by how many percent the heap grows during the start before garbage
	// is collected. A start allocates 4 MB, and collecting them would double its time.
	startGC = 400
)

// postponeGC collects less garbage for startDuration, or until done is called. It does
// nothing if GOGC sets another percentage than the usual 100. It changes a setting of the whole process.
func postponeGC() (done func()) {
	usual := debug.SetGCPercent(startGC)
	if usual != 100 {
		debug.SetGCPercent(usual)
		return func() {}
	}
	end := sync.OnceFunc(func() { debug.SetGCPercent(usual) })
	timer := time.AfterFunc(startDuration, end)
	return func() {
		timer.Stop()
		end()
	}
}

// getenv returns the value of an environment variable.
func (a *app) getenv(name string) string { return a.environment.get(name) }

// warnOfUnfilled logs the flags and variables whose values have a placeholder.
func (a *app) warnOfUnfilled(flags []string) {
	for _, name := range []string{keyVariable(""), keyVariable("") + "_FILE"} { // read later
		a.getenv(name)
	}
	if names := append(flags, a.environment.names()...); len(names) > 0 {
		a.log.Warn("the host did not fill in the placeholders of its configuration, so these settings count as not set",
			"settings", strings.Join(names, ", "))
	}
}

// serves reports whether a command serves MCP, whose calls must not wait for a log that
// nobody reads.
func serves(parsed *kong.Context) bool {
	return slices.Contains([]string{"stdio", "serve"}, strings.Fields(parsed.Command())[0])
}

// given returns the flags of config on the command line, each as one word.
func given(parsed *kong.Context) (flags []string) {
	for _, p := range parsed.Path {
		if p.Flag == nil || p.Resolved || !slices.Contains(parsed.Model.Flags, p.Flag) {
			continue
		}
		word := "--" + p.Flag.Name
		if !p.Flag.IsBool() {
			word += "=" + strings.Trim(fmt.Sprint(parsed.FlagValue(p.Flag)), "[]")
		}
		flags = append(flags, word)
	}
	return flags
}

// sandboxFlags returns the flags of the built-in sandbox that were given on the
// command line.
func sandboxFlags(parsed *kong.Context) []string {
	var given []string
	for _, p := range parsed.Path {
		if p.Flag != nil && !p.Resolved && strings.HasPrefix(p.Flag.Name, "sandbox-") {
			given = append(given, "--"+p.Flag.Name)
		}
	}
	return given
}

// Status returns the exit status of the process for an error of Run; 0 for nil.
func Status(err error) int {
	var e *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.status
	default:
		return statusFailed
	}
}

// oneLine joins the lines of a message: by a space after a full stop, else by "; ".
func oneLine(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, ".\n", ". "), "\n", "; ")
}

// printError prints err, unless it is nil, and returns it. Arguments that err repeats
// cannot control the terminal, where the text is wrapped between words.
func printError(stderr io.Writer, err error) error {
	if err != nil {
		view{out: stderr, width: columns(stderr)}.line("fullstory-export-mcp: " + oneLine(err.Error()))
	}
	return err
}
