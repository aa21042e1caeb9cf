//go:build unix

package command

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/sandbox"
)

// storeVariable names the environment variable with the address of an S3 store
// and a bucket that tests may write to.
const storeVariable = "FULLSTORY_EXPORT_TEST_S3"

// store is a place in an S3 store, seen by a client of its own.
type store struct {
	t              *testing.T
	client         *minio.Client
	bucket, prefix string
	env            []string // that names it to the program
}

// newStore returns a fresh place, or skips the test.
func newStore(t *testing.T) *store {
	t.Helper()
	address := os.Getenv(storeVariable)
	if address == "" {
		t.Skipf("set %s to the address of a store such as the one that .ci/s3 FOLDER starts", storeVariable)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	client, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(u.User.Username(), secret, ""), Secure: u.Scheme == "https", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	s := &store{t: t, client: client, bucket: strings.Trim(u.Path, "/"), prefix: fmt.Sprintf("%s-%x", t.Name(), rand.Uint64())}
	s.env = []string{
		"FULLSTORY_EXPORT_MIRROR=s3://" + s.bucket + "/" + s.prefix, "FULLSTORY_EXPORT_MIRROR_ENDPOINT=" + u.Scheme + "://" + u.Host,
		"AWS_ACCESS_KEY_ID=" + u.User.Username(), "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=us-east-1",
	}
	return s
}

// names returns the names of all objects.
func (s *store) names(ctx context.Context) (names []string) {
	for o := range s.client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + "/", Recursive: true}) {
		if o.Err != nil && ctx.Err() == nil {
			s.t.Error(o.Err)
		}
		names = append(names, strings.TrimPrefix(o.Key, s.prefix+"/"))
	}
	return names
}

// get returns the content of an object, and the checksum that goes with it.
func (s *store) get(ctx context.Context, name string) (content []byte, sum string, err error) {
	o, err := s.client.GetObject(ctx, s.bucket, s.prefix+"/"+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, "", err
	}
	defer o.Close()
	if content, err = io.ReadAll(o); err != nil {
		return nil, "", err
	}
	info, err := o.Stat()
	return content, info.UserMetadata["Sha256"], err
}

// whole checks that what is seen under a name is a whole file, and of a manifest
// that all it names is there.
func (s *store) whole(ctx context.Context, name string, known map[string]string) error {
	content, noted, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	if got := hex.EncodeToString(sum[:]); got != noted {
		return fmt.Errorf("%s has the checksum %s, and %s is noted", name, got, noted)
	}
	if !strings.HasSuffix(name, ".gz") {
		var m archive.Manifest
		if err := json.Unmarshal(content, &m); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, f := range m.Files {
			if _, ok := known[filepath.Dir(name)+"/"+f.Name]; !ok {
				return fmt.Errorf("%s names %s, which is not there", name, f.Name)
			}
		}
		return nil
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(content))
	if err == nil {
		_, err = io.Copy(io.Discard, unpacked)
	}
	if err != nil {
		return fmt.Errorf("%s is seen half: %w", name, err)
	}
	return nil
}

// watch looks at any object again and again, until stop is called.
func (s *store) watch(random *rand.Rand) (stop func() (looks int)) {
	ctx, cancel := context.WithCancel(s.t.Context())
	looks := 0
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			// What a manifest names was there before it: the list is read after.
			names := s.names(ctx)
			if len(names) == 0 {
				time.Sleep(50 * time.Millisecond)
				continue
			}
			name := names[random.IntN(len(names))]
			if strings.HasSuffix(name, ".json") && random.IntN(4) > 0 {
				continue
			}
			content, _, err := s.get(ctx, name)
			known := map[string]string{}
			for _, n := range s.names(ctx) {
				known[n] = n
			}
			if err == nil && len(content) > 0 {
				err = s.whole(ctx, name, known)
			}
			if err != nil && ctx.Err() == nil {
				s.t.Error(err)
			}
			looks++
		}
	})
	return func() int {
		cancel()
		watching.Wait()
		return looks
	}
}

// fetch brings all objects into a folder.
func (s *store) fetch(dir string) {
	s.t.Helper()
	for _, name := range s.names(s.t.Context()) {
		content, _, err := s.get(s.t.Context(), name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestMirrorSurvivesKills kills the program at random moments while it copies
// what it stores; each process has a disk of its own. The mirror alone has all
// there is in the end, and nothing in it was ever seen half.
func TestMirrorSurvivesKills(t *testing.T) {
	for name, test := range map[string]struct {
		hours, kills   int
		density, chunk string
	}{
		"small": {*chunks, *kills, "1200", "hour"},
		"large": {60, *kills / 5, "50000", "PT12H"}, // each goes in two parts
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "large" && *chunks < 100 {
				t.Skip("large files are copied with -chunks 100 or more")
			}
			s := newStore(t)
			j := &job{hours: test.hours, database: filepath.Join(t.TempDir(), "ledger.db"), density: test.density, chunk: test.chunk, env: s.env}
			j.world = newWorld(t, build(t), "--density", test.density, "--op-time", "200ms", "--slots", "50", "--rate", "200", "--burst", "400")
			j.faults(`{"create_delay":"150ms"}`)
			random := randomSource(t)
			stop := s.watch(rand.New(rand.NewPCG(random.Uint64(), 0)))
			disks := 0
			killed := j.killUntilDone(random, 3*test.kills, func() {
				if disks == 0 || random.IntN(2) == 0 {
					disks++
					j.dir = t.TempDir()
				}
			})
			looks := stop()
			j.dir = t.TempDir()
			s.fetch(j.dir)
			t.Logf("%d kills, %d disks, %d looks at the mirror, %d objects", killed, disks, looks, len(s.names(t.Context())))
			if killed < test.kills || looks == 0 {
				t.Errorf("%d kills, want %d at least: take more -chunks", killed, test.kills)
			}
			j.check(test.chunk != "hour")
		})
	}
}

// TestMirrorServesReplicas has a replica give out what another stored on a disk
// of its own.
func TestMirrorServesReplicas(t *testing.T) {
	t.Parallel()
	s, program := newStore(t), build(t)
	w := newWorld(t, program, "--op-time", "200ms")
	place := filepath.Join(t.TempDir(), "ledger.db")
	var replicas []*httpSession
	for range 2 {
		c := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--dir", t.TempDir(), "--database", place, "--api-url", w.url, "--log-level", "warn")
		c.Env = append(append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect), s.env...)
		h, err := serveCommandLine(t, c).open(t.Context(), newHTTPClient(t))
		if err != nil {
			t.Fatal(err)
		}
		replicas = append(replicas, h)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var made created
	err := callTool(ctx, replicas[0], "create_segment_export", map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-05", "2026-09-06"}}, &made)
	if err != nil {
		t.Fatal(err)
	}
	var files [2]struct {
		State, Path, Object, SHA256 string
		Rows                        int64
	}
	for i, h := range replicas {
		for files[i].State != "stored" {
			if err := callTool(ctx, h, "download_export", map[string]any{"operation_id": made.OperationID, "wait_seconds": 10}, &files[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	asked := w.books().Requests
	if a, b := files[0], files[1]; a.Path == "" || b.Path != "" || a.SHA256 != b.SHA256 || a.Rows == 0 || a.Rows != b.Rows || a.Object != b.Object {
		t.Errorf("the replicas tell of %+v and %+v", a, b)
	}
	name := strings.TrimPrefix(files[1].Object, "s3://"+s.bucket+"/"+s.prefix+"/")
	content, _, err := s.get(ctx, name)
	if sum := sha256.Sum256(content); err != nil || hex.EncodeToString(sum[:]) != files[1].SHA256 {
		t.Errorf("%s: %v", files[1].Object, err)
	}
	if again := w.books().Requests; again != asked {
		t.Errorf("%d requests to Fullstory for what is in the mirror", again-asked)
	}

	var started struct {
		ID string `json:"bulk_id"`
	}
	err = callTool(ctx, replicas[0], "start_bulk_export", map[string]any{"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "PT6H", "name": "day", "time_range": window{"2026-09-01", "2026-09-02"}}, &started)
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		State, Object string
		Problems      []struct{ Problem string }
	}
	for _, h := range replicas {
		for status.State = ""; status.State != "complete"; {
			if err := callTool(ctx, h, "get_bulk_export", map[string]any{"bulk_id": started.ID, "wait_seconds": 10, "detail": "problems"}, &status); err != nil {
				t.Fatal(err)
			}
		}
		if status.Object != "s3://"+s.bucket+"/"+s.prefix+"/day/" || len(status.Problems) > 0 {
			t.Errorf("a replica tells of %+v", status)
		}
	}
}
