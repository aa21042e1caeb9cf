// Command licences prints the licences of what the program is made of: of Go, and of every
// module that is linked in on one of the systems released for. It fails if a module has no licence,
// or one under which the program may not be given away as it is.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// targets are the systems released for, as packaging/goreleaser.yaml has them.
var targets = []string{
	"darwin/amd64", "darwin/arm64", "linux/amd64", "linux/arm64", "windows/amd64", "windows/arm64",
}

// licenceFile matches the names of files with licences and notices.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|unlicense)([-._].*)?$`)

// copyleft matches the titles of licences under which the whole program would have to be.
var copyleft = regexp.MustCompile(`(?im)^\s*GNU\s+(AFFERO\s+|LESSER\s+|LIBRARY\s+)?GENERAL\s+PUBLIC\s+LICENSE`)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func write(out io.Writer) error {
	root, err := run(nil, "env", "GOROOT")
	if err != nil {
		return err
	}
	modules := map[string]*module{"Go and its standard library": {folders: map[string]bool{}}}
	modules["Go and its standard library"].folders[strings.TrimSpace(string(root))] = true
	for _, target := range targets {
		if err := collect(target, modules); err != nil {
			return err
		}
	}
	var all bytes.Buffer
	all.WriteString("The program is made of these modules, under these licences.\n")
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		if err := modules[name].write(&all, name); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	_, err = all.WriteTo(out)
	return err
}

// module is a module with the folders whose licences apply: its own, and those of packages that are
// linked in, since some have code of others.
type module struct {
	root    string
	folders map[string]bool
}

// collect adds the modules that are linked in on a target, such as linux/amd64.
func collect(target string, modules map[string]*module) error {
	system, processor, _ := strings.Cut(target, "/")
	raw, err := run([]string{"GOOS=" + system, "GOARCH=" + processor, "CGO_ENABLED=0"},
		"list", "-deps", "-json=Dir,Module", ".")
	if err != nil {
		return err
	}
	for list := json.NewDecoder(bytes.NewReader(raw)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := list.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		name := p.Module.Path + " " + p.Module.Version
		if modules[name] == nil {
			modules[name] = &module{p.Module.Dir, map[string]bool{p.Module.Dir: true}}
		}
		for dir := p.Dir; len(dir) > len(p.Module.Dir); dir = filepath.Dir(dir) {
			modules[name].folders[dir] = true
		}
	}
}

// write writes the licences of a module.
func (m *module) write(out *bytes.Buffer, name string) error {
	found := false
	for _, folder := range slices.Sorted(maps.Keys(m.folders)) {
		files, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, f := range files {
			if f.IsDir() || !licenceFile.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") {
				continue
			}
			raw, err := os.ReadFile(filepath.Join(folder, f.Name()))
			if err != nil {
				return err
			}
			if copyleft.Match(raw) {
				return fmt.Errorf("%s: %s is a licence of the GNU family", name, f.Name())
			}
			found = true
			within, _ := filepath.Rel(m.root, filepath.Join(folder, f.Name()))
			if m.root == "" {
				within = f.Name()
			}
			heading := name + ", " + filepath.ToSlash(within)
			fmt.Fprintf(out, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), heading, bytes.TrimSpace(raw))
		}
	}
	if !found {
		return fmt.Errorf("%s has no licence", name)
	}
	return nil
}

// run runs the go command, and returns what it printed.
func run(env []string, args ...string) ([]byte, error) {
	c := exec.Command("go", args...)
	c.Env = append(os.Environ(), env...)
	c.Stderr = os.Stderr
	raw, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return raw, nil
}
