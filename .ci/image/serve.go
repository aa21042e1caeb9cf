package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"confine"
	"confine/served"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	userID = 65532
	// stopLimit is how long the server may take to end after SIGTERM, as docs/team.md says.
	stopLimit = 7 * time.Second
	address   = "http://127.0.0.1:8931"
)

// unpack writes the files of an image into a folder that does not exist.
func unpack(image v1.Image, root string) error {
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	return eachFile(image, func(h *tar.Header, content []byte) error {
		path := filepath.Join(root, h.Name)
		err := os.Mkdir
		if h.Typeflag == tar.TypeReg {
			err = func(path string, mode fs.FileMode) error { return os.WriteFile(path, content, mode) }
		}
		mode := h.FileInfo().Mode()
		return errors.Join(err(path, mode.Perm()), os.Lchown(path, h.Uid, h.Gid), os.Chmod(path, mode))
	})
}

// container runs what an image says, in its unpacked files.
type container struct {
	config     v1.Config
	root       string
	onlyChroot bool
}

// command returns a command of the image with other arguments than its own, and further
// variables. Only /config and /data can be written.
func (c container) command(args []string, variables ...string) (*exec.Cmd, error) {
	user, group, _ := strings.Cut(c.config.User, ":")
	if id, err := strconv.Atoi(user); err != nil || id != userID || group != user {
		return nil, fmt.Errorf("the user of the image is %s", c.config.User)
	}
	// A runtime sets HOME to what /etc/passwd says.
	env := append([]string{"HOME=/home/nonroot"}, c.config.Env...)
	inside := confine.Container{
		Root: c.root, Dir: c.config.WorkingDir, User: userID, Groups: []int{},
		Args: append(append([]string{}, c.config.Entrypoint...), args...), Env: append(env, variables...),
	}
	for volume := range c.config.Volumes {
		inside.Mounts = append(inside.Mounts, confine.Mount{
			Source: filepath.Join(c.root, volume), Target: volume, Writable: true,
		})
	}
	if c.onlyChroot {
		return inside.Chroot(), nil
	}
	return inside.Command()
}

// output runs a command of the image, and returns what it prints on stdout.
func (c container) output(args []string, variables ...string) (string, error) {
	cmd, err := c.command(args, variables...)
	if err != nil {
		return "", err
	}
	out, err := cmd.Output()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, ended.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// serve runs the server of an image as the image says, but on the sandbox, and uses it.
func (c check) serve(image v1.Image, root string) error {
	file, err := image.ConfigFile()
	if err != nil {
		return err
	}
	run := container{file.Config, root, c.onlyChroot}
	health := file.Config.Healthcheck.Test[2:] // after CMD and the program
	if _, err := run.output(health); err == nil {
		return errors.New("the healthcheck passes without a server")
	}
	token, err := run.output([]string{"serve", "token", "ci"})
	if err != nil {
		return err
	}
	server, err := run.command(file.Config.Cmd, "FULLSTORY_SANDBOX=1", "FULLSTORY_SANDBOX_OP_TIME=20ms")
	if err != nil {
		return err
	}
	var log bytes.Buffer
	server.Stderr = &log
	if err := server.Start(); err != nil {
		return err
	}
	err = c.use(run, health, token)
	started := time.Now()
	err = errors.Join(err, server.Process.Signal(syscall.SIGTERM))
	// What the server says is read until it ends.
	limit := time.AfterFunc(stopLimit, func() { server.Process.Kill() })
	err = errors.Join(err, server.Wait())
	if took := time.Since(started); err != nil || !limit.Stop() {
		return fmt.Errorf("the server, stopped in %s: %w; its log:\n%s", took, err, log.String())
	}
	fmt.Printf("SIGTERM ends the server in %s\n", time.Since(started).Round(time.Millisecond))
	return errors.Join(c.stdio(run), c.commands(run), c.trust(run))
}

// use calls a server that has just been started.
func (c check) use(run container, health []string, token string) error {
	for _, path := range []string{"/healthz", "/readyz"} {
		ok := func() bool { return served.Status(address+path) == http.StatusOK }
		if err := served.Until(path+" answers", 20*time.Second, ok); err != nil {
			return err
		}
	}
	if _, err := run.output(health); err != nil {
		return err
	}
	if _, err := served.Connect(address, token+"x", ""); err == nil || !strings.Contains(err.Error(), "401") {
		return fmt.Errorf("another token is answered: %w", err)
	}
	session, err := served.Connect(address, token, "")
	if err != nil {
		return err
	}
	path, want, err := export(session)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(run.root, path))
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(run.root, path))
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("%s has the sum %x, not %s", path, sum, want)
	}
	if s := info.Sys().(*syscall.Stat_t); s.Uid != userID || info.Mode().Perm() != 0o600 {
		return fmt.Errorf("%s belongs to %d and has the mode %s", path, s.Uid, info.Mode())
	}
	fmt.Printf("healthcheck, a token and an export over MCP: %s, %d bytes\n", path, info.Size())
	return nil
}

// export makes an export of a day, and returns the path of its file in the container and
// its sha256.
func export(session *served.Session) (path, sum string, err error) {
	var made struct {
		Operation string `json:"operation_id"`
	}
	err = session.Call("create_segment_export", map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "time_range": map[string]any{"start": "now-3d/d", "end": "now-2d/d"},
	}, &made)
	if err != nil {
		return "", "", err
	}
	var stored struct {
		State, Path, SHA256 string
	}
	var failed error
	err = served.Until("the file is stored", 30*time.Second, func() bool {
		arguments := map[string]any{"operation_id": made.Operation, "wait_seconds": 10}
		failed = session.Call("download_export", arguments, &stored)
		return failed != nil || stored.State == "stored"
	})
	if err := errors.Join(err, failed); err != nil {
		return "", "", err
	}
	if !strings.HasPrefix(stored.Path, "/data/") {
		return "", "", fmt.Errorf("the file is at %q, not in /data", stored.Path)
	}
	return stored.Path, stored.SHA256, nil
}

// stdio starts the image as a host does, which speaks to it over stdin and stdout.
func (c check) stdio(run container) error {
	cmd, err := run.command([]string{"stdio", "--sandbox"})
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{` +
		`"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"ci","version":"1"}}}` + "\n")
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), `"serverInfo"`) {
		return fmt.Errorf("over stdio the image answers %s: %w", out, err)
	}
	fmt.Println("over stdio the image answers, too")
	return nil
}

// commands runs commands of the image that need more than files: a child process that
// answers a query, time zones, and places that cannot be written.
func (c check) commands(run container) error {
	export := []string{
		"run", "--sandbox", "--sandbox-op-time", "1ms", "--sandbox-density", "50", "--segment", "everyone", "--quiet",
		"--timezone", "Australia/Lord_Howe", "--from", "2026-10-01", "--to", "2026-10-03", "--name", "days", "--parquet",
	}
	if _, err := run.output(export); err != nil {
		return err
	}
	if c.onlyChroot { // which has no /proc, so that the program cannot start itself, and no read-only root
		return nil
	}
	counted, err := run.output([]string{"query", "days", "SELECT count(*) AS n FROM rows", "--csv"})
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(counted, "n\n")); err != nil || n < 100 {
		return fmt.Errorf("a query answers %q", counted)
	}
	_, err = run.output([]string{"serve", "token", "ci", "--callers", "/etc/callers.json"})
	if err == nil || !strings.Contains(err.Error(), "read-only file system") {
		return fmt.Errorf("a file outside of /config and /data is created: %w", err)
	}
	fmt.Printf("a zone, Parquet and a query in a child process: %s rows; the rest is read-only\n", counted[2:])
	return nil
}

// trust checks that the program trusts the certificate authorities of the image and no
// others, with a Fullstory whose authority is added to them.
func (c check) trust(run container) error {
	state := filepath.Join(c.folder, "sandbox")
	sandbox := exec.Command(c.programs["amd64"], "sandbox", "--addr", "127.0.0.1:8098", "--tls", "--state", state)
	sandbox.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := sandbox.Start(); err != nil {
		return err
	}
	defer func() {
		sandbox.Process.Kill()
		sandbox.Wait()
	}()
	var authority []byte
	err := served.Until("the sandbox writes its authority", 10*time.Second, func() (ok bool) {
		authority, _ = os.ReadFile(filepath.Join(state, "tls-ca.pem"))
		return len(authority) > 0
	})
	if err != nil {
		return err
	}
	segments := func() error {
		_, err := run.output([]string{"segments"},
			"FULLSTORY_API_KEY=na1.sandbox-architect/ARCH", "FULLSTORY_API_URL=https://127.0.0.1:8098")
		return err
	}
	if err := segments(); err == nil || !strings.Contains(err.Error(), "certificate") {
		return fmt.Errorf("an unknown certificate authority is trusted: %w", err)
	}
	trusted, err := os.OpenFile(filepath.Join(run.root, "etc/ssl/certs/ca-certificates.crt"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = trusted.Write(authority)
	if err := errors.Join(err, trusted.Close()); err != nil {
		return err
	}
	if err := segments(); err != nil {
		return err
	}
	fmt.Println("https: the certificate authorities of the image are trusted, and no others")
	return nil
}
