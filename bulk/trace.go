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

// traceOf returns the trace that ctx is part of, to be kept; "" without one.
func traceOf(ctx context.Context) string {
	kept := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, kept)
	return kept["traceparent"]
}

// joined returns ctx as part of a trace that was kept: the process that does
// the work need not be the one that was asked.
func joined(ctx context.Context, kept string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": kept})
}

// step begins the span of what is done for a chunk. It is a trace of its own,
// linked to that of the call which started the bulk export: one trace of
// thousands of chunks could not be read.
func step(ctx context.Context, name string, b ledger.Bulk, c ledger.Chunk) (context.Context, func()) {
	ctx, span := tracer.Start(ctx, name, trace.WithNewRoot(),
		trace.WithLinks(trace.LinkFromContext(joined(context.Background(), b.Trace))),
		trace.WithAttributes(attribute.String("fullstory.bulk", b.ID), attribute.Int64("fullstory.chunk", c.Number), attribute.String("enduser.id", b.AskedBy)))
	return ctx, func() { span.End() }
}
