package command

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"fullstory-export-mcp/hosts"
	"fullstory-export-mcp/local"
)

// installCommand is `install`: the entry of the server in the file of a host.
type installCommand struct {
	Host          string `arg:"" optional:"" enum:",${hosts}" default:"" help:"Host: ${listed}. Without one, the hosts of this machine are listed."`
	HTTP          string `help:"Connect the host to the server at this address, such as https://exports.example.com/mcp, in place of this program." name:"http" placeholder:"URL"`
	TokenVariable string `help:"Variable of the host's environment that has the token for --http. Default: no token, or OAuth." placeholder:"NAME"`
	File          string `help:"Change this file, such as .vscode/mcp.json of a project. Default: the host's own file for this user." placeholder:"FILE"`
	Remove        bool   `help:"Remove the entry."`
	Print         bool   `help:"Print what would change, and change nothing."`
	JSON          bool   `help:"Print one JSON object for each host, a line each, on stdout." name:"json"`
}

// Help says what happens to the file.
func (*installCommand) Help() string {
	return "The host starts this program with the flags and variables that are set now. No key is written into its " +
		"file: the entry has FULLSTORY_API_KEY_FILE if that is set. Outside of the entry the file stays as it is. " +
		"A copy is kept beside it, with .before-fullstory-export after its name."
}

// installed is what install says about a host in JSON.
type installed struct {
	Host   string       `json:"host"`
	File   string       `json:"file"`
	Change hosts.Change `json:"change"`
	Print  bool         `json:"print,omitempty"`
	Backup string       `json:"backup,omitempty"`
	Notes  []string     `json:"notes"`
}

// Run changes the file of a host, or lists the hosts if none is given.
func (c *installCommand) Run(a *app) error {
	if c.Host == "" {
		return c.list(a)
	}
	if c.TokenVariable != "" && c.HTTP == "" {
		return &exitError{statusUsage, errors.New("--token-variable needs --http URL: the token is for a server there")}
	}
	host, _ := hosts.ByID(c.Host) // kong has checked it
	path, err := c.path(a, host)
	if err != nil {
		return err
	}
	var entry hosts.Entry
	var notes []string
	if !c.Remove {
		if entry, notes, err = c.entry(a); err != nil {
			return err
		}
	}
	file, err := hosts.ReadFile(path)
	if err != nil {
		return c.paste(a, host, entry, path, err)
	}
	content, change, err := c.edited(host, file, entry)
	if errors.Is(err, hosts.ErrUnsupported) {
		return &exitError{statusUsage, err}
	}
	if err != nil {
		return c.paste(a, host, entry, path, err)
	}
	done := installed{Host: host.ID, File: path, Change: change, Print: c.Print, Notes: append([]string{}, notes...)}
	if !c.Remove && plainKey(host, content) {
		done.Notes = append(done.Notes, "The entry has an API key in plain text, which was there before. "+
			"Remove "+apiKey+" from "+local.Shown(path)+" once the program finds the key without it.")
	}
	if change != hosts.None && !c.Print {
		if err := file.Write(content); err != nil {
			return c.paste(a, host, entry, path, err)
		}
		if file.Exists {
			done.Backup = file.Backup()
		}
	}
	if c.JSON {
		return printableJSON{a.newView(a.stdout).out}.print(done)
	}
	c.say(a, host, done, file.Content, content)
	return nil
}

// path returns the path of the file to change.
func (c *installCommand) path(a *app, host hosts.Host) (string, error) {
	if c.File != "" {
		return filepath.Abs(c.File)
	}
	system, err := a.system()
	if err != nil {
		return "", fmt.Errorf("%w: give the file of %s with --file", err, host.Name)
	}
	return host.File(system), nil
}

// edited returns the new content of the file of a host.
func (c *installCommand) edited(host hosts.Host, file *hosts.File, e hosts.Entry) ([]byte, hosts.Change, error) {
	if c.Remove {
		return file.Without(host)
	}
	return host.Insert(file.Content, e)
}

// say prints what was done, or would be.
func (c *installCommand) say(a *app, host hosts.Host, done installed, before, after []byte) {
	out, path := a.newView(a.stdout), local.Shown(done.File)
	switch {
	case done.Change == hosts.None && c.Remove:
		out.line(path + " has no entry of this server; nothing was changed.")
	case done.Change == hosts.None:
		out.good(path + " already has this entry; nothing was changed.")
	case c.Print:
		a.newView(a.stderr).line(path + " would change like this:")
		for _, line := range changedLines(before, after) {
			out.line(line)
		}
	default:
		verb := map[hosts.Change]string{hosts.Added: "added to", hosts.Changed: "changed in", hosts.Removed: "removed from"}
		text := "The server is " + verb[done.Change] + " " + host.Name + ": " + path + "."
		if done.Backup != "" {
			text += " What it was before is in " + local.Shown(done.Backup) + "."
		}
		out.good(text + " " + host.Restart)
	}
	for _, note := range done.Notes {
		a.newView(a.stderr).warn(note)
	}
}

// changedLines returns the lines that differ, with - before those that go and + before
// those that come.
func changedLines(before, after []byte) (lines []string) {
	old, now := splitLines(before), splitLines(after)
	for len(old) > 0 && len(now) > 0 && old[0] == now[0] {
		old, now = old[1:], now[1:]
	}
	for len(old) > 0 && len(now) > 0 && old[len(old)-1] == now[len(now)-1] {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	for _, line := range old {
		lines = append(lines, "-"+line)
	}
	for _, line := range now {
		lines = append(lines, "+"+line)
	}
	return lines
}

// splitLines returns the lines of a text without their ends.
func splitLines(text []byte) (lines []string) {
	for line := range strings.Lines(string(text)) {
		lines = append(lines, strings.TrimRight(line, "\r\n"))
	}
	return lines
}

// paste returns an error about a file that was not changed. It prints the entry, so that
// the user can paste it.
func (c *installCommand) paste(a *app, host hosts.Host, e hosts.Entry, path string, err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok && pathErr.Path != path {
		err = pathErr.Err
	}
	failed := fmt.Errorf("%s was not changed: %w", local.Shown(path), err)
	if c.Remove {
		return fmt.Errorf("%w. Remove the entry %s yourself", failed, hosts.Name)
	}
	snippet, other := host.Snippet(e)
	if other != nil {
		return errors.Join(failed, other)
	}
	if !c.JSON {
		a.newView(a.stderr).line("Paste this into the file yourself:")
		if _, err := fmt.Fprintln(a.stdout, snippet); err != nil {
			return err
		}
	}
	return failed
}

// list prints the hosts that this machine has, with their files.
func (c *installCommand) list(a *app) error {
	if c.Remove || c.Print || c.HTTP != "" || c.File != "" || c.TokenVariable != "" {
		return &exitError{statusUsage, errors.New("HOST is missing: it is one of " + hostChoice())}
	}
	found, err := a.hostsHere()
	if err != nil {
		return err
	}
	if c.JSON {
		return printEach(printableJSON{a.newView(a.stdout).out}, found)
	}
	out := a.newView(a.stdout)
	if len(found) == 0 {
		out.line("None of the hosts was found on this machine: " + hostChoice() + ".")
		return nil
	}
	var rows [][]string
	for _, h := range found {
		entry := "no"
		if h.Installed {
			entry = "yes"
		}
		if h.Problem != "" {
			entry = "cannot be read: " + oneLine(h.Problem)
		}
		rows = append(rows, []string{h.Host, entry, h.File})
	}
	out.table([]string{"HOST", "INSTALLED", "FILE"}, rows)
	out.line("fullstory-export-mcp install HOST adds the server to one of them.")
	return nil
}

// hostChoice returns the ids of the hosts as a choice.
func hostChoice() string { return alternatives(strings.Join(hostNames(), ",")) }
