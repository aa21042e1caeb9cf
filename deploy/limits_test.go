//go:build unix

package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestUnit checks that the service may neither use all of the machine nor gain
// privileges. .ci/compose checks the same of compose.yaml.
func TestUnit(t *testing.T) {
	raw, err := os.ReadFile("fullstory-export-mcp.service")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	for _, want := range []string{
		"LimitCORE=0", "MemoryMax=1G", "MemorySwapMax=0", "TasksMax=256", "CPUQuota=200%", "LimitNOFILE=65536",
		"NoNewPrivileges=yes", "CapabilityBoundingSet=", "AmbientCapabilities=", "ProtectSystem=strict", "ProtectHome=yes",
		"PrivateTmp=yes", "PrivateDevices=yes", "PrivateUsers=yes", "ProtectKernelModules=yes", "ProtectProc=invisible",
		"RestrictNamespaces=yes", "RestrictSUIDSGID=yes", "MemoryDenyWriteExecute=yes", "UMask=0077",
		"StateDirectoryMode=0700", "KeyringMode=private", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
		"SystemCallFilter=~@privileged @resources", "LoadCredential=api_key:/etc/fullstory-export-mcp/api_key",
	} {
		t.Run(want, func(t *testing.T) {
			if !slices.Contains(lines, want) {
				t.Errorf("the unit lacks the line %s", want)
			}
		})
	}
	for _, line := range lines {
		if strings.Contains(line, "FULLSTORY_API_KEY=") {
			t.Errorf("the unit has a key in its environment: %s", line)
		}
	}
}

// TestImages runs the script that looks up digests, with a docker that prints what a
// registry could.
func TestImages(t *testing.T) {
	good := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	const before = "MCP_HOST=mcp.example.com\nGO_IMAGE=old\n"
	for name, test := range map[string]struct {
		docker string // its last line
		ok     bool
	}{
		"digests":                {"echo " + good, true},
		"nothing":                {"true", false},
		"a failure":              {"exit 1", false},
		"a failure after output": {"echo " + good + "x; exit 1", false},
		"a tag":                  {"echo latest", false},
		"a short digest":         {"echo sha256:0123", false},
		"a long digest":          {"echo " + good + "0", false},
		"no hexadecimal digest":  {"echo sha256:" + strings.Repeat("g", 64), false},
		"two lines":              {"echo " + good + "; echo " + good, false},
		"only the last fails":    {`case "$*" in *postgres*) exit 1;; esac; echo ` + good, false},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			script, err := os.ReadFile("images")
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{
				"images": string(script), "docker": "#!/bin/sh\n" + test.docker + "\n", ".env": before,
			} {
				if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			c := exec.Command("sh", filepath.Join(folder, "images"))
			c.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
			out, err := c.CombinedOutput()
			written, _ := os.ReadFile(filepath.Join(folder, ".env"))
			if (err == nil) != test.ok || !test.ok && string(written) != before {
				t.Fatalf("got %v: %s\n.env is:\n%s", err, out, written)
			}
			want := regexp.MustCompile(`^MCP_HOST=mcp\.example\.com\n` +
				`GO_IMAGE=golang:\S+@` + good + `\nBASE_IMAGE=gcr\.io/\S+@` + good +
				`\nNGINX_IMAGE=nginx:\S+@` + good + `\nPOSTGRES_IMAGE=postgres:\S+@` + good + `\n$`)
			if test.ok && !want.Match(written) {
				t.Errorf(".env is:\n%s", written)
			}
		})
	}
}
