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

	"fullstory-export-mcp/auth"
)

// flushTimeout bounds how long the process waits at its end until the last spans are
// sent.
const flushTimeout = 2 * time.Second

// traces sends spans by OTLP over HTTP to the collector that the standard variables of
// OpenTelemetry name, until stop is called. Without such a variable it does nothing.
// It sets the provider of the whole process.
func (a *app) traces(ctx context.Context) (stop func(), err error) {
	if a.getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && a.getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return func() {}, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	service, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", "fullstory-export-mcp"), attribute.String("service.version", version())),
		resource.WithHost(), resource.WithProcessPID(), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, err
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(service))
	otel.SetTracerProvider(provider)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		a.log.Warn("traces cannot be sent", "error", err)
	}))
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			a.log.Warn("the last traces cannot be sent", "error", err)
		}
	}, nil
}

var tracer = otel.Tracer("fullstory-export-mcp/command")

// traced starts the span of a tool call. Its parent is the span that the call names in
// _meta, else the one in ctx, which is that of the HTTP request. done ends the span;
// failure is the kind of error, or "" for a success.
func traced(ctx context.Context, tool string, meta map[string]any) (_ context.Context, done func(failure string)) {
	if len(meta) > 0 {
		named := propagation.MapCarrier{}
		for _, field := range (propagation.TraceContext{}).Fields() {
			if text, ok := meta[field].(string); ok {
				named[field] = text
			}
		}
		ctx = propagation.TraceContext{}.Extract(ctx, named)
	}
	ctx, span := tracer.Start(ctx, "tools/call "+tool, trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return ctx, func(string) {}
	}
	caller := auth.CallerOf(ctx)
	span.SetAttributes(
		attribute.String("mcp.method.name", "tools/call"), attribute.String("gen_ai.tool.name", tool),
		attribute.String("enduser.id", caller.Name), attribute.String("fullstory.account", caller.Account))
	return ctx, func(failure string) {
		if failure != "" {
			span.SetAttributes(attribute.String("error.type", failure))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
