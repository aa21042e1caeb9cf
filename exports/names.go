package exports

import (
	"regexp"
	"strings"
	"sync"
)

// inTerminal maps the names of arguments, values and tools, which messages have in
// backticks, to the flags, commands and words that replace them in a terminal.
var inTerminal = map[string]string{
	"segment_id":               "--segment",
	"type":                     "--type",
	"scope":                    "--scope",
	"format":                   "--format",
	"fields":                   "--fields",
	"time_range":               "the range",
	"time_range.start":         "--from",
	"time_range.end":           "--to",
	"segment_time_range":       "--segment-window",
	"segment_time_range.start": "--segment-window",
	"segment_time_range.end":   "--segment-window",
	"timezone":                 "--timezone",
	"chunk":                    "--chunk",
	"name":                     "--name",
	"max_in_flight":            "--max-in-flight",
	"settle":                   "--settle",
	"confirm":                  "--yes",

	"now":              "the time of the request",
	"folder":           "the folder",
	"action":           "the action",
	"detail":           "the details",
	"target_rows":      "the target of rows",
	"target_megabytes": "the target of megabytes",
	"missing_from":     "what is stored",
	"operation_id":     "the id of the export",
	"bulk_id":          "the name of the export",
	"dry_run":          "a dry run",
	"like_bulk_id":     "the earlier export",
	"wait_seconds":     "time to wait",
	"offset":           "the offset",
	"retry_failed":     "fullstory-export-mcp retry",

	"check_connection":        "doctor",
	"start_bulk_export":       "run",
	"create_segment_export":   "run",
	"list_segments":           "fullstory-export-mcp segments",
	"plan_time_chunks":        "fullstory-export-mcp plan",
	"get_export_operation":    "the state of the export",
	"list_export_operations":  "the list of exports",
	"cancel_export_operation": "a cancellation",
	"download_export":         "the download",
	"get_bulk_export":         "fullstory-export-mcp status",
	"list_bulk_exports":       "fullstory-export-mcp list",
	"control_bulk_export":     "run",
	"describe_export":         "fullstory-export-mcp describe",
	"query_export":            "fullstory-export-mcp query",
	"sync_export":             "fullstory-export-mcp sync",
	"list_syncs":              "fullstory-export-mcp sync list",
	"every":                   "--every",
	"at":                      "--at",
	"from":                    "--from",
	"lag":                     "--lag",
	"catch_up":                "--catch-up",
	"source":                  "the source",
	"columns":                 "--columns",
}

// utcToo matches a range or instant in UTC that follows the same one in the zone of a request.
var utcToo = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`, in UTC (?:the beginning|[0-9T:.-]+Z) to (?:that time|[0-9T:.-]+Z)|` +
		`([+-][0-9]{2}:[0-9]{2}) \([0-9-]{10}T[0-9:.]+Z\)`)
})

// inFlags replaces values as the API writes them.
var inFlags = sync.OnceValue(func() *strings.Replacer {
	return strings.NewReplacer(
		"TYPE_EVENT", "--type events", "TYPE_PAGES", "--type pages", "TYPE_SESSIONS", "--type sessions",
		"TYPE_INDIVIDUAL", "--type individuals", "SCOPE_EVENTS", "--scope events", "SCOPE_PAGES", "--scope pages",
		"SCOPE_SESSIONS", "--scope sessions", "SCOPE_INDIVIDUALS", "--scope individuals",
		"FORMAT_NDJSON", "--format ndjson", "FORMAT_JSON", "--format json", "FORMAT_CSV", "--format csv",
	)
})

// ForTerminal returns a message for a terminal: flags and commands replace the names of
// arguments and tools in backticks, and the values as the API writes them. Other text in
// backticks stays as it is. Times are in the zone of the request only.
func ForTerminal(message string) string {
	return inFlags().Replace(utcToo().ReplaceAllString(named(message), "$1"))
}

// named replaces names in backticks; see ForTerminal.
func named(message string) string {
	var b strings.Builder
	for {
		before, rest, open := strings.Cut(message, "`")
		name, after, closed := strings.Cut(rest, "`")
		b.WriteString(before)
		if !open || !closed {
			b.WriteString(message[len(before):])
			return b.String()
		}
		if shown, known := inTerminal[name]; known {
			b.WriteString(shown)
			message = after
			continue
		}
		b.WriteString("`" + name)
		message = "`" + after // a backtick that closes one pair may open the next
		if !strings.Contains(after, "`") {
			b.WriteString(message)
			return b.String()
		}
	}
}

// flagOf returns the name of an argument of a tool in a terminal; "" if what is wrong there
// is not what the user wrote, but the state of an export.
func flagOf(field string) string {
	switch field {
	case "time_range":
		return "--from"
	case "bulk_id":
		return "NAME"
	case "action":
		return ""
	}
	if shown, known := inTerminal[field]; known {
		return shown
	}
	return field
}
