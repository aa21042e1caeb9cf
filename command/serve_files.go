package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/auth"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/tools"
	"fullstory-export-mcp/transport"
)

// serveFiles has the server that o describes serve files, and its tools give addresses of
// them. Tickets are signed with the key of sessions, which replicas share.
func (s *serveCommand) serveFiles(o *transport.Options, d *deps, served *tools.ServerOptions) error {
	if o.Key == nil { // it could not be kept
		o.Key = make([]byte, 32)
		rand.Read(o.Key)
	}
	tickets := auth.NewTickets(o.Key, auth.Gate{Callers: o.Callers, Issuer: o.Issuer})
	o.Files = &transport.Files{Tickets: tickets, Open: d.openOffer}
	served.Files = &tools.FileURLs{
		URL:      o.Files.URL,
		MayFetch: func(ctx context.Context) bool { return auth.CallerOf(ctx).MayFetch() },
	}
	given, flag := s.PublicURL, "--public-url"
	if given == "" && s.Issuer != "" {
		given, flag = s.Audience, "--oauth-audience"
	}
	if given == "" {
		return nil
	}
	public, err := transport.PublicURL(given)
	if err != nil {
		return &exitError{statusUsage, fmt.Errorf("%s %s: %w", flag, given, err)}
	}
	o.Files.Public = public
	if u, err := url.Parse(public); err == nil && s.PublicURL != "" { // a proxy can keep the name
		o.Hosts = append(slices.Clone(o.Hosts), u.Hostname())
	}
	return nil
}

// openOffer opens what a ticket is for, of the account of the caller of ctx.
func (d *deps) openOffer(ctx context.Context, subject string, fetch bool) (transport.File, error) {
	account, err := d.account(ctx)
	if err != nil {
		return transport.File{}, d.fileError(err)
	}
	release := func() {}
	if exports.IsTar(subject) {
		soon, cancel := context.WithTimeout(ctx, tarWait)
		defer cancel()
		if release, err = takeOne(soon, d.accounts.tars); err != nil {
			return transport.File{}, &transport.FileError{
				Status: http.StatusServiceUnavailable, Text: "Other tar files are being fetched. Try again when they are complete.",
			}
		}
	}
	c, err := account.OpenOffer(ctx, subject, fetch)
	if err != nil {
		release()
		return transport.File{}, d.fileError(err)
	}
	return transport.File{ReadSeekCloser: &held{c, release}, Name: c.Name, Type: c.Type, Tag: c.Sum}, nil
}

// tarWait is how long a request for a tar file waits while tarFiles others are open.
const tarWait = 10 * time.Second

// held releases a slot when it is closed.
type held struct {
	io.ReadSeekCloser
	release func()
}

func (h *held) Close() error {
	defer h.release()
	return h.ReadSeekCloser.Close()
}

// fileError returns the answer to a person about a file that cannot be opened.
func (d *deps) fileError(err error) error {
	x := exports.Explain(err)
	answer := &transport.FileError{
		Status: http.StatusServiceUnavailable,
		Text:   strings.ReplaceAll(strings.TrimSpace(x.Cause+" "+x.Remedy), "`", ""),
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		answer.Status = http.StatusNotFound
		answer.Text = "This export is not known any more. Ask the assistant for a new link."
	case errors.Is(err, exports.ErrReplaced):
		answer.Status = http.StatusGone
	case errors.Is(err, exports.ErrNotHere):
		answer.Status = http.StatusNotFound
	case errors.Is(err, exports.ErrIncomplete):
		answer.Status = http.StatusConflict
	default:
		d.app.log.Warn("a file cannot be opened for a download", "error", err)
		answer.Text = "The file cannot be opened now. Try again in a minute; the log of the server has the reason."
	}
	return answer
}
