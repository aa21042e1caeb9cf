package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// architectures are the platforms of the index, in its order.
var architectures = []string{"amd64", "arm64"}

// run writes the layout, and prints its digest.
func (b build) run() error {
	if _, err := os.Stat(b.out); err == nil {
		return fmt.Errorf("%s exists; give a folder that does not", b.out)
	}
	config, err := readDockerfile(b.dockerfile)
	if err != nil {
		return err
	}
	config.WorkingDir = "/home/nonroot" // as in the base image of deploy/Dockerfile
	labels, err := b.labels()
	if err != nil {
		return err
	}
	maps.Copy(config.Labels, labels)
	programs := map[string][]byte{}
	for _, a := range architectures {
		if programs[a], err = readProgram(b.programs[a], a, b.version, b.revision); err != nil {
			return err
		}
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, architecture := range architectures {
		image, err := b.image(config, architecture, programs[architecture])
		if err != nil {
			return err
		}
		platform := &v1.Platform{OS: "linux", Architecture: architecture}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: platform},
		})
	}
	// Registries show the annotations of an index, and not the labels of its images.
	annotated := mutate.Annotations(index, config.Labels).(v1.ImageIndex)
	digest, err := annotated.Digest()
	if err != nil {
		return err
	}
	place, err := layout.Write(b.out, empty.Index)
	if err != nil {
		return err
	}
	name := map[string]string{"org.opencontainers.image.ref.name": b.version}
	if err := place.AppendIndex(annotated, layout.WithAnnotations(name)); err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}

// image returns the image of one platform: a layer that all platforms share, and one with
// the program.
func (b build) image(config v1.Config, architecture string, program []byte) (v1.Image, error) {
	below, err := base(b.created)
	if err != nil {
		return nil, err
	}
	above, err := withProgram(b.created, program)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		Architecture: architecture, OS: "linux", Created: v1.Time{Time: b.created}, Config: config,
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	for _, l := range []struct {
		content []byte
		of      string
	}{{below, "certificate authorities, user and folders"}, {above, "the program"}} {
		layer, err := layerOf(l.content)
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{
			Layer:   layer,
			History: v1.History{Created: v1.Time{Time: b.created}, CreatedBy: "packaging/image", Comment: l.of},
		})
		if err != nil {
			return nil, err
		}
	}
	return image, nil
}

// layerOf returns a compressed layer with the content of a tar file.
func layerOf(content []byte) (v1.Layer, error) {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return tarball.LayerFromOpener(open,
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.DefaultCompression),
		tarball.WithCompressedCaching)
}

// setting matches a line of a file that a shell reads.
var setting = regexp.MustCompile(`(?m)^([A-Z_]+)=(\S+)$`)

// labels returns the labels that deploy/Dockerfile lacks: what is published, from where.
func (b build) labels() (map[string]string, error) {
	raw, err := os.ReadFile(b.names)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, m := range setting.FindAllStringSubmatch(string(raw), -1) {
		names[m[1]] = m[2]
	}
	if names["OWNER"] == "" || names["SERVER_NAME"] == "" {
		return nil, fmt.Errorf("%s lacks OWNER or SERVER_NAME", b.names)
	}
	return map[string]string{
		"io.modelcontextprotocol.server.name": names["SERVER_NAME"],
		"org.opencontainers.image.created":    b.created.Format(time.RFC3339),
		"org.opencontainers.image.revision":   b.revision,
		"org.opencontainers.image.source":     "https://github.com/" + names["OWNER"] + "/" + programPath,
		"org.opencontainers.image.version":    b.version,
	}, nil
}
