package main

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// pushAndPull pushes a layout to a registry under two tags, as the release does, and pulls
// it back.
func (c check) pushAndPull(folder, digest string) error {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/somebody/fullstory-export-mcp"
	tags := []string{repository + ":" + version, repository + ":latest"}
	out, err := exec.Command(c.builder, append([]string{"push", folder}, tags...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("push: %w: %s", err, out)
	}
	for _, tag := range tags {
		if !strings.Contains(string(out), tag+"@"+digest+"\n") {
			return fmt.Errorf("push prints %s", out)
		}
		reference, err := name.ParseReference(tag)
		if err != nil {
			return err
		}
		index, err := remote.Index(reference)
		if err != nil {
			return err
		}
		pulled, err := index.Digest()
		if err != nil {
			return err
		}
		if pulled.String() != digest {
			return fmt.Errorf("%s was pushed as %s", digest, pulled)
		}
		if err := validate.Index(index); err != nil {
			return err
		}
		// As a client does that asks for the image of its machine.
		image, err := remote.Image(reference, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "arm64"}))
		if err != nil {
			return err
		}
		if got, err := image.ConfigFile(); err != nil || got.Architecture != "arm64" {
			return fmt.Errorf("the registry gives another image to arm64: %+v, %w", got, err)
		}
	}
	if out, err := exec.Command(c.builder, "push", folder, "without-a-tag").CombinedOutput(); err == nil {
		return fmt.Errorf("push accepts a reference without a tag: %s", out)
	}
	fmt.Println("pushed to a registry and pulled back: the same digest")
	return nil
}
