// Package command is the command line: one file a command, and what they
// share.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/alecthomas/kong"
)

// terminal is what a command runs in.
type terminal struct {
	args           []string
	getenv         func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	config         *config
	log            *slog.Logger
}

// exit is an error that decides the exit status of the process.
type exit struct {
	status int
	err    error
}

func (e *exit) Error() string { return e.err.Error() }
func (e *exit) Unwrap() error { return e.err }

// Run carries out one command line, args without the program's name. It ends
// early when ctx does. What stops it is told in one line on stderr.
func Run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	var c commands
	helped := false
	parser, err := newParser(&c, getenv, kong.Writers(stdout, stderr), kong.Exit(func(int) { helped = true }))
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(args)
	if helped {
		return nil
	}
	if err != nil {
		return tell(stderr, &exit{2, err})
	}
	t := &terminal{args: args, getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr, config: &c.config}
	if t.log, err = newLogger(stderr, c.LogLevel, c.LogFormat); err != nil {
		return tell(stderr, &exit{2, err})
	}
	if needless := sandboxFlags(parsed); len(needless) > 0 && !c.config.Sandbox && parsed.Command() != "demo" {
		return tell(stderr, &exit{2, fmt.Errorf("%s needs --sandbox: it concerns the built-in sandbox only", strings.Join(needless, ", "))})
	}
	stop, err := t.traces(ctx)
	if err != nil {
		return tell(stderr, fmt.Errorf("traces cannot be sent as the OTEL_ variables say: %w", err))
	}
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	return tell(stderr, parsed.Run(t))
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

// Status returns the exit status that err asks for: 0 for nil.
func Status(err error) int {
	var e *exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.status
	default:
		return 1
	}
}

func tell(stderr io.Writer, err error) error {
	if err != nil {
		fmt.Fprintf(stderr, "fullstory-export-mcp: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return err
}
