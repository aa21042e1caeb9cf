package hosts

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlFile is YAML, in which the container is a block of lines.
var yamlFile = language{"yaml", parseYAML, setYAML, removeYAML}

func parseYAML(text []byte) (root any, err error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&root); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var more any
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one document")
	}
	return root, nil
}

// yamlPlace is where the container is in a text.
type yamlPlace struct {
	key, value *yaml.Node // nil: there is none
	lines      []int      // offset of each line, and of the end
}

func findYAML(text []byte, container string) (p yamlPlace, err error) {
	for at := 0; at < len(text); at = nextLine(text, at) {
		p.lines = append(p.lines, at)
	}
	p.lines = append(p.lines, len(text))
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return p, err
	}
	if len(document.Content) == 0 {
		return p, nil
	}
	root := document.Content[0]
	p.key, p.value = yamlMember(root, container)
	if p.key != nil && (p.key.Style != 0 || root.Style&yaml.FlowStyle != 0) {
		return p, errForm
	}
	return p, nil
}

// yamlMember returns a member of a mapping; nil if there is none.
func yamlMember(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

func setYAML(text []byte, container string, entry object) ([]byte, error) {
	p, err := findYAML(text, container)
	if err != nil {
		return nil, err
	}
	nl := lineEnd(text)
	if p.key == nil {
		block, err := yamlBlock(entry, "  ", 2, nl)
		return appended(text, container+":"+nl+block), err
	}
	empty := len(p.value.Content) == 0
	indent := strings.Repeat(" ", p.key.Column+1)
	if !empty {
		if p.value.Style&yaml.FlowStyle != 0 {
			return nil, errForm
		}
		indent = strings.Repeat(" ", p.value.Content[0].Column-1)
	}
	block, err := yamlBlock(entry, indent, max(len(indent)-p.key.Column+1, 2), nl)
	if err != nil {
		return nil, err
	}
	if key, _ := yamlMember(p.value, Name); key != nil {
		start, end := p.block(text, key)
		if end == len(text) && text[end-1] != '\n' {
			block = strings.TrimSuffix(block, nl)
		}
		return replaced(text, cut{start, end, block}), nil
	}
	at := p.lines[p.key.Line] // the line below the key
	cuts := []cut{{at, at, block}}
	if at == len(text) && text[at-1] != '\n' { // there is none
		cuts[0].with = nl + strings.TrimSuffix(block, nl)
	}
	if empty && p.value.Style&yaml.FlowStyle != 0 { // extensions: {}
		start := p.lines[p.value.Line-1] + p.value.Column - 1
		braces := bytes.IndexByte(text[start:], '}') + 1
		before := len(bytes.TrimRight(text[:start], " "))
		cuts = append([]cut{{before, start + braces, ""}}, cuts...)
	}
	return replaced(text, cuts...), nil
}

func removeYAML(text []byte, container string) ([]byte, error) {
	p, err := findYAML(text, container)
	if err != nil {
		return nil, err
	}
	key, _ := yamlMember(p.value, Name)
	if key == nil || p.value.Style&yaml.FlowStyle != 0 {
		return nil, errForm
	}
	start, end := p.block(text, key)
	if end == len(text) && text[end-1] != '\n' {
		start = len(bytes.TrimSuffix(bytes.TrimSuffix(text[:start], []byte("\n")), []byte("\r")))
	}
	cuts := []cut{{start, end, ""}}
	if len(p.value.Content) == 2 { // nothing is left
		at := p.lines[p.key.Line-1] + p.key.Column - 1 + len(container)
		at += bytes.IndexByte(text[at:], ':') + 1
		cuts = append([]cut{{at, at, " {}"}}, cuts...)
	}
	return replaced(text, cuts...), nil
}

// block returns the lines of a member whose value is a block: the line of its key, and
// those after it that are indented more.
func (p yamlPlace) block(text []byte, key *yaml.Node) (start, end int) {
	start = p.lines[key.Line-1]
	end = nextLine(text, start)
	for at := end; at < len(text); at = nextLine(text, at) {
		line := text[at:nextLine(text, at)]
		indented := len(line) - len(bytes.TrimLeft(line, " "))
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if indented < key.Column {
			break
		}
		end = nextLine(text, at)
	}
	return start, end
}

// yamlBlock returns the entry with its name as lines that are indented.
func yamlBlock(entry object, indent string, unit int, nl string) (string, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(unit)
	value, err := yamlNode(object{{name: Name, value: entry}})
	if err != nil {
		return "", err
	}
	if err := e.Encode(value); err != nil {
		return "", err
	}
	var lines strings.Builder
	for line := range strings.Lines(b.String()) {
		if line != "\n" {
			lines.WriteString(indent)
		}
		lines.WriteString(strings.TrimSuffix(line, "\n") + nl)
	}
	return lines.String(), nil
}

// yamlNode returns a value whose members are in order.
func yamlNode(v any) (*yaml.Node, error) {
	n := &yaml.Node{}
	o, ok := v.(object)
	if !ok {
		return n, n.Encode(v)
	}
	n.Kind, n.Tag = yaml.MappingNode, "!!map"
	if len(o) == 0 {
		n.Style = yaml.FlowStyle
	}
	for _, m := range o {
		value, err := yamlNode(m.value)
		if err != nil {
			return nil, err
		}
		if value.Kind == yaml.SequenceNode && len(value.Content) == 0 {
			value.Style = yaml.FlowStyle
		}
		var name yaml.Node
		name.SetString(m.name)
		n.Content = append(n.Content, &name, value)
	}
	return n, nil
}
