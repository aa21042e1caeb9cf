// Package tools is the MCP server: it declares the tools that an assistant can call, one
// file for each, and the resources, completions and subscriptions beside them. The use
// cases behind them are in package exports.
package tools

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/schema"
)

// callLimit bounds every call. Some hosts abandon a call after 25 seconds, so longer
// work returns an id that the host polls.
const callLimit = 20 * time.Second

// ErrStopping ends the calls of a server that is being stopped.
var ErrStopping = exports.ErrStopping

// newID returns a short random id, by which an operator finds a line of the log.
func newID() string { return strings.ToLower(rand.Text()[:10]) }

// Effect is what a tool may change. It decides the tool's four hints and whether a
// read-only server lists it.
type Effect int

// The effects of a tool.
const (
	Read    Effect = iota // changes nothing
	Write                 // adds something, and changes or removes nothing
	Destroy               // may end or remove something
)

// Tool declares one MCP tool. In and Out are the structs of its arguments and its
// result; their JSON Schemas are published.
type Tool[In, Out any] struct {
	Name, Title, Description string
	Effect                   Effect
	Call                     func(context.Context, In) (Out, error)
	Draws                    drawer // what a host that shows MCP Apps draws of a result; nil: nothing
}

// Declaration is a Tool that is ready to be served.
type Declaration struct {
	Effect    Effect
	Served    server.ServerTool
	Arguments *schema.Schema // its JSON is in Served, as is that of Results
	Results   *schema.Schema
}

func (t Tool[In, Out]) listing() Listing { return Listing{t.Name, t.Effect} }

// declare makes t's schemas and wraps its Call. It fails if a schema is one that some
// hosts do not accept.
func (t Tool[In, Out]) declare(s Settings) (Declaration, error) {
	in, err := schema.Input[In]()
	if err != nil {
		return Declaration{}, fmt.Errorf("tool %s: arguments: %w", t.Name, err)
	}
	out, err := schema.Output[Out]()
	if err != nil {
		return Declaration{}, fmt.Errorf("tool %s: result: %w", t.Name, err)
	}
	var meta *mcp.Meta
	if t.Draws != nil {
		meta = mcp.NewMetaFromMap(drawnBy())
	}
	return Declaration{
		Effect:    t.Effect,
		Arguments: in,
		Results:   out,
		Served: server.ServerTool{
			Tool: mcp.Tool{
				Meta:            meta,
				Name:            t.Name,
				Title:           t.Title,
				Description:     t.Description,
				RawInputSchema:  in.JSON(),
				RawOutputSchema: out.JSON(),
				Annotations: mcp.ToolAnnotation{
					ReadOnlyHint:    new(t.Effect == Read),
					DestructiveHint: new(t.Effect == Destroy),
					IdempotentHint:  new(t.Effect != Write),
					OpenWorldHint:   new(true),
				},
			},
			Handler: t.handler(in, out, s),
		},
	}, nil
}

// handler answers a call with t's result, or with the explanation of its error. It
// never returns an error itself: a protocol error would not reach the model.
func (t Tool[In, Out]) handler(in, results *schema.Schema, s Settings) server.ToolHandlerFunc {
	log := s.log()
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		began, failure := time.Now(), ""
		ctx, done := s.around(ctx, t.Name, metaOf(r))
		defer func() { done(failure) }()
		out, err := t.call(withProgress(ctx, r), in, r, log)
		if err != nil && errors.Is(context.Cause(ctx), ErrStopping) {
			err = ErrStopping
		}
		var text []byte
		if err == nil {
			text, err = encode(out)
		}
		if question := asked(ctx, err); question != nil {
			log.InfoContext(ctx, "call asks the user", "tool", t.Name)
			return question, nil
		}
		if err != nil {
			log.WarnContext(ctx, "call failed", "tool", t.Name, "took", time.Since(began).Round(time.Millisecond), "error", err)
			x := exports.Explain(err)
			failure = string(x.Kind)
			return failed(x, results), nil
		}
		log.InfoContext(ctx, "call", "tool", t.Name, "took", time.Since(began).Round(time.Millisecond))
		return &mcp.CallToolResult{
			Result:            mcp.Result{Meta: s.drawing(ctx, t.Draws, out)},
			Content:           withLink(ctx, []mcp.Content{mcp.NewTextContent(string(text))}, out),
			StructuredContent: json.RawMessage(text),
		}, nil
	}
}

// metaOf returns the fields of a call's _meta.
func metaOf(r mcp.CallToolRequest) map[string]any {
	if r.Params.Meta == nil {
		return nil
	}
	return r.Params.Meta.AdditionalFields
}

// encode returns v as JSON without escapes for HTML, so that a model can copy a link
// with & in it.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// accounting returns the Call of a tool that works with the account of its caller.
func accounting[In, Out any](
	accounts Accounts, use func(context.Context, *exports.Account, In) (Out, error),
) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (out Out, err error) {
		a, err := accounts(ctx)
		if err != nil {
			return out, err
		}
		if out, err = use(ctx, a, in); err == nil {
			markSimulated(a, &out)
		}
		return out, err
	}
}

// call decodes the arguments of r and runs t on them, for at most callLimit. It logs a
// panic with its stack, and returns exports.Bug with the id of that line.
func (t Tool[In, Out]) call(
	ctx context.Context, in *schema.Schema, r mcp.CallToolRequest, log *slog.Logger,
) (out Out, err error) {
	defer func() {
		if v := recover(); v != nil {
			id := newID()
			log.ErrorContext(ctx, "internal error", "tool", t.Name, "id", id, "panic", v, "stack", string(debug.Stack()))
			err = exports.Bug(id)
		}
	}()
	raw, err := arguments(r)
	if err != nil {
		return out, err
	}
	var args In
	if err := in.Decode(raw, &args); err != nil {
		return out, err
	}
	if request, ok := any(&args).(consenting); ok {
		request.SetConsent(consentOf(ctx, r))
	}
	ctx, cancel := context.WithDeadline(ctx, deadline(ctx))
	defer cancel()
	return t.Call(ctx, args)
}

// arguments returns the call's arguments as they were sent, so that large
// integers keep every digit.
func arguments(r mcp.CallToolRequest) (json.RawMessage, error) {
	switch raw := r.GetRawArguments().(type) {
	case nil:
		return nil, nil
	case json.RawMessage:
		return raw, nil
	default:
		return json.Marshal(raw)
	}
}

type progressKey struct{}

// longestToken is the most bytes of a token for progress, since every notification has it.
const longestToken = 4 << 10

// progress is what was sent to the client of a waiting call.
type progress struct {
	token mcp.ProgressToken // nil: the client did not ask for progress

	mu      sync.Mutex
	percent float64   // that was sent last; -1: none
	sentAt  time.Time // zero: nothing was sent
}

// Two notifications of progress are at least minProgressInterval apart, and at most
// maxProgressInterval even if nothing changed: clients take silence for a lost call.
const (
	minProgressInterval = 250 * time.Millisecond
	maxProgressInterval = 5 * time.Second
)

// withProgress returns a context for the call r, in which reporting works.
func withProgress(ctx context.Context, r mcp.CallToolRequest) context.Context {
	p := &progress{percent: -1}
	if r.Params.Meta != nil {
		p.token = r.Params.Meta.ProgressToken
		if text, ok := p.token.(string); ok && len(text) > longestToken {
			p.token = nil
		}
	}
	return context.WithValue(ctx, progressKey{}, p)
}

// reporting returns a Report that sends progress to the client of a call.
func reporting(ctx context.Context) exports.Report {
	return func(percent float64, message string) { sendProgress(ctx, percent, message) }
}

// sendProgress sends a client the progress of its call in percent, as a progress
// notification if the call has a token, and as a log message at the level that the
// client chose. The protocol demands that the percentage increases, so that a lower or
// equal one is raised a little above the one before.
func sendProgress(ctx context.Context, percent float64, message string) {
	p, ok := ctx.Value(progressKey{}).(*progress)
	s := server.ServerFromContext(ctx)
	if !ok || s == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	since := time.Since(p.sentAt)
	if percent <= p.percent {
		if since < maxProgressInterval {
			return
		}
		percent = p.percent + 0.001
	}
	if since < minProgressInterval {
		return
	}
	p.percent, p.sentAt = percent, time.Now()
	if p.token != nil {
		_ = s.SendNotificationToClient(ctx, string(mcp.MethodNotificationProgress), map[string]any{
			"progressToken": p.token, "progress": percent, "total": 100, "message": message,
		})
	}
	notice := mcp.NewLoggingMessageNotification(mcp.LoggingLevelInfo, "fullstory-export-mcp", message)
	_ = s.SendLogMessageToClient(ctx, notice)
}
