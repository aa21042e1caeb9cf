package hosts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// language is how the files of some hosts are written. Texts have no byte order mark.
type language struct {
	name string
	// parse returns the whole text as nested maps; nil for a text without a value.
	parse func(text []byte) (any, error)
	// set returns the text with the entry added, or in the place of the present one.
	set func(text []byte, container string, entry object) ([]byte, error)
	// remove returns the text without the entry, which is there.
	remove func(text []byte, container string) ([]byte, error)
}

// Change is what an edit did to the entry in a file.
type Change string

// The changes of an entry.
const (
	Added   Change = "added"
	Changed Change = "changed"
	Removed Change = "removed"
	None    Change = "none"
)

// EditError reports a file that cannot be edited without harm.
type EditError struct{ Reason string }

func (e *EditError) Error() string { return e.Reason }

// errForm reports an entry or a container that has an unusual form.
var errForm = errors.New("it is written in a form that this program does not edit")

// mark is the byte order mark that some editors on Windows write.
var mark = []byte("\uFEFF")

// Insert returns content with the entry. In an entry that is there, what the server does
// not need stays, such as time limits and variables of others. All other bytes stay as
// they are. It returns an *EditError if content cannot be parsed, or not be edited, and
// ErrUnsupported if the host cannot have the entry.
func (h Host) Insert(content []byte, e Entry) ([]byte, Change, error) {
	fields, err := h.fields(e)
	if err != nil {
		return nil, None, err
	}
	text, hasMark := bytes.CutPrefix(content, mark)
	present, there, err := h.entry(text)
	if err != nil {
		return nil, None, err
	}
	change := Added
	if there {
		change = Changed
		fields = merged(fields, present)
		if same(fields, present) {
			return content, None, nil
		}
	}
	edited, err := h.language.set(text, h.container, fields)
	if err == nil {
		err = h.check(text, edited, fields)
	}
	if err != nil {
		return nil, None, &EditError{h.container + ": " + err.Error()}
	}
	return marked(edited, hasMark), change, nil
}

// Remove returns content without the entry. All other bytes stay as they are.
func (h Host) Remove(content []byte) ([]byte, Change, error) {
	text, hasMark := bytes.CutPrefix(content, mark)
	_, there, err := h.entry(text)
	if err != nil || !there {
		return content, None, err
	}
	edited, err := h.language.remove(text, h.container)
	if err == nil {
		err = h.check(text, edited, nil)
	}
	if err != nil {
		return nil, None, &EditError{h.container + ": " + err.Error()}
	}
	return marked(edited, hasMark), Removed, nil
}

// Find returns the entry in content. ok is false if there is none.
func (h Host) Find(content []byte) (entry map[string]any, ok bool, err error) {
	return h.entry(bytes.TrimPrefix(content, mark))
}

// Snippet returns a file that has only the entry.
func (h Host) Snippet(e Entry) (string, error) {
	fields, err := h.fields(e)
	if err != nil {
		return "", err
	}
	text, err := h.language.set(nil, h.container, fields)
	return strings.TrimSuffix(string(text), "\n"), err
}

// marked returns the text with the byte order mark if it had one.
func marked(text []byte, has bool) []byte {
	if has {
		return append(bytes.Clone(mark), text...)
	}
	return text
}

// entry returns the entry in the text.
func (h Host) entry(text []byte) (map[string]any, bool, error) {
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, false, &EditError{"it is not text in UTF-8"}
	}
	root, err := h.language.parse(text)
	if err != nil {
		return nil, false, &EditError{strings.TrimSpace(err.Error())}
	}
	if root == nil {
		return nil, false, nil
	}
	top, ok := root.(map[string]any)
	if !ok {
		return nil, false, &EditError{"it is not a table of settings"}
	}
	if top[h.container] == nil {
		return nil, false, nil
	}
	servers, ok := top[h.container].(map[string]any)
	if !ok {
		return nil, false, &EditError{h.container + " is not a table"}
	}
	if servers[Name] == nil {
		_, there := servers[Name]
		return nil, there, nil
	}
	entry, ok := servers[Name].(map[string]any)
	if !ok {
		return nil, false, &EditError{h.container + "." + Name + " is not a table"}
	}
	return entry, true, nil
}

// check returns an error unless an edit changed the entry alone, and to what was wanted;
// nil means removed.
func (h Host) check(before, after []byte, wanted object) error {
	was, err := h.language.parse(before)
	if err != nil {
		return err
	}
	is, err := h.language.parse(after)
	if err != nil {
		return errForm
	}
	got, there, err := h.entry(after)
	if err != nil || there != (wanted != nil) || there && !same(wanted, got) {
		return errForm
	}
	if !reflect.DeepEqual(h.without(was), h.without(is)) {
		return errForm
	}
	return nil
}

// without returns a parsed file without the entry, and without an empty container.
func (h Host) without(root any) map[string]any {
	top, _ := root.(map[string]any)
	rest := map[string]any{}
	for name, value := range top {
		rest[name] = value
	}
	servers := map[string]any{}
	if have, ok := top[h.container].(map[string]any); ok {
		for name, value := range have {
			if name != Name {
				servers[name] = value
			}
		}
	}
	rest[h.container] = servers
	return rest
}

// same reports whether two entries have the same values.
func same(a object, b map[string]any) bool {
	x, err := normal(a)
	y, other := normal(b)
	return err == nil && other == nil && reflect.DeepEqual(x, y)
}

// normal returns a value as JSON has it.
func normal(v any) (n any, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return n, json.Unmarshal(raw, &n)
}

// lineEnd returns the end of lines that a text has: of its first line.
func lineEnd(text []byte) string {
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// cut is a part of a text to replace.
type cut struct {
	start, end int
	with       string
}

// replaced returns the text with parts replaced. They are in order and do not overlap.
func replaced(text []byte, cuts ...cut) []byte {
	var b bytes.Buffer
	at := 0
	for _, c := range cuts {
		b.Write(text[at:c.start])
		b.WriteString(c.with)
		at = c.end
	}
	b.Write(text[at:])
	return b.Bytes()
}

// lineStart returns where the line of an offset begins.
func lineStart(text []byte, at int) int { return bytes.LastIndexByte(text[:at], '\n') + 1 }

// nextLine returns where the line after the one of an offset begins; the end of the text
// if there is none.
func nextLine(text []byte, at int) int {
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(text)
}

// indentOf returns the space that the line of an offset begins with, and whether the line
// has nothing else before the offset.
func indentOf(text []byte, at int) (indent string, first bool) {
	start := lineStart(text, at)
	line := text[start:at]
	space := len(line) - len(bytes.TrimLeft(line, " \t"))
	return string(line[:space]), space == len(line)
}

// appended returns the text with a block of lines after it. A text that ends within a line
// gets a block that does, so that detached can remove it again without a trace.
func appended(text []byte, block string) []byte {
	if len(text) == 0 {
		return []byte(block)
	}
	nl := lineEnd(text)
	if text[len(text)-1] != '\n' {
		block = strings.TrimSuffix(strings.TrimSuffix(block, "\n"), "\r")
	}
	return fmt.Append(nil, string(text), nl, block)
}

// detached returns the text without the lines from start to end, and without what appended
// put before them.
func detached(text []byte, start, end int) []byte {
	if end == len(text) && start > 0 && (text[end-1] != '\n' || lineStart(text, start-1) == start-1 ||
		string(text[lineStart(text, start-1):start]) == "\r\n") {
		start--
		if start > 0 && text[start-1] == '\r' {
			start--
		}
	}
	return replaced(text, cut{start, end, ""})
}
