package hosts

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestAnyFile adds the entry to random files and removes it again: another reader agrees
// about both, and the file has its bytes back.
func TestAnyFile(t *testing.T) {
	for id, write := range map[string]func(*writer) string{
		"cursor": (*writer).json, "codex": (*writer).toml, "goose": (*writer).yaml,
	} {
		h, _ := ByID(id)
		t.Run(h.Language(), rapid.MakeCheck(func(t *rapid.T) {
			content := []byte(write(&writer{t: t, nl: rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "nl")}))
			if rapid.IntRange(0, 4).Draw(t, "mark") == 0 {
				content = append(bytes.Clone(mark), content...)
			}
			checkAny(t, h, content)
		}))
	}
}

// checkAny adds the entry to a file that has none, and removes it.
func checkAny(t *rapid.T, h Host, content []byte) {
	was, err := otherReader(h.Language(), content)
	if err != nil {
		t.Fatalf("the generator wrote %q: %v", content, err)
	}
	added, change, err := h.Insert(content, example)
	if err != nil || change != Added {
		t.Fatalf("%q: %s, %v", content, change, err)
	}
	is, err := otherReader(h.Language(), added)
	if err != nil || is[h.container].(map[string]any)[Name] == nil {
		t.Fatalf("%q became %q: %v", content, added, err)
	}
	hadContainer := was[h.container] != nil
	if a, b := shown(h, was, true), shown(h, is, true); a != b {
		t.Fatalf("%q became %q: %s and %s", content, added, a, b)
	}
	removed, change, err := h.Remove(added)
	if err != nil || change != Removed {
		t.Fatalf("%q: %s, %v", added, change, err)
	}
	if hadContainer || h.Language() == "toml" {
		if !bytes.Equal(removed, content) {
			t.Fatalf("removed is\n%q, was\n%q, from\n%q", removed, content, added)
		}
		return
	}
	if again, _, err := h.Insert(removed, example); err != nil || !bytes.Equal(again, added) {
		t.Fatalf("%q: once more is %q, %v", added, again, err)
	}
}

// writer writes random files as people do.
type writer struct {
	t  *rapid.T
	nl string
	n  int
}

func (w *writer) pick(options ...string) string { return rapid.SampledFrom(options).Draw(w.t, "") }
func (w *writer) once(in int) bool              { return rapid.IntRange(1, in).Draw(w.t, "") == 1 }

// name returns a new name.
func (w *writer) name() string {
	w.n++
	return fmt.Sprintf("%s%d", w.pick("a", "x-", "é"), w.n)
}

// json returns an object with the container or without it.
func (w *writer) json() string {
	if w.once(20) {
		return w.pick("", w.nl, "  ")
	}
	lines := !w.once(4)
	servers := ""
	if !w.once(4) {
		servers = `"mcpServers":` + w.object(2, lines, !lines || w.once(3), "")
	}
	return w.pick("", "// c"+w.nl, "/* { */") + w.object(1, lines, w.once(3), servers) + w.pick("", w.nl, w.nl+w.nl)
}

// object returns an object at a depth, in which one member may be given.
func (w *writer) object(depth int, lines, comments bool, given string) string {
	count := rapid.IntRange(0, 3).Draw(w.t, "members")
	at := rapid.IntRange(0, count).Draw(w.t, "at")
	var members []string
	for i := range count + 1 {
		if i == at && given != "" {
			members = append(members, given)
		}
		if i < count {
			members = append(members, fmt.Sprintf("%q:%s%s", w.name(), w.pick("", " "), w.value(depth+1, lines)))
		}
	}
	if len(members) == 0 {
		return "{}"
	}
	before, beside, after := []string{""}, []string{""}, []string{""}
	start, indent, end := "", "", ""
	if lines {
		start, indent, end = w.nl, strings.Repeat("  ", depth), w.nl+strings.Repeat("  ", depth-1)
	}
	if comments {
		beside = []string{"", " ", "/* a, b */"}
	}
	if comments && lines {
		before = []string{"", "", indent + "// c, }" + w.nl, indent + "/* c, */" + w.nl, indent + `// "b": {},` + w.nl}
		after = []string{"", " ", " // e, f", " /* g */", " /* h" + w.nl + " */ "}
	}
	b := "{"
	for i, m := range members {
		comma := ","
		if i == len(members)-1 && !(comments && w.once(3)) {
			comma = ""
		}
		b += start + w.pick(before...) + indent + m + w.pick(beside...) + comma + w.pick(after...)
	}
	if comments && lines && w.once(3) {
		b += w.nl + indent + "// end"
	}
	return b + end + "}"
}

func (w *writer) value(depth int, lines bool) string {
	if depth < 4 && w.once(3) {
		return w.object(depth, lines, false, "")
	}
	return w.pick("1", "null", `"a, } // b"`, `"\" /* "`, `[]`, `[1, {"a": 2}]`, `{"fullstory-export": {}}`, "-1.5e3")
}

// toml returns a file with sections of servers or without.
func (w *writer) toml() string {
	var b strings.Builder
	values := func() {
		for range rapid.IntRange(0, 2).Draw(w.t, "values") {
			w.n++
			fmt.Fprintf(&b, "%sa%d = %s%s%s", w.pick("", "  "), w.n, w.pick("1", "'#'", `"""`+w.nl+`[x]`+w.nl+`# "" """`,
				"[1, 2]", "["+w.nl+"  1, # one"+w.nl+"]", "{ a = 1 }", "1979-05-27"), w.pick("", " # c"), w.nl)
			b.WriteString(w.pick("", w.nl, "# c"+w.nl))
		}
	}
	values()
	for range rapid.IntRange(0, 3).Draw(w.t, "sections") {
		w.n++
		b.WriteString(w.pick("", "# about it"+w.nl, w.nl))
		header := w.pick("[s%d]", "[mcp_servers.s%d]", `[mcp_servers."s %d"]`, "[[l%d]]", "[ mcp_servers . s%d.env ] # x")
		fmt.Fprintf(&b, header+w.nl, w.n)
		values()
	}
	text := b.String()
	if w.once(3) {
		return strings.TrimSuffix(text, w.nl)
	}
	return text
}

// yaml returns a file with extensions or without.
func (w *writer) yaml() string {
	var b strings.Builder
	others := func() {
		for range rapid.IntRange(0, 2).Draw(w.t, "others") {
			w.n++
			literal := "|" + w.nl + "  text" + w.nl + w.nl + "    extensions:"
			fmt.Fprintf(&b, "A%d: %s%s", w.n, w.pick("1", "'x: y'", literal, "[1, 2]", "{a: 1}"), w.nl)
			b.WriteString(w.pick("", "# c"+w.nl, w.nl))
		}
	}
	others()
	if !w.once(4) {
		b.WriteString("extensions:" + w.pick("", " # c"))
		count := rapid.IntRange(0, 3).Draw(w.t, "extensions")
		if count == 0 {
			return strings.TrimSuffix(b.String(), " # c") + " {}" + w.pick("", w.nl, " # d"+w.nl)
		}
		b.WriteString(w.nl)
		indent := w.pick("  ", "    ")
		for range count {
			b.WriteString(w.pick("", w.nl, indent+"# c"+w.nl, "# d"+w.nl))
			fmt.Fprintf(&b, "%s%s:", indent, w.name())
			value := w.pick(" {a: 1}", "/  cmd: x/  args:/  - y", "/  a: |/    b/      c//    d", "/  a: 'b/    c'")
			for line := range strings.SplitSeq(value, "/") {
				if line != "" && line[:2] == "  " {
					line = indent + line
				}
				b.WriteString(line + w.nl)
			}
		}
	}
	others()
	text := b.String()
	cut := strings.TrimSuffix(text, w.nl)
	literal := strings.HasSuffix(cut, "    extensions:") || strings.HasSuffix(cut, "    d") // its last line end counts
	if w.once(3) && !literal {
		return cut
	}
	return text
}
