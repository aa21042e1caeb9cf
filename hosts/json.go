package hosts

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tailscale/hujson"
)

// jsonFile is JSON, in which there may be comments and trailing commas.
var jsonFile = language{"json", parseJSON, setJSON, removeJSON}

func parseJSON(text []byte) (root any, err error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	plain, err := hujson.Standardize(bytes.Clone(text))
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(plain))
	d.UseNumber()
	return root, d.Decode(&root)
}

// jsonText is a text and what is in it.
type jsonText struct {
	text []byte
	root *node
	nl   string
	unit string // by which nested lines are indented
}

// node is an object of a text, from its brace to after the other.
type node struct {
	start, end int
	members    []hujson.ObjectMember
}

func readJSON(text []byte) (*jsonText, error) {
	value, err := hujson.Parse(text)
	if err != nil {
		return nil, err
	}
	j := &jsonText{text: text, nl: lineEnd(text), unit: "  "}
	if j.root, err = objectOf(&value); err != nil {
		return nil, err
	}
	if indent, ok := j.memberIndent(j.root); ok && indent != "" {
		j.unit = indent
	}
	return j, nil
}

func objectOf(value *hujson.Value) (*node, error) {
	o, ok := value.Value.(*hujson.Object)
	if !ok {
		return nil, errForm
	}
	return &node{value.StartOffset, value.EndOffset, o.Members}, nil
}

// find returns the index of a member; -1 if there is none. Readers of JSON take the last
// of several.
func (n *node) find(name string) int {
	for i := len(n.members) - 1; i >= 0; i-- {
		if literal, ok := n.members[i].Name.Value.(hujson.Literal); ok && literal.String() == name {
			return i
		}
	}
	return -1
}

// memberIndent returns how the members of an object are indented. ok is false if they are
// on the line of its brace, or if there is none.
func (j *jsonText) memberIndent(n *node) (indent string, ok bool) {
	if len(n.members) == 0 {
		return "", false
	}
	first := n.members[0].Name.StartOffset
	if bytes.IndexByte(j.text[n.start:first], '\n') < 0 {
		return "", false
	}
	indent, _ = indentOf(j.text, first)
	return indent, true
}

// written returns a value as JSON, its lines after the first indented by indent and more.
// inline writes it on one line.
func (j *jsonText) written(v any, indent string, inline bool) (string, error) {
	compact, err := compactJSON(v)
	if err != nil || inline {
		return string(compact), err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, compact, indent, j.unit); err != nil {
		return "", err
	}
	return strings.ReplaceAll(b.String(), "\n", j.nl), nil
}

func setJSON(text []byte, container string, entry object) ([]byte, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		j := &jsonText{nl: lineEnd(text), unit: "  "}
		whole, err := j.written(object{{name: container, value: object{{name: Name, value: entry}}}}, "", false)
		return []byte(whole + j.nl), err
	}
	j, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	i := j.root.find(container)
	if i < 0 {
		return j.insert(j.root, "", member{name: container, value: object{{name: Name, value: entry}}})
	}
	servers, err := objectOf(&j.root.members[i].Value)
	if err != nil {
		return nil, err
	}
	outer, lines := j.memberIndent(j.root)
	if !lines {
		outer = ""
	}
	if i = servers.find(Name); i < 0 {
		return j.insert(servers, outer, member{name: Name, value: entry})
	}
	m := servers.members[i]
	indent, first := indentOf(text, m.Name.StartOffset)
	value, err := j.written(entry, indent, !first)
	return replaced(text, cut{m.Value.StartOffset, m.Value.EndOffset, value}), err
}

// insert adds a member to the end of an object whose last line is indented by outer.
func (j *jsonText) insert(n *node, outer string, m member) ([]byte, error) {
	indent, lines := j.memberIndent(n)
	if len(n.members) == 0 {
		_, lines = j.memberIndent(j.root)
		indent, lines = outer+j.unit, lines || n == j.root
	}
	name, err := compactJSON(m.name)
	if err != nil {
		return nil, err
	}
	value, err := j.written(m.value, indent, !lines)
	if err != nil {
		return nil, err
	}
	colon := ": "
	if !lines {
		colon = ":"
	}
	text := string(name) + colon + value
	if lines {
		text = j.nl + indent + text
	}
	if len(n.members) == 0 {
		inner := j.text[n.start+1 : n.end-1]
		if lines && bytes.IndexByte(inner, '\n') < 0 {
			text += j.nl + outer
		}
		at := n.end - 1 - len(inner) + len(bytes.TrimRight(inner, " \t\r\n"))
		return replaced(j.text, cut{at, at, text}), nil
	}
	end := n.members[len(n.members)-1].Value.EndOffset
	g := gap(j.text[end : n.end-1])
	at, comma := end, g.comma()
	if comma >= 0 { // the object has a trailing comma, and keeps one
		at, text = end+comma+1, text+","
	}
	if line := g.newline(at - end); lines && line >= 0 { // comments on that line stay beside the member
		at = end + line
	}
	if comma >= 0 {
		return replaced(j.text, cut{at, at, text}), nil
	}
	return replaced(j.text, cut{end, end, ","}, cut{at, at, text}), nil
}

func removeJSON(text []byte, container string) ([]byte, error) {
	j, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	servers, err := objectOf(&j.root.members[j.root.find(container)].Value)
	if err != nil {
		return nil, err
	}
	return j.without(servers, servers.find(Name)), nil
}

// without returns the text without a member of an object. Comments stay.
func (j *jsonText) without(n *node, i int) []byte {
	m := n.members[i]
	start, end := m.Name.StartOffset, m.Value.EndOffset
	next, last := n.end-1, i == len(n.members)-1
	if !last {
		next = n.members[i+1].Name.StartOffset
	}
	comma := gap(j.text[end:next]).comma()
	if comma >= 0 {
		end += comma + 1
	}
	_, first := indentOf(j.text, start)
	switch {
	case len(n.members) == 1 && j.blank(n.start+1, start) && j.blank(end, n.end-1):
		return replaced(j.text, cut{n.start + 1, n.end - 1, ""})
	case first: // with the end of the line before it
		start = max(lineStart(j.text, start)-len(j.nl), n.start+1)
	case last && i > 0: // with the space after the member before it
		before := n.members[i-1].Value.EndOffset
		start = before + gap(j.text[before:start]).comma() + 1
	case !last: // with the space before the member after it
		end = next
	}
	if !last || i == 0 || comma >= 0 {
		return replaced(j.text, cut{start, end, ""})
	}
	before := n.members[i-1].Value.EndOffset
	at := before + gap(j.text[before:m.Name.StartOffset]).comma()
	return replaced(j.text, cut{at, at + 1, ""}, cut{max(start, at+1), end, ""})
}

// blank reports whether a part of the text is only space.
func (j *jsonText) blank(start, end int) bool { return len(bytes.TrimSpace(j.text[start:end])) == 0 }

// gap is a text between members: space, comments, and at most one comma.
type gap []byte

// comma returns the offset of the comma; -1 if there is none.
func (g gap) comma() int { return g.scan(0, ',') }

// newline returns the offset of the first end of a line from an offset on, with its
// carriage return; -1 if there is none.
func (g gap) newline(from int) int {
	at := g.scan(from, '\n')
	if at > 0 && g[at-1] == '\r' {
		at--
	}
	return at
}

// scan returns the offset of a byte outside of comments; -1 if there is none.
func (g gap) scan(from int, c byte) int {
	for i := from; i < len(g); i++ {
		rest := g[i:]
		skip := 0
		switch {
		case bytes.HasPrefix(rest, []byte("//")):
			if skip = bytes.IndexByte(rest, '\n'); skip < 0 {
				return -1
			}
		case bytes.HasPrefix(rest, []byte("/*")):
			skip = bytes.Index(rest[2:], []byte("*/")) + 4
		}
		switch {
		case skip > 0:
			i += skip - 1
		case g[i] == c:
			return i
		}
	}
	return -1
}
