package command

import (
	"errors"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"fullstory-export-mcp/query"
)

// invocation is a parsed command line.
type invocation struct {
	parsed   *kong.Context
	config   *config
	args     []string // without unfilled
	unfilled []string // flags whose values are placeholders that a host did not fill in
	helped   bool     // the help or the version has been printed, and nothing else is to be done
}

// parse parses a command line. Programs start the server over stdio and the worker of query, and
// wait for them: these are parsed without the grammar of the other commands, which takes a fifth
// of a start to build. Another command, what does not parse that way, and --help are left to the
// whole grammar.
func parse(args []string, getenv func(string) string, stdout, stderr io.Writer) (*invocation, error) {
	var short struct {
		config
		Stdio  stdioCommand       `cmd:"" default:"withargs"`
		Worker queryWorkerCommand `cmd:"" name:"query-worker"`
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || args[0] == query.WorkerCommand {
		l, err := parseAs(&short, &short.config, args, getenv, stdout, stderr, kong.Help(noHelp))
		if err == nil {
			return l, nil
		}
	}
	var whole commands
	return parseAs(&whole, &whole.config, args, getenv, stdout, stderr)
}

// noHelp fails, so that the whole grammar prints the help.
func noHelp(kong.HelpOptions, *kong.Context) error {
	return errors.New("help of all commands is wanted")
}

// parseAs parses a command line by a grammar, whose flags of all commands are those of c.
func parseAs(
	grammar any, c *config, args []string, getenv func(string) string, stdout, stderr io.Writer, options ...kong.Option,
) (*invocation, error) {
	l := &invocation{config: c}
	options = append(options, kong.Writers(stdout, stderr), kong.Exit(func(int) { l.helped = true }))
	parser, err := newParser(grammar, getenv, options...)
	if err != nil {
		return nil, err
	}
	l.args, l.unfilled = withoutUnfilled(parser.Model, args)
	if l.parsed, err = parser.Parse(l.args); err != nil && !l.helped {
		return nil, &exitError{statusUsage, usageError(parser.Model, err)}
	}
	return l, nil
}

// newParser returns the parser of a grammar: commands, or the part of it that parse uses. It reads
// the environment through getenv, and treats an empty variable as unset, because hosts often pass
// variables that have no value. It adds defaults and variables to the help of each flag.
func newParser(grammar any, getenv func(string) string, options ...kong.Option) (*kong.Kong, error) {
	names := map[*kong.Value][]string{}
	fromEnvironment := kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range names[flag.Value] {
			if value := getenv(name); value != "" {
				return value, nil
			}
		}
		return nil, nil
	})
	parser, err := kong.New(grammar, append([]kong.Option{
		kong.Name("fullstory-export-mcp"),
		kong.Description("An MCP server that plans, schedules, tracks and fetches Fullstory segment exports.\n\n" +
			"The API key is read from FULLSTORY_API_KEY, else from the file that FULLSTORY_API_KEY_FILE names, else it " +
			"is that of login; there is no flag for it."),
		kong.Help(printHelp),
		kong.Vars{
			"version": versionLine(), "hosts": strings.Join(hostNames(), ","), "listed": strings.Join(hostNames(), ", "),
		},
		kong.Resolvers(fromEnvironment),
	}, options...)...)
	if err != nil {
		return nil, err
	}
	parser.Model.HelpFlag.Help = "Show this help."
	return parser, kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && len(flag.Tag.Envs) > 0 {
			names[flag.Value] = flag.Tag.Envs
			if flag.Default != "" && !flag.IsBool() && !strings.Contains(flag.Help, "Default:") {
				flag.Help += " Default: " + flag.Default + "."
			}
			flag.Help += " ($" + strings.Join(flag.Tag.Envs, ", $") + ")"
			flag.Tag.Envs = nil // so that kong does not read the process's environment
		}
		return next(nil)
	})
}
