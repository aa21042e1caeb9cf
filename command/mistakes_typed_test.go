//go:build unix

package command

// mistake is a command line that a new user may type, and the line that it gets.
type mistake struct {
	args   string // S are the flags of a sandbox, D is its folder, and PORT is a port in use
	env    string // a variable that is set
	status int    // 0: 2
	says   string // BULK is the id of a bulk export
}

// mistakes are made by TestMistakes.
func mistakes() []mistake {
	return []mistake{
		{
			args: "list", status: 1,
			says: "No Fullstory API key is set. Run `fullstory-export-mcp login` in a terminal, which asks for a key of " +
				"the Architect role (in Fullstory: Settings, Integrations, API Keys), or set FULLSTORY_API_KEY or " +
				"FULLSTORY_API_KEY_FILE and restart this program. To try it on simulated data without a key, start it " +
				"with --sandbox.",
		},
		{
			args: "login na1.abc/DEF",
			says: "login takes no key as an argument, because others can see it there: it asks for the key, or reads it " +
				"from stdin; if this was a key, replace it at Fullstory",
		},
		{
			args: "list --api-key na1.abc/DEF",
			says: "unknown flag --api-key; a key on a command line is seen by others: fullstory-export-mcp login asks for " +
				"it, or set FULLSTORY_API_KEY",
		},
		{
			args: "login",
			says: "no key was given; run login in a terminal and paste the key, or pipe it in: fullstory-export-mcp " +
				"login < FILE",
		},
		{
			args: "auth", says: `unknown command auth, did you mean "login"?`,
		},
		{
			args: "list", env: `FULLSTORY_API_KEY="na1.abc/DEF"`, status: 1,
			says: "FULLSTORY_API_KEY: the API key is in quotation marks; leave them out. Correct the configuration of " +
				"this program.",
		},
		{
			args: "list", env: "FULLSTORY_API_KEY=Basic na1.abc", status: 1,
			says: `FULLSTORY_API_KEY: the API key begins with "Basic "; leave that out. Correct the configuration of ` +
				"this program.",
		},
		{
			args: "run",
			says: "run needs --from and --segment, such as --from 2026-09-01 --segment everyone; fullstory-export-mcp " +
				"segments lists the segments",
		},
		{
			args: "run everyone",
			says: `"everyone" is one argument too many: run takes only flags; fullstory-export-mcp run --help lists ` +
				"the flags",
		},
		{
			args: "run -segment everyone",
			says: "unknown flag -segment: the long name of a flag has two dashes, --segment",
		},
		{
			args: "run S -- --segment everyone",
			says: "--segment follows --, after which nothing counts as a flag; leave the -- out",
		},
		{
			args: "run S --segment everyone --from 2026-11-01 --to",
			says: "--to needs a value: --to TIME",
		},
		{
			args: "run S --segment everyone --to --from 2026-11-01",
			says: "--to needs a value: --to TIME; it is followed by --from",
		},
		{
			args: "run S --segment everyone --from 2026-09-05 --to 2026-09-01",
			says: `--to: got "2026-09-01": the end is before the start, 2026-09-05T00:00:00Z; swap them or correct one`,
		},
		{
			args: "run S --segment everyone --from 2026-09-05T10:00:00Z",
			says: "--to: the start is an instant, so give an end too; for everything up to this moment write now",
		},
		{
			args: "run S --segment everyone --from 2026/09/01",
			says: `--from: got "2026/09/01": write the date as 2026-09-01`,
		},
		{
			args: "run S --segment everyone --from 2026-11-01 --max-in-flight many",
			says: `--max-in-flight: got "many"; give a whole number, such as 10`,
		},
		{
			args: "run S --segment everyone --from 2026-11-01 --max-in-flight -1",
			says: `--max-in-flight: got "-1"; give a number of 0 or more`,
		},
		{
			args: "run S --segment everyone --from 2026-11-01 --target-rows 10k",
			says: `--target-rows: got "10k"; give a whole number, such as 10`,
		},
		{
			args: "run S --segment everyone --from 2026-11-01 --dry-run",
			says: "unknown flag --dry-run; fullstory-export-mcp plan shows what run would do",
		},
		{
			args: "run S --segment everyone --from 2026-11-01 --max-in-flight=65",
			says: "--max-in-flight: got 65; give a whole number from 1 to 64",
		},
		{
			args: "run S --segment everyone --from 2026-11-01 --target-rows=-5",
			says: "--target-rows: got -5; give a whole number of 1 or more",
		},
		{
			args: "run S --segment everyone --from 2026-11-01 --yes=perhaps",
			says: `--yes: got "perhaps"; give true or false`,
		},
		{
			args: "run S --segment rageclickers --from 2026-11-01",
			says: `--segment: no segment has the id or name "rageclickers". Near ones: "Rage clickers" (rageClicks). ` +
				"Take one from fullstory-export-mcp segments, or everyone for all people.",
		},
		{
			args: "run S --segment everyone --from 2026-11-02 --name one",
			says: "--name: the bulk export one was started before with another request, and is complete. Give another " +
				"name, or the request of that export to resume it (its id is BULK).",
		},
		{
			args: "run S --segment everyone --from 2026-11-02 --name ONE",
			says: "--name: the bulk export one was started before with another request, and is complete. Give another " +
				"name, or the request of that export to resume it (its id is BULK).",
		},
		{
			args: "run --sandbox --dir D/file --segment everyone --from 2026-11-01", status: 1,
			says: "the folder D/file cannot be used (D/file/.state/sandbox: not a directory); name one with --dir in " +
				"which you may write",
		},
		{
			args: "plan --segment everyone",
			says: "plan needs --from, such as --from 2026-09-01; fullstory-export-mcp plan --help lists the flags",
		},
		{
			args: "list S --timezone Berlin",
			says: `--timezone or FULLSTORY_EXPORT_TIMEZONE: got "Berlin": no zone of the IANA database has this name; ` +
				"did you mean Europe/Berlin?",
		},
		{
			args: "list S --timezone EST5",
			says: `--timezone or FULLSTORY_EXPORT_TIMEZONE: got "EST5": no zone of the IANA database has this name; ` +
				"write it like Europe/Berlin, without an abbreviation such as CEST or an offset such as +02:00",
		},
		{
			args: "list S", env: "FULLSTORY_EXPORT_TIMEZONE=Berlin",
			says: `--timezone or FULLSTORY_EXPORT_TIMEZONE: got "Berlin": no zone of the IANA database has this name; ` +
				"did you mean Europe/Berlin?",
		},
		{
			args: "list S extra",
			says: `"extra" is one argument too many: list takes only flags; fullstory-export-mcp list --help lists the ` +
				"flags",
		},
		{
			args: "list -json",
			says: "unknown flag -json: the long name of a flag has two dashes, --json",
		},
		{
			args: "list --jsn",
			says: `unknown flag --jsn, did you mean "--json"?`,
		},
		{
			args: "list --colour never",
			says: `unknown flag --colour, did you mean "--color"?`,
		},
		{
			args: "list --color sometimes",
			says: `--color: got "sometimes"; give auto, always or never`,
		},
		{
			args: "list", env: "FULLSTORY_EXPORT_LOG_LEVEL=loud",
			says: `FULLSTORY_EXPORT_LOG_LEVEL: got "loud"; give debug, info, warn or error`,
		},
		{
			args: "list", env: "FULLSTORY_EXPORT_READ_ONLY=maybe",
			says: `FULLSTORY_EXPORT_READ_ONLY: got "maybe"; give true or false`,
		},
		{
			args: "list --sandbox-seed x",
			says: `--sandbox-seed: got "x"; give a whole number of 0 or more, such as 10`,
		},
		{
			args: "list --dir",
			says: "--dir needs a value: --dir FOLDER",
		},
		{
			args: "list S --database mysql://host/name",
			says: "--database or FULLSTORY_EXPORT_DATABASE: got an address that begins with mysql://; give a " +
				"postgres:// address, or the path of a file for SQLite",
		},
		{
			args: "list S --mirror https://bucket.s3.amazonaws.com",
			says: `--mirror: The address of the mirror, "https://bucket.s3.amazonaws.com", is not of the form ` +
				"s3://bucket/prefix. Correct it.",
		},
		{
			args: "status",
			says: "NAME is missing: it is the name or id of the bulk export; write fullstory-export-mcp status NAME",
		},
		{
			args: "status S two",
			says: `NAME: no bulk export of this account has the id or name "two". Take one from fullstory-export-mcp ` +
				"list.",
		},
		{
			args: "status S one two",
			says: `"two" is one argument too many: status takes one NAME; put a name with spaces in quotes`,
		},
		{
			args: "status S one --watch=maybe",
			says: `--watch: got "maybe"; give true or false`,
		},
		{
			args: "cancel S one", status: 1,
			says: "a bulk export that is complete cannot be changed with cancel. It is complete; fullstory-export-mcp " +
				"retry exports again what is missing on disk.",
		},
		{
			args: "resume S one", status: 1,
			says: "a bulk export that is complete cannot be changed with resume. It is complete; fullstory-export-mcp " +
				"retry exports again what is missing on disk.",
		},
		{
			args: "verify",
			says: "FOLDER is missing: it is the name of an export, or a folder with its manifest.json; write " +
				"fullstory-export-mcp verify FOLDER",
		},
		{
			args: "verify D/nothing", status: 1,
			says: "D/nothing cannot be opened: no such file or directory; give the folder of an export or its " +
				"name, which fullstory-export-mcp list lists",
		},
		{
			args: "verify D/file", status: 1,
			says: "D/file cannot be opened: it is not a folder; give the folder with the file: fullstory-export-mcp " +
				"verify D",
		},
		{
			args: "verify D/one/manifest.json", status: 1,
			says: "D/one/manifest.json cannot be opened: it is not a folder; give the folder with the file: " +
				"fullstory-export-mcp verify D/one",
		},
		{
			args: "verify D/.state", status: 1,
			says: "D/.state has no manifest.json: give the folder of an export",
		},
		{
			args: "export",
			says: `unknown command export, did you mean "run"?`,
		},
		{
			args: "token anna",
			says: `unknown command token, did you mean "serve token"?`,
		},
		{
			args: "doctor confg",
			says: `unknown command doctor confg, did you mean "doctor config"?`,
		},
		{
			args: "doctor config",
			says: "HOST is missing: it is one of claude-desktop, claude-code, vscode, cursor, windsurf, zed, codex, gemini " +
				"or goose; write fullstory-export-mcp doctor config HOST",
		},
		{
			args: "doctor config emacs",
			says: `HOST: got "emacs"; give claude-desktop, claude-code, vscode, cursor, windsurf, zed, codex, gemini or goose`,
		},
		{
			args: "doctor S --tools list_segment",
			says: `unknown tool "list_segment"; there are check_connection, list_segments, plan_time_chunks, ` +
				"create_segment_export, get_export_operation, list_export_operations, cancel_export_operation, " +
				"download_export, start_bulk_export, get_bulk_export, list_bulk_exports, control_bulk_export, " +
				"sync_export, list_syncs, describe_export, query_export",
		},
		{
			args: "completion powershell",
			says: `SHELL: got "powershell"; give bash, zsh or fish`,
		},
		{
			args: "serve tokens",
			says: `unknown command serve tokens, did you mean "serve token"?`,
		},
		{
			args: "serve --port 8931",
			says: "unknown flag --port; give --addr 127.0.0.1:PORT",
		},
		{
			args: "serve S --addr 0.0.0.0:8931",
			says: "--addr 0.0.0.0:8931: other machines can reach this address, and anybody there could use the API " +
				"key; give --callers FILE with at least one caller (serve token creates one), --oauth-issuer, or an " +
				"address of this machine only, such as 127.0.0.1:8931",
		},
		{
			args: "serve S --addr 8931",
			says: "--addr 8931: give HOST:PORT, such as 127.0.0.1:8931",
		},
		{
			args: "serve S --addr 127.0.0.1:PORT", status: 1,
			says: "--addr 127.0.0.1:PORT cannot be used: bind: address already in use; give another port, or stop the " +
				"program that uses this one",
		},
		{
			args: "audit --dir D/ --since 2026-13-01",
			says: `--since: got "2026-13-01": there is no such date; write a date 2026-10-01, a month 2026-10, ` +
				"2026-Q3, 2026-W40, an interval with /, an RFC 3339 instant, date math such as now-30d/d, or now, " +
				"today, yesterday, last_7_days, last_week, last_month, last_quarter, this_week, this_month, " +
				"this_quarter",
		},
		{
			args: "run --foo --help",
			says: `unknown flag --foo, did you mean one of "--from", "--to"?`,
		},
	}
}
