package deploy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/semver"
)

// TestChangelog checks that CHANGELOG.md has the form of Keep a Changelog 1.1.0. packaging/build
// takes the version of a release from it, and release.yml the notes.
func TestChangelog(t *testing.T) {
	for _, problem := range changelogProblems(read(t, "../CHANGELOG.md"), owner(t)) {
		t.Error(problem)
	}
}

// TestChangelogProblems checks that each rule is seen to be broken.
func TestChangelogProblems(t *testing.T) {
	const url = "https://github.com/me/fullstory-export-mcp/"
	const good = "# Changelog\n\n## [Unreleased]\n\n## [1.1.0] - 2027-01-02\n\n### Added\n\n#### Any\n\n- a\n\n" +
		"## [1.0.0] - 2026-12-03\n\n### Fixed\n\n- b\n\n[Unreleased]: " + url + "compare/v1.1.0...HEAD\n" +
		"[1.1.0]: " + url + "compare/v1.0.0...v1.1.0\n[1.0.0]: " + url + "releases/tag/v1.0.0\n"
	if found := changelogProblems(good, "me"); len(found) > 0 {
		t.Fatalf("a good changelog has problems: %q", found)
	}
	for name, change := range map[string][2]string{
		"no title":             {"# Changelog\n", "# Changes\n"},
		"no unreleased part":   {"## [Unreleased]\n\n", ""},
		"a heading of its own": {"### Fixed", "### Repaired"},
		"a section twice":      {"#### Any", "### Added"},
		"no version":           {"[1.1.0] -", "[1.1] -"},
		"ascending":            {"## [1.0.0] - 2026", "## [1.2.0] - 2026"},
		"an earlier date":      {"2027-01-02", "2026-12-02"},
		"no date":              {" - 2026-12-03", ""},
		"no such date":         {"2026-12-03", "2026-11-31"},
		"no link":              {"[1.0.0]: " + url + "releases/tag/v1.0.0\n", ""},
		"a link elsewhere":     {"com/me/fullstory-export-mcp/releases", "com/you/fullstory-export-mcp/releases"},
		"a wrong comparison":   {"compare/v1.0.0...v1.1.0", "compare/v1.0.0...v1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, change[0], change[1], 1)
			if bad == good || len(changelogProblems(bad, "me")) == 0 {
				t.Errorf("nothing is wrong with\n%s", bad)
			}
		})
	}
}

// changelogProblems returns what in a changelog differs from the form. Its links are to be
// those of the repository of owner.
func changelogProblems(text, owner string) (problems []string) {
	if !strings.HasPrefix(text, "# Changelog\n") {
		problems = append(problems, "it does not begin with # Changelog")
	}
	var versions, sections []string
	last := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	heading := regexp.MustCompile(`^## \[(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)\] - (\d{4}-\d\d-\d\d)$`)
	kinds := []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		section, found := strings.CutPrefix(line, "### ")
		match := heading.FindStringSubmatch(line)
		switch {
		case found && (!slices.Contains(kinds, section) || slices.Contains(sections, section)):
			problems = append(problems, line+" is no section of Keep a Changelog, or is there twice")
		case found:
			sections = append(sections, section)
		case line == "## [Unreleased]" && versions == nil:
			versions, sections = []string{"Unreleased"}, nil
		case match != nil:
			date, err := time.Parse(time.DateOnly, match[2])
			if err != nil || date.After(last) {
				problems = append(problems, line+" has a date that is wrong, or after that of the version above")
			}
			last, versions, sections = date, append(versions, match[1]), nil
		case strings.HasPrefix(line, "## "):
			problems = append(problems, line+" is neither [Unreleased] at the top nor a version with its date")
		}
	}
	if len(versions) < 2 || versions[0] != "Unreleased" {
		return append(problems, "it lacks [Unreleased] or a version")
	}
	return append(problems, linkProblems(text, "https://github.com/"+owner+"/fullstory-export-mcp/", versions)...)
}

// linkProblems returns what is wrong with the order of versions, newest first after
// Unreleased, and with the links of their headings.
func linkProblems(text, url string, versions []string) (problems []string) {
	for i, version := range versions {
		link, end := url+"releases/tag/v"+version, "v"+version
		if i == 0 {
			end = "HEAD"
		}
		if i+1 < len(versions) {
			link = url + "compare/v" + versions[i+1] + "..." + end
		}
		if i > 0 && i+1 < len(versions) && semver.Compare(end, "v"+versions[i+1]) <= 0 {
			problems = append(problems, version+" is not newer than the version below")
		}
		if !strings.Contains(text, "\n["+version+"]: "+link+"\n") {
			problems = append(problems, "it lacks the line ["+version+"]: "+link)
		}
	}
	return problems
}

// owner returns the account that publishes.
func owner(t *testing.T) string {
	t.Helper()
	match := regexp.MustCompile(`(?m)^OWNER=(\S+)$`).FindStringSubmatch(read(t, "../packaging/release.env"))
	if match == nil {
		t.Fatal("packaging/release.env has no OWNER")
	}
	return match[1]
}

// between returns the part of a text after start and before end, or before its own end.
func between(text, start, end string) string {
	_, after, _ := strings.Cut(text, start)
	part, _, _ := strings.Cut(after, end)
	return part
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
