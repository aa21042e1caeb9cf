package main

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const (
	programPath = "fullstory-export-mcp"
	userID      = 65532
	owner       = "65532:65532"
)

// writable are the folders that the user of the image may change, besides /tmp.
var writable = []string{"config", "data"}

// base returns a tar file with what every image has besides the program: an account for
// its user, certificate authorities, and folders. All times are at.
func base(at time.Time) ([]byte, error) {
	const home = "home/nonroot/" // as in the base image of deploy/Dockerfile
	entries := []tar.Header{
		folder("etc/", 0o755, 0),
		file("etc/group", 0o644),
		file("etc/passwd", 0o644),
		folder("etc/ssl/", 0o755, 0),
		folder("etc/ssl/certs/", 0o755, 0),
		file("etc/ssl/certs/ca-certificates.crt", 0o644),
		folder("home/", 0o755, 0),
		folder(home, 0o700, userID),
		folder("tmp/", 0o1777, 0),
	}
	for _, name := range writable {
		entries = append(entries, folder(name+"/", 0o700, userID))
	}
	return pack(at, entries, map[string][]byte{
		"etc/group": []byte("root:x:0:\nnonroot:x:65532:\n"),
		"etc/passwd": []byte("root:x:0:0:root:/root:/sbin/nologin\n" +
			"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"),
		"etc/ssl/certs/ca-certificates.crt": authorities(),
	})
}

// authorities returns the certificate authorities that Mozilla trusts, as PEM. They are
// those of a Go module, whose version go.mod names, and not those of the machine that
// builds: so the same sources give the same image everywhere. Roots that are trusted with
// a condition are left out, because a PEM file cannot state one.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			// A buffer does not fail.
			_ = pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return all.Bytes()
}

// withProgram returns a tar file with the program alone. All times are at.
func withProgram(at time.Time, program []byte) ([]byte, error) {
	entries := []tar.Header{file(programPath, 0o755)}
	return pack(at, entries, map[string][]byte{programPath: program})
}

func folder(name string, mode int64, user int) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: user, Gid: user}
}

func file(name string, mode int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}
}

// pack returns a tar file of entries, whose files have the given content.
func pack(at time.Time, entries []tar.Header, content map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range entries {
		h.ModTime, h.Format = at, tar.FormatUSTAR
		h.Size = int64(len(content[h.Name]))
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if _, err := w.Write(content[h.Name]); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

// machines are the architectures of programs by their names in Go.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// readProgram returns the program at path. It fails unless that is a static program for
// the architecture which was built from this project, and from the version and revision
// if the build recorded them.
func readProgram(path, architecture, version, revision string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	parsed, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	isInterpreter := func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }
	switch {
	case parsed.Machine != machines[architecture]:
		return nil, fmt.Errorf("%s is for %s, not for %s", path, parsed.Machine, architecture)
	case slices.ContainsFunc(parsed.Progs, isInterpreter):
		return nil, fmt.Errorf("%s is not static: build it with CGO_ENABLED=0", path)
	}
	if err := checkBuild(bytes.NewReader(raw), version, revision); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return raw, nil
}

// pseudo matches what Go records as the version of a commit without a tag.
var pseudo = regexp.MustCompile(`[-.][0-9]{14}-[0-9a-f]{12}(\+\S+)?$`)

// checkBuild compares what a build recorded with a version and a revision.
func checkBuild(program io.ReaderAt, version, revision string) error {
	info, err := buildinfo.Read(program)
	if err != nil {
		return err
	}
	if info.Main.Path != programPath && !strings.HasSuffix(info.Main.Path, "/"+programPath) {
		return fmt.Errorf("it was built from %s", info.Main.Path)
	}
	v := info.Main.Version
	if v != "" && v != "(devel)" && !pseudo.MatchString(v) && strings.TrimPrefix(v, "v") != version {
		return fmt.Errorf("it has the version %s, not %s", v, version)
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && s.Value != revision:
			return fmt.Errorf("it was built from the commit %s, not %s", s.Value, revision)
		case s.Key == "vcs.modified" && s.Value == "true":
			return errors.New("it was built from files that were changed after the commit")
		}
	}
	return nil
}
