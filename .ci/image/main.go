// Command image checks the container image that packaging/image builds: its layout, its
// configuration, that it can be pushed to a registry, and that its server works as the
// image says. It needs root, and exits with a non-zero status if a check fails.
//
//	go run . [-chroot] BUILDER AMD64 ARM64 FOLDER
//
// BUILDER is the program of packaging/image; AMD64 and ARM64 are the programs that the
// image is to have. Layouts are written to FOLDER, and the files of the amd64 image to
// FOLDER/root. With -chroot, which is the default on a machine without namespaces, the
// server runs in a chroot alone.
package main

import (
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"confine"

	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func main() {
	confine.Main()
	onlyChroot := flag.Bool("chroot", false, "run the server in a chroot, without namespaces")
	flag.Parse()
	if flag.NArg() != 4 {
		fmt.Fprintln(os.Stderr, "usage: image [-chroot] BUILDER AMD64 ARM64 FOLDER")
		os.Exit(2)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "image: the image is run as another user, which needs root")
		os.Exit(1)
	}
	inside := os.Getenv(inNetwork) != "" // the second process
	if !inside && !*onlyChroot {
		os.Setenv(inNetwork, "1")
		if err := confine.InNetwork(); !errors.Is(err, confine.ErrNoNamespaces) {
			os.Exit(exitStatus(err))
		}
		fmt.Println("this machine allows no namespaces: the server runs in a chroot alone")
		*onlyChroot = true
	}
	runtime.LockOSThread() // processes end with the thread that started them
	c := check{flag.Arg(0), map[string]string{"amd64": flag.Arg(1), "arm64": flag.Arg(2)}, flag.Arg(3), *onlyChroot}
	if err := c.run(); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// inNetwork is set in the process that has a network of its own.
const inNetwork = "CI_IMAGE_IN_NETWORK"

// exitStatus returns the status of a process that has ended with err.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(1, ended.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "image:", err)
	return 1
}

// check is what the command line gives.
type check struct {
	builder    string
	programs   map[string]string // paths by architecture
	folder     string
	onlyChroot bool
}

// version and revision are those of the image. recorded changes them to what the programs
// have recorded, because the builder accepts no others.
var (
	version  = "1.2.3"
	revision = "0123456789abcdef0123456789abcdef01234567"

	hasCommit bool // revision is recorded
)

// pseudo matches a version without a tag, which an image need not have.
var pseudo = regexp.MustCompile(`[-.][0-9]{14}-[0-9a-f]{12}(\+\S+)?$`)

// recorded reads what a program has recorded about its build.
func recorded(program string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	if v := info.Main.Version; v != "" && v != "(devel)" && !pseudo.MatchString(v) {
		version = strings.TrimPrefix(v, "v")
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision, hasCommit = s.Value, true
		}
	}
	return nil
}

// run makes all checks.
func (c check) run() error {
	if err := recorded(c.programs["amd64"]); err != nil {
		return err
	}
	first, second := filepath.Join(c.folder, "layout"), filepath.Join(c.folder, "again")
	digest, err := c.build(first)
	if err != nil {
		return err
	}
	same, err := c.build(second)
	if err != nil {
		return err
	}
	if err := sameFolders(first, second); err != nil || digest != same {
		return fmt.Errorf("two builds have the digests %s and %s: %w", digest, same, err)
	}
	fmt.Printf("two builds are equal: %s\n", digest)
	if err := c.rejections(); err != nil {
		return err
	}
	outer, err := layout.ImageIndexFromPath(first)
	if err != nil {
		return err
	}
	index, err := only(outer, digest)
	if err != nil {
		return err
	}
	if err := checkIndex(index, c.programs); err != nil {
		return err
	}
	if err := c.pushAndPull(first, digest); err != nil {
		return err
	}
	image, err := imageOf(index, "amd64")
	if err != nil {
		return err
	}
	root := filepath.Join(c.folder, "root")
	if err := unpack(image, root); err != nil {
		return err
	}
	return c.serve(image, root)
}

// build runs the builder with all flags and further ones, of which the last counts, and
// returns the digest that it prints.
func (c check) build(out string, further ...string) (string, error) {
	args := append([]string{
		"build", "-amd64", c.programs["amd64"], "-arm64", c.programs["arm64"],
		"-version", version, "-revision", revision, "-out", out,
	}, further...)
	cmd := exec.Command(c.builder, args...)
	cmd.Dir = "../../packaging/image"
	printed, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, printed)
	}
	return strings.TrimSpace(string(printed)), nil
}

// sameFolders fails unless two folders have the same files.
func sameFolders(a, b string) error {
	if out, err := exec.Command("diff", "-r", a, b).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
