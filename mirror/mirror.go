// Package mirror copies finished files to S3-compatible storage. An object
// appears under its name whole and verified, or not at all.
package mirror

import (
	"cmp"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// Options configure a mirror: the place of the copies and how to reach it.
type Options struct {
	URL       string              // s3://bucket/prefix; the prefix may be empty
	Endpoint  string              // http(s)://host[:port] of the store; empty: Amazon's
	Region    string              // of the bucket; empty: the store is asked for it
	Getenv    func(string) string // reads the credentials, see Open; nil: os.Getenv
	Transport http.RoundTripper   // nil: a new one
}

// Mirror is a place for copies: a prefix in a bucket. It is safe for concurrent
// use, and several processes may use one place at once.
type Mirror struct {
	core   *minio.Core
	bucket string
	prefix string      // of every key; empty or with a slash at its end
	host   string      // of the store, for messages
	md5    atomic.Bool // send MD5 checksums, because the store rejects SHA-256 ones
	limits limits
}

// limits bound the work of a mirror. Tests lower them.
type limits struct {
	partSize      int64         // bytes of a part; larger if there were too many. S3 requires at least 5 MiB
	concurrency   int           // parts of one file that are sent at once
	tries         uint          // of each part or small file
	idleTimeout   time.Duration // after which a request is given up if no bytes move
	finishTimeout time.Duration // for the store to assemble an object from its parts
}

// Open returns the mirror that o describes. It checks the form of o and makes no
// request; Check makes some. Its errors are of type *Error.
//
// The credentials are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
// AWS_SESSION_TOKEN. Without them they come from the shared credentials file
// (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE), or else from the role of the
// machine or container.
func Open(o Options) (*Mirror, error) {
	bucket, prefix, err := splitURL(o.URL)
	if err != nil {
		return nil, err
	}
	host, secure, err := splitEndpoint(cmp.Or(o.Endpoint, "https://s3.amazonaws.com"))
	if err != nil {
		return nil, err
	}
	creds, err := findCredentials(o.Getenv)
	if err != nil {
		return nil, err
	}
	transport := o.Transport
	if transport == nil {
		if transport, err = newTransport(secure); err != nil {
			return nil, &Error{Message: "The HTTP transport of the mirror cannot be created.", Err: err}
		}
	}
	core, err := minio.NewCore(host, &minio.Options{
		Creds: creds, Secure: secure, Region: o.Region, Transport: transport,
		MaxRetries: 4, // within about 2 seconds; 10 is its default
	})
	if err != nil {
		return nil, &Error{
			Err: err, Message: fmt.Sprintf("The endpoint of the mirror, %q, is not usable.", o.Endpoint),
			Remedy: "Correct it to one such as https://minio.example.com:9000.",
		}
	}
	m := &Mirror{core: core, bucket: bucket, prefix: prefix, host: host, limits: limits{
		partSize: 16 << 20, concurrency: 4, tries: 4, idleTimeout: time.Minute, finishTimeout: 10 * time.Minute,
	}}
	m.md5.Store(s3utils.IsGoogleEndpoint(*core.EndpointURL())) // Google's ignores SHA-256 checksums
	return m, nil
}

// Address returns the address of the copy of a name: s3://bucket/prefix/name.
func (m *Mirror) Address(name string) string {
	return "s3://" + m.bucket + "/" + m.prefix + name
}

// key returns the key of the object of a name.
func (m *Mirror) key(name string) (string, error) {
	key := m.prefix + name
	if !fs.ValidPath(name) || name == "." || len(key) > 1024 {
		return "", &Error{Message: fmt.Sprintf("%.200q cannot be the name of a copy: names are paths such as folder/file, "+
			"of at most 1,024 bytes with the prefix.", name)}
	}
	return key, nil
}

// splitURL splits s3://bucket/prefix. A prefix is returned with a slash at its end.
func splitURL(address string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.Trim(prefix, "/")
	if !ok || s3utils.CheckValidBucketNameStrict(bucket) != nil ||
		strings.ContainsAny(prefix, "?#") || prefix != "" && !fs.ValidPath(prefix) {
		return "", "", &Error{
			Message: fmt.Sprintf("The address of the mirror, %q, is not of the form s3://bucket/prefix.", withoutUser(address)),
			Remedy:  "Correct it.",
		}
	}
	if prefix != "" {
		prefix += "/"
	}
	return bucket, prefix, nil
}

// splitEndpoint splits http(s)://host[:port].
func splitEndpoint(endpoint string) (host string, secure bool, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false, &Error{
			Message: fmt.Sprintf("The endpoint of the mirror, %q, is not of the form https://host:port.", withoutUser(endpoint)),
			Remedy:  "Correct it; the bucket, the folder and the credentials have settings of their own.",
		}
	}
	return u.Host, u.Scheme == "https", nil
}

// withoutUser removes everything between :// and the last @, which may be a secret.
func withoutUser(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "", address
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		rest = "…" + rest[at:]
	}
	if !ok {
		return rest
	}
	return scheme + "://" + rest
}

// newTransport returns minio-go's transport with a shorter timeout for connecting
// and none for response headers: assembling a large object may take the store
// minutes, and watch bounds every request.
func newTransport(secure bool) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	t.ResponseHeaderTimeout = 0
	return t, nil
}
