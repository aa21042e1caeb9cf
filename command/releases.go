package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"fullstory-export-mcp/client"
)

// releases is where the account that publishes has its newest release.
const releases = "https://api.github.com/repos/fullstory-export-mcp/fullstory-export-mcp/releases/latest"

const (
	releaseWait  = 10 * time.Second
	releaseLimit = 1 << 20 // bytes of an answer
)

// release is a release as GitHub's API describes it.
type release struct {
	Tag  string `json:"tag_name"`
	Page string `json:"html_url"`
}

// newestRelease asks for the newest release. The texts of the answer are clean.
func newestRelease(ctx context.Context, url string) (r release, err error) {
	ctx, cancel := context.WithTimeout(ctx, releaseWait)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return r, fmt.Errorf("--releases is not an address: %w", err)
	}
	request.Header.Set("User-Agent", "fullstory-export-mcp/"+version())
	request.Header.Set("Accept", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return r, fmt.Errorf("the newest release cannot be asked for: %w; look for it in a browser", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return r, fmt.Errorf("the newest release cannot be asked for: %s answered %s", request.URL.Host, answer.Status)
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, releaseLimit)).Decode(&r)
	if err != nil || !semver.IsValid(r.Tag) {
		return r, fmt.Errorf("%s did not answer with a release", request.URL.Host)
	}
	r.Tag, r.Page = client.Clean(r.Tag, 100), client.Clean(r.Page, 300)
	return r, nil
}

// compare sets what is known of the newest release.
func (v *versions) compare(r release) {
	v.Newest, v.Page = r.Tag, r.Page
	if semver.IsValid(v.Version) && !module.IsPseudoVersion(v.Version) {
		newer := semver.Compare(r.Tag, v.Version) > 0
		v.Newer = &newer
	}
}

// inWords says whether there is a newer release, and where.
func (v *versions) inWords() string {
	switch {
	case v.Newer == nil:
		return fmt.Sprintf("The newest release is %s: %s\nThis program was built from source, so the two are not compared.",
			v.Newest, v.Page)
	case *v.Newer:
		return fmt.Sprintf("%s is available: %s\nUpdate it the way you installed it; docs/updates.md lists the ways.",
			v.Newest, v.Page)
	}
	return "This is the newest release."
}
