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
	"net/http"
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
	"fullstory-export-mcp/profile"
	"fullstory-export-mcp/sandbox"
)

// storeVariable names the environment variable with the address of an S3 store
// and a bucket that tests may write to.
const storeVariable = "FULLSTORY_EXPORT_TEST_S3"

// hugeChunks is the least -chunks with which a file of 300 MB is copied as well,
// which takes minutes.
const hugeChunks = 200

// store is a prefix in an S3 store, read by a client of the test's own.
type store struct {
	t              *testing.T
	client         *minio.Client
	bucket, prefix string
	env            []string // configures it as the program's mirror
}

// newStore returns a store with a new prefix, or skips the test.
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
	client, err := minio.New(u.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(u.User.Username(), secret, ""),
		Secure: u.Scheme == "https", Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &store{t: t, client: client, bucket: strings.Trim(u.Path, "/")}
	s.prefix = fmt.Sprintf("%s-%x", t.Name(), rand.Uint64())
	s.env = []string{
		"FULLSTORY_EXPORT_MIRROR=s3://" + s.bucket + "/" + s.prefix,
		"FULLSTORY_EXPORT_MIRROR_ENDPOINT=" + u.Scheme + "://" + u.Host,
		"AWS_ACCESS_KEY_ID=" + u.User.Username(), "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=us-east-1",
	}
	return s
}

// names returns the names of all objects.
func (s *store) names(ctx context.Context) (names []string) {
	options := minio.ListObjectsOptions{Prefix: s.prefix + "/", Recursive: true}
	for o := range s.client.ListObjects(ctx, s.bucket, options) {
		if o.Err != nil && ctx.Err() == nil {
			s.t.Error(o.Err)
		}
		names = append(names, strings.TrimPrefix(o.Key, s.prefix+"/"))
	}
	return names
}

// sent returns the number of stored parts of unfinished uploads, of which each has
// at most 1,000.
func (s *store) sent(ctx context.Context) (parts int) {
	core := minio.Core{Client: s.client}
	for u := range s.client.ListIncompleteUploads(ctx, s.bucket, s.prefix+"/", true) {
		// An upload may end before its parts are listed.
		if page, err := core.ListObjectParts(ctx, s.bucket, u.Key, u.UploadID, 0, 0); u.Err == nil && err == nil {
			parts += len(page.ObjectParts)
		}
	}
	return parts
}

// partSent returns a channel that receives once a part of an unfinished upload is
// stored that was not before.
func (s *store) partSent(ctx context.Context) <-chan time.Time {
	sent := make(chan time.Time, 1)
	before := s.sent(ctx)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for s.sent(ctx) <= before {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		sent <- time.Now()
	}()
	return sent
}

// get returns the content of an object, and the SHA-256 in its metadata. It starts again
// if the object is replaced after its size was read.
func (s *store) get(ctx context.Context, name string) (content []byte, sum string, err error) {
	for range 10 {
		content, sum, err = s.getOnce(ctx, name)
		if minio.ToErrorResponse(err).Code != minio.PreconditionFailed {
			break
		}
	}
	return content, sum, err
}

func (s *store) getOnce(ctx context.Context, name string) (content []byte, sum string, err error) {
	o, err := s.client.GetObject(ctx, s.bucket, s.prefix+"/"+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, "", err
	}
	defer o.Close()
	info, err := o.Stat()
	if err != nil {
		return nil, "", err
	}
	content = make([]byte, info.Size) // at once: io.ReadAll would need several times as much
	_, err = io.ReadFull(o, content)
	return content, info.UserMetadata["Sha256"], err
}

// whole checks that an object is a whole file with the checksum in its metadata,
// and that the files of a manifest are among known.
func (s *store) whole(ctx context.Context, name string, known map[string]string) error {
	content, noted, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	if got := hex.EncodeToString(sum[:]); got != noted {
		return fmt.Errorf("%s has the checksum %s, and %s in its metadata", name, got, noted)
	}
	if strings.Contains(name, "/.profile/") {
		var p profile.Profile
		if err := json.Unmarshal(content, &p); err != nil || p.Rows == 0 {
			return fmt.Errorf("%s: %d rows, %w", name, p.Rows, err)
		}
		return nil
	}
	if !strings.HasSuffix(name, ".gz") {
		var m archive.Manifest
		if err := json.Unmarshal(content, &m); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, f := range m.Files {
			for _, part := range []string{f.Name, f.Profile} {
				if _, ok := known[filepath.Dir(name)+"/"+part]; !ok {
					return fmt.Errorf("%s names %s, which is not in the mirror", name, part)
				}
			}
		}
		return nil
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(content))
	if err == nil {
		_, err = io.Copy(io.Discard, unpacked)
	}
	if err != nil {
		return fmt.Errorf("%s is incomplete: %w", name, err)
	}
	return nil
}

// watch reads and checks a random object over and over, until stop is called.
func (s *store) watch(random *rand.Rand) (stop func() (looks int)) {
	ctx, cancel := context.WithCancel(s.t.Context())
	looks := 0
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			// A manifest is copied after its files, so list them after reading it.
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

// fetch downloads all objects into a folder.
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

// TestMirrorSurvivesKills kills the program at random moments while it copies the
// files that it stores. Half of the processes start with an empty disk. In the end
// the mirror alone has all files, and none of them was ever visible incomplete.
func TestMirrorSurvivesKills(t *testing.T) {
	for name, test := range map[string]struct {
		hours, kills   int
		density, chunk string
	}{
		"small": {*chunks, *kills, "1200", "hour"},
		"large": {60, *kills / 5, "50000", "PT12H"}, // 5 files of about 27 MB, in two parts each
		// One file of about 300 MB, in 20 parts. Random moments would nearly all be
		// before the copy begins, so each process is killed once it has sent a part.
		"huge": {24, 3, "100000", "day"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if most := map[string]int{"large": 100, "huge": hugeChunks}[name]; *chunks < most {
				t.Skipf("%s files are copied with -chunks %d or more", name, most)
			}
			s := newStore(t)
			j := &job{
				hours: test.hours, density: test.density, chunk: test.chunk,
				database: filepath.Join(t.TempDir(), "ledger.db"), env: s.env,
			}
			j.world = newWorld(t, build(t), "--density", test.density,
				"--op-time", "200ms", "--slots", "50", "--rate", "200", "--burst", "400")
			j.faults(`{"create_delay":"150ms"}`)
			random := randomSource(t)
			stop := s.watch(rand.New(rand.NewPCG(random.Uint64(), 0)))
			if name == "huge" {
				j.killWhen = s.partSent
			}
			disks, interrupted := 0, 0
			killed := j.killUntilDone(random, 3*test.kills, func() {
				if s.sent(t.Context()) > 0 {
					interrupted++
				}
				if disks == 0 || random.IntN(2) == 0 {
					disks++
					j.dir = t.TempDir()
				}
			})
			looks := stop()
			j.dir = t.TempDir()
			s.fetch(j.dir)
			t.Logf("%d kills, %d of them left an unfinished upload, %d disks, %d looks at the mirror, %d objects",
				killed, interrupted, disks, looks, len(s.names(t.Context())))
			if killed < test.kills || looks == 0 {
				t.Errorf("%d kills, want at least %d: set more -chunks", killed, test.kills)
			}
			j.check(test.chunk != "hour")
		})
	}
}

// fetches returns the number of requests to Fullstory that look at an operation, ask
// for the results of an export or download a file. Replicas make others in the
// background, such as lists of operations, which no call is the cause of.
func (w *world) fetches(operation string) (n int) {
	w.t.Helper()
	r, err := http.Get(w.url + "/sandbox/requests")
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	var list struct {
		Requests []struct{ Path string }
	}
	if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
		w.t.Fatal(err)
	}
	for _, r := range list.Requests {
		if strings.HasPrefix(r.Path, "/sandbox-search-export/") || strings.HasSuffix(r.Path, "/results") ||
			r.Path == "/operations/v1/"+operation {
			n++
		}
	}
	return n
}

// TestMirrorServesReplicas has one replica store files on its own disk, and another
// one answer from the mirror. Parquet files are made of the copies once the disks are lost.
func TestMirrorServesReplicas(t *testing.T) {
	t.Parallel()
	s, program := newStore(t), build(t)
	w := newWorld(t, program, "--op-time", "200ms")
	place := filepath.Join(t.TempDir(), "ledger.db")
	var replicas []*httpSession
	dirs := []string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		c := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--dir", dir,
			"--database", place, "--api-url", w.url, "--log-level", "warn")
		c.Env = append(append(os.Environ(), "FULLSTORY_API_KEY="+sandbox.KeyArchitect), s.env...)
		h, err := serveCommandLine(t, c).open(t.Context(), newHTTPClient(t))
		if err != nil {
			t.Fatal(err)
		}
		replicas = append(replicas, h)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	serveFile(t, ctx, s, w, replicas)
	serveBulk(t, ctx, s, replicas)
	convertCopies(t, ctx, dirs, replicas[1])
}

// serveFile creates an export and downloads its file by each replica.
func serveFile(t *testing.T, ctx context.Context, s *store, w *world, replicas []*httpSession) {
	t.Helper()
	var made created
	err := callTool(ctx, replicas[0], "create_segment_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": window{"2026-09-05", "2026-09-06"},
	}, &made)
	if err != nil {
		t.Fatal(err)
	}
	files := make([]struct {
		State, Path, Object, SHA256 string
		Rows                        int64
	}, len(replicas))
	fetches := make([]int, len(replicas)) // after the call to each replica
	for i, h := range replicas {
		for files[i].State != "stored" {
			err := callTool(ctx, h, "download_export", map[string]any{
				"operation_id": made.OperationID, "wait_seconds": 10,
			}, &files[i])
			if err != nil {
				t.Fatal(err)
			}
		}
		fetches[i] = w.fetches(made.OperationID)
	}
	if fetches[0] == 0 || fetches[1] != fetches[0] {
		t.Errorf("%d requests to Fullstory for the file, and %d more once it is in the mirror",
			fetches[0], fetches[1]-fetches[0])
	}
	a, b := files[0], files[1]
	if a.Path == "" || b.Path != "" || a.Rows == 0 ||
		a.SHA256 != b.SHA256 || a.Rows != b.Rows || a.Object != b.Object {
		t.Errorf("the replicas answer %+v and %+v", a, b)
	}
	name := strings.TrimPrefix(files[1].Object, "s3://"+s.bucket+"/"+s.prefix+"/")
	content, _, err := s.get(ctx, name)
	if sum := sha256.Sum256(content); err != nil || hex.EncodeToString(sum[:]) != files[1].SHA256 {
		t.Errorf("%s: %v", files[1].Object, err)
	}
}

// serveBulk starts a bulk export and asks each replica for it.
func serveBulk(t *testing.T, ctx context.Context, s *store, replicas []*httpSession) {
	t.Helper()
	var started struct {
		ID string `json:"bulk_id"`
	}
	err := callTool(ctx, replicas[0], "start_bulk_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "chunk": "PT6H", "name": "day",
		"time_range": window{"2026-09-01", "2026-09-02"},
	}, &started)
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		State, Object string
		Problems      []struct{ Problem string }
	}
	for _, h := range replicas {
		for status.State = ""; status.State != "complete"; {
			err := callTool(ctx, h, "get_bulk_export", map[string]any{
				"bulk_id": started.ID, "wait_seconds": 10, "detail": "problems",
			}, &status)
			if err != nil {
				t.Fatal(err)
			}
		}
		if status.Object != "s3://"+s.bucket+"/"+s.prefix+"/day/" || len(status.Problems) > 0 {
			t.Errorf("a replica answers %+v", status)
		}
	}
}
