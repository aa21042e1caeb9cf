package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"confine/served"

	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// world is what pods run with: the program, for a simulated Fullstory, the files of the image,
// and the addresses of a PostgreSQL and a bucket.
type world struct {
	program, root, postgres, s3 string
}

// run runs what the manifests say, in the order of docs/kubernetes.md: the migration, two
// replicas of each variant of the server, the sync.
func (w world) run(m *manifests) error {
	work, err := os.MkdirTemp("", "kubernetes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.Chmod(work, 0o755); err != nil {
		return err
	}
	n := &node{manifests: m, root: w.root, work: work}
	authority, err := n.openDatabase(w.postgres)
	if err != nil {
		return err
	}
	remove, err := makeDatabase(w.postgres)
	if err != nil {
		return err
	}
	defer remove()
	sandbox, api, err := startSandbox(w.program, work)
	if err != nil {
		return err
	}
	defer end(sandbox)
	n.variables = map[string]string{"FULLSTORY_API_URL": api}
	callers := filepath.Join(work, "callers.json")
	token, err := exec.Command(w.program, "serve", "token", "ci", "--callers", callers).Output()
	if err != nil {
		return err
	}
	file, err := os.ReadFile(callers)
	if err != nil {
		return err
	}
	n.secrets = m.fill(map[string]string{
		"api_key": "na1.sandbox-architect/ARCH", "callers.json": string(file), "ca.pem": string(authority),
	})
	if err := n.migrate(); err != nil {
		return err
	}
	inBucket, err := bucketVariables(w.s3)
	if err != nil {
		return err
	}
	return errors.Join(
		n.serve("server.yaml", nil, strings.TrimSpace(string(token))),
		n.serve("server-bucket.yaml", inBucket, strings.TrimSpace(string(token))),
		n.sync())
}

// openDatabase makes a PostgreSQL reachable by the name that settings.yaml has. It returns the
// authority that signed its certificate.
func (n *node) openDatabase(postgres string) (authority []byte, err error) {
	plain, err := url.Parse(postgres)
	if err != nil {
		return nil, err
	}
	named, err := url.Parse(n.manifests.settings("FULLSTORY_EXPORT_DATABASE"))
	if err != nil {
		return nil, err
	}
	address, authority, err := secureDatabase(plain.Host, named.Hostname())
	if err != nil {
		return nil, err
	}
	n.databaseName = named.Hostname()
	_, n.databasePort, err = net.SplitHostPort(address)
	return authority, err
}

// end kills a process.
func end(c *exec.Cmd) {
	c.Process.Kill()
	c.Wait()
}

// makeDatabase makes the database and the roles that settings.yaml names. remove removes
// them again.
func makeDatabase(postgres string) (remove func(), err error) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, postgres)
	if err != nil {
		return nil, err
	}
	remove = func() {
		for _, sql := range []string{
			"DROP DATABASE IF EXISTS exports WITH (FORCE)", "DROP ROLE IF EXISTS exports_owner, exports_server",
		} {
			if _, err := c.Exec(ctx, sql); err != nil {
				fmt.Fprintln(os.Stderr, sql, err)
			}
		}
		c.Close(ctx)
	}
	for _, sql := range []string{
		"CREATE ROLE exports_owner LOGIN PASSWORD 'password'", "CREATE ROLE exports_server LOGIN PASSWORD 'password'",
		"CREATE DATABASE exports OWNER exports_owner",
	} {
		if _, err := c.Exec(ctx, sql); err != nil {
			remove()
			return nil, fmt.Errorf("%s: %w", sql, err)
		}
	}
	return remove, nil
}

// startSandbox starts a simulated Fullstory, and returns its address.
func startSandbox(program, work string) (*exec.Cmd, string, error) {
	log, err := os.Create(filepath.Join(work, "sandbox.log"))
	if err != nil {
		return nil, "", err
	}
	defer log.Close()
	c := exec.Command(program, "sandbox", "--addr", "127.0.0.1:0", "--op-time", "20ms", "--density", "20")
	c.Stdout, c.Stderr = log, log
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return nil, "", err
	}
	var found []string
	err = served.Until("the sandbox prints its address", 10*time.Second, func() bool {
		raw, _ := os.ReadFile(log.Name())
		found = regexp.MustCompile(`Fullstory at (http://\S+)`).FindStringSubmatch(string(raw))
		return found != nil
	})
	if err != nil {
		end(c)
		return nil, "", err
	}
	return c, found[1], nil
}

// bucketVariables returns the variables that lead to a bucket instead of the example's.
func bucketVariables(address string) (map[string]string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	secret, _ := u.User.Password()
	return map[string]string{
		"FULLSTORY_EXPORT_MIRROR":          "s3:/" + u.Path + "/kubernetes",
		"FULLSTORY_EXPORT_MIRROR_ENDPOINT": "http://" + u.Host,
		"AWS_ACCESS_KEY_ID":                u.User.Username(),
		"AWS_SECRET_ACCESS_KEY":            secret,
	}, nil
}

// podOf returns the pod of the first object of a type.
func podOf[T object](m *manifests) pod {
	for _, p := range m.pods() {
		if _, ok := p.of.(T); ok {
			return p
		}
	}
	panic("no such pod")
}

// migrate runs the job that migrates.
func (n *node) migrate() error {
	p := podOf[*batchv1.Job](n.manifests)
	out, err := n.run(p, p.template.Spec.Containers[0], nil)
	if err == nil && !strings.Contains(out, `TO "exports_server";`) {
		err = fmt.Errorf("migrate grants nothing: %s", out)
	}
	if err == nil {
		fmt.Println("the job has migrated, as exports_owner")
	}
	return err
}

// replica is a server that runs.
type replica struct {
	process *exec.Cmd
	base    string
	log     *bytes.Buffer
}

// serve runs two replicas as a file says, with further variables, uses both, and stops them.
func (n *node) serve(file string, variables map[string]string, token string) error {
	p := n.deployment(file)
	c := p.template.Spec.Containers[0]
	var replicas []replica
	defer func() {
		for _, r := range replicas {
			end(r.process)
		}
	}()
	for range 2 {
		r, err := n.startReplica(p, c, variables)
		if err != nil {
			return err
		}
		replicas = append(replicas, r)
	}
	stored, err := n.use(replicas, c, token)
	if err == nil && variables == nil {
		disk := filepath.Join(n.work, "fullstory-export-files", strings.TrimPrefix(stored.Path, "/data/"))
		_, err = os.Stat(disk)
	} else if err == nil && !strings.HasPrefix(stored.Object, variables["FULLSTORY_EXPORT_MIRROR"]+"/") {
		err = fmt.Errorf("the file is not in the bucket: %+v", stored)
	}
	for _, r := range replicas {
		err = errors.Join(err, r.stop())
	}
	if err != nil {
		return fmt.Errorf("%s: %w\nthe logs:\n%s\n%s", file, err, replicas[0].log, replicas[1].log)
	}
	fmt.Printf("%s: two replicas share a session and %s%s\n", file, stored.Path, stored.Object)
	return nil
}

// deployment returns the pod of the Deployment in a file.
func (n *node) deployment(file string) (found pod) {
	for _, p := range n.manifests.pods() {
		if _, ok := p.of.(*appsv1.Deployment); ok && p.file == file {
			found = p
		}
	}
	return found
}

// startReplica starts a container at a free port of this machine.
func (n *node) startReplica(p pod, c corev1.Container, variables map[string]string) (r replica, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	address := l.Addr().String()
	l.Close()
	r = replica{base: "http://" + address, log: &bytes.Buffer{}}
	set := map[string]string{"FULLSTORY_EXPORT_ADDR": address}
	maps.Copy(set, variables)
	if r.process, err = n.command(p, c, set, nil); err != nil {
		return r, err
	}
	r.process.Stderr = r.log
	return r, r.process.Start()
}

// stop sends SIGTERM, and fails unless the server ends in time and well.
func (r replica) stop() error {
	began := time.Now()
	limit := time.AfterFunc(stopTime, func() { r.process.Process.Kill() })
	err := errors.Join(r.process.Process.Signal(syscall.SIGTERM), r.process.Wait())
	if limit.Stop(); err != nil {
		return fmt.Errorf("SIGTERM, after %s: %w", time.Since(began), err)
	}
	return nil
}

// stored is where a file is.
type stored struct{ State, Path, Object string }

// use waits for the probes of both replicas, and exports with one session at both.
func (n *node) use(replicas []replica, c corev1.Container, token string) (file stored, err error) {
	for _, r := range replicas {
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
			passes := func() bool { return served.Status(r.base+probe.HTTPGet.Path) == http.StatusOK }
			if err := served.Until(probe.HTTPGet.Path+" answers", 30*time.Second, passes); err != nil {
				return file, err
			}
		}
	}
	host := n.manifests.settings("FULLSTORY_EXPORT_ALLOW_HOST")
	if _, err := served.Connect(replicas[0].base, token, "elsewhere.example.com"); err == nil {
		return file, errors.New("a client that uses another name is answered")
	}
	session, err := served.Connect(replicas[0].base, token, host)
	if err != nil {
		return file, err
	}
	var made struct {
		Operation string `json:"operation_id"`
	}
	err = session.Call("create_segment_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": map[string]any{"start": "now-3d/d", "end": "now-2d/d"},
	}, &made)
	if err != nil {
		return file, err
	}
	var failed error
	err = served.Until("the file is stored", 30*time.Second, func() bool {
		arguments := map[string]any{"operation_id": made.Operation, "wait_seconds": 10}
		failed = session.At(replicas[1].base).Call("download_export", arguments, &file)
		return failed != nil || file.State == "stored"
	})
	return file, errors.Join(err, failed)
}

// settings returns a value of settings.yaml.
func (m *manifests) settings(name string) string {
	return find[*corev1.ConfigMap](m, namespace).Data[name]
}

// sync runs the pod of the CronJob twice: the second time, the sync is there already.
func (n *node) sync() error {
	p := podOf[*batchv1.CronJob](n.manifests)
	// The date of the example would mean more windows each day.
	recent := map[string]string{"2026-11-01": time.Now().UTC().AddDate(0, 0, -4).Format(time.DateOnly)}
	for range 2 {
		for _, c := range p.containers() {
			if _, err := n.run(p, c, recent); err != nil {
				return err
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(n.work, "fullstory-sync", "files", "visits", "*.ndjson.gz"))
	if err != nil || len(files) < 2 {
		return fmt.Errorf("the sync has stored %d files: %w", len(files), err)
	}
	fmt.Printf("the CronJob has run twice: %d files\n", len(files))
	return nil
}
