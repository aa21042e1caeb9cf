package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// message is the part of a JSON-RPC message that decides how it is handled.
type message struct {
	id        json.RawMessage // as sent; nil for a notification
	method    string          // empty for a response
	name      string          // of the tool, in tools/call
	version   string          // the protocol version in _meta, from 2026-07-28 on
	cancelled json.RawMessage // in notifications/cancelled: the id of the request to end
	answers   bool            // it has a result or an error
}

// isResponse reports whether m answers a request of the server, such as a question.
func (m message) isResponse() bool { return m.method == "" && (m.id != nil || m.answers) }

// isListen reports whether m opens a stream of announcements.
func (m message) isListen() bool { return m.method == methodListen }

// isCancel reports whether m ends another request.
func (m message) isCancel() bool {
	return m.id == nil && m.method == methodCancelled
}

// isInitialize reports whether m opens a session.
func (m message) isInitialize() bool { return m.method == methodInitialize }

// rejection is the JSON-RPC error for a message that could not be accepted.
type rejection struct {
	code int
	text string
}

// notJSON returns the rejection of what is not JSON.
func notJSON() *rejection {
	return &rejection{codeParse, "This is not valid JSON. Each message is one JSON object."}
}

// parseMessage reads one message. With a rejection it returns as much of the
// message as is needed to answer it.
func parseMessage(raw []byte) (message, *rejection) {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method json.RawMessage `json:"method"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
		Params struct {
			RequestID json.RawMessage `json:"requestId"`
			Name      any             `json:"name"`
			Meta      struct {
				Version any `json:"io.modelcontextprotocol/protocolVersion"`
			} `json:"_meta"`
		} `json:"params"`
	}
	err := json.Unmarshal(raw, &m) // if params or _meta has another type, it still reads the rest
	if _, invalid := errors.AsType[*json.SyntaxError](err); invalid {
		return message{}, notJSON()
	}
	switch {
	case firstByte(raw) != '{':
		return message{}, &rejection{codeInvalid, "A message must be one JSON object."}
	case len(m.ID) > longestID:
		return message{}, &rejection{codeInvalid, fmt.Sprintf("The id must have at most %d bytes.", longestID)}
	case !isID(m.ID):
		return message{}, &rejection{codeInvalid, "The id must be a string or an integer."}
	}
	read := message{id: m.ID, cancelled: m.Params.RequestID, answers: m.Result != nil || m.Error != nil}
	read.version, _ = m.Params.Meta.Version.(string)
	read.name, _ = m.Params.Name.(string)
	if string(m.ID) == "null" {
		read.id = nil
	}
	if m.Method != nil && json.Unmarshal(m.Method, &read.method) != nil {
		return read, &rejection{codeInvalid, "The method must be a string."}
	}
	return read, nil
}

// byteOrderMark is U+FEFF in UTF-8, which some programs write before a text.
const byteOrderMark = "\ufeff"

// trimMark returns raw without a byte order mark at its beginning.
func trimMark(raw []byte) []byte { return bytes.TrimPrefix(raw, []byte(byteOrderMark)) }

// firstByte returns the first byte of a JSON text, 0 if there is none.
func firstByte(raw []byte) byte {
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) > 0 {
		return trimmed[0]
	}
	return 0
}

// isID reports whether id is absent or one that JSON-RPC allows.
func isID(id json.RawMessage) bool {
	text := string(id)
	return id == nil || text == "null" || text[0] == '"' || !strings.ContainsAny(text, "{[.eEtf")
}

// answer returns encoded, an answer of the library, with the id of m exactly as
// it was sent. The library reads numbers as floating point, which keeps 53 bits,
// and leaves the id out of some errors.
func (m message) answer(encoded []byte) json.RawMessage {
	if bytes.HasPrefix(encoded, slices.Concat([]byte(`{"jsonrpc":"2.0","id":`), m.idOrNull(), []byte(","))) {
		return encoded
	}
	return m.withID(encoded)
}

// withID returns encoded with the id of m.
func (m message) withID(encoded []byte) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(encoded, &members) != nil {
		return encoded
	}
	members["id"] = m.idOrNull()
	if exact, err := json.Marshal(members); err == nil {
		return exact
	}
	return encoded
}

func (m message) idOrNull() json.RawMessage {
	if m.id == nil {
		return json.RawMessage("null")
	}
	return escaped(m.id)
}

// reject returns the answer to m when it could not be accepted.
func (m message) reject(r *rejection) json.RawMessage {
	type failure struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	encoded, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   failure         `json:"error"`
	}{"2.0", m.idOrNull(), failure{r.code, cleaned(r.text, longestText)}})
	if err != nil {
		return json.RawMessage(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`)
	}
	return encoded
}
