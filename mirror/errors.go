package mirror

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

// ErrMissing means that no object has the requested name.
var ErrMissing = errors.New("there is no such object")

// Error is a mirror that cannot be used, or a copy that cannot be made. Message
// says what happened and why, and Remedy what its operator does about it, in the
// imperative; Remedy may be empty. Both are sentences and contain no secret.
type Error struct {
	Message, Remedy string
	Temporary       bool // a retry may succeed without anyone's action; Remedy is for when none does
	Err             error
}

func (e *Error) Error() string { return strings.TrimSpace(e.Message + " " + e.Remedy) }
func (e *Error) Unwrap() error { return e.Err }

// toError turns the error of a request into an *Error. It returns the error of
// ctx, which must be the caller's context, if that has ended: a context of watch
// also ends when the store is idle, which is an error of the store.
func (m *Mirror) toError(ctx context.Context, err error) error {
	switch _, known := errors.AsType[*Error](err); {
	case err == nil:
		return nil
	case known:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errNoCredentials):
		return &Error{
			Err: err, Message: "The " + m.place() + " has no credentials.",
			Remedy: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile of the shared credentials file in " +
				"AWS_PROFILE, or give this machine a role.",
		}
	}
	if response, ok := errors.AsType[minio.ErrorResponse](err); ok {
		e := m.explain(response)
		e.Err = err
		return e
	}
	return m.unreachable(err)
}

// explain says what an error answer of the store means.
func (m *Mirror) explain(response minio.ErrorResponse) *Error {
	code := response.Code
	switch code {
	case "NoSuchBucket":
		return &Error{
			Message: fmt.Sprintf("There is no bucket %s at %s.", m.bucket, m.host),
			Remedy:  "Create it, or correct the address of the mirror.",
		}
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity":
		return m.rejected("its credentials are wrong ("+code+").",
			"Correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile.")
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return m.rejected("its credentials have expired.", "Get new ones.")
	case "RequestTimeTooSkewed":
		return m.rejected("the clocks of this machine and of the store differ by too much.", "Set this machine's clock.")
	case "AuthorizationHeaderMalformed", "InvalidRegion", "IllegalLocationConstraintException", "PermanentRedirect":
		return m.wrongRegion(response.Region)
	case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest", "IncompleteBody":
		e := m.rejected("the bytes that arrived differ from those sent ("+code+"), and none were kept.",
			"Check whether another program changes the local file.")
		e.Temporary = true
		return e
	case "NoSuchUpload", "InvalidPart": // see uploadGone
		return &Error{
			Message: "Another process ended an upload to the " + m.place() + ".", Temporary: true,
			Remedy: "Check which program ends uploads there.",
		}
	}
	return m.explainStatus(response)
}

// explainStatus does the same for an answer whose code says too little.
func (m *Mirror) explainStatus(response minio.ErrorResponse) *Error {
	status, code := response.StatusCode, response.Code
	switch {
	case status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect:
		return m.wrongRegion(response.Region)
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return m.rejected("its credentials do not allow it or are wrong ("+code+").",
			"Correct them, or let them read and write objects, list the bucket and its multipart uploads, and abort those.")
	case status >= 500 && status != http.StatusNotImplemented, status == http.StatusTooManyRequests,
		status == http.StatusRequestTimeout, strings.HasPrefix(code, "SlowDown"):
		return &Error{
			Message: fmt.Sprintf("The store of the %s cannot answer now (%.80s).", m.place(), code), Temporary: true,
			Remedy: "Check the store; work resumes when it answers.",
		}
	}
	return m.rejected(fmt.Sprintf("the answer was %d %.80q.", status, code),
		"Check the store and the address of the mirror.")
}

func (m *Mirror) rejected(why, remedy string) *Error {
	return &Error{Message: "The " + m.place() + " rejected a request: " + why, Remedy: remedy}
}

// wrongRegion says which region to set; "" is an unknown one.
func (m *Mirror) wrongRegion(region string) *Error {
	if region == "" {
		region = "another one"
	}
	return m.rejected("the bucket is not in the configured region but in "+region+".", "Correct the region of the mirror.")
}

// unreachable describes a request without an answer. It does not quote the
// errors of net/http, which contain the whole URL.
func (m *Mirror) unreachable(err error) *Error {
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case authority || host || invalid:
		return &Error{
			Err: err, Message: "The certificate of " + m.host + " is not trusted.",
			Remedy: "Correct the endpoint of the mirror, or name the store's certificate authority in SSL_CERT_FILE.",
		}
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return &Error{
			Err: err, Message: m.host + " does not speak HTTPS.", Remedy: "Write http:// in the endpoint of the mirror.",
		}
	}
	why := "no answer"
	if network, ok := errors.AsType[*net.OpError](err); ok {
		why = network.Err.Error()
	}
	return &Error{
		Err: err, Temporary: true, Message: fmt.Sprintf("The %s cannot be reached (%.120s).", m.place(), why),
		Remedy: "Check the store and the endpoint of the mirror; work resumes when it can be reached.",
	}
}

// place names the mirror in a sentence.
func (m *Mirror) place() string { return "mirror s3://" + m.bucket + " at " + m.host }

// temporary reports whether a retry may succeed.
func temporary(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Temporary
}

// rejection returns the store's error answer, whose code is one such as
// NoSuchUpload. It returns the zero value if err is not an answer of the store.
func rejection(err error) minio.ErrorResponse {
	response, _ := errors.AsType[minio.ErrorResponse](err)
	return response
}
