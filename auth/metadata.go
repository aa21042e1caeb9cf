package auth

import (
	"fmt"
	"net/url"
	"strings"
)

// MetadataPath is where a server publishes whose tokens it accepts (RFC 9728).
const MetadataPath = "/.well-known/oauth-protected-resource"

// Metadata is the document that RFC 9728 defines for a resource server.
type Metadata struct {
	Resource string   `json:"resource"`
	Name     string   `json:"resource_name"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
	Methods  []string `json:"bearer_methods_supported"`
}

// Metadata returns the document to serve at path, which is MetadataPath or begins with
// it and a slash. If a client found it with a final slash, the address of the server
// has one too, because clients compare it with the one that they know.
func (i *Issuer) Metadata(path string) Metadata {
	resource := i.o.Audience
	if below, ok := strings.CutPrefix(path, MetadataPath+"/"); ok && strings.HasSuffix(below, "/") {
		resource = strings.TrimSuffix(resource, "/") + "/"
	}
	return Metadata{
		Resource: resource, Name: "Fullstory exports", Servers: []string{i.o.URL},
		Scopes: []string{ScopeRead, ScopeWrite, ScopeLinks}, Methods: []string{"header"},
	}
}

// metadataURL returns the address of the metadata for a client that sent a request to
// path.
func (i *Issuer) metadataURL(path string) string {
	u, err := url.Parse(i.o.Audience)
	if err != nil {
		return ""
	}
	address := u.Scheme + "://" + u.Host + MetadataPath + strings.TrimSuffix(u.Path, "/")
	if strings.HasSuffix(path, "/") {
		address += "/"
	}
	return address
}

// challenge returns the parameters of a WWW-Authenticate header that ask for a
// token with these scopes, in answer to a request to path.
func (i *Issuer) challenge(path, scope string) string {
	return fmt.Sprintf(`Bearer realm="fullstory-export-mcp", resource_metadata=%q, scope=%q`, i.metadataURL(path), scope)
}
