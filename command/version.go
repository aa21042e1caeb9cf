package command

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

type versionCommand struct {
	Check    bool   `help:"Also ask for the newest release. Nothing is asked otherwise, and nothing is updated."`
	Releases string `help:"With --check: address that answers as GitHub's API for the newest release. Default: the project's." placeholder:"URL" env:"FULLSTORY_EXPORT_RELEASES"`
	JSON     bool   `help:"Print one JSON object." name:"json"`
}

// versions is what `version --json` prints.
type versions struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"` // such as linux/amd64

	Newest string `json:"newest,omitempty"` // release, with --check
	Newer  *bool  `json:"newer,omitempty"`  // whether that is newer than Version; absent if Version is no release
	Page   string `json:"page,omitempty"`   // of the release
}

// Run prints the version, and with Check how it compares with the newest release.
func (c *versionCommand) Run(ctx context.Context, a *app) error {
	own := versions{
		Version: version(), Commit: setting("vcs.revision"), Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if c.Check {
		r, err := newestRelease(ctx, cmp.Or(c.Releases, releases))
		if err != nil {
			return err
		}
		own.compare(r)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(own)
	}
	text := versionLine()
	if c.Check {
		text += "\n" + own.inWords()
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return err
}

// versionLine returns the version of the program, its commit, the version of Go, and the platform.
func versionLine() string {
	commit := setting("vcs.revision")
	if commit = commit[:min(12, len(commit))]; commit == "" || strings.Contains(version(), commit) {
		commit = ""
	} else {
		commit = " (" + commit + ")"
	}
	return fmt.Sprintf("fullstory-export-mcp %s%s %s %s/%s",
		version(), commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version returns the version of the module that was built: a release as v0.9.0, another commit as
// Go names it, "devel" if Go was told nothing of it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// setting returns a setting of the build, such as vcs.revision, the commit; "" if it has none.
func setting(key string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
	}
	return ""
}
