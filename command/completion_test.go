package command

import (
	"context"
	"os"
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

// TestCompletionParses prints a script for each shell, and rejects another shell.
func TestCompletionParses(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		status, script, stderr := printed("completion", shell)
		if status != 0 || !strings.Contains(script, "segment-window") {
			t.Errorf("%s: status %d, %s%s", shell, status, script, stderr)
		}
	}
	if status, _, stderr := printed("completion", "powershell"); status != 2 || !strings.Contains(stderr, "bash") {
		t.Errorf("another shell: status %d, %s", status, stderr)
	}
}

// inShell loads the script $1 in a shell and completes the lines that follow it, which it
// prints on a line each. zsh completes only at a terminal, so one types there and presses
// Tab, and then a key that writes the line to $OUT.
var inShell = map[string]string{
	"bash": `source "$1"; shift
		for line; do
			COMP_WORDS=($line); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _fullstory_export_mcp
			echo "${COMP_WORDS[*]:0:COMP_CWORD} ${COMPREPLY[*]}"
		done`,
	"fish": `source $argv[1]
		for line in $argv[2..]
			echo (string replace -r '[^ ]*$' '' $line)(complete -C $line | string split -f 1 \t)
		end`,
	"zsh":             typeInZsh("autoload -Uz compinit && compinit -u -D; source $1"),
	"zsh by its file": typeInZsh("fpath=(${1:h} $fpath); autoload -Uz compinit && compinit -u -D"),
}

// typeInZsh returns the commands that type at a terminal of zsh after it ran begin, in which $1 is
// the script.
func typeInZsh(begin string) string {
	return `zmodload zsh/zpty
		zpty typed zsh -f -i
		zpty -w typed "` + begin + `; bindkey '^I' complete-word
			written() { print -r -- \"\$BUFFER\" >> $OUT; BUFFER= }; zle -N written; bindkey '^Y' written; print REA''DY"
		zpty -r typed chunk '*READY*'
		for line in "${@:2}"; do zpty -w -n typed "$line"$'\t\x19'; done
		zpty -w typed exit
		while zpty -r typed chunk; do :; done
		cat $OUT`
}

// TestCompletionInShells loads the scripts in bash, zsh and fish, and completes a command
// and flags there.
func TestCompletionInShells(t *testing.T) {
	for shell, commands := range inShell {
		t.Run(shell, func(t *testing.T) {
			shell, _, _ := strings.Cut(shell, " ")
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(shell + " is not installed")
			}
			_, script, _ := printed("completion", shell)
			dir := t.TempDir()
			file := filepath.Join(dir, "_fullstory-export-mcp")
			if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			clean := map[string]string{"bash": "--norc", "zsh": "-f", "fish": "--no-config"}
			c := exec.CommandContext(ctx, path, clean[shell], "-c", commands)
			if shell != "fish" {
				c.Args = append(c.Args, shell) // $0
			}
			c.Args = append(c.Args, file, "fullstory-export-mcp verif", "fullstory-export-mcp run --segment-w",
				"fullstory-export-mcp --sandbox status --wa")
			c.Dir = dir
			c.Env = append(os.Environ(), "OUT="+filepath.Join(dir, "out"), "HOME="+dir)
			out, err := c.CombinedOutput()
			const want = "fullstory-export-mcp verify\nfullstory-export-mcp run --segment-window\n" +
				"fullstory-export-mcp --sandbox status --watch\n"
			if got := strings.ReplaceAll(string(out), " \n", "\n"); err != nil || got != want {
				t.Errorf("%v, it completes\n%swant\n%s", err, got, want)
			}
		})
	}
}
