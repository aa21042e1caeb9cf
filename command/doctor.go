package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/tools"
)

type doctorCommand struct{}

// Run checks what stands between a host and an export, and prints how to
// connect one. It fails if something does.
func (doctorCommand) Run(ctx context.Context, t *terminal) error {
	c, err := t.connect()
	if err != nil {
		return err
	}
	defer c.close()
	var report tools.Connection
	a, err := c.account(ctx)
	if err != nil {
		report.Problems = []string{err.Error()}
	} else {
		report = a.Check(ctx)
	}
	key, _ := apiKey(t.getenv, "")
	dir, _ := t.config.folder(t.getenv)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t.stdout, "  %-12s %s\n", name, value)
		}
	}
	line("API", report.APIURL)
	if !t.config.Sandbox && key != "" {
		line("region", regionOf(client.Key(key)))
	}
	line("organisation", report.OrgID)
	line("role", report.Role)
	if report.OrgID != "" {
		line("clock", fmt.Sprintf("%+d s from the API's", report.Skew))
	}
	line("files", dir)
	fmt.Fprintln(t.stdout)
	if len(report.Problems) == 0 {
		fmt.Fprintln(t.stdout, report.Summary)
	}
	for _, p := range report.Problems {
		fmt.Fprintf(t.stdout, "PROBLEM  %s\n", strings.ReplaceAll(p, "\n", "\n         "))
	}
	fmt.Fprintln(t.stdout)
	printHosts(t.stdout, t.config.Sandbox)
	if len(report.Problems) > 0 {
		return errors.New("there are problems; see above")
	}
	return nil
}

func regionOf(key client.Key) string {
	if strings.HasPrefix(string(key), "eu1.") {
		return "eu1, " + client.BaseURLFor(key)
	}
	return "na1, " + client.BaseURLFor(key)
}

// host is one program that can start the server, and what it has to be told.
type host struct{ name, where, config string }

// hosts returns the configuration of each host for the program at path, with
// the sandbox or with a key.
func hosts(path string, sandbox bool) []host {
	args, env := []string{}, map[string]string{"FULLSTORY_API_KEY": "YOUR_KEY"}
	if sandbox {
		args, env = []string{"--sandbox"}, map[string]string{}
	}
	entry := struct {
		Command string            `json:"command"`
		Args    []string          `json:"args"`
		Env     map[string]string `json:"env,omitempty"`
	}{path, args, env}
	claude := "claude mcp add --env FULLSTORY_API_KEY=YOUR_KEY --transport stdio fullstory-export -- " + shellWord(path)
	vscode := map[string]any{"servers": map[string]any{"fullstory-export": map[string]any{
		"type": "stdio", "command": path, "args": args, "env": map[string]string{"FULLSTORY_API_KEY": "${input:fullstory-key}"},
	}}, "inputs": []any{map[string]any{"type": "promptString", "id": "fullstory-key", "description": "Fullstory API key (Architect)", "password": true}}}
	if sandbox {
		claude = "claude mcp add --transport stdio fullstory-export -- " + shellWord(path) + " --sandbox"
		vscode = map[string]any{"servers": map[string]any{"fullstory-export": map[string]any{"type": "stdio", "command": path, "args": args}}}
	}
	servers := indented(map[string]any{"mcpServers": map[string]any{"fullstory-export": entry}})
	return []host{
		{"Claude Desktop", "claude_desktop_config.json", servers},
		{"Claude Code", "in a shell", claude},
		{"VS Code", ".vscode/mcp.json", indented(vscode)},
		{"Cursor", ".cursor/mcp.json", servers},
	}
}

// shellWord quotes a path for a shell if it has to be.
func shellWord(path string) string {
	if !strings.ContainsAny(path, " '\"\\$&;()") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

func indented(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func printHosts(w io.Writer, sandbox bool) {
	path, err := os.Executable()
	if err != nil {
		path = "fullstory-export-mcp"
	}
	if strings.Contains(path, "go-build") {
		fmt.Fprintln(w, "To connect a host, build the program first (go build) and give its absolute path, here /path/to/fullstory-export-mcp.")
		path = "/path/to/fullstory-export-mcp"
	}
	for _, h := range hosts(path, sandbox) {
		fmt.Fprintf(w, "\n%s (%s):\n\n%s\n", h.name, h.where, h.config)
	}
}
