package transport

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// codeParams is the code of the JSON-RPC error about the params of a request.
const codeParams = mcp.INVALID_PARAMS

// checkParams checks the params of a message before the library reads them, because the
// library's errors about a value of another type show Go types. It returns the message
// for the library, or a rejection that names the field and what it must be. Odd values
// that nothing depends on are replaced. Params of methods that this server does not have
// are not checked.
func checkParams(m message, raw json.RawMessage) (json.RawMessage, *rejection) {
	var members struct {
		Version json.RawMessage `json:"jsonrpc"`
		Params  json.RawMessage `json:"params"`
	}
	if json.Unmarshal(raw, &members) != nil {
		return raw, nil // reported by the library
	}
	if string(members.Version) != `"2.0"` {
		return nil, &rejection{codeInvalid, `jsonrpc must be "2.0".`}
	}
	if mcp.IsModernProtocol(m.version) && slices.Contains(removedMethods(), mcp.MCPMethod(m.method)) {
		return raw, nil // the library says that there is no such method
	}
	want, known := shapes()[mcp.MCPMethod(m.method)]
	if m.id == nil {
		want, known = shape{kind: anObject}, true
	}
	if !known {
		return raw, nil
	}
	params, rejected := want.read("params", members.Params)
	if rejected != nil || bytes.Equal(params, members.Params) {
		return raw, rejected
	}
	return withParams(raw, params), nil
}

// removedMethods are those that protocol 2026-07-28 does not have any more.
func removedMethods() []mcp.MCPMethod {
	return []mcp.MCPMethod{
		mcp.MethodInitialize, mcp.MethodPing, mcp.MethodSetLogLevel, mcp.MethodResourcesSubscribe,
		mcp.MethodResourcesUnsubscribe,
	}
}

// withParams returns a message with other params.
func withParams(raw, params json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return raw
	}
	members["params"] = params
	if changed, err := json.Marshal(members); err == nil {
		return changed
	}
	return raw
}

// shapes has what the params of each method of this server must be.
var shapes = sync.OnceValue(func() map[mcp.MCPMethod]shape {
	text := shape{kind: aString}
	page, resource := params(optional("cursor", text)), params(required("uri", text))
	return map[mcp.MCPMethod]shape{
		mcp.MethodInitialize: params(optional("protocolVersion", text),
			optional("capabilities", shape{fit: fitting[mcp.ClientCapabilities]}),
			optional("clientInfo", shape{fit: fitting[mcp.Implementation]})),
		mcp.MethodPing:                   params(),
		mcp.MethodServerDiscover:         params(),
		mcp.MethodToolsList:              page,
		mcp.MethodPromptsList:            page,
		mcp.MethodResourcesList:          page,
		mcp.MethodResourcesTemplatesList: page,
		mcp.MethodToolsCall: params(required("name", text),
			optional("arguments", shape{fit: fitNumbers}), // the rest of them is checked by the tool
			optional("task", shape{fit: fitting[mcp.TaskParams]}), rounds(), state()),
		mcp.MethodPromptsGet: params(required("name", text), optional("arguments", texts()), rounds(), state()),
		mcp.MethodResourcesRead: params(required("uri", text), optional("arguments", shape{kind: anObject}),
			rounds(), state()),
		mcp.MethodResourcesSubscribe:   resource,
		mcp.MethodResourcesUnsubscribe: resource,
		mcp.MethodSetLogLevel:          params(required("level", shape{kind: aString, values: logLevels()})),
		mcp.MethodCompletionComplete:   completionParams(),
		mcp.MethodSubscriptionsListen: params(optional("notifications", shape{kind: anObject, fields: []field{
			optional("toolsListChanged", shape{kind: aBoolean}),
			optional("promptsListChanged", shape{kind: aBoolean}),
			optional("resourcesListChanged", shape{kind: aBoolean}),
			optional("resourceSubscriptions", shape{kind: aList, each: &shape{kind: aString, required: true}}),
		}})),
	}
})

// completionParams are the params of completion/complete.
func completionParams() shape {
	text := shape{kind: aString}
	return params(
		required("ref", shape{kind: anObject, fields: []field{
			required("type", shape{kind: aString, values: []string{"ref/prompt", "ref/resource"}}),
			optional("name", text), optional("uri", text),
		}}),
		required("argument", shape{kind: anObject, fields: []field{required("name", text), optional("value", text)}}),
		optional("context", shape{kind: anObject, fields: []field{optional("arguments", texts())}}),
	)
}

// params are params with these fields and _meta.
func params(fields ...field) shape {
	meta := optional("_meta", shape{kind: anObject, fields: []field{
		optional(mcp.MetaKeyProtocolVersion, shape{kind: aString}),
		optional(mcp.MetaKeyClientCapabilities, shape{fit: fitting[mcp.ClientCapabilities]}),
	}})
	s := shape{kind: anObject, fields: append(fields, meta)}
	for _, f := range fields {
		s.required = s.required || f.required
	}
	return s
}

// texts are an object of texts. A null in it counts as absent.
func texts() shape { return shape{kind: anObject, each: &shape{kind: aString}} }

// rounds and state continue a request for which the server has asked for input.
func rounds() field { return optional("inputResponses", shape{kind: anObject}) }
func state() field  { return optional("requestState", shape{kind: aString}) }

func optional(name string, s shape) field { return field{name, s} }

func required(name string, s shape) field {
	s.required = true
	return field{name, s}
}

func logLevels() []string {
	return []string{
		string(mcp.LoggingLevelDebug), string(mcp.LoggingLevelInfo), string(mcp.LoggingLevelNotice),
		string(mcp.LoggingLevelWarning), string(mcp.LoggingLevelError), string(mcp.LoggingLevelCritical),
		string(mcp.LoggingLevelAlert), string(mcp.LoggingLevelEmergency),
	}
}
