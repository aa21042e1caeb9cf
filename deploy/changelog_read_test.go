//go:build unix

package deploy_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestChangelogIsRead runs the commands with which packaging/build and release.yml read
// CHANGELOG.md: the newest version, and its notes.
func TestChangelogIsRead(t *testing.T) {
	version := shell(t, `sed -n .* CHANGELOG\.md \| head -n 1`, "../packaging/build", "")
	newest := regexp.MustCompile(`(?m)^## \[(\d.*)\] - .*$`).FindStringSubmatch(read(t, "../CHANGELOG.md"))
	if newest == nil || strings.TrimSpace(version) != newest[1] {
		t.Fatalf("packaging/build reads the version %q; the newest heading is %q", version, newest)
	}
	notes := shell(t, `sed -n "/.*" CHANGELOG\.md`, "../.github/workflows/release.yml", "v"+newest[1])
	want := between(read(t, "../CHANGELOG.md"), newest[0]+"\n", "\n## [")
	if strings.TrimSpace(want) == "" || strings.TrimSpace(notes) != strings.TrimSpace(want) {
		t.Errorf("release.yml reads the notes\n%s\nwant\n%s", notes, want)
	}
}

// shell runs the part of a file that matches, in the root of the project, and returns its
// output. tag is that of a release.
func shell(t *testing.T, part, file, tag string) string {
	t.Helper()
	command := regexp.MustCompile(part).FindString(read(t, file))
	if command == "" {
		t.Fatalf("%s does not read CHANGELOG.md", file)
	}
	run := exec.Command("bash", "-c", command)
	run.Dir, run.Env = "..", append(run.Environ(), "TAG="+tag)
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}
