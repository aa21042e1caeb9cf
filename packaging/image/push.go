package main

import (
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push sends the index of a layout to each of the references, and prints the references
// with its digest. A registry on this machine is spoken to without TLS.
func push(folder string, references []string) error {
	index, err := open(folder)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	for _, text := range references {
		to, err := name.ParseReference(text, name.StrictValidation)
		if err != nil {
			return err
		}
		if err := remote.WriteIndex(to, index, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		fmt.Printf("%s@%s\n", text, digest)
	}
	return nil
}

// open returns the one index of a layout.
func open(folder string) (v1.ImageIndex, error) {
	outer, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	listed, err := outer.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(listed.Manifests) != 1 {
		return nil, fmt.Errorf("%s has %d images, not one index", folder, len(listed.Manifests))
	}
	return outer.ImageIndex(listed.Manifests[0].Digest)
}
