//go:build unix

package command

// spokenMistakes are mistakes that people make who know other programs, or write as they
// speak. ␠ is a space within an argument.
func spokenMistakes() []mistake {
	const everyone = "run S --segment everyone --from 2026-11-01 "
	return []mistake{
		{
			args: "run S --segment everyone --from october",
			says: `--from: got "october": not understood; write a month with its year and number, such as 2026-10`,
		},
		{
			args: "run S --segment everyone --from Oct␠2026",
			says: `--from: got "Oct 2026": not understood; write a month with its year and number, such as 2026-10`,
		},
		{
			args: "run S --segment everyone --from 7d",
			says: `--from: got "7d": not understood; did you mean now-7d?`,
		},
		{
			args: "run S --segment everyone --from last-week",
			says: `--from: got "last-week": not understood; did you mean last_week?`,
		},
		{
			args: "run S --segment everyone --from 1759276800",
			says: `--from: got "1759276800": not understood; if these are seconds since 1970, write 2025-10-01T00:00:00Z`,
		},
		{
			args: "run S --segment everyone --from 2026-10-01T00:00:00+0200 --to now",
			says: `--from: got "2026-10-01T00:00:00+0200": not understood; write the offset with a colon: ` +
				"2026-10-01T00:00:00+02:00",
		},
		{
			args: everyone + "--format parquet",
			says: "--format: Fullstory exports no Parquet; leave --format out and add --parquet, which converts the files here",
		},
		{
			args: everyone + "--chunk 1m",
			says: `--chunk: got "1m": this may be minutes or months; write 1min, or month`,
		},
		{
			args: everyone + "--fields",
			says: "--fields needs a value: --fields NAME,...",
		},
		{
			args: everyone + "--fields EventStart␠UserId",
			says: `--fields: got "EventStart UserId"; write a comma between columns, without spaces: ` +
				"--fields EventStart,UserId",
		},
		{
			args: everyone + "--name ..",
			says: `--name: got "..": it names a folder in the folder of --dir, so it cannot be a path; give another ` +
				"place with --dir",
		},
		{
			args: "list S --limit 0",
			says: "--limit: got 0; give a whole number of 1 or more",
		},
		{
			args: "LIST",
			says: `unknown command LIST, did you mean "list"?`,
		},
		{
			args: "-V",
			says: "unknown flag -V; give --version",
		},
		{
			args: "verify two --dir D/", status: 1,
			says: "two cannot be opened: no such file or directory; give the folder of an export or its name, " +
				"which fullstory-export-mcp list lists",
		},
		{
			args: "query one --dir D/",
			says: "SQL is missing: it is the one SELECT, in SQLite's SQL, over the table rows; write " +
				"fullstory-export-mcp query SOURCE SQL",
		},
		{
			args: "query SELECT␠1 one --dir D/",
			says: "SOURCE: got SQL; the export comes first: fullstory-export-mcp query one 'SELECT 1'",
		},
		{
			args: "sync",
			says: "sync needs a command after it: add, change, list, run, pause, resume, remove or adopt; " +
				"fullstory-export-mcp " +
				"sync --help says what each does",
		},
		{
			args: "sync rm daily",
			says: `unknown command sync rm, did you mean "sync remove"?`,
		},
		{
			args: "sync status",
			says: `unknown command sync status, did you mean "sync list"?`,
		},
		{
			args: "sync run nope S",
			says: `NAME: no sync of this account has the name "nope". Take one from fullstory-export-mcp sync list.`,
		},
		{
			args: "sync add a/b S --segment everyone",
			says: `NAME: got "a/b": it names a folder in the folder of --dir, so it cannot be a path`,
		},
		{
			args: "sandbox --now yesterday",
			says: `--now: got "yesterday"; give an instant with its offset, such as 2026-11-25T12:00:00Z`,
		},
		{
			args: "sandbox --addr 80",
			says: "--addr 80: give HOST:PORT, such as 127.0.0.1:8931",
		},
		{
			args: "serve S --addr 127.0.0.1:99999",
			says: "--addr 127.0.0.1:99999: give a port from 0 to 65535",
		},
		{
			args: "list --api-url api.fullstory.com", env: "FULLSTORY_API_KEY=na1.abc", status: 1,
			says: "the API address (FULLSTORY_API_URL) is not a URL such as https://api.fullstory.com. Correct the " +
				"configuration of this program.",
		},
	}
}
