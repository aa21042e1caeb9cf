package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"
)

// anySandboxFlag is the prefix of the flags of the built-in sandbox.
const anySandboxFlag = "sandbox-"

// Flags of config, by what a command does.
var (
	accountFlags = []string{
		"quiet", "color", "sandbox", "api-url", "dir", "database", "timezone", "log-level", "log-format",
	}
	fileFlags    = append([]string{"mirror", "mirror-endpoint", "storage-host"}, accountFlags...)
	checkedFlags = append([]string{"read-only", "tools"}, fileFlags...)
	serverFlags  = append([]string{anySandboxFlag}, checkedFlags...)
)

// usedFlags has for each command the flags of the commands above it that it uses. Its
// help shows only those, and --help.
var usedFlags = map[string][]string{
	"":     append([]string{"version"}, accountFlags...),
	"run":  fileFlags,
	"plan": fileFlags, "list": fileFlags, "status": fileFlags, "segments": accountFlags,
	"pause": fileFlags, "resume": fileFlags, "retry": fileFlags, "cancel": fileFlags,
	"verify":  {"quiet", "color"},
	"demo":    {"dir", "timezone", "log-level", "log-format"},
	"stdio":   serverFlags,
	"serve":   serverFlags,
	"token":   {"callers", "read-only"},
	"doctor":  checkedFlags,
	"config":  serverFlags,
	"audit":   {"dir", "database"},
	"migrate": {"dir", "database"},
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

// usageError returns an error of kong in words for its user. It adds the nearest command to
// one about an unknown command: kong does the same for flags, but not for commands beside a
// default one.
func usageError(model *kong.Application, err error) error {
	text := strings.Replace(err.Error(), "expected a valid 64 bit int", "expected a whole number", 1)
	text = strings.Replace(text, "expected a valid 64 bit float", "expected a number", 1)
	if argument, ok := strings.CutPrefix(text, "expected \"<"); ok {
		name, _, _ := strings.Cut(argument, ">")
		return fmt.Errorf("%s is missing; add --help to see what it is", strings.ToUpper(name))
	}
	word, ok := strings.CutPrefix(text, "unexpected argument ")
	if !ok {
		return errors.New(text)
	}
	var names []string
	for _, node := range model.Children {
		if !node.Hidden {
			names = append(names, node.Name)
		}
	}
	if meant := meant(word, names); meant != "" {
		return errors.New(text + meant)
	}
	return fmt.Errorf("%s; fullstory-export-mcp help lists the commands", err)
}

// meant asks whether the name nearest to a word was meant; "" if none is near.
func meant(word string, names []string) string {
	distance := func(name string) int { return levenshtein.ComputeDistance(word, name) }
	nearest := slices.MinFunc(names, func(a, b string) int { return distance(a) - distance(b) })
	if distance(nearest) > 2 {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", nearest)
}

type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command, such as run. Default: the whole program."`
}

// Run prints what the command prints with --help.
func (h *helpCommand) Run(ctx context.Context, a *app) error {
	return execute(ctx, append(h.Command, "--help"), a.environment.lookup, a.stdin, a.stdout, a.stderr)
}
