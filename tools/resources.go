package tools

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/client"
)

//go:embed guides/*.md
var guideFiles embed.FS

// guidePrefix begins the address of every guide.
const guidePrefix = "fullstory-export://guide/"

// guides are the topics in reading order. The one on fields is made from the
// client's tables, so that it cannot differ from what requests are checked
// against.
var guides = []struct{ topic, title, about string }{
	{"time-windows", "Time windows", "The two windows of an export, half-open ranges, zones, and when rows are final."},
	{"types-and-scopes", "Types and scopes", "What a row is, and which rows each type and scope gives."},
	{"fields", "Fields", "The columns of event rows and of individual rows, and custom variables."},
	{"troubleshooting", "Troubleshooting", "What is seen, its cause, its remedy."},
}

// Guides returns the resources that explain exports to a reader.
func Guides() ([]server.ServerResource, error) {
	var served []server.ServerResource
	for _, g := range guides {
		text, err := guideText(g.topic)
		if err != nil {
			return nil, err
		}
		uri := guidePrefix + g.topic
		served = append(served, server.ServerResource{
			Resource: mcp.NewResource(uri, g.topic, mcp.WithResourceTitle(g.title), mcp.WithResourceDescription(g.about), mcp.WithMIMEType("text/markdown")),
			Handler: func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
				return []mcp.ResourceContents{mcp.TextResourceContents{URI: uri, MIMEType: "text/markdown", Text: text}}, nil
			},
		})
	}
	return served, nil
}

// Live returns the resources that change while exports run.
func Live(account func(context.Context) (*Account, error)) []server.ServerResourceTemplate {
	served := func(address, name, title, about string) server.ServerResourceTemplate {
		return server.ServerResourceTemplate{
			Template: mcp.NewResourceTemplate(address, name, mcp.WithTemplateTitle(title), mcp.WithTemplateDescription(about), mcp.WithTemplateMIMEType("application/json")),
			Handler: func(ctx context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
				text, err := readLive(ctx, account, r.Params.URI)
				if err != nil {
					return nil, err
				}
				return []mcp.ResourceContents{mcp.TextResourceContents{URI: r.Params.URI, MIMEType: "application/json", Text: text}}, nil
			},
		}
	}
	return []server.ServerResourceTemplate{
		served(operationPrefix+"{operation_id}", "operation", "An export operation", "How an export stands; the id is escaped as in a URL. A change of its state is announced to subscribers."),
		served(bulkPrefix+"{bulk_id}", "bulk", "A bulk export", "How a bulk export stands. A change of its state, and each tenth, is announced to subscribers."),
		served(bulkPrefix+"{bulk_id}"+manifestSuffix, "manifest", "The manifest of a bulk export", "Every stored file of a bulk export, and which instants are covered, provisional and missing."),
	}
}

// Follow keeps track of what sessions subscribe to, which the library does not:
// by resources/subscribe, or as of protocol 2026-07-28 by subscriptions/listen,
// whose stream is the session.
func Follow(h *server.Hooks, s *Subscriptions) {
	h.AddAfterSubscribe(func(ctx context.Context, _ any, m *mcp.SubscribeRequest, _ *mcp.EmptyResult) {
		if session := server.ClientSessionFromContext(ctx); session != nil {
			ctx, cancel := context.WithTimeout(ctx, lookLimit)
			defer cancel()
			s.Add(ctx, session.SessionID(), m.Params.URI, func(uri string) { announce(session, uri) })
		}
	})
	h.AddAfterUnsubscribe(func(ctx context.Context, _ any, m *mcp.UnsubscribeRequest, _ *mcp.EmptyResult) {
		if session := server.ClientSessionFromContext(ctx); session != nil {
			s.Remove(session.SessionID(), m.Params.URI)
		}
	})
	h.AddBeforeSubscriptionsListen(func(ctx context.Context, id any, m *mcp.SubscriptionsListenRequest) {
		session := server.ClientSessionFromContext(ctx)
		if session == nil {
			return
		}
		stream := "listen-" + newID()
		context.AfterFunc(ctx, func() { s.End(stream) })
		ctx, cancel := context.WithTimeout(ctx, lookLimit)
		defer cancel()
		for _, uri := range m.Params.Notifications.ResourceSubscriptions {
			s.Add(ctx, stream, uri, func(uri string) { push(session, updated(uri, map[string]any{mcp.MetaKeySubscriptionID: id})) })
		}
	})
	h.AddAfterCallTool(func(ctx context.Context, _ any, _ *mcp.CallToolRequest, result any) {
		session := server.ClientSessionFromContext(ctx)
		r, ok := result.(*mcp.CallToolResult)
		if session == nil || !ok || r.IsError {
			return
		}
		if told, ok := r.StructuredContent.(json.RawMessage); ok {
			s.Called(ctx, told, session.SessionID(), func(uri string) { push(session, updated(uri, nil)) })
		}
	})
	h.AddOnUnregisterSession(func(_ context.Context, session server.ClientSession) { s.End(session.SessionID()) })
}

func updated(uri string, meta map[string]any) mcp.JSONRPCNotification {
	return mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION, Notification: mcp.Notification{
		Method: mcp.MethodNotificationResourceUpdated, Params: mcp.NotificationParams{Meta: meta, AdditionalFields: map[string]any{"uri": uri}},
	}}
}

// announce tells a session of a change. Over HTTP what the library takes for
// the session ends with its request, and the one behind it is told.
func announce(session server.ClientSession, uri string) {
	if lasting, ok := session.(interface {
		Announce(mcp.JSONRPCNotification)
	}); ok {
		lasting.Announce(updated(uri, nil))
		return
	}
	push(session, updated(uri, nil))
}

// push tells a stream of a change, unless it is full: then it is read anyway.
func push(session server.ClientSession, n mcp.JSONRPCNotification) {
	select {
	case session.NotificationChannel() <- n:
	default:
	}
}

func guideText(topic string) (string, error) {
	if topic == "fields" {
		return fieldsGuide(), nil
	}
	text, err := guideFiles.ReadFile("guides/" + topic + ".md")
	return string(text), err
}

func fieldsGuide() string {
	var b strings.Builder
	b.WriteString("# Fields\n\nNames for `fields`; without it an export has the default set and all custom variables. Ids are 64-bit integers: read them as such, not as floating point. A key that does not apply to a row is absent.\n")
	table := func(title string, fields []client.Field) {
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		for _, f := range fields {
			fmt.Fprintf(&b, "- `%s`: %s\n", f.Name, f.About)
		}
	}
	table("Rows of events (TYPE_EVENT, TYPE_PAGES, TYPE_SESSIONS)", client.EventFields())
	table("Rows of individuals (TYPE_INDIVIDUAL)", client.IndividualFields())
	b.WriteString("\n## Custom variables\n\n`user_<name>_<type>`, `evt_<name>_<type>`, `page_<name>_<type>`, where type is str, int, real, bool, date, or a list: strs, ints, reals, bools, dates. `user_*`, `evt_*` and `page_*` stand for all of their kind.\n")
	return b.String()
}

// Completions completes the arguments of prompts and the topics of guides. It
// never fails: what cannot be completed has no completions.
type Completions struct {
	Account func(context.Context) (*Account, error)
}

// CompletePromptArgument completes segment ids from Fullstory, and the values
// of the enums.
func (c Completions) CompletePromptArgument(ctx context.Context, _ string, arg mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	switch arg.Name {
	case "segment":
		return c.segments(ctx, arg.Value), nil
	case "type":
		return completion(arg.Value, string(client.TypeEvent), string(client.TypePages), string(client.TypeSessions), string(client.TypeIndividual)), nil
	case "format":
		return completion(arg.Value, string(client.FormatNDJSON), string(client.FormatJSON), string(client.FormatCSV)), nil
	case "chunk":
		return completion(arg.Value, "hour", "day", "week", "month", "quarter", "PT6H", "PT12H"), nil
	case "timezone":
		return completion(arg.Value, commonZones...), nil
	}
	return completion(arg.Value), nil
}

// CompleteResourceArgument completes the ids of bulk exports.
func (c Completions) CompleteResourceArgument(ctx context.Context, _ string, arg mcp.CompleteArgument, _ mcp.CompleteContext) (*mcp.Completion, error) {
	if arg.Name != "bulk_id" {
		return completion(arg.Value), nil
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit/4)
	defer cancel()
	a, err := c.Account(ctx)
	if err != nil {
		return completion(arg.Value), nil
	}
	engine, err := a.Engine(ctx)
	if err != nil {
		return completion(arg.Value), nil
	}
	bulks, err := engine.List(ctx, "", 0, completionLimit)
	if err != nil {
		return completion(arg.Value), nil
	}
	var ids []string
	for _, b := range bulks {
		ids = append(ids, b.ID)
	}
	return completion(arg.Value, ids...), nil
}

// commonZones are offered first to somebody who types a zone; any IANA zone is
// accepted.
var commonZones = []string{
	"UTC", "Europe/London", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Rome", "Europe/Amsterdam", "Europe/Stockholm",
	"Europe/Warsaw", "Europe/Athens", "Europe/Istanbul", "Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos", "Asia/Dubai", "Asia/Kolkata",
	"Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Asia/Seoul", "Australia/Sydney", "Pacific/Auckland", "America/New_York", "America/Chicago",
	"America/Denver", "America/Los_Angeles", "America/Toronto", "America/Sao_Paulo", "America/Mexico_City", "America/Bogota",
}

// completionLimit is the most values that the protocol allows.
const completionLimit = 100

func (c Completions) segments(ctx context.Context, typed string) *mcp.Completion {
	ctx, cancel := context.WithTimeout(ctx, callLimit/4)
	defer cancel()
	a, err := c.Account(ctx)
	if err != nil {
		return completion(typed, "everyone")
	}
	page, err := a.Client.Segments(ctx, client.SegmentQuery{Limit: completionLimit})
	if err != nil {
		return completion(typed, "everyone")
	}
	values := []string{}
	for _, s := range page.Segments {
		if hasPrefixFold(s.ID, typed) || strings.Contains(strings.ToLower(s.Name), strings.ToLower(typed)) {
			values = append(values, s.ID)
		}
	}
	return &mcp.Completion{Values: values, Total: len(values), HasMore: page.Next != ""}
}

// completion returns the values that begin with what was typed, without regard
// to case, or that contain it after a slash.
func completion(typed string, values ...string) *mcp.Completion {
	fit := []string{}
	for _, v := range values {
		_, city, _ := strings.Cut(v, "/")
		if hasPrefixFold(v, typed) || hasPrefixFold(city, typed) {
			fit = append(fit, v)
		}
	}
	return &mcp.Completion{Values: fit, Total: len(fit)}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
