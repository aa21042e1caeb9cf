// Package tools holds what an assistant can call: one file a tool, and what
// carries them all.
package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/schema"
)

// callLimit bounds every call. Hosts give up on a call after as little as 25
// seconds, so longer work has a handle and is asked after.
const callLimit = 20 * time.Second

// Effect says what a tool may change. It decides the tool's four hints and
// whether a read-only server lists it.
type Effect int

// The effects of a tool.
const (
	Read    Effect = iota // changes nothing
	Write                 // adds something, and changes or removes nothing
	Destroy               // may end or remove something
)

// Tool declares one MCP tool. In and Out are its arguments and its result,
// both structs; their JSON Schemas are what is published.
type Tool[In, Out any] struct {
	Name, Title, Description string
	Effect                   Effect
	Call                     func(context.Context, In) (Out, error)
}

// Declaration is a Tool that is ready to be served.
type Declaration struct {
	Effect Effect
	Served server.ServerTool
}

// declare publishes t's schemas and wraps its Call. It fails when a schema
// would not be accepted by every host.
func (t Tool[In, Out]) declare(s Settings) (Declaration, error) {
	in, err := schema.Input[In]()
	if err != nil {
		return Declaration{}, fmt.Errorf("tool %s: arguments: %w", t.Name, err)
	}
	out, err := schema.Output[Out]()
	if err != nil {
		return Declaration{}, fmt.Errorf("tool %s: result: %w", t.Name, err)
	}
	return Declaration{
		Effect: t.Effect,
		Served: server.ServerTool{
			Tool: mcp.Tool{
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
			Handler: t.handler(in, s),
		},
	}, nil
}

// handler answers a call with t's result, or with what explain makes of its
// error. It never fails itself: a protocol error would not reach the model.
func (t Tool[In, Out]) handler(in *schema.Schema, s Settings) server.ToolHandlerFunc {
	log := s.log()
	return func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		began, failure := time.Now(), ""
		ctx, done := s.around(ctx, t.Name, metaOf(r))
		defer func() { done(failure) }()
		out, err := t.call(withProgress(ctx, r), in, r)
		if err != nil && errors.Is(context.Cause(ctx), ErrStopping) {
			err = ErrStopping
		}
		var text []byte
		if err == nil {
			text, err = encode(out)
		}
		if err != nil {
			log.WarnContext(ctx, "call failed", "tool", t.Name, "took", time.Since(began).Round(time.Millisecond), "error", err)
			var bug *panicked
			if errors.As(err, &bug) {
				log.ErrorContext(ctx, "internal error", "tool", t.Name, "id", bug.id, "panic", bug.value, "stack", string(bug.stack))
			}
			kind, text := explained(err)
			failure = kind
			return mcp.NewToolResultError(text), nil
		}
		log.InfoContext(ctx, "call", "tool", t.Name, "took", time.Since(began).Round(time.Millisecond))
		return &mcp.CallToolResult{
			Content:           []mcp.Content{mcp.NewTextContent(string(text))},
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

// encode writes a result as a reader expects it: with & in a link as it is.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// call runs t on the arguments of r, at most callLimit long. A panic becomes
// an error.
func (t Tool[In, Out]) call(ctx context.Context, in *schema.Schema, r mcp.CallToolRequest) (out Out, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{id: newID(), value: v, stack: debug.Stack()}
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
	ctx, cancel := context.WithTimeout(ctx, callLimit)
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

// progress tells the client of a call that waits how far it is.
type progress struct {
	token mcp.ProgressToken // nil: it did not ask
	mu    sync.Mutex
	last  float64
	told  time.Time
}

// Between two notices of progress pass at least progressPause, and at most
// progressLife even if there is none, so that no client takes the call for
// dead.
const (
	progressPause = 250 * time.Millisecond
	progressLife  = 5 * time.Second
)

func withProgress(ctx context.Context, r mcp.CallToolRequest) context.Context {
	p := &progress{last: -1}
	if r.Params.Meta != nil {
		p.token = r.Params.Meta.ProgressToken
	}
	return context.WithValue(ctx, progressKey{}, p)
}

// tell says how far a call is, in percent, to a client that asked to be told:
// by a progress token, or by a log level. What is told never goes back.
func tell(ctx context.Context, percent float64, message string) {
	p, ok := ctx.Value(progressKey{}).(*progress)
	s := server.ServerFromContext(ctx)
	if !ok || s == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	since := time.Since(p.told)
	if percent <= p.last {
		if since < progressLife {
			return
		}
		percent = p.last + 0.001
	}
	if since < progressPause {
		return
	}
	p.last, p.told = percent, time.Now()
	if p.token != nil {
		_ = s.SendNotificationToClient(ctx, string(mcp.MethodNotificationProgress), map[string]any{
			"progressToken": p.token, "progress": percent, "total": 100, "message": message,
		})
	}
	_ = s.SendLogMessageToClient(ctx, mcp.NewLoggingMessageNotification(mcp.LoggingLevelInfo, "fullstory-export-mcp", message))
}
