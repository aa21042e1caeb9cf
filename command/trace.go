package command

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"fullstory-export-mcp/remote"
)

// lastTraces is how long the end of the process waits for the last spans to be
// sent.
const lastTraces = 2 * time.Second

// traces sends spans by OTLP over HTTP to where the standard variables of
// OpenTelemetry say, until stop is called. Without such a variable nothing is
// traced.
func (t *terminal) traces(ctx context.Context) (stop func(), err error) {
	if t.getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && t.getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return func() {}, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "fullstory-export-mcp"), attribute.String("service.version", version())),
		resource.WithHost(), resource.WithProcessPID(), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, err
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	otel.SetTracerProvider(provider)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.log.Warn("traces are lost", "error", err) }))
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), lastTraces)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			t.log.Warn("traces are lost", "error", err)
		}
	}, nil
}

var tracer = otel.Tracer("fullstory-export-mcp/command")

// traced begins the span of a call, as part of the trace that the call names in
// its _meta or the headers of its request. done ends it.
func traced(ctx context.Context, tool string, meta map[string]any) (_ context.Context, done func(failure string)) {
	named := propagation.MapCarrier{}
	for _, field := range (propagation.TraceContext{}).Fields() {
		if text, ok := meta[field].(string); ok {
			named[field] = text
		}
	}
	ctx = propagation.TraceContext{}.Extract(ctx, named)
	caller := remote.CallerOf(ctx)
	ctx, span := tracer.Start(ctx, "tools/call "+tool, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("mcp.method.name", "tools/call"), attribute.String("gen_ai.tool.name", tool),
		attribute.String("enduser.id", caller.Name), attribute.String("fullstory.account", caller.Account)))
	return ctx, func(failure string) {
		if failure != "" {
			span.SetAttributes(attribute.String("error.type", failure))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
