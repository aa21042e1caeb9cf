package tools

import (
	"context"
	"fmt"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/exports"
)

// FileURLs make addresses at which a person fetches a file over HTTP.
type FileURLs struct {
	// URL returns a new address for the caller of ctx, of what a subject of package exports
	// names, and until when it is valid.
	URL func(ctx context.Context, subject, name string) (address string, until time.Time)
	// MayFetch reports whether the caller of ctx may have one.
	MayFetch func(ctx context.Context) bool
}

// fileLink is the address of a file, for the result of a tool.
type fileLink struct {
	offer exports.Offer
	url   string
	until time.Time
}

// linked is a result that may have an address of a file.
type linked interface{ link() *fileLink }

// fileLink returns the address of what is offered, which is in the audit log then, and a
// sentence for the summary. link is nil without HTTP, and for a caller who may not have it.
func (s Settings) fileLink(
	ctx context.Context, a *exports.Account, o exports.Offer, offered bool,
) (link *fileLink, sentence string, err error) {
	switch {
	case s.Files == nil || !offered:
		return nil, "", nil
	case !s.Files.MayFetch(ctx):
		return nil, " " + noFiles, nil
	}
	link = &fileLink{offer: o}
	link.url, link.until = s.Files.URL(ctx, o.Subject, o.Name)
	if err := a.NoteOffer(ctx, o, link.until); err != nil {
		return nil, "", err
	}
	return link, fmt.Sprintf(" Paths are on the server; give the user file_url, a link that downloads %s %s.",
		o.Name, link.lasts()), nil
}

// lasts says how long the link is valid. Its end is by the clock of this server, which need
// not be that of Fullstory, by which other times in results are.
func (l *fileLink) lasts() string {
	return fmt.Sprintf("for %d minutes", int(time.Until(l.until).Round(time.Minute).Minutes()))
}

// noFiles is for callers that may not get files over HTTP.
const noFiles = "No file_url is returned, because this caller only reads and may not get download links. " + askForLinks

// block returns the link as a block of content. Hosts show it to the user.
func (l *fileLink) block() mcp.Content {
	b := mcp.NewResourceLink(l.url, l.offer.Name, "Valid "+l.lasts()+".", l.offer.Type)
	if l.offer.Bytes > 0 {
		b.Size = &l.offer.Bytes
	}
	return b
}

// withLink adds the link of a result to its content.
func withLink(ctx context.Context, content []mcp.Content, out any) []mcp.Content {
	l, ok := out.(linked)
	if !ok || l.link() == nil || !knowsLinks(ctx) {
		return content
	}
	return append(content, l.link().block())
}

// firstWithLinks is the first protocol version that has links in content. Clients of
// earlier ones may reject the whole answer.
const firstWithLinks = "2025-06-18"

// knowsLinks reports whether the client of a call may be sent a link as content.
func knowsLinks(ctx context.Context) bool {
	session, ok := server.ClientSessionFromContext(ctx).(interface{ ProtocolVersion() string })
	return !ok || session.ProtocolVersion() == "" || session.ProtocolVersion() >= firstWithLinks
}
