package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// anySandboxFlag is the prefix of the flags of the built-in sandbox.
const anySandboxFlag = "sandbox-"

// Flags of config, by what a command does.
var (
	accountFlags = []string{
		"quiet", "color", "sandbox", "api-url", "no-keychain", "dir", "database", "timezone", "log-level", "log-format",
	}
	fileFlags    = append([]string{"mirror", "mirror-endpoint", "storage-host"}, accountFlags...)
	budgetFlags  = append([]string{"confirm-chunks", "confirm-gigabytes"}, fileFlags...)
	checkedFlags = append([]string{"read-only", "tools"}, budgetFlags...)
	serverFlags  = append([]string{anySandboxFlag}, checkedFlags...)
)

// usedFlags has for each command the flags of the commands above it that it uses. Its
// help shows only those, and --help.
var usedFlags = map[string][]string{
	"":     append([]string{"version"}, accountFlags...),
	"run":  budgetFlags,
	"plan": budgetFlags, "list": fileFlags, "status": fileFlags, "segments": accountFlags,
	"pause": fileFlags, "resume": fileFlags, "retry": fileFlags, "cancel": budgetFlags,
	"add": budgetFlags, "change": budgetFlags, "remove": fileFlags, "adopt": budgetFlags,
	"describe": fileFlags, "head": fileFlags,
	"verify":    {"quiet", "color"},
	"convert":   {"quiet", "color", "dir"},
	"copy-text": {"quiet", "color"},
	"query":     {"quiet", "color", "dir", "log-level", "log-format"},
	"demo":      {"dir", "timezone", "log-level", "log-format"},
	"stdio":     serverFlags,
	"serve":     serverFlags,
	"token":     {"callers", "read-only"},
	"login":     {"quiet", "color", "api-url", "no-keychain", "log-level", "log-format"},
	"logout":    {"quiet", "color", "no-keychain"},
	"doctor":    checkedFlags,
	"config":    serverFlags,
	"install":   serverFlags,
	"probe":     append([]string{"storage-host"}, accountFlags...),
	"audit":     {"dir", "database"},
	"migrate":   {"dir", "database"},
}

// exitStatuses end the help of the program. Status has them.
const exitStatuses = `
Exit status: 0 done; 1 failed; 2 wrong usage; 3 incomplete (interrupted, or chunks
failed); 4 blocked (you must fix the cause first).
`

// printHelp prints the help of the program or of a command, without flags that it ignores.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	name, above := "", ctx.Model.Node
	if node := ctx.Selected(); node != nil {
		name, above = node.Name, node.Parent
	}
	for ; above != nil; above = above.Parent {
		for _, flag := range above.Flags {
			flag.Hidden = flag.Name != "help" && !uses(name, flag.Name)
			if flag.Name == "dir" && name == "demo" {
				flag.Help = "Folder of the exported files. Default: a new temporary folder."
			}
		}
	}
	if name != "" {
		return kong.DefaultHelpPrinter(options, ctx)
	}
	options.Compact, options.NoExpandSubcommands, options.FlagsLast = true, true, true
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	_, err := fmt.Fprint(ctx.Stdout, exitStatuses)
	return err
}

// uses reports whether a command uses a flag of a command above it.
func uses(command, flag string) bool {
	return slices.ContainsFunc(usedFlags[command], func(used string) bool {
		return used == flag || used == anySandboxFlag && strings.HasPrefix(flag, used)
	})
}

type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command, such as run. Default: the whole program."`
}

// Run prints what the command prints with --help.
func (h *helpCommand) Run(ctx context.Context, a *app) error {
	return execute(ctx, append(h.Command, "--help"), a.environment.lookup, a.stdin, a.stdout, a.stderr)
}
