//go:build linux

// Package confine runs a program as a container does, without a container runtime: in
// namespaces of its own, with a read-only root, as a user without privileges. It needs root.
package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Container is a program to run and what it sees.
type Container struct {
	Root   string   // absolute path of the folder that is its /
	Dir    string   // its working folder, in Root
	Args   []string // path in Root, and arguments
	Env    []string
	User   int     // its user and group
	Groups []int   // further groups
	Mounts []Mount // besides /proc, /dev and /tmp; the folders must be in Root
}

// Mount is a folder or a file of this machine that a container sees.
type Mount struct {
	Source, Target string
	Writable       bool
}

// Arguments of a process that this package starts.
const (
	asContainer = "confine-container"
	asNetwork   = "confine-network"
)

// Main must be called first in main. It returns at once, unless this package has started
// the process.
func Main() {
	var err error
	switch os.Args[0] {
	case asContainer:
		err = become(os.Args[1])
	case asNetwork:
		if err = raiseLoopback(); err == nil {
			os.Args = os.Args[1:]
			return
		}
	default:
		return
	}
	fmt.Fprintln(os.Stderr, "confine:", err)
	os.Exit(125)
}

// ErrNoNamespaces reports a machine on which this process may not create namespaces.
var ErrNoNamespaces = errors.New("this process may not create namespaces")

// InNetwork runs this program once more, in a network of its own that has only the
// loopback, so that it can use every port, and returns how that ended. The program must
// call Main first. The error is ErrNoNamespaces if there can be no such network; then
// nothing has run.
func InNetwork() error {
	c := exec.Command("/proc/self/exe")
	c.Args = append([]string{asNetwork}, os.Args...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	runtime.LockOSThread() // the child ends with the thread that started it
	err := c.Start()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSPC) {
		return ErrNoNamespaces
	}
	if err != nil {
		return err
	}
	return c.Wait()
}

// raiseLoopback makes 127.0.0.1 work in a new network.
func raiseLoopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}

// Command returns a command that runs c in namespaces of its own, as their first process.
// It ends with the thread that starts it.
func (c Container) Command() (*exec.Cmd, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{asContainer, string(raw)}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  unix.SIGKILL,
	}
	return cmd, nil
}

// Chroot returns a command that runs c with Root as its / and without privileges, but with
// the namespaces of this process: its root is not read-only, and it has neither mounts nor
// /proc.
func (c Container) Chroot() *exec.Cmd {
	var groups []uint32
	for _, g := range c.Groups {
		groups = append(groups, uint32(g))
	}
	return &exec.Cmd{
		Path: c.Args[0], Args: c.Args, Env: c.Env, Dir: c.Dir,
		SysProcAttr: &syscall.SysProcAttr{
			Chroot: c.Root, Pdeathsig: unix.SIGKILL,
			Credential: &syscall.Credential{Uid: uint32(c.User), Gid: uint32(c.User), Groups: groups},
		},
	}
}

// become replaces this process, in new namespaces, by the program of a container.
func become(description string) error {
	var c Container
	if err := json.Unmarshal([]byte(description), &c); err != nil {
		return err
	}
	runtime.LockOSThread() // what follows is in part a property of the thread
	if err := c.mount(); err != nil {
		return err
	}
	if err := errors.Join(unix.Chroot(c.Root), unix.Chdir("/"), unix.Chdir(c.Dir)); err != nil {
		return err
	}
	if err := c.dropPrivileges(); err != nil {
		return err
	}
	return &os.PathError{Op: "exec", Path: c.Args[0], Err: unix.Exec(c.Args[0], c.Args, c.Env)}
}

// devices are those of every container that its program may open.
var devices = []string{"null", "zero", "full", "random", "urandom"}

// mount makes what the container sees, and its root read-only.
func (c Container) mount() error {
	in := func(name string) string { return filepath.Join(c.Root, name) }
	const plain = unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err // what follows would be seen outside
	}
	err := errors.Join(
		unix.Mount(c.Root, c.Root, "", unix.MS_BIND, ""),
		os.MkdirAll(in("proc"), 0o755), os.MkdirAll(in("dev"), 0o755),
		unix.Mount("proc", in("proc"), "proc", plain|unix.MS_NOEXEC, ""),
		unix.Mount("tmpfs", in("tmp"), "tmpfs", plain|unix.MS_NOEXEC, "size=64m,mode=1777"),
		unix.Mount("tmpfs", in("dev"), "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "size=64k,mode=755"),
	)
	for _, name := range devices {
		err = errors.Join(err, os.WriteFile(in("dev/"+name), nil, 0o600),
			unix.Mount("/dev/"+name, in("dev/"+name), "", unix.MS_BIND, ""))
	}
	for _, m := range c.Mounts {
		err = errors.Join(err, unix.Mount(m.Source, in(m.Target), "", unix.MS_BIND, ""))
		if !m.Writable {
			err = errors.Join(err, unix.Mount("", in(m.Target), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|plain, ""))
		}
	}
	for _, name := range []string{"", "dev"} {
		flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID)
		err = errors.Join(err, unix.Mount("", in(name), "", flags, ""))
	}
	return err
}

// dropPrivileges makes this thread one of the container's user, for good.
func (c Container) dropPrivileges() error {
	for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("drop capability %d: %w", capability, err)
		}
	}
	unix.Umask(0o022)
	return errors.Join(
		unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}),
		syscall.Setgroups(c.Groups),
		syscall.Setresgid(c.User, c.User, c.User),
		syscall.Setresuid(c.User, c.User, c.User),
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
		unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0), // another user has none
	)
}
