package hosts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/goccy/go-yaml"
)

// otherReader reads a file as a program that shares no code with the editors does.
func otherReader(language string, content []byte) (root map[string]any, err error) {
	content = bytes.TrimPrefix(content, mark)
	switch language {
	case "json":
		if len(bytes.TrimSpace(content)) == 0 {
			return nil, nil
		}
		err = json.Unmarshal([]byte(withoutComments(string(content))), &root)
	case "toml":
		err = toml.Unmarshal(content, &root)
	case "yaml":
		err = yaml.Unmarshal(content, &root)
	}
	return root, err
}

// withoutComments returns JSON without comments and trailing commas.
func withoutComments(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case strings.HasPrefix(rest, "//"):
			line, _, _ := strings.Cut(rest, "\n")
			i += len(line) - 1
		case strings.HasPrefix(rest, "/*"):
			i += strings.Index(rest[2:], "*/") + 3
		case text[i] == '"':
			end := i + 1
			for text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			b.WriteString(text[i : end+1])
			i = end
		case text[i] == '}' || text[i] == ']':
			kept := strings.TrimRight(b.String(), " \t\r\n")
			kept = strings.TrimSuffix(kept, ",")
			b.Reset()
			b.WriteString(kept + text[i:i+1])
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// shown returns what a reader found, for comparison. without leaves the entry out, and a
// container that is empty or missing.
func shown(h Host, root map[string]any, without bool) string {
	if without {
		if servers, ok := root[h.container].(map[string]any); ok {
			delete(servers, Name)
			if len(servers) == 0 {
				delete(root, h.container)
			}
		} else if root[h.container] == nil {
			delete(root, h.container)
		}
	}
	if len(root) == 0 {
		return "{}"
	}
	raw, err := json.Marshal(root)
	if err != nil {
		return fmt.Sprintf("%#v", root)
	}
	return string(raw)
}
