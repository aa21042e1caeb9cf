package command

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"

	"fullstory-export-mcp/remote"
)

// newLogger writes to stderr, never to stdout, which belongs to the protocol.
func newLogger(stderr io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, err
	}
	if format == "json" {
		return slog.New(whoHandler{slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: l})}), nil
	}
	return slog.New(whoHandler{tint.NewTextHandler(stderr, &tint.Options{Level: l, TimeFormat: time.TimeOnly, NoColor: !isTerminal(stderr)})}), nil
}

// whoHandler adds to each line of a request who made it, and its trace.
type whoHandler struct{ slog.Handler }

func (h whoHandler) Handle(ctx context.Context, r slog.Record) error {
	if name := remote.CallerOf(ctx).Name; name != "" {
		r.AddAttrs(slog.String("caller", name))
	}
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h whoHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return whoHandler{h.Handler.WithAttrs(attrs)}
}

func (h whoHandler) WithGroup(name string) slog.Handler {
	return whoHandler{h.Handler.WithGroup(name)}
}

// isTerminal reports whether f is a terminal.
func isTerminal(f any) bool {
	file, ok := f.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(file.Fd()))
}
