package transport

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// The methods that a transport treats in a way of its own.
const (
	methodInitialize  = string(mcp.MethodInitialize)
	methodCancelled   = string(mcp.MethodNotificationCancelled)
	methodListen      = string(mcp.MethodSubscriptionsListen)
	methodCallTool    = string(mcp.MethodToolsCall)
	methodRead        = string(mcp.MethodResourcesRead)
	methodComplete    = string(mcp.MethodCompletionComplete)
	methodSubscribe   = string(mcp.MethodResourcesSubscribe)
	methodUnsubscribe = string(mcp.MethodResourcesUnsubscribe)
	methodSetLogLevel = string(mcp.MethodSetLogLevel)
)

// The codes of the JSON-RPC errors of a transport.
const (
	codeParse    = mcp.PARSE_ERROR
	codeInvalid  = mcp.INVALID_REQUEST
	codeInternal = mcp.INTERNAL_ERROR
	codeRejected = -32000 // the HTTP status has the reason
)

// isModern reports whether a message, or a request without one, is of protocol
// 2026-07-28 or later, which has no sessions.
func isModern(h http.Header, m message) bool {
	return mcp.IsModernProtocol(m.version) || mcp.IsModernProtocol(h.Get(mcp.HeaderProtocolVersion))
}

// checkVersion fails if the header of a request names an unknown protocol
// version. A request without the header is of version 2025-03-26.
func checkVersion(h http.Header) error {
	if v := h.Get(mcp.HeaderProtocolVersion); v != "" && !mcp.IsValidProtocolVersion(v) {
		known := strings.Join(slices.Sorted(slices.Values(mcp.ValidProtocolVersions)), ", ")
		return errors.New("This protocol version is not supported. Supported versions: " + known + ".")
	}
	return nil
}

// checkModern returns the answer to a message of protocol 2026-07-28 or later
// whose headers and body do not agree, or nil if they do.
func checkModern(h http.Header, m message, raw json.RawMessage) json.RawMessage {
	header := h.Get(mcp.HeaderProtocolVersion)
	shown, version := cleaned(header, longestEcho), cleaned(m.version, longestEcho)
	reject := func(code int, text string) json.RawMessage { return m.reject(&rejection{code, text}) }
	switch {
	case h.Get(mcp.HeaderLastEventID) != "":
		return reject(mcp.HEADER_MISMATCH, "Last-Event-ID is not supported from protocol version "+
			mcp.ProtocolVersion20260728+" on. Send the request again under a new id.")
	case header == "":
		return reject(mcp.HEADER_MISMATCH, "The header "+mcp.HeaderProtocolVersion+" is missing; _meta names "+version+".")
	case m.version == "":
		return reject(mcp.INVALID_PARAMS, "params._meta must have the string "+mcp.MetaKeyProtocolVersion+
			"; the header names "+shown+".")
	case header != m.version:
		return reject(mcp.HEADER_MISMATCH, "The header "+mcp.HeaderProtocolVersion+" names "+shown+
			", but _meta names "+version+".")
	case !mcp.IsValidProtocolVersion(m.version):
		wrong := mcp.UnsupportedProtocolVersionError{Version: version, Supported: mcp.ValidProtocolVersions}
		if encoded, err := json.Marshal(wrong.JSONRPCError()); err == nil {
			return m.withID(encoded)
		}
	}
	var body struct {
		Params json.RawMessage `json:"params"`
	}
	if json.Unmarshal(raw, &body) != nil {
		return nil
	}
	if err := mcp.ValidateStandardHeaders(h.Get, m.version, mcp.MCPMethod(m.method), body.Params); err != nil {
		if _, rejected := checkParams(m, raw); rejected != nil {
			return m.reject(rejected)
		}
		return reject(mcp.HEADER_MISMATCH, cleaned(err.Error(), longestEcho*3))
	}
	return nil
}

// modernStatus returns the HTTP status that protocol 2026-07-28 defines for an
// answer.
func modernStatus(answer json.RawMessage) int {
	var a struct {
		Error *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(answer, &a) != nil || a.Error == nil {
		return http.StatusOK
	}
	switch a.Error.Code {
	case mcp.METHOD_NOT_FOUND:
		return http.StatusNotFound
	case mcp.HEADER_MISMATCH, mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, mcp.UNSUPPORTED_PROTOCOL_VERSION,
		mcp.INVALID_REQUEST, mcp.INVALID_PARAMS, mcp.PARSE_ERROR:
		return http.StatusBadRequest
	}
	return http.StatusOK
}
