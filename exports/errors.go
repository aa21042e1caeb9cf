package exports

import (
	"errors"
	"fmt"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/plan"
)

// Error is a failure with an explanation made where it occurred. Err is its cause, and
// may be nil.
type Error struct {
	Explanation
	Err error
}

// Error returns the text for a terminal or the log.
func (e *Error) Error() string { return e.Explanation.ForTerminal() }
func (e *Error) Unwrap() error { return e.Err }

// Errors of Start and Control.
var (
	ErrTaken      = errors.New("the name belongs to another bulk export")
	ErrWrongState = errors.New("the action does not fit the state of the bulk export")
)

// ErrStopping ends the calls of a server that is being stopped.
var ErrStopping error = &Error{Explanation: Explanation{
	Kind:   Ended,
	Cause:  "The server is being restarted, so this call was ended. What was started continues.",
	Remedy: "Call again in a few seconds.", Terminal: "Run the command again in a few seconds.", After: queuePause,
}}

// Misconfigured is the error of a configuration that cannot be used.
func Misconfigured(err error) error {
	return &Error{Err: err, Explanation: Explanation{
		Kind: Setup, Cause: err.Error() + ".", Operator: true, Retry: RetryAfter,
		Remedy: "Correct the configuration of this program.",
	}}
}

// Bug is the error of a panic. id is that of the log line with the details.
func Bug(id string) error {
	return &Error{Explanation: Explanation{
		Kind:     Internal,
		Cause:    "Internal error " + id + ": a bug of this program, whose log has the details under that id.",
		Remedy:   "The arguments may be fine; a retry will probably fail in the same way.",
		Terminal: "Report it together with the log.",
	}}
}

// wrong is the error of an argument that cannot be used.
func wrong(field, format string, args ...any) error {
	return &plan.Error{Field: field, Message: fmt.Sprintf(format, args...)}
}

// taken is the error of a name that belongs to another bulk export.
func taken(b ledger.Bulk) error {
	return &Error{Err: ErrTaken, Explanation: Explanation{Kind: Arguments, Wrong: []WrongArgument{{"name", fmt.Sprintf(
		"the bulk export %s was started before with another request, and is %s. Give another name, or the request of that "+
			"export to resume it (its id is %s).", b.Name, b.State, b.ID)}}}}
}

// wrongState is the error of an action that does not fit the state of a bulk export.
func wrongState(action Action, state ledger.BulkState) error {
	return &Error{Err: ErrWrongState, Explanation: Explanation{Kind: Arguments, Wrong: []WrongArgument{{"action",
		sentences(fmt.Sprintf("a bulk export that is %s cannot be changed with %s.", state, action), actionsFor[state])}}}}
}

// keptUpToDate is the error of a cancellation of a bulk export to which a sync adds windows.
func keptUpToDate(s ledger.Sync) error {
	return &Error{Err: ErrWrongState, Explanation: Explanation{Kind: Arguments, Wrong: []WrongArgument{{"action",
		fmt.Sprintf("the sync %s keeps this bulk export up to date. Pause or remove the sync with `sync_export` instead.",
			s.Name)}}}}
}

// actionsFor has for a state what can be done to a bulk export instead.
var actionsFor = map[ledger.BulkState]string{
	ledger.BulkComplete:  "It is complete; `retry_failed` exports again what is missing on disk.",
	ledger.BulkPartial:   "Its failed chunks and missing files are exported again with `retry_failed`.",
	ledger.BulkFailed:    "Its chunks are retried with `retry_failed`.",
	ledger.BulkCancelled: "To export the same rows after all, start it anew under another name.",
}

// unknownBulk explains ledger.ErrNotFound of a bulk export; it returns any other error
// unchanged. id is the id or name that was asked for.
func unknownBulk(id string, err error) error {
	if !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	text := fmt.Sprintf("no bulk export of this account has the id or name %q. Take one from `list_bulk_exports`.",
		client.Clean(id, 100))
	return &Error{Err: err, Explanation: Explanation{Kind: Arguments, Wrong: []WrongArgument{{"bulk_id", text}}}}
}

// unrecorded is the error of an export that was started at Fullstory but could not be
// recorded on disk.
func unrecorded(operationID string, err error) error {
	inner := Explain(err)
	remedy := "Do not create it again; follow it with `get_export_operation`."
	if inner.Operator {
		remedy += " " + asTheUser + lowered(inner.Remedy)
	}
	return &Error{Err: err, Explanation: Explanation{
		Kind: Uncertain,
		Cause: fmt.Sprintf("The export was started as operation %s, but it could not be recorded: %s",
			operationID, inner.Cause),
		Remedy: remedy, Terminal: sentences("Do not start it again.", inner.Remedy),
	}}
}

// forbidden explains a 403 of the API by the role of the key.
func forbidden(e *client.Error, role client.Role) error {
	x := Explanation{Kind: Fullstory, Operator: true, Retry: RetryAfter}
	if role.CanExport() {
		x.Cause = fmt.Sprintf("Fullstory rejected the request (403: %s), although the key's role %s is enough. Possibly the "+
			"organisation lacks the segment export add-on.", reason(e), role)
		x.Remedy = "Check that with the Fullstory account manager."
	} else {
		x.Cause = fmt.Sprintf("Fullstory rejected the request (403: %s): the API key has the role %s, and exports need "+
			"Architect or Admin.", reason(e), role)
		x.Remedy = "Get a key of such a role from a Fullstory administrator, and then " + replaceKey(e) + "."
	}
	return &Error{Err: e, Explanation: x}
}
