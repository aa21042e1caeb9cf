package command

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompletion lets bash complete words with the script for it.
func TestCompletion(t *testing.T) {
	shell, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not here")
	}
	_, script, _ := printed("completion", "bash")
	for line, want := range map[string]string{
		"ru":                    "run",
		"re":                    "resume retry",
		"run --segm":            "--segment --segment-window",
		"--sandbox status --wa": "--watch",
		"verify --sandbox":      "",
		"serve --sandbox-ra":    "--sandbox-rate",
		"help ve":               "verify version",
	} {
		words := strings.Fields(line)
		c := exec.Command(shell, "--norc", "-c", script+`
			COMP_WORDS=(fullstory-export-mcp "$@"); COMP_CWORD=$#; _fullstory_export_mcp; echo "${COMPREPLY[*]}"`, "bash")
		c.Args = append(c.Args, words...)
		got, err := c.CombinedOutput()
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s is completed with %s, %v; want %s", line, got, err, want)
		}
	}
}

// TestCompletionParses has the other shells read their scripts, where they are installed.
func TestCompletionParses(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		status, script, stderr := printed("completion", shell)
		if status != 0 || !strings.Contains(script, "segment-window") {
			t.Errorf("%s: status %d, %s%s", shell, status, script, stderr)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		c := exec.Command(path, "-n")
		c.Stdin = strings.NewReader(script)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v, %s", filepath.Base(path), err, out)
		}
	}
	if status, _, stderr := printed("completion", "powershell"); status != 2 || !strings.Contains(stderr, "bash") {
		t.Errorf("another shell: status %d, %s", status, stderr)
	}
}
