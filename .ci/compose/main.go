// Command compose checks deploy/compose.yaml and deploy/Dockerfile with the parsers of
// Docker. It exits with a non-zero status if a check fails.
//
//	go run . FOLDER
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compose FOLDER")
		os.Exit(2)
	}
	folder := os.Args[1]
	err := errors.Join(
		checkCompose(filepath.Join(folder, "compose.yaml")),
		checkDockerfile(filepath.Join(folder, "Dockerfile")),
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// checkCompose loads a project as docker compose does, and checks each service.
func checkCompose(path string) error {
	o, err := cli.NewProjectOptions([]string{path}, cli.WithInterpolation(true), cli.WithResolvedPaths(true))
	if err != nil {
		return err
	}
	project, err := o.LoadProject(context.Background())
	if err != nil {
		return err
	}
	for _, s := range project.Services {
		if err := checkService(s); err != nil {
			return fmt.Errorf("%s: service %s: %w", path, s.Name, err)
		}
	}
	fmt.Printf("%s: %s\n", path, strings.Join(project.ServiceNames(), ", "))
	return nil
}

// checkService fails if a service has privileges that it does not need, is open to other
// machines, mounts a missing file, or has a password in its environment.
func checkService(s types.ServiceConfig) error {
	dropped := slices.Equal(s.CapDrop, []string{"ALL"}) && len(s.CapAdd) == 0
	if !s.ReadOnly || !dropped || s.Privileged || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		return errors.New("it lacks read_only, cap_drop: [ALL] or no-new-privileges, or another setting undoes them")
	}
	for _, p := range s.Ports {
		if p.HostIP != "127.0.0.1" {
			return fmt.Errorf("port %s is open to other machines", p.Published)
		}
	}
	for _, v := range s.Volumes {
		if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
			return fmt.Errorf("a file that it mounts is missing: %w", err)
		}
	}
	for name, value := range s.Environment {
		if value != nil && strings.Contains(name, "PASSWORD") && !strings.HasSuffix(name, "_FILE") {
			return fmt.Errorf("%s has a secret in plain text; use %s_FILE", name, name)
		}
	}
	return nil
}

// checkDockerfile parses a file as BuildKit does. It fails for each warning of BuildKit,
// and if the program would run as root.
func checkDockerfile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	read, err := parser.Parse(f)
	if err != nil {
		return err
	}
	var warned []error
	for _, w := range read.Warnings {
		warned = append(warned, fmt.Errorf("%s: %s", path, w.Short))
	}
	lint := linter.New(&linter.Config{Warn: func(rule, _, _, what string, at []parser.Range) {
		warned = append(warned, fmt.Errorf("%s: %s: %s %v", path, rule, what, at))
	}})
	stages, _, err := instructions.Parse(read.AST, lint)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	last := stages[len(stages)-1]
	root := true
	for _, c := range last.Commands {
		if user, ok := c.(*instructions.UserCommand); ok {
			root = strings.HasPrefix(user.User, "0") || strings.HasPrefix(user.User, "root")
		}
	}
	if root {
		warned = append(warned, fmt.Errorf("%s: the program would run as root", path))
	}
	if len(warned) == 0 {
		fmt.Printf("%s: %d stages, from %s\n", path, len(stages), last.BaseName)
	}
	return errors.Join(warned...)
}
