// Command image builds the container image of the program without Docker, and pushes it.
//
//	image build -amd64 FILE -arm64 FILE -version 1.2.3 -revision COMMIT -out FOLDER [-created TIME]
//	image push FOLDER REPOSITORY:TAG…
//
// build writes an OCI image layout with one image for each platform from static programs
// that were built before. The configuration is that of deploy/Dockerfile, so both images
// start alike. The same programs, version, revision and time give the same digests.
//
// push sends a layout to a registry, with the credentials of docker login, and prints its
// digest.
//
// Both are run in this folder, or given -dockerfile and -names.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run carries out a command line.
func run(args []string) error {
	switch {
	case len(args) > 0 && args[0] == "build":
		b, err := parseBuild(args[1:])
		if err != nil {
			return err
		}
		return b.run()
	case len(args) > 2 && args[0] == "push":
		return push(args[1], args[2:])
	}
	return errors.New("usage: image build FLAGS, or image push FOLDER REPOSITORY:TAG…")
}

// build is what the command build is given.
type build struct {
	programs          map[string]string // path of the program by architecture
	version, revision string
	created           time.Time
	out               string // folder that must not exist
	dockerfile, names string // paths
}

// isRevision matches a commit.
var isRevision = regexp.MustCompile(`^[0-9a-f]{40}$`)

// parseBuild reads the flags of build.
func parseBuild(args []string) (b build, err error) {
	f := flag.NewFlagSet("build", flag.ContinueOnError)
	amd64 := f.String("amd64", "", "static program for linux/amd64")
	arm64 := f.String("arm64", "", "static program for linux/arm64")
	created := f.String("created", "1970-01-01T00:00:00Z", "time of the image (RFC 3339), such as that of the commit")
	f.StringVar(&b.version, "version", "", "version of the programs, such as 1.2.3")
	f.StringVar(&b.revision, "revision", "", "commit that they were built from, 40 hexadecimal digits")
	f.StringVar(&b.out, "out", "", "folder of the layout, which must not exist")
	f.StringVar(&b.dockerfile, "dockerfile", "../../deploy/Dockerfile", "file with the configuration")
	f.StringVar(&b.names, "names", "../release.env", "file with OWNER and SERVER_NAME")
	if err := f.Parse(args); err != nil {
		return b, err
	}
	b.programs = map[string]string{"amd64": *amd64, "arm64": *arm64}
	b.version = strings.TrimPrefix(b.version, "v")
	if b.created, err = time.Parse(time.RFC3339, *created); err != nil {
		return b, fmt.Errorf("-created: %w", err)
	}
	b.created = b.created.UTC()
	switch {
	case *amd64 == "" || *arm64 == "" || b.version == "" || b.out == "" || f.NArg() > 0:
		return b, errors.New("give -amd64, -arm64, -version, -revision and -out, and nothing else")
	case !isRevision.MatchString(b.revision):
		return b, fmt.Errorf("-revision %q: give the 40 hexadecimal digits of a commit", b.revision)
	}
	return b, nil
}
