// Package hosts adds the server to the configuration files of the programs that can start
// it. Outside of its own entry a file stays as it is, to the byte.
package hosts

import (
	"errors"
	"fmt"
	"slices"
)

// Name is the name of the server in the file of a host.
const Name = "fullstory-export"

// Host is a program that can start the server or connect to it.
type Host struct {
	ID, Name string
	// Where is what people call its file.
	Where string
	// Restart says how the host reads its file again.
	Restart string

	language  language
	container string // the table of servers in the file
	place     func(System) string
	local     shape
	remote    shape // nil: the file names only programs
	// authorization is the header with the token of a variable, %s being its name; "" if the
	// host does not fill in variables.
	authorization string
	noRemote      string // what to do instead, if remote is nil or authorization is ""
}

// Entry is how a host starts the server, or reaches one that runs.
type Entry struct {
	Command string
	Args    []string
	Env     map[string]string

	// URL is the address of a server. It takes the place of the command.
	URL string
	// TokenVariable is the variable of the host's environment with the token for URL; "" for
	// a server without tokens, or with OAuth.
	TokenVariable string
}

// ErrUnsupported reports an entry that the file of a host cannot have.
var ErrUnsupported = errors.New("not supported by this host")

// unsupported is an ErrUnsupported that says what to do.
type unsupported struct{ text string }

func (e *unsupported) Error() string        { return e.text }
func (e *unsupported) Is(target error) bool { return target == ErrUnsupported }

// All returns the hosts, in the order in which they are listed.
func All() []Host { return slices.Clone(table) }

// ByID returns the host of that id. ok is false if there is none.
func ByID(id string) (h Host, ok bool) {
	i := slices.IndexFunc(table, func(h Host) bool { return h.ID == id })
	if i < 0 {
		return Host{}, false
	}
	return table[i], true
}

// File returns the path of the host's own file for this user.
func (h Host) File(s System) string { return h.place(s) }

// Language returns the language of the file: json, toml or yaml.
func (h Host) Language() string { return h.language.name }

// fields returns the entry as the host wants it.
func (h Host) fields(e Entry) (object, error) {
	if e.URL == "" {
		return h.local(h, e), nil
	}
	if h.remote == nil || e.TokenVariable != "" && h.authorization == "" {
		return nil, &unsupported{h.noRemote}
	}
	return h.remote(h, e), nil
}

// headers returns the headers of requests to a server.
func (h Host) headers(e Entry) object {
	if e.TokenVariable == "" {
		return nil
	}
	return object{{name: "Authorization", value: fmt.Sprintf(h.authorization, e.TokenVariable)}}
}

var table = []Host{
	{
		ID: "claude-desktop", Name: "Claude Desktop", Where: "claude_desktop_config.json",
		Restart:  "Quit Claude Desktop and start it again.",
		language: jsonFile, container: "mcpServers", place: claudeDesktop, local: plain,
		noRemote: "Claude Desktop's file names only programs; add the address in Settings › Connectors",
	},
	{
		ID: "claude-code", Name: "Claude Code", Where: "~/.claude.json",
		Restart:  "Start a new session of Claude Code.",
		language: jsonFile, container: "mcpServers", place: claudeCode, local: typed, remote: typedURL("url"),
		authorization: "Bearer ${%s}",
	},
	{
		ID: "vscode", Name: "VS Code", Where: ".vscode/mcp.json",
		Restart:  "VS Code asks whether to start the server.",
		language: jsonFile, container: "servers", place: visualStudioCode, local: typed, remote: typedURL("url"),
		authorization: "Bearer ${env:%s}",
	},
	{
		ID: "cursor", Name: "Cursor", Where: ".cursor/mcp.json",
		Restart:  "Enable the server in Cursor's settings, under MCP.",
		language: jsonFile, container: "mcpServers", place: below("", ".cursor", "mcp.json"), local: plain,
		remote: plainURL("url"), authorization: "Bearer ${env:%s}",
	},
	{
		ID: "windsurf", Name: "Windsurf", Where: "~/.codeium/windsurf/mcp_config.json",
		Restart:  "Press Refresh among Windsurf's MCP servers.",
		language: jsonFile, container: "mcpServers", place: below("", ".codeium", "windsurf", "mcp_config.json"),
		local: plain, remote: plainURL("serverUrl"), authorization: "Bearer ${env:%s}",
	},
	{
		ID: "zed", Name: "Zed", Where: "~/.config/zed/settings.json",
		Restart:  "Zed reads its settings again by itself.",
		language: jsonFile, container: "context_servers", place: zed, local: sourced, remote: sourcedURL,
		noRemote: "Zed fills no variable in; leave --token-variable out, and Zed asks you to log in if the server has OAuth",
	},
	{
		ID: "codex", Name: "Codex", Where: "~/.codex/config.toml",
		Restart:  "Start a new session of Codex.",
		language: tomlFile, container: "mcp_servers", place: below("CODEX_HOME", ".codex", "config.toml"),
		local: plain, remote: codexURL, authorization: "%s",
	},
	{
		ID: "gemini", Name: "Gemini CLI", Where: "~/.gemini/settings.json",
		Restart:  "Start a new session of Gemini CLI.",
		language: jsonFile, container: "mcpServers", place: below("", ".gemini", "settings.json"), local: plain,
		remote: plainURL("httpUrl"), authorization: "Bearer ${%s}",
	},
	{
		ID: "goose", Name: "Goose", Where: "~/.config/goose/config.yaml",
		Restart:  "Start a new session of Goose.",
		language: yamlFile, container: "extensions", place: goose, local: gooseCommand, remote: gooseURL,
		authorization: "Bearer ${%s}",
	},
}
