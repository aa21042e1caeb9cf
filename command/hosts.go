package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"fullstory-export-mcp/hosts"
)

// doctorConfig is `doctor config`: the configuration of hosts.
type doctorConfig struct {
	Host string `arg:"" enum:"${hosts}" help:"Host: ${listed}."`
}

// Run prints the configuration of a host, with the flags and variables that are set. The
// key is not printed.
func (c *doctorConfig) Run(a *app) error {
	path, err := os.Executable()
	if err != nil {
		path = "fullstory-export-mcp"
	}
	if inBuildCache(path) { // is gone when the program ends
		path = "/path/to/fullstory-export-mcp"
		a.newView(a.stderr).warn("This program was built for one run. Build it with go build, and give its absolute path " +
			"in place of " + path + ".")
	}
	for _, h := range configurations(path, a.launch()) {
		if h.id == c.Host {
			a.newView(a.stderr).line(h.name + ", " + h.where + ":")
			_, err = fmt.Fprintln(a.stdout, h.config)
		}
	}
	return err
}

// launch is how a host starts the program: its flags and variables.
type launch struct {
	flags []string
	env   map[string]string
}

// apiKey is the variable of the key, yourKey what takes its place in a configuration.
const (
	apiKey  = "FULLSTORY_API_KEY"
	yourKey = "YOUR_KEY"
)

// launch returns the flags and variables with which this process runs. The key is
// replaced by yourKey, or left out with the sandbox and if login kept it, and passwords
// are removed.
func (a *app) launch() launch {
	l := launch{env: a.environment.settings()}
	for name, value := range l.env {
		l.env[name] = withoutPassword(value)
	}
	for _, flag := range a.flags {
		name, value, _ := strings.Cut(flag, "=")
		if name == "--database" {
			flag = name + "=" + withoutPassword(value)
		}
		l.flags = append(l.flags, flag)
	}
	if a.config.Sandbox {
		return l
	}
	switch source, _ := a.environment.keySource(""); { // its error is for doctor
	case source != nil && source.variable == "": // login kept the key
	case a.getenv(apiKey+"_FILE") != "":
		l.env[apiKey+"_FILE"] = a.getenv(apiKey + "_FILE")
	default:
		l.env[apiKey] = yourKey
	}
	return l
}

// configuration is what connects a host: where it goes (a file, or "in a shell"), its
// language and its text.
type configuration struct{ id, name, where, language, config string }

// hostNames returns the ids of the hosts.
func hostNames() (ids []string) {
	for _, h := range hosts.All() {
		ids = append(ids, h.ID)
	}
	return ids
}

// configurations returns the configuration of each host for the program at path.
func configurations(path string, l launch) (all []configuration) {
	for _, h := range hosts.All() {
		c := configuration{h.ID, h.Name, h.Where, h.Language(), ""}
		switch h.ID {
		case "claude-code":
			c.where, c.language, c.config = "in a shell", "sh", claudeCode(path, l)
		case "vscode":
			c.config = visualStudioCode(path, append([]string{}, l.flags...), l.env)
		default:
			var err error
			if c.config, err = h.Snippet(hosts.Entry{Command: path, Args: l.flags, Env: l.env}); err != nil {
				c.config = err.Error() // of no host here: they all start programs
			}
		}
		all = append(all, c)
	}
	return all
}

// claudeCode returns the command that adds the server to Claude Code.
func claudeCode(path string, l launch) string {
	words := []string{"claude mcp add"}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		words = append(words, "--env "+name+"="+shellWord(l.env[name]))
	}
	words = append(words, "--transport stdio fullstory-export --", shellWord(path))
	for _, flag := range l.flags {
		words = append(words, shellWord(flag))
	}
	return strings.Join(words, " ")
}

// visualStudioCode returns the configuration of VS Code, which asks for the key once and
// keeps it out of the file.
func visualStudioCode(path string, flags []string, env map[string]string) string {
	server := map[string]any{"type": "stdio", "command": path, "args": flags}
	config := map[string]any{"servers": map[string]any{hosts.Name: server}}
	env = maps.Clone(env)
	if env[apiKey] != "" {
		env[apiKey] = "${input:fullstory-key}"
		config["inputs"] = []any{map[string]any{
			"type": "promptString", "id": "fullstory-key", "description": "Fullstory API key (Architect)", "password": true,
		}}
	}
	if len(env) > 0 {
		server["env"] = env
	}
	return indented(config)
}

// shellWord quotes a text for a POSIX shell, if that is necessary.
func shellWord(text string) string {
	if text != "" && !strings.ContainsAny(text, " '\"\\$&;()*?<>|`#~!{}[]\n\t") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// indented returns v as indented JSON.
func indented(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}
