package tools

import (
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// resourceHandler reads any resource.
func resourceHandler(accounts Accounts) server.ResourceHandlerFunc {
	return func(ctx context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		uri := requested(r.Params.URI)
		if uri == viewURI {
			return []mcp.ResourceContents{viewResource()}, nil
		}
		text, contentType, err := readResource(ctx, accounts, uri)
		if err != nil {
			return nil, err
		}
		return []mcp.ResourceContents{mcp.TextResourceContents{URI: uri, MIMEType: contentType, Text: text}}, nil
	}
}

// routeResources has the library call the handler of resources for every address.
func routeResources(h *server.Hooks) {
	h.AddBeforeReadResource(func(_ context.Context, _ any, m *mcp.ReadResourceRequest) {
		m.Params.URI = routed(m.Params.URI)
	})
}

// guideResources returns the guides as resources.
func guideResources(read server.ResourceHandlerFunc) (served []server.ServerResource) {
	for _, g := range guides() {
		served = append(served, server.ServerResource{
			Resource: mcp.NewResource(g.uri(), g.topic, mcp.WithResourceTitle(g.title), mcp.WithResourceDescription(g.about),
				mcp.WithMIMEType(markdown)),
			Handler: read,
		})
	}
	return served
}

// guidePartResource returns the template of the parts of guides.
func guidePartResource(read server.ResourceHandlerFunc) server.ServerResourceTemplate {
	return resourceTemplate(read, guidePrefix+"{topic}/{part}", "guide-part", "A part of a guide",
		"The answer to one question, in under 1.5 kB. The guide of the topic names its parts.", markdown)
}

// resourceTemplate returns a template whose resources read reads.
func resourceTemplate(
	read server.ResourceHandlerFunc, address, name, title, about, contentType string,
) server.ServerResourceTemplate {
	return server.ServerResourceTemplate{
		Template: mcp.NewResourceTemplate(address, name, mcp.WithTemplateTitle(title), mcp.WithTemplateDescription(about),
			mcp.WithTemplateMIMEType(contentType)),
		Handler: server.ResourceTemplateHandlerFunc(read),
	}
}

// liveResources returns the templates of the resources that change while exports run.
func liveResources(read server.ResourceHandlerFunc) []server.ServerResourceTemplate {
	template := func(address, name, title, about string) server.ServerResourceTemplate {
		return resourceTemplate(read, address, name, title, about, jsonType)
	}
	return []server.ServerResourceTemplate{
		template(operationPrefix+"{operation_id}", "operation", "An export operation",
			"The state of an export. Subscribers are notified when the state changes."),
		template(bulkPrefix+"{bulk_id}", "bulk", "A bulk export",
			"The state of a bulk export, by its id or name. Subscribers are notified when the state changes, and at each "+
				"tenth of the chunks."),
		template(bulkPrefix+"{bulk_id}"+manifestSuffix, "manifest", "The manifest of a bulk export",
			"Every stored file of a bulk export, and which instants are covered, provisional and missing. A large manifest "+
				"has pages, and next is the address of the next one."),
		template(syncPrefix+"{sync_id}", "sync", "An export that is kept up to date",
			"The state of a sync, by its id or name. Subscribers are notified when windows are added or stored, and when the "+
				"state changes."),
	}
}

// followSubscriptions records in s what sessions subscribe to, because the library
// does not: by resources/subscribe or, as of protocol 2026-07-28, by
// subscriptions/listen, whose stream counts as a session. It also has s notify
// subscribers of what a call changed before the call's result is sent. Subscribing to a
// resource that does not exist is an error.
func followSubscriptions(h *server.Hooks, s *Subscriptions) {
	h.AddAfterSubscribe(func(ctx context.Context, _ any, m *mcp.SubscribeRequest, _ *mcp.EmptyResult) {
		session := server.ClientSessionFromContext(ctx)
		if session == nil {
			return
		}
		limited, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		err := s.Add(limited, session.SessionID(), m.Params.URI, func(uri string) { announce(session, uri) })
		if err != nil {
			reject(ctx, err)
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
		limited, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		for _, uri := range m.Params.Notifications.ResourceSubscriptions {
			err := s.Add(limited, stream, uri, func(uri string) {
				push(session, updated(uri, map[string]any{mcp.MetaKeySubscriptionID: id}))
			})
			if err != nil && reject(ctx, err) {
				m.Params.Notifications = mcp.SubscriptionFilter{} // ends the request now
				s.End(stream)
				return
			}
		}
	})
	h.AddAfterCallTool(func(ctx context.Context, _ any, _ *mcp.CallToolRequest, result any) {
		session := server.ClientSessionFromContext(ctx)
		r, ok := result.(*mcp.CallToolResult)
		if session == nil || !ok || r.IsError {
			return
		}
		if result, ok := r.StructuredContent.(json.RawMessage); ok {
			s.Called(ctx, result, session.SessionID(), func(uri string) { push(session, updated(uri, nil)) })
		}
	})
}

// updated is the notification that the resource at uri changed.
func updated(uri string, meta map[string]any) mcp.JSONRPCNotification {
	return mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION, Notification: mcp.Notification{
		Method: mcp.MethodNotificationResourceUpdated,
		Params: mcp.NotificationParams{Meta: meta, AdditionalFields: map[string]any{"uri": uri}},
	}}
}

// announce notifies a session of a change. Over HTTP the library's session ends with
// its request, so the lasting session behind it is notified.
func announce(session server.ClientSession, uri string) {
	if lasting, ok := session.(interface {
		Announce(mcp.JSONRPCNotification)
	}); ok {
		lasting.Announce(updated(uri, nil))
		return
	}
	push(session, updated(uri, nil))
}

// push sends a notification to a stream without blocking. It drops the notification if
// the stream is full: the client has not read the earlier ones yet.
func push(session server.ClientSession, n mcp.JSONRPCNotification) {
	select {
	case session.NotificationChannel() <- n:
	default:
	}
}

// The methods of completer that the library calls.

func (c completer) CompletePromptArgument(
	ctx context.Context, _ string, arg mcp.CompleteArgument, _ mcp.CompleteContext,
) (*mcp.Completion, error) {
	return c.promptArgument(ctx, arg.Name, arg.Value).completion(), nil
}

func (c completer) CompleteResourceArgument(
	ctx context.Context, _ string, arg mcp.CompleteArgument, given mcp.CompleteContext,
) (*mcp.Completion, error) {
	return c.resourceArgument(ctx, arg.Name, arg.Value, given.Arguments).completion(), nil
}

func (v values) completion() *mcp.Completion {
	if len(v.list) > completionLimit {
		v.list, v.more = v.list[:completionLimit], true
	}
	return &mcp.Completion{Values: v.list, Total: len(v.list), HasMore: v.more}
}
