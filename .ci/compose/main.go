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
	"regexp"
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

// images are the variables of .env that name images, as deploy/images writes them.
var images = []string{"GO_IMAGE", "BASE_IMAGE", "NGINX_IMAGE", "POSTGRES_IMAGE"}

// load loads a project as docker compose does, with variables of .env.
func load(path string, variables []string) (*types.Project, error) {
	o, err := cli.NewProjectOptions([]string{path},
		cli.WithEnv(variables), cli.WithInterpolation(true), cli.WithResolvedPaths(true))
	if err != nil {
		return nil, err
	}
	return o.LoadProject(context.Background())
}

// checkCompose loads a project and checks each service. It fails if the project can be
// loaded without the digest of an image.
func checkCompose(path string) error {
	var variables []string
	for _, name := range images {
		variables = append(variables, name+"=example@sha256:"+strings.Repeat("0", 64))
	}
	project, err := load(path, variables)
	if err != nil {
		return err
	}
	for i, name := range images {
		if _, err := load(path, slices.Delete(slices.Clone(variables), i, i+1)); err == nil {
			return fmt.Errorf("%s: an image is used although %s is not set", path, name)
		}
	}
	for _, s := range project.Services {
		if err := checkService(s); err != nil {
			return fmt.Errorf("%s: service %s: %w", path, s.Name, err)
		}
	}
	fmt.Printf("%s: %s\n", path, strings.Join(project.ServiceNames(), ", "))
	return nil
}

// digest matches an image that cannot be replaced by another one.
var digest = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

// checkLimits fails if the image of a service may change, or if the service may use all of
// the machine: its memory, processes, processors, or the disk by core dumps and logs.
func checkLimits(s types.ServiceConfig) error {
	if s.Build == nil && !digest.MatchString(s.Image) {
		return fmt.Errorf("the image %s has no digest", s.Image)
	}
	if s.Deploy == nil || s.Deploy.Resources.Limits == nil {
		return errors.New("it lacks deploy.resources.limits")
	}
	if l := s.Deploy.Resources.Limits; l.MemoryBytes <= 0 || l.Pids <= 0 || l.NanoCPUs <= 0 {
		return errors.New("it lacks a limit of memory, pids or cpus")
	}
	if core := s.Ulimits["core"]; core == nil || core.Single != 0 || core.Soft != 0 || core.Hard != 0 {
		return errors.New("it may write core dumps")
	}
	if s.Logging == nil || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
		return errors.New("its log has no largest size")
	}
	for _, mount := range s.Tmpfs {
		if !strings.Contains(mount, ":size=") {
			return fmt.Errorf("the tmpfs %s has no size", mount)
		}
	}
	return nil
}

// checkService fails if a service lacks limits, has privileges that it does not need, is
// open to other machines, mounts a missing file, or has a password in its environment.
func checkService(s types.ServiceConfig) error {
	if err := checkLimits(s); err != nil {
		return err
	}
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

// isRequired reports whether an image is named by an argument without a default.
func isRequired(image string, arguments []instructions.ArgCommand) bool {
	for _, a := range arguments {
		for _, each := range a.Args {
			if image == "${"+each.Key+"}" {
				return each.Value == nil && slices.Contains(images, each.Key)
			}
		}
	}
	return false
}

// checkDockerfile parses a file as BuildKit does. It fails for each warning of BuildKit, for
// an image without a digest, and if the program would run as root.
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
	stages, arguments, err := instructions.Parse(read.AST, lint)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, s := range stages {
		if !digest.MatchString(s.BaseName) && !isRequired(s.BaseName, arguments) {
			warned = append(warned, fmt.Errorf("%s: the image %s has no digest", path, s.BaseName))
		}
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
