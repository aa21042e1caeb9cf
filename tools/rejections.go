package tools

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/prompts"
)

// reject has a request answered with an error of this program's code, text and data. The
// library gives every error of a handler the code of an internal error. reject returns
// false if the session of ctx cannot do that.
func reject(ctx context.Context, err error) bool {
	session, ok := server.ClientSessionFromContext(ctx).(interface {
		Reject(code int, text string, data any)
	})
	if !ok {
		return false
	}
	code, text, data := mcp.INVALID_PARAMS, err.Error(), any(nil)
	if e, ok := errors.AsType[*resourceError](err); ok {
		data = map[string]string{"uri": shownURI(e.uri)}
		switch {
		case !e.unknown:
			code = mcp.INTERNAL_ERROR
		case !server.IsModernRequest(ctx):
			code = mcp.RESOURCE_NOT_FOUND
		}
	}
	session.Reject(code, text, data)
	return true
}

// longestURI is the most bytes of an address in an error.
const longestURI = 500

// shownURI returns an address as a client sent it, for the data of an error: what is not
// visible is escaped, as it can be in any address, and the rest of a long one is cut.
func shownURI(uri string) string {
	if len(uri) > longestURI {
		uri = strings.ToValidUTF8(uri[:longestURI], "") + "…"
	}
	var b strings.Builder
	for i, r := range uri {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(uri[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, "%%%02X", uri[i])
		case local.IsVisible(r):
			b.WriteRune(r)
		default:
			b.WriteString(url.PathEscape(string(r)))
		}
	}
	return b.String()
}

// explainRejections replaces errors of the library, and gives those of handlers their
// codes and data.
func explainRejections(h *server.Hooks) {
	h.AddOnError(func(ctx context.Context, _ any, _ mcp.MCPMethod, message any, err error) {
		if errors.Is(err, server.ErrRemovedInProtocolVersion) {
			return
		}
		if err := rejection(message, err); err != nil {
			reject(ctx, err)
		}
	})
}

// rejection returns the error with which a request is answered that failed with err; nil
// if the library's answer is right.
func rejection(message any, err error) error {
	unparsable, isUnparsable := errors.AsType[*server.UnparsableMessageError](err)
	_, isCursor := errors.AsType[base64.CorruptInputError](err)
	resource, isResource := errors.AsType[*resourceError](err)
	argument, isArgument := errors.AsType[*prompts.ArgumentError](err)
	switch {
	case isResource:
		return resource
	case isArgument:
		return argument
	case isUnparsable:
		return unreadable(unparsable)
	case isCursor:
		return invalidParams("params.cursor is not one that this server returned. Leave it out for the first page.")
	}
	switch m := message.(type) {
	case *mcp.ReadResourceRequest: // a panic; its text is made for the client
		text, _ := strings.CutPrefix(err.Error(), "request error: ")
		return &resourceError{uri: requested(m.Params.URI), text: text}
	case *mcp.SubscribeRequest:
		if m.Params.URI == "" {
			return aboutResource("", errAddress)
		}
	case *mcp.GetPromptRequest:
		if errors.Is(err, server.ErrPromptNotFound) {
			return invalidParams(fmt.Sprintf("Prompt %q not found; the prompts are %s.", client.Clean(m.Params.Name, 100),
				promptNames()))
		}
	case *mcp.CallToolRequest:
		if errors.Is(err, server.ErrToolNotFound) {
			return invalidParams(fmt.Sprintf("Tool %q not found; tools/list has the names of all.",
				client.Clean(m.Params.Name, 100)))
		}
	}
	return nil
}

// unreadable returns the error about params that the library cannot decode.
func unreadable(e *server.UnparsableMessageError) error {
	text := fmt.Sprintf("The params are not what %s accepts.", e.GetMethod())
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](e); ok {
		if number, ok := strings.CutPrefix(wrong.Value, "number "); ok {
			text = fmt.Sprintf("The params of %s have a number that is out of range: %s.", e.GetMethod(),
				client.Clean(number, 40))
		}
	}
	return invalidParams(text)
}

// invalidParams is the error of a request whose params cannot be used, in sentences.
type invalidParams string

func (e invalidParams) Error() string { return string(e) }

func promptNames() string {
	var names []string
	for _, p := range prompts.All() {
		names = append(names, p.Prompt.Name)
	}
	return strings.Join(names, ", ")
}
