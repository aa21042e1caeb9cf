// Package mirror keeps copies of finished files in S3-compatible storage. An
// object appears under its name whole and verified, or not at all.
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

// Options say where the copies go.
type Options struct {
	URL       string              // s3://bucket/prefix; the prefix may be empty
	Endpoint  string              // http(s)://host[:port] of the store; empty: Amazon's
	Region    string              // empty: asked of the store
	Getenv    func(string) string // nil: os.Getenv; see Open
	Transport http.RoundTripper   // nil: one of its own
}

// Mirror is a place for copies. It is safe for concurrent use, and several
// processes may use one place at once.
type Mirror struct {
	core   *minio.Core
	bucket string
	prefix string      // of every key; empty or with a slash at its end
	host   string      // of the store, for people
	md5    atomic.Bool // the store takes no SHA-256 checksums: it gets MD5 ones
	limits limits
}

// limits are what tests make smaller.
type limits struct {
	part    int64         // bytes of a part, unless that makes too many; S3 wants 5 MiB at least
	lanes   int           // parts under way at once
	tries   uint          // for each part
	silence time.Duration // after which the store is taken to be away
	finish  time.Duration // that it may take to put an object together
}

// Open returns the mirror that o describes. It checks the form alone and makes
// no request; it fails with an *Error.
//
// Credentials are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
// AWS_SESSION_TOKEN. Without them they come from the shared credentials file
// (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE), and then from the role that the
// machine or container has.
func Open(o Options) (*Mirror, error) {
	bucket, prefix, err := splitURL(o.URL)
	if err != nil {
		return nil, err
	}
	host, secure, err := splitEndpoint(cmp.Or(o.Endpoint, "https://s3.amazonaws.com"))
	if err != nil {
		return nil, err
	}
	keys, err := findKeys(o.Getenv)
	if err != nil {
		return nil, err
	}
	transport := o.Transport
	if transport == nil {
		if transport, err = newTransport(secure); err != nil {
			return nil, &Error{Message: "HTTP cannot be set up for the mirror.", Err: err}
		}
	}
	core, err := minio.NewCore(host, &minio.Options{
		Creds: keys, Secure: secure, Region: o.Region, Transport: transport,
		MaxRetries: 4, // within about 2 seconds; 10 is its default
	})
	if err != nil {
		return nil, &Error{Message: fmt.Sprintf("The endpoint of the mirror, %q, is not usable. A person corrects it to one such as https://minio.example.com:9000.", o.Endpoint), Err: err}
	}
	m := &Mirror{core: core, bucket: bucket, prefix: prefix, host: host, limits: limits{
		part: 16 << 20, lanes: 4, tries: 4, silence: time.Minute, finish: 10 * time.Minute,
	}}
	m.md5.Store(s3utils.IsGoogleEndpoint(*core.EndpointURL())) // it ignores SHA-256 checksums
	return m, nil
}

// Address returns where the copy of a name is, such as s3://bucket/prefix/name.
func (m *Mirror) Address(name string) string {
	return "s3://" + m.bucket + "/" + m.prefix + name
}

// key returns the key of the object of a name.
func (m *Mirror) key(name string) (string, error) {
	key := m.prefix + name
	if !fs.ValidPath(name) || name == "." || len(key) > 1024 {
		return "", &Error{Message: fmt.Sprintf("%.200q is no name for a copy: names are paths such as folder/file, of at most 1,024 bytes with the prefix.", name)}
	}
	return key, nil
}

// splitURL takes s3://bucket/prefix apart. The prefix gets a slash at its end.
func splitURL(address string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.Trim(prefix, "/")
	if !ok || s3utils.CheckValidBucketNameStrict(bucket) != nil || strings.ContainsAny(prefix, "?#") || prefix != "" && !fs.ValidPath(prefix) {
		return "", "", &Error{Message: fmt.Sprintf("The address of the mirror, %q, is not of the form s3://bucket/prefix. A person corrects it.", withoutUser(address))}
	}
	if prefix != "" {
		prefix += "/"
	}
	return bucket, prefix, nil
}

// splitEndpoint takes http(s)://host[:port] apart.
func splitEndpoint(endpoint string) (host string, secure bool, err error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false, &Error{Message: fmt.Sprintf("The endpoint of the mirror, %q, is not of the form https://host:port. A person corrects it; the bucket, the folder and the credentials have places of their own.", withoutUser(endpoint))}
	}
	return u.Host, u.Scheme == "https", nil
}

// withoutUser drops what stands before an @: it may be a secret.
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

// newTransport returns the one of minio-go, which gives up a host that does not
// answer sooner. That a store falls silent later is watched elsewhere: to put a
// large object together may take it minutes.
func newTransport(secure bool) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	t.ResponseHeaderTimeout = 0
	return t, nil
}
