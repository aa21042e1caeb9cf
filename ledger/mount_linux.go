package ledger

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// networkMount returns the kind of file system that dir is on if that is a network
// file system, on which SQLite's shared memory does not work; otherwise "".
func networkMount(dir string) (kind string, err error) {
	dir, err = filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	kind = mountKind(f, dir)
	if !overNetwork(kind) {
		kind = ""
	}
	return kind, nil
}

// mountKind returns the kind of file system that dir is on, by a mountinfo file
// (proc(5)): that of the longest mount point which contains dir, and of those the
// last, which hides the others.
func mountKind(mountinfo io.Reader, dir string) (kind string) {
	longest := -1
	for lines := bufio.NewScanner(mountinfo); lines.Scan(); {
		front, back, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(front)
		if !ok || len(fields) < 5 {
			continue
		}
		point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4])
		if within(dir, point) && len(point) >= longest {
			longest = len(point)
			kind, _, _ = strings.Cut(back, " ")
		}
	}
	return kind
}

// within reports whether dir is the folder point or in it.
func within(dir, point string) bool {
	return point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
}

// overNetwork reports whether another machine may change the files of that kind of
// file system, or the host of a virtual machine may, as with Docker Desktop.
func overNetwork(kind string) bool {
	switch kind {
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs", "beegfs", "gpfs",
		"virtiofs", "vboxsf", "fakeowner",
		"fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.grpcfuse", "fuse.osxfs", "fuse.gcsfuse", "fuse.blobfuse",
		"fuse.blobfuse2", "fuse.mount-s3", "fuse.glusterfs", "fuse.vmhgfs-fuse", "fuse.juicefs":
		return true
	}
	return false
}
