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

// ErrMissing is that there is no such object.
var ErrMissing = errors.New("there is no such object")

// Error is a mirror that cannot be used, or a copy that cannot be made. Message
// says why and who does what about it; it holds no secret.
type Error struct {
	Message   string
	Temporary bool // a repeat helps without anybody's doing
	Err       error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Err }

// failed makes an *Error of what a request came to. When ctx has ended, that is
// the error; ctx is the one of the caller.
func (m *Mirror) failed(ctx context.Context, err error) error {
	var known *Error
	var said minio.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errNoKeys):
		return &Error{Err: err, Message: "There are no credentials for the " + m.place() + ". A person sets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, gives AWS_PROFILE a profile of the shared credentials file, or gives the machine a role."}
	case errors.As(err, &said):
		text, temporary := m.explain(said)
		return &Error{Err: err, Message: text, Temporary: temporary}
	}
	return m.unreachable(err)
}

// explain writes what a refusal of the store means, and whether a repeat helps.
func (m *Mirror) explain(said minio.ErrorResponse) (text string, temporary bool) {
	what := said.Code
	switch said.Code {
	case "NoSuchBucket":
		return fmt.Sprintf("There is no bucket %s at %s. A person makes it, or corrects the address of the mirror.", m.bucket, m.host), false
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity":
		return m.refused("its credentials are not right (" + what + "). A person corrects AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile."), false
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return m.refused("its credentials have expired. A person gets new ones."), false
	case "RequestTimeTooSkewed":
		return m.refused("the clocks of this machine and of the store differ by too much. A person sets this machine's clock."), false
	case "AuthorizationHeaderMalformed", "InvalidRegion", "IllegalLocationConstraintException", "PermanentRedirect":
		return m.otherRegion(said.Region), false
	case "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidDigest", "IncompleteBody":
		return m.refused("what arrived is not what was sent (" + what + "), and nothing was kept. A repeat helps, unless the file here is being changed."), true
	case "NoSuchUpload", "InvalidPart": // see ended
		return "An upload to the " + m.place() + " was ended by somebody else. A repeat begins it anew.", true
	}
	switch status := said.StatusCode; {
	case status == http.StatusMovedPermanently || status == http.StatusTemporaryRedirect:
		return m.otherRegion(said.Region), false
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return m.refused("the credentials do not allow it, or are not right (" + what + "). A person corrects them, or lets them read and write objects, list the bucket and its multipart uploads, and end those."), false
	case status >= 500 && status != http.StatusNotImplemented, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, strings.HasPrefix(what, "SlowDown"):
		return fmt.Sprintf("The store of the %s is not able to answer now (%.80s). Work goes on by itself when it is; if that lasts, a person looks at the store.", m.place(), what), true
	}
	return m.refused(fmt.Sprintf("it answered %d %.80q. A person looks at the store and at the address of the mirror.", said.StatusCode, what)), false
}

func (m *Mirror) refused(why string) string { return "The " + m.place() + " refused a request: " + why }

func (m *Mirror) otherRegion(region string) string {
	if region == "" {
		region = "another one"
	}
	return m.refused("the bucket is not in the region that is set, but in " + region + ". A person corrects the region of the mirror.")
}

// unreachable is that no answer came. Its text does not quote the error of
// HTTP, which spells out the URL.
func (m *Mirror) unreachable(err error) *Error {
	var certificate x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var network *net.OpError
	switch {
	case errors.As(err, &certificate), errors.As(err, &host), errors.As(err, &invalid):
		return &Error{Err: err, Message: "The certificate of " + m.host + " is not trusted. A person corrects the endpoint of the mirror, or names the store's authority in SSL_CERT_FILE."}
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return &Error{Err: err, Message: m.host + " does not speak HTTPS. A person writes http:// in the endpoint of the mirror."}
	}
	why := "no answer"
	if errors.As(err, &network) {
		why = network.Err.Error()
	}
	return &Error{Err: err, Temporary: true, Message: fmt.Sprintf("The %s cannot be reached (%.120s). Work goes on by itself when it can; if that lasts, a person looks at the store and at the endpoint of the mirror.", m.place(), why)}
}

// place names the mirror to people.
func (m *Mirror) place() string { return "mirror s3://" + m.bucket + " at " + m.host }

// temporary tells whether a repeat may help.
func temporary(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Temporary
}

// refusal returns what the store said, with a code such as NoSuchUpload; the
// zero value if it said nothing.
func refusal(err error) minio.ErrorResponse {
	var said minio.ErrorResponse
	errors.As(err, &said)
	return said
}
