package command

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/sandbox"
)

// config is what all commands share. A flag wins over its environment variable, and
// that over the default.
type config struct {
	Sandbox        bool     `group:"Fullstory and the folder of files" help:"Use the built-in sandbox as the API: simulated data, no key needed." env:"FULLSTORY_SANDBOX"`
	APIURL         string   `group:"Fullstory and the folder of files" help:"Address of the Fullstory API. Default: by the key's region." name:"api-url" env:"FULLSTORY_API_URL" placeholder:"URL"`
	Dir            string   `group:"Fullstory and the folder of files" help:"Folder of the exported files." default:"~/fullstory-exports" env:"FULLSTORY_EXPORT_DIR" placeholder:"FOLDER"`
	NoKeychain     bool     `group:"Fullstory and the folder of files" help:"Keep the key of login in a file, and look for it only there, not in the system's keychain." name:"no-keychain" env:"FULLSTORY_EXPORT_NO_KEYCHAIN"`
	Database       string   `group:"Fullstory and the folder of files" help:"Ledger of exports: a postgres:// address, which many replicas can share, or the path of a SQLite file. Default: SQLite in the folder of the exported files." env:"FULLSTORY_EXPORT_DATABASE" placeholder:"ADDRESS"`
	Mirror         string   `group:"Storage of files" help:"S3-compatible storage for copies of verified files, such as s3://bucket/prefix. Credentials are those of AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role." env:"FULLSTORY_EXPORT_MIRROR" placeholder:"s3://BUCKET/PREFIX"`
	MirrorEndpoint string   `group:"Storage of files" help:"Address of the storage if it is not Amazon's, such as https://minio.example.com." name:"mirror-endpoint" env:"FULLSTORY_EXPORT_MIRROR_ENDPOINT,AWS_ENDPOINT_URL_S3,AWS_ENDPOINT_URL" placeholder:"URL"`
	StorageHost    []string `group:"Storage of files" help:"Fetch files only from these hosts and their subdomains, such as storage.googleapis.com. Default: from every public host." name:"storage-host" env:"FULLSTORY_EXPORT_STORAGE_HOST" placeholder:"HOST"`
	ReadOnly       bool     `group:"What a server offers" help:"Offer only tools that change nothing." env:"FULLSTORY_EXPORT_READ_ONLY"`
	Tools          []string `group:"What a server offers" help:"Offer only these tools." env:"FULLSTORY_EXPORT_TOOLS" placeholder:"NAME"`
	ConfirmChunks  int      `group:"What a server offers" help:"Ask the user before an export of more chunks, or before a larger one is cancelled here. 0: always." name:"confirm-chunks" default:"5000" env:"FULLSTORY_EXPORT_CONFIRM_CHUNKS" placeholder:"N"`
	ConfirmGB      float64  `group:"What a server offers" help:"Ask the user before an export of more gigabytes, by the estimate." name:"confirm-gigabytes" default:"50" env:"FULLSTORY_EXPORT_CONFIRM_GIGABYTES" placeholder:"N"`
	Timezone       string   `group:"Fullstory and the folder of files" help:"Time zone of dates in calls that name none." default:"UTC" env:"FULLSTORY_EXPORT_TIMEZONE" placeholder:"ZONE"`
	LogLevel       string   `group:"Log" help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info" env:"FULLSTORY_EXPORT_LOG_LEVEL" placeholder:"LEVEL"`
	LogFormat      string   `group:"Log" help:"text or json; the log goes to stderr." enum:"text,json" default:"text" env:"FULLSTORY_EXPORT_LOG_FORMAT" placeholder:"FORMAT"`

	Version kong.VersionFlag `help:"Print the version."`
	Quiet   bool             `help:"Print only results and errors." short:"q"`
	Color   string           `help:"Colours: auto (on a terminal, unless NO_COLOR is set), always or never." enum:"auto,always,never" default:"auto" placeholder:"WHEN"`

	BuiltIn sandbox.Config `embed:"" prefix:"sandbox-" envprefix:"FULLSTORY_SANDBOX_"`
}

// commands is the command line as kong parses it.
type commands struct {
	config

	Demo   demoCommand   `cmd:"" group:"Exports" help:"Show the whole job against the sandbox: plan, export, track, fetch, verify."`
	Run    runCommand    `cmd:"" group:"Exports" help:"Carry out one bulk export from a terminal or cron, or resume it."`
	Plan   planCommand   `cmd:"" group:"Exports" help:"Show what run would do, and start nothing."`
	List   listCommand   `cmd:"" group:"Exports" help:"List bulk exports, newest first."`
	Status statusCommand `cmd:"" group:"Exports" help:"Show one bulk export, or watch its progress."`
	Pause  pauseCommand  `cmd:"" group:"Exports" help:"Pause a bulk export: no more of its exports are created."`
	Resume resumeCommand `cmd:"" group:"Exports" help:"Resume a bulk export that is paused, and carry it out."`
	Retry  retryCommand  `cmd:"" group:"Exports" help:"Export failed chunks and missing files of a bulk export again."`
	Cancel cancelCommand `cmd:"" group:"Exports" help:"Cancel a bulk export. Its stored files stay."`
	Verify verifyCommand `cmd:"" group:"Exports" help:"Check the files of a folder against its manifest, offline."`

	Sync syncCommand `cmd:"" group:"Exports" help:"Keep exports up to date: export each new day, week or month once it is over."`

	Describe describeCommand `cmd:"" group:"Exports" help:"Summarize stored files: events, people, frustration, columns."`
	Head     headCommand     `cmd:"" group:"Exports" help:"Print the first rows of stored files."`
	Convert  convertCommand  `cmd:"" group:"Exports" help:"Convert the files of a bulk export to Parquet, offline."`

	CopyText copyTextCommand `cmd:"" group:"Exports" name:"copy-text" help:"Print a Parquet file as text that COPY of PostgreSQL reads."`

	Query queryCommand `cmd:"" group:"Exports" help:"Answer a question in SQL about the rows of a bulk export, offline."`

	Segments segmentsCommand `cmd:"" group:"Exports" help:"List the segments of the account, or find one."`

	Stdio   stdioCommand   `cmd:"" group:"Servers" default:"withargs" help:"Serve MCP over stdin and stdout: what a host starts. This is the default."`
	Serve   serveCommand   `cmd:"" group:"Servers" help:"Serve MCP over HTTP, to programs on this machine or to callers with tokens."`
	Sandbox sandboxCommand `cmd:"" group:"Servers" help:"Run the simulated Fullstory alone."`

	Login      loginCommand      `cmd:"" group:"Setup" help:"Check an API key and keep it in the system's keychain, so that no configuration has it."`
	Logout     logoutCommand     `cmd:"" group:"Setup" help:"Remove the key that login kept."`
	Doctor     doctorCommand     `cmd:"" group:"Setup" help:"Check key, role, region, clock and folder, and print configuration for MCP hosts."`
	Install    installCommand    `cmd:"" group:"Setup" help:"Add the server to the configuration file of an MCP host, or remove it."`
	Probe      probeCommand      `cmd:"" group:"Setup" help:"Find out which assumptions about Fullstory's API hold for your account, and write a report."`
	Audit      auditCommand      `cmd:"" group:"Setup" help:"Print the audit log, one JSON object a line: who asked for which export, when, and with what result."`
	Migrate    migrateCommand    `cmd:"" group:"Setup" help:"Bring the tables of the ledger up to date, and give a database role what servers need."`
	Info       versionCommand    `cmd:"" group:"Setup" name:"version" help:"Print the version."`
	Completion completionCommand `cmd:"" group:"Setup" help:"Print a script that completes commands and flags in a shell."`
	Help       helpCommand       `cmd:"" group:"Setup" help:"Print the help of a command."`

	Man    manCommand         `cmd:"" hidden:"" help:"Print the manual page of the program."`
	Worker queryWorkerCommand `cmd:"" name:"query-worker" hidden:"" help:"Answer one question of query, which starts this."`
	Health healthcheckCommand `cmd:"" name:"healthcheck" hidden:"" help:"Check that a server on this machine is alive."`
}

// folder returns the absolute path of the folder of exported files. A leading ~ is the
// user's home.
func (c *config) folder(getenv func(string) string) (string, error) {
	dir := c.Dir
	if rest, ok := strings.CutPrefix(dir, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		home := homeOf(getenv)
		if home == "" {
			return "", fmt.Errorf("the folder %s is unknown, because HOME is not set and this user has no home: "+
				"give --dir or FULLSTORY_EXPORT_DIR", dir)
		}
		dir = filepath.Join(home, rest)
	}
	return filepath.Abs(dir)
}

// homeOf returns the user's home: HOME, or what the system's user database has, because
// hosts start programs without HOME; "" if there is none.
func homeOf(getenv func(string) string) string {
	if home := getenv("HOME"); home != "" {
		return home
	}
	if account, err := user.Current(); err == nil {
		return account.HomeDir
	}
	return ""
}

// database returns the address of the ledger: --database, or a SQLite file in dir, the
// folder of an account's files.
func (c *config) database(dir string) string {
	if c.Database != "" {
		return c.Database
	}
	return filepath.Join(dir, ".state", "ledger.db")
}

// checkDatabase returns an error if the ledger would be in a database of another kind.
func (c *config) checkDatabase() error {
	scheme, _, ok := strings.Cut(c.Database, "://")
	if !ok || scheme == "postgres" || scheme == "postgresql" {
		return nil
	}
	return fmt.Errorf("--database or FULLSTORY_EXPORT_DATABASE: got an address that begins with %s://; "+
		"give a postgres:// address, or the path of a file for SQLite", oneLine(scheme))
}

// budget returns how large an export may be that the user is not asked about.
func (c *config) budget() (*preflight.Budget, error) {
	switch {
	case c.ConfirmChunks < 0:
		return nil, errors.New("--confirm-chunks or FULLSTORY_EXPORT_CONFIRM_CHUNKS: give 0 or more")
	case !(c.ConfirmGB >= 0): // it may be NaN
		return nil, errors.New("--confirm-gigabytes or FULLSTORY_EXPORT_CONFIRM_GIGABYTES: give 0 or more")
	}
	return &preflight.Budget{Chunks: c.ConfirmChunks, Gigabytes: c.ConfirmGB}, nil
}

// zone returns the name of the default time zone, or an error if it is unknown.
func (c *config) zone() (string, error) {
	zone, err := plan.Zone(c.Timezone)
	if err != nil {
		if known, ok := errors.AsType[*plan.Error](err); ok {
			return "", fmt.Errorf("--timezone or FULLSTORY_EXPORT_TIMEZONE: %s", known.Text())
		}
		return "", fmt.Errorf("--timezone: %w", err)
	}
	return zone.String(), nil
}
