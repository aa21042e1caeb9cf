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
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/local"
)

// doctorCommand is `doctor`: a check of the setup.
type doctorCommand struct{}

// Run checks everything that an export needs, and prints the configuration of hosts. It
// fails if it finds a problem.
func (doctorCommand) Run(ctx context.Context, a *app) error {
	d, err := newDeps(a)
	if err != nil {
		return err
	}
	defer d.close()
	var report exports.Connection
	var problems []exports.Explanation
	account, err := d.account(ctx)
	if err != nil {
		problem := exports.Explain(err)
		if problem.Kind == exports.Internal {
			problem = exports.Explanation{Cause: err.Error()}
		}
		problems = append(problems, problem)
	} else {
		report, problems = account.Check(ctx)
	}
	dir, _ := a.config.folder(a.getenv) // its error is among the problems
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(a.stdout, "  %-12s %s\n", name, local.Printable(oneLine(value)))
		}
	}
	line("API", report.APIURL)
	if source := a.environment.keySource(""); source != nil && !a.config.Sandbox {
		line("key", source.String())
		if key, err := source.key(); err == nil {
			line("region", regionOf(key))
		}
	}
	line("organisation", report.OrgID)
	line("role", report.Role)
	if report.OrgID != "" {
		line("clock", fmt.Sprintf("%+d s from the API's", report.Skew))
	}
	line("files", dir)
	fmt.Fprintln(a.stdout)
	if len(problems) == 0 {
		fmt.Fprintln(a.stdout, report.Summary)
	}
	for _, p := range problems {
		fmt.Fprintf(a.stdout, "PROBLEM  %s\n", strings.ReplaceAll(local.Printable(p.ForTerminal()), "\n", "\n         "))
	}
	fmt.Fprintln(a.stdout)
	printHosts(a.stdout, a.config.Sandbox)
	if len(problems) > 0 {
		return errors.New("there are problems; see above")
	}
	return nil
}

// regionOf returns the region of a key, and the address of the API there.
func regionOf(key client.Key) string {
	if strings.HasPrefix(string(key), "eu1.") {
		return "eu1, " + client.BaseURLFor(key)
	}
	return "na1, " + client.BaseURLFor(key)
}

// host is a program that can start the server: where its configuration goes (a file, or
// "in a shell"), and the configuration.
type host struct{ name, where, config string }

// hosts returns the configuration of each host for the program at path: with the
// sandbox, or with a placeholder for the key.
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
	server := map[string]any{"type": "stdio", "command": path, "args": args}
	vscode := map[string]any{"servers": map[string]any{"fullstory-export": server}}
	if sandbox {
		claude = "claude mcp add --transport stdio fullstory-export -- " + shellWord(path) + " --sandbox"
	} else {
		// VS Code asks for the key once and keeps it out of the file.
		server["env"] = map[string]string{"FULLSTORY_API_KEY": "${input:fullstory-key}"}
		vscode["inputs"] = []any{map[string]any{"type": "promptString", "id": "fullstory-key",
			"description": "Fullstory API key (Architect)", "password": true}}
	}
	servers := indented(map[string]any{"mcpServers": map[string]any{"fullstory-export": entry}})
	return []host{
		{"Claude Desktop", "claude_desktop_config.json", servers},
		{"Claude Code", "in a shell", claude},
		{"VS Code", ".vscode/mcp.json", indented(vscode)},
		{"Cursor", ".cursor/mcp.json", servers},
	}
}

// shellWord quotes a path for a POSIX shell, if that is necessary.
func shellWord(path string) string {
	if !strings.ContainsAny(path, " '\"\\$&;()") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// indented returns v as indented JSON.
func indented(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// printHosts prints the configuration of each host. A program that `go run` built is
// gone when it ends, so its path is replaced by an example.
func printHosts(w io.Writer, sandbox bool) {
	path, err := os.Executable()
	if err != nil {
		path = "fullstory-export-mcp"
	}
	if strings.Contains(path, "go-build") {
		fmt.Fprintln(w, "To connect a host, build the program first (go build) and give its absolute path, "+
			"here /path/to/fullstory-export-mcp.")
		path = "/path/to/fullstory-export-mcp"
	}
	for _, h := range hosts(path, sandbox) {
		fmt.Fprintf(w, "\n%s (%s):\n\n%s\n", h.name, h.where, h.config)
	}
}
