package command

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"

	"fullstory-export-mcp/auth"
)

// openLog opens the log of a, on stderr. If queued is set, a line waits in a queue, so that
// no caller waits for it. flush writes what waits there.
func (a *app) openLog(queued bool) (flush func(), err error) {
	direct, err := newLogger(a.stderr, a.config.LogLevel, a.config.LogFormat)
	if a.log = direct; err != nil || !queued {
		return func() {}, err
	}
	q := newLogQueue(a.stderr, tellDropped(direct))
	a.log, err = newLogger(q, a.config.LogLevel, a.config.LogFormat)
	return q.close, err
}

// newLogger returns a log that writes to stderr. Stdout is reserved for the protocol and
// for results.
func newLogger(stderr io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, err
	}
	if format == "json" {
		return slog.New(callerHandler{slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: l})}), nil
	}
	options := &tint.Options{Level: l, TimeFormat: time.TimeOnly, NoColor: !isTerminal(stderr)}
	return slog.New(callerHandler{tint.NewTextHandler(stderr, options)}), nil
}

// callerHandler adds the caller and the trace of the request to each log line.
type callerHandler struct{ slog.Handler }

func (h callerHandler) Handle(ctx context.Context, r slog.Record) error {
	if name := auth.CallerOf(ctx).Name; name != "" {
		r.AddAttrs(slog.String("caller", name))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h callerHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return callerHandler{h.Handler.WithAttrs(attrs)}
}

func (h callerHandler) WithGroup(name string) slog.Handler {
	return callerHandler{h.Handler.WithGroup(name)}
}

// isTerminal reports whether f is a terminal.
func isTerminal(f any) bool {
	file, ok := f.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}
