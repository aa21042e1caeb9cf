package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// largest is the most that an image may have to download, in bytes.
const largest = 24 << 20

// labels are those of each image, and the annotations of the index. checkIndex adds what
// programs and packaging/release.env say.
var labels = map[string]string{
	"org.opencontainers.image.created": "1970-01-01T00:00:00Z",
	"org.opencontainers.image.description": "An MCP server that plans, schedules, tracks and fetches " +
		"Fullstory segment exports",
	"org.opencontainers.image.licenses": "MIT",
	"org.opencontainers.image.title":    "fullstory-export-mcp",
}

// config is what deploy/Dockerfile sets, written a second time: the builder reads it from
// there. The labels are added.
var config = v1.Config{
	User:       "65532:65532",
	WorkingDir: "/home/nonroot",
	Env: []string{
		"FULLSTORY_EXPORT_ADDR=0.0.0.0:8931", "FULLSTORY_EXPORT_CALLERS=/config/callers.json",
		"FULLSTORY_EXPORT_DIR=/data", "FULLSTORY_EXPORT_LOG_FORMAT=json",
	},
	Entrypoint:   []string{"/fullstory-export-mcp"},
	Cmd:          []string{"serve"},
	Volumes:      map[string]struct{}{"/config": {}, "/data": {}},
	ExposedPorts: map[string]struct{}{"8931/tcp": {}},
	Healthcheck: &v1.HealthConfig{
		Test:     []string{"CMD", "/fullstory-export-mcp", "healthcheck"},
		Interval: 10 * time.Second, Timeout: 3 * time.Second, StartPeriod: 20 * time.Second,
	},
}

// entries are the files of the image: mode, owner and name.
var entries = []string{
	"-rw-r--r-- 0 THIRD_PARTY_LICENCES.txt", "drwx------ 65532 config", "drwx------ 65532 data",
	"drwxr-xr-x 0 etc", "-rw-r--r-- 0 etc/group",
	"-rw-r--r-- 0 etc/passwd", "drwxr-xr-x 0 etc/ssl", "drwxr-xr-x 0 etc/ssl/certs",
	"-rw-r--r-- 0 etc/ssl/certs/ca-certificates.crt", "-rwxr-xr-x 0 fullstory-export-mcp", "drwxr-xr-x 0 home",
	"drwx------ 65532 home/nonroot", "dtrwxrwxrwx 0 tmp",
}

// only returns the one index of a layout, which must have a digest.
func only(outer v1.ImageIndex, digest string) (v1.ImageIndex, error) {
	listed, err := outer.IndexManifest()
	if err != nil {
		return nil, err
	}
	if n := len(listed.Manifests); n != 1 || listed.Manifests[0].Digest.String() != digest {
		return nil, fmt.Errorf("index.json lists %d images: %+v", n, listed.Manifests)
	}
	return outer.ImageIndex(listed.Manifests[0].Digest)
}

// imageOf returns the image of an index for an architecture of Linux.
func imageOf(index v1.ImageIndex, architecture string) (v1.Image, error) {
	listed, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, m := range listed.Manifests {
		if m.Platform != nil && m.Platform.String() == "linux/"+architecture {
			return index.Image(m.Digest)
		}
	}
	return nil, fmt.Errorf("the index has no image for linux/%s", architecture)
}

// checkIndex checks an index and its images, byte by byte.
func checkIndex(index v1.ImageIndex, programs map[string]string) error {
	if err := validate.Index(index); err != nil {
		return err
	}
	names, err := os.ReadFile("../../packaging/release.env")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(names)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "SERVER_NAME="); ok {
			labels["io.modelcontextprotocol.server.name"] = name
		} else if name, ok := strings.CutPrefix(line, "OWNER="); ok {
			labels["org.opencontainers.image.source"] = "https://github.com/" + name + "/fullstory-export-mcp"
		}
	}
	labels["org.opencontainers.image.version"] = version
	labels["org.opencontainers.image.revision"] = revision
	config.Labels = labels
	listed, err := index.IndexManifest()
	if err != nil {
		return err
	}
	if listed.MediaType != types.OCIImageIndex || len(listed.Manifests) != len(programs) {
		return fmt.Errorf("the index is of the type %s, with %d images", listed.MediaType, len(listed.Manifests))
	}
	if d := cmp.Diff(labels, listed.Annotations); d != "" {
		return fmt.Errorf("the annotations of the index differ (-want +got):\n%s", d)
	}
	for _, architecture := range slices.Sorted(maps.Keys(programs)) {
		image, err := imageOf(index, architecture)
		if err == nil {
			err = checkImage(image, architecture, programs[architecture])
		}
		if err != nil {
			return fmt.Errorf("linux/%s: %w", architecture, err)
		}
	}
	return nil
}

// checkImage checks the configuration, the size and the files of an image.
func checkImage(image v1.Image, architecture, program string) error {
	got, err := image.ConfigFile()
	if err != nil {
		return err
	}
	if got.OS != "linux" || got.Architecture != architecture {
		return fmt.Errorf("the configuration is for %s/%s", got.OS, got.Architecture)
	}
	if d := cmp.Diff(config, got.Config); d != "" {
		return fmt.Errorf("the configuration differs from the expected one (-want +got):\n%s", d)
	}
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	size := manifest.Config.Size
	for _, l := range manifest.Layers {
		if size += l.Size; l.MediaType != types.OCILayer {
			return fmt.Errorf("a layer is of the type %s", l.MediaType)
		}
	}
	if size > largest {
		return fmt.Errorf("the image has %d bytes, at most %d", size, largest)
	}
	if err := checkFiles(image, program); err != nil {
		return err
	}
	fmt.Printf("linux/%s: %d layers, %.1f MB compressed, configuration and files as expected\n",
		architecture, len(manifest.Layers), float64(size)/1e6)
	return nil
}

// checkFiles checks the names, owners, modes and times of the files of an image, its
// program and its certificate authorities.
func checkFiles(image v1.Image, program string) error {
	want, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var found []string
	err = eachFile(image, func(h *tar.Header, content []byte) error {
		found = append(found, fmt.Sprintf("%s %d %s", h.FileInfo().Mode(), h.Uid, h.Name))
		if h.Uid != h.Gid || !h.ModTime.Equal(time.Unix(0, 0)) {
			return fmt.Errorf("%s has the group %d and the time %s", h.Name, h.Gid, h.ModTime)
		}
		switch h.Name {
		case "fullstory-export-mcp":
			if !bytes.Equal(content, want) {
				return errors.New("the program is another one")
			}
		case "THIRD_PARTY_LICENCES.txt":
			if !bytes.Contains(content, []byte("\ngithub.com/mark3labs/mcp-go v")) {
				return errors.New("the licences lack that of the MCP library")
			}
		case "etc/ssl/certs/ca-certificates.crt":
			return checkAuthorities(content)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(found, func(a, b string) int {
		return strings.Compare(a[strings.LastIndex(a, " "):], b[strings.LastIndex(b, " "):])
	})
	if d := cmp.Diff(entries, found); d != "" {
		return fmt.Errorf("the files differ (-want +got):\n%s", d)
	}
	return nil
}

// authorities are some that sign for Fullstory, Google's storage and Amazon's.
var authorities = []string{"GTS Root R1", "Amazon Root CA 1", "ISRG Root X1"}

// checkAuthorities fails unless a PEM file has the usual certificate authorities.
func checkAuthorities(raw []byte) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return errors.New("the certificate authorities cannot be read")
	}
	subjects := pool.Subjects() //nolint:staticcheck // the pool is not that of the system
	for _, name := range authorities {
		if !slices.ContainsFunc(subjects, func(s []byte) bool { return bytes.Contains(s, []byte(name)) }) {
			return fmt.Errorf("the certificate authorities lack %s", name)
		}
	}
	if len(subjects) < 100 {
		return fmt.Errorf("there are only %d certificate authorities", len(subjects))
	}
	return nil
}

// eachFile calls each for every file of an image as a container sees it.
func eachFile(image v1.Image, each func(h *tar.Header, content []byte) error) error {
	flat := mutate.Extract(image)
	defer flat.Close()
	for r := tar.NewReader(flat); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := each(h, content); err != nil {
			return err
		}
	}
}
