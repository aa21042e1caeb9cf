package ledger

import (
	"strings"
	"testing"
)

const mountinfo = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:30 / /home/ann/team\040share rw shared:2 - nfs4 server:/team rw
24 22 0:31 / /mnt/c rw - 9p C:\134 rw
25 23 8:2 / /home/ann/team\040share/local rw - xfs /dev/sdb1 rw
`

// TestNetworkMounts finds the file systems on which SQLite is not safe.
func TestNetworkMounts(t *testing.T) {
	for dir, want := range map[string]bool{
		"/home/ann/fullstory-exports": false, "/home/ann/team share/exports": true, "/home/ann/team share": true,
		"/home/ann/team share/local/x": false, "/mnt/c/Users": true, "/mnt/cc": false,
	} {
		if kind := mountKind(strings.NewReader(mountinfo), dir); overNetwork(kind) != want {
			t.Errorf("%s is on %q; over the network: want %v", dir, kind, want)
		}
	}
	if kind, err := networkMount(t.TempDir()); kind != "" || err != nil {
		t.Errorf("the temporary folder is on %q, %v", kind, err)
	}
}
