package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand is `completion`: scripts that complete commands and flags with Tab.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the text that --help prints above the arguments.
func (*completionCommand) Help() string {
	return "bash:  source <(fullstory-export-mcp completion bash)   in ~/.bashrc\n\n" +
		"zsh:   source <(fullstory-export-mcp completion zsh)    in ~/.zshrc, after compinit\n\n" +
		"fish:  fullstory-export-mcp completion fish | source    in ~/.config/fish/config.fish"
}

// Run prints the script of a shell.
func (c *completionCommand) Run(_ context.Context, a *app) error {
	parser, err := newParser(&commands{}, func(string) string { return "" })
	if err != nil {
		return err
	}
	words := completions(parser.Model)
	switch c.Shell {
	case "fish":
		return printFish(a.stdout, words)
	case "zsh":
		return printZsh(a.stdout, words)
	}
	return printBash(a.stdout, words)
}

// completed is a command with its flags, for completion.
type completed struct {
	name, help string
	flags      []*kong.Flag
}

// completions returns the program itself, without a name, and its commands.
func completions(model *kong.Application) []completed {
	all := []completed{{flags: usedOf("", model.Flags)}}
	for _, node := range model.Children {
		if !node.Hidden {
			flags := append(usedOf(node.Name, model.Flags), node.Flags...)
			all = append(all, completed{node.Name, node.Help, flags})
		}
	}
	return all
}

// usedOf returns those of the flags above a command that it uses.
func usedOf(command string, flags []*kong.Flag) (used []*kong.Flag) {
	for _, f := range flags {
		if f.Name == "help" || uses(command, f.Name) {
			used = append(used, f)
		}
	}
	return used
}

// printBash prints a function that completes the word at the cursor, by the first command
// among the words before it.
func printBash(out io.Writer, all []completed) error {
	var names []string
	var cases strings.Builder
	for _, c := range all {
		var words []string
		for _, f := range c.flags {
			words = append(words, "--"+f.Name)
		}
		pattern := c.name
		if c.name == "" {
			pattern = `""`
		} else {
			names = append(names, c.name)
		}
		fmt.Fprintf(&cases, "    %s) words=%q ;;\n", pattern, strings.Join(words, " "))
	}
	_, err := fmt.Fprintf(out, `_fullstory_export_mcp() {
  local current=${COMP_WORDS[COMP_CWORD]} command="" words="" word
  local commands=%q
  for word in "${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do
    case " $commands " in *" $word "*) command=$word; break ;; esac
  done
  case $command in
%s  esac
  if [[ $command == "" || $command == help ]]; then words="$words $commands"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _fullstory_export_mcp fullstory-export-mcp
`, strings.Join(names, " "), cases.String())
	return err
}

// printZsh prints the script of bash, for a shell that reads it at its start, or that finds it as
// the file _fullstory-export-mcp in its fpath: then it is run for the first time by a Tab.
func printZsh(out io.Writer, all []completed) error {
	_, err := io.WriteString(out, "#compdef fullstory-export-mcp\nautoload -U +X bashcompinit && bashcompinit\n")
	if err == nil {
		err = printBash(out, all)
	}
	if err == nil {
		_, err = io.WriteString(out, `if [[ ${funcstack[1]} == _fullstory-export-mcp ]]; then
  _bash_complete -o default -F _fullstory_export_mcp
fi
`)
	}
	return err
}

// printFish prints a line for each command and flag.
func printFish(out io.Writer, all []completed) error {
	var b strings.Builder
	for _, c := range all {
		when := "__fish_use_subcommand"
		if c.name != "" {
			fmt.Fprintf(&b, "complete -c fullstory-export-mcp -n %s -a %s -d %s\n", when, c.name, fishText(c.help))
			when = "'__fish_seen_subcommand_from " + c.name + "'"
		}
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c fullstory-export-mcp -n %s -l %s", when, f.Name)
			if f.Short != 0 {
				fmt.Fprintf(&b, " -s %c", f.Short)
			}
			if !f.IsBool() {
				b.WriteString(" -r")
			}
			if f.Enum != "" {
				fmt.Fprintf(&b, " -x -a %s", fishText(strings.ReplaceAll(f.Enum, ",", " ")))
			}
			summary, _, _ := strings.Cut(f.Help, ". ")
			fmt.Fprintf(&b, " -d %s\n", fishText(strings.TrimSuffix(summary, ".")))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// fishText quotes a text for fish.
func fishText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
