package hosts

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlFile is TOML, in which the entry is a section.
var tomlFile = language{"toml", parseTOML, setTOML, removeTOML}

func parseTOML(text []byte) (any, error) {
	var root map[string]any
	if err := toml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	if root == nil {
		return nil, nil
	}
	return root, nil
}

// section is a header and the lines below it, up to the comments of the next one. Those of
// the entry that follow each other are one.
type section struct {
	start, end int
	ours       bool
}

// sections returns the sections of the text. Those of the entry and of tables in it are
// ours.
func sections(text []byte, container string) (all []section) {
	p := unstable.Parser{}
	p.Reset(text)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table && e.Kind != unstable.ArrayTable {
			continue
		}
		var path []string
		start := 0
		for it := e.Key(); it.Next(); {
			if path = append(path, string(it.Node().Data)); len(path) == 1 {
				start = lineStart(text, int(it.Node().Raw.Offset))
			}
		}
		ours := len(path) > 1 && path[0] == container && path[1] == Name
		if last := len(all) - 1; last >= 0 {
			if ours && all[last].ours {
				continue
			}
			all[last].end = beforeComments(text, start)
		}
		all = append(all, section{start, len(text), ours})
	}
	return all
}

// beforeComments returns where the comments and empty lines before a line begin.
func beforeComments(text []byte, line int) int {
	for line > 0 {
		above := lineStart(text, line-1)
		if trimmed := bytes.TrimSpace(text[above:line]); len(trimmed) > 0 && trimmed[0] != '#' {
			break
		}
		line = above
	}
	return line
}

func removeTOML(text []byte, container string) ([]byte, error) {
	all := slices.DeleteFunc(sections(text, container), func(s section) bool { return !s.ours })
	if len(all) == 0 {
		return nil, errForm
	}
	for _, s := range slices.Backward(all) {
		text = detached(text, s.start, s.end)
	}
	return text, nil
}

func setTOML(text []byte, container string, entry object) ([]byte, error) {
	block, err := tomlSection(container+"."+tomlKey(Name), entry)
	if err != nil {
		return nil, err
	}
	block = strings.ReplaceAll(block, "\n", lineEnd(text))
	all := slices.DeleteFunc(sections(text, container), func(s section) bool { return !s.ours })
	if len(all) == 0 {
		return appended(text, block), nil
	}
	for _, s := range slices.Backward(all[1:]) {
		text = detached(text, s.start, s.end)
	}
	first := all[0]
	first.end = min(first.end, len(text))
	if first.end == len(text) && text[first.end-1] != '\n' {
		block = strings.TrimRight(block, "\r\n")
	}
	return replaced(text, cut{first.start, first.end, block}), nil
}

// tomlSection returns a table as a section, with sections for the tables in it.
func tomlSection(path string, o object) (string, error) {
	var lines, below strings.Builder
	for _, m := range o {
		if table, ok := m.value.(object); ok {
			inner, err := tomlSection(path+"."+tomlKey(m.name), table)
			if err != nil {
				return "", err
			}
			below.WriteString("\n" + inner)
			continue
		}
		value, err := tomlValue(m.value)
		if err != nil {
			return "", err
		}
		lines.WriteString(tomlKey(m.name) + " = " + value + "\n")
	}
	return "[" + path + "]\n" + lines.String() + below.String(), nil
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// tomlKey returns a key, in quotes if it needs them.
func tomlKey(name string) string {
	if bareKey.MatchString(name) {
		return name
	}
	quoted, _ := compactJSON(name) // escapes are those of TOML
	return string(quoted)
}

// tomlValue returns a value on one line.
func tomlValue(v any) (string, error) {
	switch v := v.(type) {
	case string:
		quoted, err := compactJSON(v)
		return strings.ReplaceAll(string(quoted), "\x7f", `\u007F`), err
	case bool, int, int64, float64:
		raw, err := toml.Marshal(map[string]any{"v": v})
		return strings.TrimSpace(strings.TrimPrefix(string(raw), "v = ")), err
	case []string:
		return tomlList("[", "]", v, func(s string) (string, error) { return tomlValue(s) })
	case []any:
		return tomlList("[", "]", v, tomlValue)
	case map[string]any:
		names := slices.Sorted(func(yield func(string) bool) {
			for name := range v {
				if !yield(name) {
					return
				}
			}
		})
		return tomlList("{ ", " }", names, func(name string) (string, error) {
			value, err := tomlValue(v[name])
			return tomlKey(name) + " = " + value, err
		})
	}
	return "", fmt.Errorf("a value of the entry is a %T: %w", v, errForm)
}

// tomlList returns values with commas between them.
func tomlList[T any](open, end string, values []T, each func(T) (string, error)) (string, error) {
	var words []string
	for _, v := range values {
		word, err := each(v)
		if err != nil {
			return "", err
		}
		words = append(words, word)
	}
	return open + strings.Join(words, ", ") + end, nil
}
