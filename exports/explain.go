package exports

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/download"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/rows"
	"fullstory-export-mcp/schema"
)

// Explain puts a failure into words. All texts of failures that a caller reads are made
// here and in the files beside this one. It finds errors that err wraps; the first
// explainer that knows one decides.
func Explain(err error) Explanation {
	explainers := []func(error) (Explanation, bool){
		explained, explainArguments, explainQuota,
		explainLedger, explainDisk, explainMirror, explainTable, explainDatabase, explainFile, explainAPI, explainEnded,
	}
	for _, explain := range explainers {
		if x, ok := explain(err); ok {
			return x
		}
	}
	return Explanation{
		Kind: Internal, Cause: "Internal error: " + err.Error() + ".",
		Remedy:   "The server's log has the details; a retry may or may not help.",
		Terminal: "Run the command with --log-level debug for details.",
	}
}

// explained covers errors that were explained where they occurred.
func explained(err error) (Explanation, bool) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Explanation, true
	}
	return Explanation{}, false
}

// explainArguments covers arguments that the caller can correct.
func explainArguments(err error) (Explanation, bool) {
	x := Explanation{Kind: Arguments, Wrong: wrongArguments(err)}
	return x, len(x.Wrong) > 0
}

// wrongArguments returns every wrong argument that err, or an error that it wraps or
// joins, is about.
func wrongArguments(err error) (all []WrongArgument) {
	switch e := err.(type) {
	case *plan.Error:
		return []WrongArgument{{e.Field, e.Text()}}
	case *schema.Invalid:
		return []WrongArgument{{"", e.Error()}}
	case interface{ Unwrap() []error }:
		for _, joined := range e.Unwrap() {
			all = append(all, wrongArguments(joined)...)
		}
	case interface{ Unwrap() error }:
		return wrongArguments(e.Unwrap())
	}
	return all
}

// explainQuota covers an account that has too much open.
func explainQuota(err error) (Explanation, bool) {
	e, ok := errors.AsType[*ledger.QuotaError](err)
	if !ok {
		return Explanation{}, false
	}
	x := Explanation{
		Kind: Quota, Retry: RetryAfter,
		Remedy: "Wait until some are complete, or cancel what is not needed: `list_bulk_exports` shows them, " +
			"`control_bulk_export` with the action cancel ends one.",
		Terminal: "Wait until some are complete, or cancel what is not needed with the tools of an assistant.",
	}
	open := e.Open
	if open.Exports() > e.Quota.Exports {
		x.Cause = fmt.Sprintf("Nothing was started: with this one, the account would have %s open (%s and %s), "+
			"and %d is the limit.", Counted(open.Exports(), "export"), Counted(open.Bulks, "bulk export"),
			Counted(open.Singles, "single one"), e.Quota.Exports)
		return x, true
	}
	x.Cause = fmt.Sprintf("Nothing was started: with this one, the account would have %s open (in %s), "+
		"and %d is the limit.", Counted(open.Chunks+e.More, "chunk"), Counted(open.Exports(), "export"), e.Quota.Chunks)
	x.Remedy += " A longer `chunk` needs fewer of them."
	x.Terminal += " A longer `chunk` needs fewer of them."
	return x, true
}

// explainLedger covers a ledger that cannot be read or written.
func explainLedger(err error) (Explanation, bool) {
	l, ok := errors.AsType[*ledger.Error](err)
	if !ok {
		return Explanation{}, false
	}
	x := Explanation{Kind: Ledger, Cause: l.Message, Remedy: l.Remedy, Operator: true, Retry: RetryWorks}
	if l.Busy {
		x.Retry = RetrySafeLater
	}
	return x, true
}

// explainDisk covers a folder that cannot be written.
func explainDisk(err error) (Explanation, bool) {
	d, ok := errors.AsType[*archive.DiskError](err)
	if !ok {
		return Explanation{}, false
	}
	x := Explanation{
		Kind: Disk, Cause: d.Error(), Remedy: "Check that folder and its disk.", Operator: true, Retry: RetryWorks,
	}
	switch {
	case d.Need+d.Keep > 0, errors.Is(d.Err, syscall.ENOSPC), errors.Is(d.Err, syscall.EDQUOT):
		x.Remedy = "Free some space there."
	case errors.Is(d.Err, fs.ErrPermission), errors.Is(d.Err, syscall.EROFS):
		x.Remedy = "Give this program write access there."
	case errors.Is(d.Err, local.ErrNotRegular), errors.Is(d.Err, local.ErrNotFolder):
		x.Remedy = "Move it away."
	}
	if _, open := errors.AsType[*local.OpenError](d.Err); open {
		x.Remedy = "Run that command, or give the program a new folder inside it (FULLSTORY_EXPORT_DIR)."
	}
	return x, true
}

// explainMirror covers a mirror that cannot be used.
func explainMirror(err error) (Explanation, bool) {
	m, ok := errors.AsType[*mirror.Error](err)
	if !ok {
		return Explanation{}, false
	}
	x := Explanation{Kind: Mirror, Cause: m.Message, Remedy: m.Remedy, Operator: true, Retry: RetryWorks}
	if m.Temporary {
		x.Retry = RetrySafeLater
	}
	return x, true
}

// explainFile covers files that could not be fetched or are damaged.
func explainFile(err error) (Explanation, bool) {
	x := Explanation{Kind: File}
	if e, ok := errors.AsType[*archive.ManifestError](err); ok {
		x.Cause = e.Error() + "."
		x.Remedy, x.Operator, x.Retry = "Move that file away, or put back an intact copy.", true, RetryWorks
	} else if e, ok := errors.AsType[*rows.Error](err); ok {
		x.Cause = fmt.Sprintf("The file from Fullstory failed verification (%s), so it was not kept.",
			client.Plain(e.Reason, 300))
		x.Remedy = "Call `download_export` once more; if the file is damaged again, create the export anew."
		x.Terminal = "Run the command again to export it once more."
		if e.TooLarge {
			x.Remedy = "Request a smaller window, or call `start_bulk_export` with a smaller `chunk`."
			x.Terminal = "Run the command again with a smaller --chunk."
		}
	} else if e, ok := errors.AsType[*download.LinkError](err); ok {
		return explainLink(e), true
	} else if e, ok := errors.AsType[*download.TransferError](err); ok {
		text := client.Plain(e.Error(), 300)
		x.Cause = strings.ToUpper(text[:1]) + text[1:] + ". What arrived is kept."
		x.Remedy, x.Terminal = "Call `download_export` again to resume it.", "Run the command again to resume it."
	} else if _, ok := errors.AsType[*archive.BusyError](err); ok {
		x.Cause = "Another process on this machine is fetching the file."
		x.Remedy, x.Terminal = "Call `download_export` again in a few seconds.", "Wait until it has finished."
		x.After = queuePause
	} else if e, ok := errors.AsType[*archive.ConflictError](err); ok {
		x.Cause = e.Path + " exists already with other content, and was left alone."
		x.Remedy, x.Operator, x.Retry = "Move that file away.", true, RetryWorks
	} else {
		return x, false
	}
	return x, true
}

// explainLink covers links to files that were not followed, or that the store rejected.
func explainLink(e *download.LinkError) Explanation {
	if e.Unlisted {
		return Explanation{
			Kind:   File,
			Cause:  fmt.Sprintf("The link from the API was not followed: %s.", client.Clean(e.Reason, 400)),
			Remedy: "Check that files of exports come from that host, and if so, add it to FULLSTORY_EXPORT_STORAGE_HOST.",
			Terminal: "Check that files of exports come from that host, and if so, add --storage-host for it " +
				"(FULLSTORY_EXPORT_STORAGE_HOST).",
			Operator: true, Retry: RetryAfter,
		}
	}
	if e.Status == 0 {
		return Explanation{
			Kind: File,
			Cause: fmt.Sprintf("The link from the API was not followed: %s. This program fetches only from public https "+
				"addresses.", client.Plain(e.Reason, 300)),
			Remedy: "Check the address of the API (FULLSTORY_API_URL).", Operator: true, Retry: RetryAfter,
		}
	}
	return Explanation{
		Kind:   File,
		Cause:  fmt.Sprintf("The store of the files rejected the link (%d), and a fresh one did not help.", e.Status),
		Remedy: "If the export has expired, create it again; otherwise a retry in a minute may help.",
		After:  failurePause, Terminal: "Run the command again in a minute: what has expired is exported again.",
	}
}

// explainEnded covers calls that were ended before their work was done.
func explainEnded(err error) (Explanation, bool) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		cause := "The call took longer than 20 seconds and was ended."
		return Explanation{Kind: Ended, Cause: cause, Retry: RetrySafe}, true
	case errors.Is(err, context.Canceled):
		return Explanation{
			Kind: Ended, Cause: "The call was cancelled.",
			Remedy: "Call again if it is still wanted.", Terminal: "Run the command again if it is still wanted.",
		}, true
	}
	return Explanation{}, false
}

// reason is the API's message or the failure of the connection, at most 300 characters
// long.
func reason(e *client.Error) string { return client.Clean(e.Words(), 300) }
