package command

import (
	"context"
	"io"
	"log/slog"

	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"

	"fullstory-export-mcp/auth"
)

// openLog opens the log of a, on stderr. If queued is set, a line waits in a queue, so that
// no caller waits for it. flush writes what waits there.
func (a *app) openLog(queued bool) (flush func(), err error) {
	level := a.config.LogLevel
	if a.config.Quiet {
		level = "error"
	}
	direct, err := newLogger(a.stderr, level, a.config.LogFormat, a.coloured(a.stderr))
	if a.log = direct; err != nil || !queued {
		return func() {}, err
	}
	q := newLogQueue(a.stderr, tellDropped(direct))
	a.log, err = newLogger(q, level, a.config.LogFormat, a.coloured(a.stderr))
	return q.close, err
}

// newLogger returns a log that writes to stderr. Stdout is reserved for the protocol and
// for results.
func newLogger(stderr io.Writer, level, format string, coloured bool) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, err
	}
	if format == "json" {
		options := &slog.HandlerOptions{Level: l, ReplaceAttr: withUnit}
		return slog.New(callerHandler{slog.NewJSONHandler(stderr, options)}), nil
	}
	options := &tint.Options{Level: l, TimeFormat: "2006-01-02 15:04:05Z07:00", NoColor: !coloured}
	return slog.New(callerHandler{tint.NewTextHandler(stderr, options)}), nil
}

// withUnit writes a duration as 1.5s instead of its number of nanoseconds.
func withUnit(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
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
