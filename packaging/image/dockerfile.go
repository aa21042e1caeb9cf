package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// readDockerfile returns the configuration that the last stage of a Dockerfile sets. It
// fails for an instruction that it does not know, and unless the stage copies just what
// the image has: the program and the folders that its user may change.
func readDockerfile(path string) (config v1.Config, err error) {
	f, err := os.Open(path)
	if err != nil {
		return config, err
	}
	defer f.Close()
	read, err := parser.Parse(f)
	if err != nil {
		return config, fmt.Errorf("%s: %w", path, err)
	}
	stages, _, err := instructions.Parse(read.AST, nil)
	if err != nil {
		return config, fmt.Errorf("%s: %w", path, err)
	}
	var copied []string
	for _, c := range stages[len(stages)-1].Commands {
		if to, ok := c.(*instructions.CopyCommand); ok {
			copied = append(copied, strings.TrimPrefix(to.DestPath, "/")+" "+to.Chown)
		} else if err := apply(&config, c); err != nil {
			return config, fmt.Errorf("%s: %w", path, err)
		}
	}
	want := []string{programPath + " "}
	for _, folder := range writable {
		want = append(want, folder+" "+owner)
	}
	if !slices.Equal(copied, want) {
		return config, fmt.Errorf("%s copies %q, but the image has %q", path, copied, want)
	}
	if config.User != owner {
		return config, fmt.Errorf("%s: the user is %s, but the folders belong to %s", path, config.User, owner)
	}
	return config, nil
}

// apply adds an instruction to a configuration. It removes quotes and replaces variables
// as a build does.
func apply(config *v1.Config, c instructions.Command) error {
	if words, ok := c.(instructions.SupportsSingleWordExpansion); ok {
		err := words.Expand(func(word string) (string, error) {
			plain, unknown, err := shell.NewLex('\\').ProcessWord(word, shell.EnvsFromSlice(config.Env))
			if err == nil && len(unknown) > 0 {
				err = fmt.Errorf("%s: a variable has no value here", word)
			}
			return plain, err
		})
		if err != nil {
			return err
		}
	}
	switch c := c.(type) {
	case *instructions.LabelCommand:
		if config.Labels == nil {
			config.Labels = map[string]string{}
		}
		maps.Copy(config.Labels, pairs(c.Labels))
	case *instructions.EnvCommand:
		for _, e := range c.Env {
			config.Env = append(config.Env, e.Key+"="+e.Value)
		}
	case *instructions.UserCommand:
		config.User = c.User
	case *instructions.VolumeCommand:
		config.Volumes = set(c.Volumes)
	case *instructions.ExposeCommand:
		config.ExposedPorts = map[string]struct{}{}
		for _, port := range c.Ports {
			config.ExposedPorts[port+"/tcp"] = struct{}{}
		}
	case *instructions.HealthCheckCommand:
		config.Healthcheck = &v1.HealthConfig{
			Test: c.Health.Test, Interval: c.Health.Interval, Timeout: c.Health.Timeout,
			StartPeriod: c.Health.StartPeriod, Retries: c.Health.Retries,
		}
	case *instructions.EntrypointCommand:
		config.Entrypoint = c.CmdLine
	case *instructions.CmdCommand:
		config.Cmd = c.CmdLine
	default:
		return fmt.Errorf("%s is not known here", c.Name())
	}
	return nil
}

// pairs returns the labels of an instruction by name.
func pairs(labels []instructions.KeyValuePair) map[string]string {
	found := map[string]string{}
	for _, l := range labels {
		found[l.Key] = l.Value
	}
	return found
}

// set returns a set of texts.
func set(texts []string) map[string]struct{} {
	found := map[string]struct{}{}
	for _, t := range texts {
		found[t] = struct{}{}
	}
	return found
}
