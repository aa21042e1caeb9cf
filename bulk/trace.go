package bulk

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"fullstory-export-mcp/ledger"
)

var tracer = otel.Tracer("fullstory-export-mcp/bulk")

// joined returns ctx as part of the trace of a traceparent, which another process may
// have begun.
func joined(ctx context.Context, kept string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": kept})
}

// traced begins a span for work on a chunk, and returns the function that ends it. The
// span is a trace of its own, linked to that of the call that started the bulk export,
// because a trace with thousands of chunks is unreadable. The work for a single export
// belongs to the trace of its call.
func traced(ctx context.Context, name string, b ledger.Bulk, a ledger.Attempt) (context.Context, func()) {
	if b.Single {
		return joined(ctx, b.Trace), func() {}
	}
	ctx, span := tracer.Start(ctx, name, trace.WithNewRoot(),
		trace.WithLinks(trace.LinkFromContext(joined(context.Background(), b.Trace))),
		trace.WithAttributes(attribute.String("fullstory.bulk", b.ID), attribute.Int64("fullstory.chunk", a.Number),
			attribute.String("enduser.id", b.AskedBy)))
	return ctx, func() { span.End() }
}
