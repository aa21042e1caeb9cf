package delta

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/minio/minio-go/v7"

	"fullstory-export-mcp/mirror"
)

// storeVariable names the environment variable with the address of an S3 store and a bucket
// that tests may write to.
const storeVariable = "FULLSTORY_EXPORT_TEST_S3"

// TestMain lets minio-go retry without waiting.
func TestMain(m *testing.M) {
	minio.DefaultRetryUnit = time.Millisecond
	os.Exit(m.Run())
}

// eachStore runs a test for a folder, and for a bucket if there is one.
func eachStore(t *testing.T, test func(t *testing.T, s Store)) {
	t.Run("folder", func(t *testing.T) {
		s, _ := newFolder(t)
		test(t, s)
	})
	t.Run("bucket", func(t *testing.T) { test(t, newBucket(t, nil)) })
}

// options returns those of a new place in the bucket.
func options(t testing.TB) mirror.Options {
	t.Helper()
	address := os.Getenv(storeVariable)
	if address == "" {
		t.Skipf("buckets are not tested: set %s to the address of a store such as the one that .ci/s3 FOLDER starts",
			storeVariable)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	return mirror.Options{
		URL:      fmt.Sprintf("s3:/%s/%s-%x", u.Path, strings.ReplaceAll(t.Name(), "/", "-"), rand.Uint64()),
		Endpoint: u.Scheme + "://" + u.Host,
		Region:   "us-east-1",
		Getenv: func(name string) string {
			return map[string]string{"AWS_ACCESS_KEY_ID": u.User.Username(), "AWS_SECRET_ACCESS_KEY": secret}[name]
		},
	}
}

// newBucket returns the store of a new folder in a bucket. transport may be nil.
func newBucket(t testing.TB, transport http.RoundTripper) Store {
	t.Helper()
	o := options(t)
	o.Transport = transport
	return openBucket(t, o)
}

func openBucket(t testing.TB, o mirror.Options) Store {
	t.Helper()
	m, err := mirror.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return Bucket(m, "events/parquet")
}

// same compares all that two versions hold.
func same(t testing.TB, got, want Snapshot) {
	t.Helper()
	if got.Version != want.Version {
		t.Fatalf("version %d, want %d", got.Version, want.Version)
	}
	for what, pair := range map[string][2]any{
		"files":    {maps.Collect(got.Files()), maps.Collect(want.Files())},
		"removed":  {maps.Collect(got.removed.all()), maps.Collect(want.removed.all())},
		"windows":  {maps.Collect(got.windows.all()), maps.Collect(want.windows.all())},
		"schema":   {got.Schema, want.Schema},
		"meta":     {got.meta, want.meta},
		"protocol": {got.protocol, want.protocol},
		"counts":   {[]int{got.files.n, got.removed.n, got.windows.n}, []int{want.files.n, want.removed.n, want.windows.n}},
	} {
		if d := cmp.Diff(pair[0], pair[1], cmp.AllowUnexported(tombstone{}), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s of version %d differ:\n%s", what, got.Version, d)
		}
	}
}

// options2 returns the options of a place that another test store has.
func options2(t testing.TB, address string) mirror.Options {
	o := options(t)
	o.URL = address
	return o
}
