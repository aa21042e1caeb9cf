//go:build unix

package command

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestTokensAtOnce has many processes add callers to one file.
func TestTokensAtOnce(t *testing.T) {
	t.Parallel()
	program, file := build(t), filepath.Join(t.TempDir(), "callers.json")
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() {
			out, err := exec.Command(program, "serve", "token", fmt.Sprint("caller-", n), "--callers", file).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	c := &callers{t: t, file: file, tokens: map[string]string{}}
	c.add("last")
	s := serveProgram(t, program, t.TempDir(), "--callers", file)
	if !strings.Contains(s.stderr.String(), "(7 so far)") {
		t.Errorf("not 7 callers: %s", s.stderr.String())
	}
}
