package command

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/sandbox"
	"fullstory-export-mcp/tools"
)

// config is what every command can be told, by flag, else by environment, else
// by default.
type config struct {
	Sandbox   bool     `help:"Use the built-in sandbox as the API: simulated data, no key needed." env:"FULLSTORY_SANDBOX"`
	APIURL    string   `help:"Address of the Fullstory API. Default: by the key's region." name:"api-url" env:"FULLSTORY_API_URL" placeholder:"URL"`
	Dir       string   `help:"Folder of the exported files." default:"~/fullstory-exports" env:"FULLSTORY_EXPORT_DIR" placeholder:"FOLDER"`
	Database  string   `help:"Where the ledger of exports is kept: a postgres:// address for many replicas, or the path of a SQLite file. Default: SQLite in the folder of the exported files." env:"FULLSTORY_EXPORT_DATABASE" placeholder:"PLACE"`
	Mirror    string   `help:"Where copies of verified files are kept in S3-compatible storage, such as s3://bucket/prefix. Credentials are those of AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role." env:"FULLSTORY_EXPORT_MIRROR" placeholder:"s3://BUCKET/PREFIX"`
	MirrorAt  string   `help:"Address of that storage if it is not Amazon's, such as https://minio.example.com." name:"mirror-endpoint" env:"FULLSTORY_EXPORT_MIRROR_ENDPOINT,AWS_ENDPOINT_URL_S3,AWS_ENDPOINT_URL" placeholder:"URL"`
	ReadOnly  bool     `help:"List only tools that change nothing." env:"FULLSTORY_EXPORT_READ_ONLY"`
	Tools     []string `help:"List only these tools." env:"FULLSTORY_EXPORT_TOOLS" placeholder:"NAME"`
	Timezone  string   `help:"Zone of dates when a call names none." default:"UTC" env:"FULLSTORY_EXPORT_TIMEZONE" placeholder:"ZONE"`
	LogLevel  string   `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"FULLSTORY_EXPORT_LOG_LEVEL"`
	LogFormat string   `help:"text or json; the log goes to stderr." enum:"text,json" default:"text" env:"FULLSTORY_EXPORT_LOG_FORMAT"`

	BuiltIn sandbox.Config `embed:"" prefix:"sandbox-" envprefix:"FULLSTORY_SANDBOX_"`
}

// commands is the whole command line.
type commands struct {
	config

	Stdio   stdioCommand   `cmd:"" default:"withargs" help:"Serve MCP over stdin and stdout: what a host starts. This is the default."`
	Serve   serveCommand   `cmd:"" help:"Serve MCP over HTTP, to programs on this machine or to callers with tokens."`
	Demo    demoCommand    `cmd:"" help:"Show the whole job against the sandbox: plan, export, track, fetch, verify."`
	Run     runCommand     `cmd:"" help:"Carry out one bulk export from a terminal or cron, or go on with it."`
	Verify  verifyCommand  `cmd:"" help:"Check the files of a folder against its manifest, offline."`
	Audit   auditCommand   `cmd:"" help:"Print the audit log: who asked for which export, when, and what came of it."`
	Sandbox sandboxCommand `cmd:"" help:"Run the simulated Fullstory alone."`
	Doctor  doctorCommand  `cmd:"" help:"Check key, role, region, clock and folder, and print configuration for MCP hosts."`
	Version versionCommand `cmd:"" help:"Print the version."`

	Health healthcheckCommand `cmd:"" name:"healthcheck" hidden:"" help:"Ask a server of this machine whether it lives."`
}

// newParser reads the environment through getenv and takes an empty variable
// for an unset one, as hosts often pass on what they were not given.
func newParser(c *commands, getenv func(string) string, options ...kong.Option) (*kong.Kong, error) {
	names := map[*kong.Value][]string{}
	fromEnvironment := kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range names[flag.Value] {
			if value := getenv(name); value != "" {
				return value, nil
			}
		}
		return nil, nil
	})
	parser, err := kong.New(c, append(options,
		kong.Name("fullstory-export-mcp"),
		kong.Description("An MCP server that plans, schedules, tracks and fetches Fullstory segment exports.\n\nThe API key is read from FULLSTORY_API_KEY, or from the file that FULLSTORY_API_KEY_FILE names; there is no flag for it."),
		kong.Help(help),
		kong.Resolvers(fromEnvironment),
	)...)
	if err != nil {
		return nil, err
	}
	return parser, kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && len(flag.Tag.Envs) > 0 {
			names[flag.Value] = flag.Tag.Envs
			if flag.Default != "" && !flag.IsBool() && !strings.Contains(flag.Help, "Default:") {
				flag.Help += " Default: " + flag.Default + "."
			}
			flag.Help += " ($" + strings.Join(flag.Tag.Envs, ", $") + ")"
			flag.Tag.Envs = nil
		}
		return next(nil)
	})
}

// ownFlags are those that matter to commands which have no use for most of the
// server's.
var ownFlags = map[string][]string{
	"sandbox":     {"help"},
	"version":     {"help"},
	"healthcheck": {"help"},
	"audit":       {"help", "dir", "database", "since", "account"},
	"token":       {"help", "callers", "account", "read-only"},
}

// help prints the flags that matter to a command.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	node := ctx.Selected()
	if node == nil || ownFlags[node.Name] == nil {
		return kong.DefaultHelpPrinter(options, ctx)
	}
	for parent := node.Parent; parent != nil; parent = parent.Parent {
		for _, flag := range parent.Flags {
			flag.Hidden = !slices.Contains(ownFlags[node.Name], flag.Name)
		}
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// apiKey returns the key of an account: from its variable, or from the file
// that the variable with _FILE names; an empty key means that there is none.
func apiKey(getenv func(string) string, account string) (key string, err error) {
	name := keyVariable(account)
	if key = strings.TrimSpace(getenv(name)); key != "" {
		return key, nil
	}
	path := getenv(name + "_FILE")
	if path == "" {
		return "", nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the file that %s_FILE names cannot be read: %w", name, err)
	}
	if key = strings.TrimSpace(string(content)); key == "" {
		return "", fmt.Errorf("the file %s, which %s_FILE names, is empty", path, name)
	}
	return key, nil
}

// requiredKey returns the key of an account, or a *tools.SetupError.
func requiredKey(getenv func(string) string, account string) (client.Key, error) {
	key, err := apiKey(getenv, account)
	message := "No Fullstory API key is set"
	switch {
	case err != nil:
		message = err.Error()
	case key != "":
		return client.Key(key), nil
	case account != "":
		message += " for the account " + account
	}
	return "", &tools.SetupError{Message: message, Key: keyVariable(account)}
}

// folder returns the absolute folder of exported files.
func (c *config) folder(getenv func(string) string) (string, error) {
	dir := c.Dir
	if rest, ok := strings.CutPrefix(dir, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		home := getenv("HOME")
		if home == "" {
			var err error
			if home, err = os.UserHomeDir(); err != nil {
				return "", fmt.Errorf("the folder %s cannot be resolved, give --dir: %w", dir, err)
			}
		}
		dir = filepath.Join(home, rest)
	}
	return filepath.Abs(dir)
}

// database returns where the ledger is; dir is the folder of exported files.
func (c *config) database(dir string) string {
	if c.Database != "" {
		return c.Database
	}
	return filepath.Join(dir, ".state", "ledger.db")
}

// zone checks the default zone.
func (c *config) zone() (string, error) {
	zone, err := plan.Zone(c.Timezone)
	if err != nil {
		return "", fmt.Errorf("--timezone: %w", err)
	}
	return zone.String(), nil
}
