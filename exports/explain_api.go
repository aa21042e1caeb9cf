package exports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"fullstory-export-mcp/client"
)

// explainAPI covers errors of the Fullstory API and requests that it did not answer.
func explainAPI(err error) (Explanation, bool) {
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case !ok, errors.Is(err, context.Canceled) && e.Status == 0 && !e.Uncertain:
		return Explanation{}, false
	case e.Uncertain:
		return explainUncertain(e), true
	}
	x := Explanation{Kind: Fullstory}
	switch e.Kind() {
	case client.KeyRejected:
		return explainKey(e), true
	case client.Throttled:
		x.After = cmp.Or(e.RetryAfter, throttledPause)
		wait := "Wait " + waitText(x.After)
		x.Cause = sentences("Fullstory asks to slow down (429).", acceptsAgain(e.At, e.RetryAfter))
		x.Remedy, x.Terminal = wait+", then call again; nothing was started.", wait+", then run the command again."
	case client.NotTheAPI:
		return explainProxy(e), true
	case client.Rejected:
		return explainRejected(e), true
	case client.Unreachable:
		return explainUnreachable(e), true
	default:
		x.Cause = fmt.Sprintf("The Fullstory API failed (%d, %s: %s).", e.Status, e.Op, reason(e))
		x.Retry = RetrySafeLater
	}
	return x, true
}

// explainUncertain covers exports that may exist although their create failed.
func explainUncertain(e *client.Error) Explanation {
	if e.Code == client.CodeUnusableID {
		return Explanation{
			Kind: Uncertain, Operator: true, Retry: RetryUseless,
			Cause:  fmt.Sprintf("Fullstory's answer is faulty: %s, so nothing can follow it.", reason(e)),
			Remedy: "Report this to the support of Fullstory; another create would start a second export.",
		}
	}
	cause := reason(e)
	if e.Code == client.CodeNotTheAPI {
		cause = fmt.Sprintf("its address answered %d with %s", e.Status, cause)
	}
	return Explanation{
		Kind: Uncertain,
		Cause: fmt.Sprintf("Fullstory gave no id for the export, which may have been accepted all the same: %s.",
			cause),
		Remedy: "Look in `list_export_operations` for an operation created just now before calling `create_segment_export` " +
			"again: a retry could start a second export.",
		Terminal: "Run the command again: it looks for that export before it creates another one.",
	}
}

// explainKey covers a key that Fullstory rejects, or that must not be used.
func explainKey(e *client.Error) Explanation {
	x := Explanation{Kind: Fullstory, Operator: true, Retry: RetryAfter}
	switch {
	case e.Code == client.CodeOtherOrganization:
		x.Cause = fmt.Sprintf("Nothing was sent to Fullstory, because %s (%s).", reason(e), sourceText(e))
		x.Remedy = "Put back the earlier key, or restart this program to work for the other organisation."
	case e.Status == http.StatusUnauthorized:
		order := replaceKey(e)
		x.Cause = "Fullstory rejected the API key (401)."
		x.Remedy = strings.ToUpper(order[:1]) + order[1:] + "."
	default:
		x.Cause = fmt.Sprintf("Fullstory rejected the request (403: %s). The key's role may be too low (exports need "+
			"Architect or Admin), or possibly the organisation lacks the segment export add-on.", reason(e))
		x.Remedy, x.Retry = "`check_connection` shows the role.", RetryUseless
		x.Operator = false
	}
	return x
}

// sourceText names where the key is configured.
func sourceText(e *client.Error) string {
	return client.Clean(cmp.Or(e.KeySource, "FULLSTORY_API_KEY"), 300)
}

// replaceKey tells in the imperative where to replace the key, in lower case and without
// a period. A file is read again when it changes, a variable only at start.
func replaceKey(e *client.Error) string {
	source := sourceText(e)
	if order := replaceOfLogin(source); order != "" {
		return order
	}
	if strings.Contains(source, "=") {
		return "replace the key in the file of " + source + ", which is read again without a restart"
	}
	return "replace the key in " + source + " and restart this program"
}

// explainProxy covers answers that probably do not come from the API.
func explainProxy(e *client.Error) Explanation {
	x := Explanation{Kind: Fullstory, Operator: true}
	says := reason(e)
	switch {
	case e.Err != nil:
		x.Cause = fmt.Sprintf("Nothing was sent to Fullstory: %s.", says)
		x.Remedy = "Have that proxy allow the API's address, or correct HTTPS_PROXY and NO_PROXY; the API key is not the " +
			"cause."
	case e.Status >= 500:
		x.Cause = fmt.Sprintf("Fullstory's address answered %d with %s, so it is probably a proxy or gateway in between.",
			e.Status, says)
		x.Remedy, x.Retry = "Check the proxy of this network and FULLSTORY_API_URL.", RetrySafeLater
	default:
		x.Cause = fmt.Sprintf("Fullstory's address answered %d with %s, so it is probably a proxy or a wrong address.",
			e.Status, says)
		x.Remedy = "Check the proxy of this network and FULLSTORY_API_URL; the arguments and the API key may be fine."
	}
	return x
}

// explainRejected covers requests that the API rejects.
func explainRejected(e *client.Error) Explanation {
	x := Explanation{Kind: Fullstory, Retry: RetryUseless}
	gone := e.Status == http.StatusNotFound || e.Status == http.StatusGone
	switch {
	case gone && e.Op == "get export results":
		x.Cause = fmt.Sprintf("Fullstory has no file for this export any more (%s): it has expired or was cancelled.",
			reason(e))
		x.Remedy = "Create the export again with `create_segment_export`."
		x.Terminal = "Run the command again to export it anew."
	case gone:
		x.Cause = fmt.Sprintf("Fullstory does not know it (%s: %s).", e.Op, reason(e))
		x.Remedy, x.Terminal = "Check the id: "+validIDs(e.Op)+".", "Check the id."
	default:
		x.Cause = fmt.Sprintf("Fullstory rejected the request (%d): %s.", e.Status, reason(e))
		x.Remedy, x.Retry = "Correct what it names and call again; an unchanged retry does not help.", RetryUnknown
		x.Terminal = "Correct what it names and run the command again."
	}
	return x
}

// explainUnreachable covers requests that got no answer.
func explainUnreachable(e *client.Error) Explanation {
	x := Explanation{Kind: Fullstory, Operator: true}
	if e.Code == client.CodeQueue {
		x.Cause = "Nothing was sent to Fullstory, because other requests of this account fill the rate that Fullstory allows."
		x.Remedy, x.Terminal = "Wait "+waitText(queuePause)+", then call again.", "Run the command again."
		x.Operator, x.After = false, queuePause
		return x
	}
	if e.Code == client.CodeCertificate {
		x.Cause = fmt.Sprintf("Nothing was sent to Fullstory, because the certificate of its address is not trusted (%s).",
			reason(e))
		x.Remedy = "Name the company's CA certificate in SSL_CERT_FILE if this network inspects TLS (on macOS and Windows: " +
			"add it to the system's certificates), and restart this program."
		return x
	}
	x.Cause = fmt.Sprintf("The Fullstory API could not be reached (%s: %s).", e.Op, reason(e))
	x.Remedy, x.Retry, x.After = "Check the network and FULLSTORY_API_URL.", RetrySafe, networkPause
	return x
}

// waitText writes a duration in hours, minutes or seconds, whichever fits; at least 1
// second.
func waitText(d time.Duration) string {
	switch {
	case d >= 2*time.Hour:
		return Counted(int(d.Round(time.Hour).Hours()), "hour")
	case d >= 2*time.Minute:
		return Counted(int(d.Round(time.Minute).Minutes()), "minute")
	}
	return Counted(max(1, int(d.Round(time.Second).Seconds())), "second")
}

// validIDs names the tool that lists valid ids for the request op.
func validIDs(op string) string {
	if strings.Contains(op, "segment") {
		return "`list_segments` lists valid ones"
	}
	return "`list_export_operations` lists valid ones; an export that has expired must be created again"
}
