package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/bulk"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/schema"
)

// SetupError is a server that was not given what it needs. Message says what.
type SetupError struct {
	Message string
	Key     string // variable of the API key, if that is what is missing or wrong
}

func (e *SetupError) Error() string {
	if e.Key == "" {
		return e.Message + ". The person who runs this server corrects it; a repeat does not help."
	}
	return e.Message + ". The person who runs this server sets " + e.Key + " (or " + e.Key + "_FILE) to a key of the Architect role, from Fullstory under Settings, Integrations, API Keys, or starts it with --sandbox to try it on simulated data."
}

// ErrStopping is what ends the calls of a server that is being stopped.
var ErrStopping = errors.New("the server is stopping")

// panicked is a bug: a panic of a tool, and the id by which the log has it.
type panicked struct {
	id    string
	value any
	stack []byte
}

func (p *panicked) Error() string { return "internal error " + p.id }

// Explain says an error as a tool would, for a command line.
func Explain(err error) string { return explain(err) }

// WrongArguments tells whether the caller can put err right in the call itself.
func WrongArguments(err error) bool {
	_, ok := explainArguments(err)
	return ok
}

// explain is the only writer of failure text that a model reads. It says the
// cause, the remedy and who carries it out, and whether a repeat helps.
func explain(err error) string {
	_, text := explained(err)
	return text
}

// explained says as well what kind of error it is: what is to blame, in a word.
func explained(err error) (kind, text string) {
	for _, known := range []struct {
		kind    string
		explain func(error) (string, bool)
	}{
		{"arguments", explainArguments}, {"uncertain", explainStarted}, {"arguments", explainSegment}, {"arguments", explainBulk},
		{"ledger", explainLedger}, {"disk", explainDisk}, {"mirror", explainMirror}, {"file", explainFile}, {"fullstory", explainAPI},
		{"setup", explainSetup}, {"ended", explainEnded}, {"internal", explainBug},
	} {
		if text, ok := known.explain(err); ok {
			return known.kind, text
		}
	}
	return "internal", "Internal error: " + err.Error() + ". The server's log has the details; a repeat may or may not help."
}

// explainArguments covers what the caller can put right in the call itself.
func explainArguments(err error) (string, bool) {
	var invalid *schema.Invalid
	var refused *preflight.Refusal
	var time *plan.Error
	switch {
	case errors.As(err, &invalid):
		return "Invalid arguments; correct them and call again.\n" + invalid.Error(), true
	case errors.As(err, &refused):
		return "Invalid arguments; correct them and call again.\n" + refused.Error(), true
	case errors.As(err, &time):
		return "Invalid arguments; correct them and call again.\n" + err.Error(), true
	}
	return "", false
}

// explainStarted covers exports that exist, or may, although the call failed.
func explainStarted(err error) (string, bool) {
	var lost *unrecorded
	if errors.As(err, &lost) {
		return fmt.Sprintf("The export was started, its operation_id is %s, but it could not be written down. Do not create it again: follow it with get_export_operation. What went wrong: %s", lost.operationID, explain(lost.err)), true
	}
	var failed *client.Error
	if errors.As(err, &failed) && failed.Uncertain {
		return fmt.Sprintf("Fullstory broke off while the export was being created (%s), so it may have been accepted. The arguments may be fine. Look in list_export_operations for an operation created just now before calling create_segment_export again: a repeat could start a second export.", reason(failed)), true
	}
	return "", false
}

func explainSegment(err error) (string, bool) {
	var s *preflight.SegmentError
	if !errors.As(err, &s) {
		return "", false
	}
	asked := clean(s.Asked, 100)
	if len(s.Matches) > 0 {
		var ids []string
		for _, m := range s.Matches {
			ids = append(ids, clean(m.ID, 100))
		}
		return fmt.Sprintf("segment_id: %d segments are named %q. Give the id instead, one of: %s.", len(s.Matches), asked, strings.Join(ids, ", ")), true
	}
	text := fmt.Sprintf("segment_id: no segment has the id or name %q.", asked)
	for i, n := range s.Near {
		text += map[bool]string{true: " Near ones: ", false: ", "}[i == 0] + fmt.Sprintf("%q (%s)", clean(n.Name, 100), clean(n.ID, 100))
	}
	return text + " list_segments lists those there are; everyone is all people.", true
}

// explainBulk covers bulk exports that are another, or none.
func explainBulk(err error) (string, bool) {
	var taken *bulk.TakenError
	var state *bulk.StateError
	var unknown *unknownBulk
	switch {
	case errors.As(err, &taken):
		return fmt.Sprintf("name: the bulk export %s was started before with another request, and is %s. Give another name, or the request of that one to let it go on (get_bulk_export with %s tells of it).", taken.Name, taken.Bulk.State, taken.Bulk.ID), true
	case errors.As(err, &state):
		return fmt.Sprintf("action: a bulk export that is %s cannot be changed with %s. %s", state.State, state.Action, actionsFor[state.State]), true
	case errors.As(err, &unknown) && errors.Is(err, ledger.ErrUnknown):
		return fmt.Sprintf("bulk_id: no bulk export of this account has the id or name %q. list_bulk_exports lists those there are.", clean(unknown.id, 100)), true
	}
	return "", false
}

// actionsFor say what can be done to a bulk export instead.
var actionsFor = map[ledger.BulkState]string{
	ledger.BulkComplete:  "It is complete; retry_failed exports again what is missing on disk.",
	ledger.BulkPartial:   "retry_failed tries its failed chunks again.",
	ledger.BulkFailed:    "retry_failed tries its chunks again.",
	ledger.BulkCancelled: "start_bulk_export with another name starts it anew.",
}

func explainLedger(err error) (string, bool) {
	var l *ledger.Error
	if !errors.As(err, &l) {
		return "", false
	}
	return l.Message, true
}

func explainDisk(err error) (string, bool) {
	var disk *archive.DiskError
	if !errors.As(err, &disk) {
		return "", false
	}
	return disk.Error() + " Somebody has to free space or change permissions there; then the same call works, and what was downloaded is not fetched twice.", true
}

func explainMirror(err error) (string, bool) {
	var m *mirror.Error
	if !errors.As(err, &m) {
		return "", false
	}
	return m.Message + " Whatever was downloaded is kept; the same call goes on from there.", true
}

// explainFile covers files that could not be fetched or are not sound.
func explainFile(err error) (string, bool) {
	var content *archive.ContentError
	var link *archive.LinkError
	var transfer *archive.TransferError
	var conflict *archive.ConflictError
	var damaged *archive.ManifestError
	switch {
	case errors.As(err, &damaged):
		return damaged.Error() + ". A person moves that file away, or puts back a sound one; then the same call works. A repeat alone does not help.", true
	case errors.As(err, &content):
		return fmt.Sprintf("The file that Fullstory gave is not sound (%s), so it was not kept. Call download_export once more; if it is bad again, create the export anew.", clean(content.Reason, 300)), true
	case errors.As(err, &link) && link.Status != 0:
		return fmt.Sprintf("The store of the files refused the link (%d), and a fresh one did not help. The export may have expired: get_export_operation tells until when it can be fetched. If it has, create it again; else a repeat in a minute may help.", link.Status), true
	case errors.As(err, &link):
		return fmt.Sprintf("The link that the API gave was not followed: %s. The server fetches only from public https addresses. A person has to look at the address of the API; a repeat does not help.", clean(link.Reason, 300)), true
	case errors.As(err, &transfer):
		return fmt.Sprintf("The download broke off (%s). What arrived is kept; calling download_export again goes on from there.", clean(transfer.Error(), 300)), true
	case errors.As(err, &conflict):
		return fmt.Sprintf("%s is there already and has another content; it was left alone. A person moves it away, then the same call works.", conflict.Path), true
	}
	return "", false
}

// explainAPI covers what the Fullstory API answered, or that it did not.
func explainAPI(err error) (string, bool) {
	var e *client.Error
	if !errors.As(err, &e) {
		return "", false
	}
	says := reason(e)
	switch {
	case e.Status == http.StatusUnauthorized:
		return "Fullstory refused the API key (401). A person has to replace it where the server is configured (FULLSTORY_API_KEY); a repeat does not help.", true
	case e.Status == http.StatusForbidden:
		return explainForbidden(err, says), true
	case (e.Status == http.StatusNotFound || e.Status == http.StatusGone) && e.Op == "get export results":
		return fmt.Sprintf("Fullstory has no file for this export any more (%s): it has expired or was cancelled. Create the export again with create_segment_export; a repeat does not help.", says), true
	case e.Status == http.StatusNotFound || e.Status == http.StatusGone:
		return fmt.Sprintf("Fullstory does not know it (%s: %s). Check the id: %s. A repeat does not help.", e.Op, says, validIDs(e.Op)), true
	case e.Status == http.StatusTooManyRequests:
		return fmt.Sprintf("Fullstory asks to slow down (429). Wait %s, then call again; nothing was started.", counted(max(1, int(e.RetryAfter.Round(time.Second).Seconds())), "second")), true
	case e.Status >= 300 && e.Status < 400:
		return fmt.Sprintf("The address of the API is not right (%d): %s. A person corrects FULLSTORY_API_URL; a repeat does not help.", e.Status, says), true
	case e.Status >= 400 && e.Status < 500:
		return fmt.Sprintf("Fullstory refused the request (%d): %s. Correct what it names and call again; an unchanged repeat does not help.%s", e.Status, says, hints(err)), true
	case e.Status == 0 && errors.Is(err, context.Canceled):
		return "The call was cancelled.", true
	case e.Status == 0:
		return fmt.Sprintf("The Fullstory API could not be reached (%s: %s). The arguments may be fine and nothing was started; a repeat is safe. If it lasts, check the network and the address (check_connection).", e.Op, says), true
	default:
		return fmt.Sprintf("The Fullstory API failed (%d, %s: %s). The arguments may be fine; a repeat in a minute is safe.", e.Status, e.Op, says), true
	}
}

// validIDs says where valid ids are listed for what was asked.
func validIDs(op string) string {
	if strings.Contains(op, "segment") {
		return "list_segments lists valid ones"
	}
	return "list_export_operations lists valid ones; an export that has expired must be created again"
}

// hints are warnings that may tell why the API refused a request.
func hints(err error) string {
	var r *refusedExport
	text := ""
	if errors.As(err, &r) {
		for _, w := range r.warnings {
			if w.Code == "unknown_field" {
				text += " " + w.Message + " " + w.Fix
			}
		}
	}
	return text
}

func explainForbidden(err error, says string) string {
	var f *forbidden
	switch {
	case errors.As(err, &f) && f.role != "" && !f.role.CanExport():
		return fmt.Sprintf("Fullstory refused (403): the API key has the role %s, and exports need Architect or Admin. A Fullstory administrator has to make a key of that role; a repeat does not help.", f.role)
	case errors.As(err, &f):
		return fmt.Sprintf("Fullstory refused (403: %s) although the key's role %s is enough: the organisation probably lacks the segment export add-on. A person asks the Fullstory account manager; a repeat does not help.", says, f.role)
	}
	return fmt.Sprintf("Fullstory refused (403: %s). The key's role may be too low (check_connection tells; exports need Architect or Admin), or the organisation lacks the segment export add-on. A repeat does not help.", says)
}

// reason is what the API said, or what went wrong on the way, fit to be read.
func reason(e *client.Error) string {
	switch {
	case e.Message != "":
		return strings.TrimRight(clean(e.Message, 300), ". ")
	case errors.Is(e.Err, context.DeadlineExceeded):
		return "no answer in time"
	case e.Err != nil:
		return clean(e.Err.Error(), 300)
	case e.Status != 0:
		return strings.ToLower(http.StatusText(e.Status))
	}
	return "no reason given"
}

func explainSetup(err error) (string, bool) {
	var setup *SetupError
	if !errors.As(err, &setup) {
		return "", false
	}
	return setup.Error(), true
}

func explainBug(err error) (string, bool) {
	var bug *panicked
	if !errors.As(err, &bug) {
		return "", false
	}
	return "Internal error " + bug.id + ": a bug of this server, whose log has the details under that id. The arguments may be fine; a repeat will probably fail alike.", true
}

// explainEnded covers calls that had no time to end by themselves.
func explainEnded(err error) (string, bool) {
	switch {
	case errors.Is(err, ErrStopping):
		return "The server is being restarted, so this call was ended. What was started goes on; call again in some seconds.", true
	case errors.Is(err, context.DeadlineExceeded):
		return "The call took longer than 20 seconds and was ended. The arguments may be fine; a repeat is safe.", true
	case errors.Is(err, context.Canceled):
		return "The call was cancelled.", true
	}
	return "", false
}
