package tools

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"fullstory-export-mcp/client"
)

// Addresses of resources begin with these. The others than guides change while exports
// run.
const (
	scheme          = "fullstory-export://"
	guidePrefix     = scheme + "guide/"
	operationPrefix = scheme + "operations/"
	bulkPrefix      = scheme + "bulk/"
	syncPrefix      = scheme + "sync/"
	manifestSuffix  = "/manifest"
	pageQuery       = "from=" // after a "?": the first file of a page of a manifest
)

// longestAddress is the most bytes of an address.
const longestAddress = 8 << 10

// kind is what a resource describes.
type kind string

const (
	ofGuide     kind = "guide"
	ofOperation kind = "operations"
	ofBulk      kind = "bulk"
	ofManifest  kind = "manifest"
	ofSync      kind = "sync"
)

// address is the parsed address of a resource. Different texts can have the same
// address.
type address struct {
	kind kind
	id   string // the topic of a guide, or topic/part, the id of an operation, the id or name of a bulk export or a sync
	from int    // the first file of a page of a manifest
}

// withoutFiles is the address of the state of what a describes: of a bulk export for its
// manifest, which has an entry for each file.
func (a address) withoutFiles() address {
	if a.kind == ofManifest {
		a.kind = ofBulk
	}
	return a
}

// parseAddress parses the text of an address. Clients normalise addresses in different
// ways, so that the scheme and the word after it may have any case, and each character
// after them may be escaped or not. It fails for an address that no resource can have.
func parseAddress(text string) (address, error) {
	text = strings.TrimSpace(text)
	if len(text) > longestAddress || len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return address{}, errAddress
	}
	host, rest, _ := strings.Cut(text[len(scheme):], "/")
	if unescaped, err := url.PathUnescape(rest); err == nil { // otherwise a % is meant literally
		rest = unescaped
	}
	a := address{kind: kind(strings.ToLower(host)), id: rest}
	switch a.kind {
	case ofOperation, ofSync:
	case ofGuide:
		a.id = strings.ToLower(strings.TrimSuffix(rest, "/"))
	case ofBulk:
		path, query, paged := strings.Cut(rest, "?")
		a.id = strings.TrimSuffix(path, "/")
		if id, manifest := strings.CutSuffix(a.id, manifestSuffix); manifest {
			a.kind, a.id = ofManifest, id
		}
		from, ok := strings.CutPrefix(query, pageQuery)
		var err error
		if a.from, err = strconv.Atoi(from); paged && (!ok || err != nil || a.from < 0 || a.kind != ofManifest) {
			return address{}, errAddress
		}
	default:
		return address{}, errAddress
	}
	if a.id == "" || !utf8.ValidString(a.id) {
		return address{}, errAddress
	}
	return a, nil
}

// sameAddress reports whether two texts have the same address.
func sameAddress(a, b string) bool {
	first, err := parseAddress(a)
	second, wrong := parseAddress(b)
	return a == b || err == nil && wrong == nil && first == second
}

// errAddress says that no resource can have an address.
var errAddress = errors.New("no resource has this address")

// noSuchResource is the text about an address that no resource has.
func noSuchResource(text string) string {
	var topics []string
	for _, g := range guides() {
		topics = append(topics, g.topic)
	}
	return fmt.Sprintf("There is no resource %q. Addresses are %s followed by %s, which name their parts; "+
		"%s{operation_id}; %s{bulk_id}, and the same with %s; %s{sync_id}.", client.Clean(text, 200), guidePrefix,
		strings.Join(topics, ", "), operationPrefix, bulkPrefix, manifestSuffix, syncPrefix)
}

// routed returns an address that the library routes to the handler of resources, whatever
// the text of the requested one is: the library matches nothing but exact addresses and
// templates.
func routed(text string) string {
	escaped := url.QueryEscape(text[:min(len(text), longestAddress+1)])
	return operationPrefix + "of-" + strings.ReplaceAll(escaped, "+", "%20")
}

// requested returns the text that routed was called with.
func requested(address string) string {
	text, err := url.QueryUnescape(strings.TrimPrefix(address, operationPrefix+"of-"))
	if err != nil {
		return address
	}
	return text
}
