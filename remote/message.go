package remote

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// The codes of JSON-RPC that a transport answers with by itself.
const (
	codeParse    = -32700
	codeInvalid  = -32600
	codeInternal = -32603
)

// Message is the part of a JSON-RPC message that decides where it goes.
type Message struct {
	ID        json.RawMessage // as it was sent; nil of a notification
	Method    string          // empty of a response
	Name      string          // of the tool, of tools/call
	Version   string          // the protocol version that its _meta names, from 2026-07-28 on
	Cancelled json.RawMessage // of notifications/cancelled: the id of the request to end
}

// isResponse tells whether m answers something that the server would have
// asked, which it never does.
func (m Message) isResponse() bool { return m.Method == "" && m.ID != nil }

// Refusal is a message that is not handled, and why.
type Refusal struct {
	Code int
	Text string
}

func (r *Refusal) Error() string { return r.Text }

// ParseMessage reads one message. It fails with a *Refusal.
func ParseMessage(raw []byte) (Message, error) {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Method json.RawMessage `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if !json.Valid(raw) {
		return Message{}, &Refusal{codeParse, "This is not valid JSON. Each message is one JSON object."}
	}
	switch trimmed := bytes.TrimLeft(raw, " \t\r\n"); {
	case trimmed[0] == '[':
		return Message{}, &Refusal{codeInvalid, "Batches are not taken: send one message at a time."}
	case trimmed[0] != '{' || json.Unmarshal(raw, &m) != nil:
		return Message{}, &Refusal{codeInvalid, "A message is one JSON object."}
	case !isID(m.ID):
		return Message{}, &Refusal{codeInvalid, "The id must be a string or an integer."}
	}
	read := Message{ID: m.ID}
	if string(m.ID) == "null" {
		read.ID = nil
	}
	if m.Method != nil && json.Unmarshal(m.Method, &read.Method) != nil {
		return read, &Refusal{codeInvalid, "The method must be a string."}
	}
	var params struct {
		RequestID json.RawMessage `json:"requestId"`
		Name      any             `json:"name"`
		Meta      struct {
			Version any `json:"io.modelcontextprotocol/protocolVersion"`
		} `json:"_meta"`
	}
	if json.Unmarshal(m.Params, &params) == nil {
		read.Cancelled = params.RequestID
		read.Version, _ = params.Meta.Version.(string)
		read.Name, _ = params.Name.(string)
	}
	return read, nil
}

// isID tells whether id is absent, or one that JSON-RPC allows here.
func isID(id json.RawMessage) bool {
	text := string(id)
	return id == nil || text == "null" || text[0] == '"' || !strings.ContainsAny(text, "{[.eEtf")
}

// Answer puts the id of m into an answer as it came: the library takes numbers
// for floating point, which keeps 53 bits of them, and loses some in errors.
func (m Message) Answer(encoded []byte) json.RawMessage {
	if bytes.HasPrefix(encoded, slices.Concat([]byte(`{"jsonrpc":"2.0","id":`), m.idOrNull(), []byte(","))) {
		return encoded
	}
	return m.withID(encoded)
}

// withID puts the id of m into an answer.
func (m Message) withID(encoded []byte) json.RawMessage {
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

func (m Message) idOrNull() json.RawMessage {
	if m.ID == nil {
		return json.RawMessage("null")
	}
	return m.ID
}

// Refuse returns the answer to a message that is not handled.
func (m Message) Refuse(r *Refusal) json.RawMessage {
	type failure struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	encoded, err := json.Marshal(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   failure         `json:"error"`
	}{"2.0", m.idOrNull(), failure{r.Code, r.Text}})
	if err != nil {
		return json.RawMessage(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`)
	}
	return encoded
}
