package transport

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fullstory-export-mcp/auth"
)

// Files serves files to anyone who has a ticket for one: a person opens the address in a
// browser, which has no token. Its fields are set before it is used.
type Files struct {
	Tickets *auth.Tickets
	Public  string // address of the server as clients reach it, see PublicURL; "": see Server.address
	// Open opens the file of a subject for the caller of ctx. With fetch its content will be
	// sent. It fails with a *FileError.
	Open func(ctx context.Context, subject string, fetch bool) (File, error)
}

// File is what is served. It is closed after that.
type File struct {
	io.ReadSeekCloser
	Name string
	Type string // MIME
	Tag  string // equal for equal content alone: hexadecimal
}

// FileError says why a file is not served.
type FileError struct {
	Status int
	Text   string // for a person
}

func (e *FileError) Error() string { return e.Text }

const filesRoute = "/files/"

// URL returns a new address of a file for the caller of ctx, which must be the context of a
// request to the server, and until when it is valid.
func (f *Files) URL(ctx context.Context, subject, name string) (address string, until time.Time) {
	base := f.Public
	if base == "" {
		base, _ = ctx.Value(addressKey{}).(string)
	}
	ticket, until := f.Tickets.Issue(auth.CallerOf(ctx), subject, name)
	return base + filesRoute + ticket + "/" + url.PathEscape(name), until
}

// The bounds of downloads at once: of all callers, and of one of several.
const (
	allDownloads = 64
	ownDownloads = 8
	// idleDownload is how long a client may take to read a part. It can resume later.
	idleDownload = time.Minute
)

// serveFile sends a file, or the part that Range names, to a client with a ticket for it.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address is a secret
	methods := []string{http.MethodGet, http.MethodHead}
	if !s.isAllowed(w, r, methods) {
		return
	}
	ticket, ok := s.ticketOf(w, r)
	if !ok {
		return
	}
	if !s.limits.Request(ticket.Caller) {
		s.tooMany(w, r)
		return
	}
	r = r.WithContext(auth.WithCaller(r.Context(), ticket.Caller))
	fetch := r.Method == http.MethodGet
	if fetch {
		release, ok := s.downloadSlot(w, r)
		if !ok {
			return
		}
		defer release()
	}
	ctx, end := s.downloadContext(r)
	defer end()
	file, err := s.o.Files.Open(ctx, ticket.Subject, fetch)
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(idleDownload)) // opening can take long
	if err == nil && file.Name != ticket.Name {
		file.Close()
		err = &FileError{http.StatusGone, "This file has got another name. Ask the assistant for a new link."}
	}
	if err != nil {
		s.notServed(w, r, err)
		return
	}
	defer file.Close()
	h.Set("Content-Type", file.Type)
	h.Set("ETag", `"`+file.Tag+`"`)
	h.Set("Content-Disposition", attachment(file.Name))
	// No time of the last change: If-Range and If-None-Match compare the content.
	http.ServeContent(&download{w, ctx}, r.WithContext(ctx), "", time.Time{}, file)
}

// attachment returns a Content-Disposition that has a browser store a file under that name,
// whatever characters it has.
func attachment(name string) string {
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
}

// ticketOf returns the ticket of a request, or rejects the request. A request that shows a
// token as well must show one of the same caller.
func (s *Server) ticketOf(w http.ResponseWriter, r *http.Request) (auth.Ticket, bool) {
	ticket, err := s.o.Files.Tickets.Read(r.PathValue("ticket"), r.PathValue("name"))
	broken, isBroken := errors.AsType[*auth.CallersError](err)
	switch {
	case isBroken:
		w.Header().Set("Retry-After", "30")
		s.reject(w, r, http.StatusServiceUnavailable, "callers", broken.Error())
	case errors.Is(err, auth.ErrTicketExpired):
		s.reject(w, r, http.StatusGone, "ticket", "This link has expired. Ask the assistant for a new one.")
	case errors.Is(err, auth.ErrTicketRight):
		s.reject(w, r, http.StatusForbidden, "ticket", "The caller of this link may not fetch files any more. "+
			"Ask the operator of this server for that right.")
	case err != nil:
		s.reject(w, r, http.StatusForbidden, "ticket", "This link is not valid, or not any more. "+
			"Copy it whole, or ask the assistant for a new one.")
	case r.Header.Get("Authorization") != "":
		caller, ok := s.identify(w, r)
		if !ok {
			return ticket, false
		}
		if caller.Name != ticket.Caller.Name || caller.Account != ticket.Caller.Account {
			s.reject(w, r, http.StatusForbidden, "ticket", "This link belongs to another caller. "+
				"Ask for one of your own with the tool that returned it.")
			return ticket, false
		}
		return ticket, true
	default:
		return ticket, true
	}
	return ticket, false
}

// notServed answers that a file is not served.
func (s *Server) notServed(w http.ResponseWriter, r *http.Request, err error) {
	why, ok := errors.AsType[*FileError](err)
	if !ok {
		why = &FileError{http.StatusInternalServerError, "The file cannot be opened. Try again in a minute."}
	}
	if why.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	s.reject(w, r, why.Status, "file", why.Text)
}

// downloadSlot waits for one of the downloads at once. It rejects the request if that takes
// longer than readTime.
func (s *Server) downloadSlot(w http.ResponseWriter, r *http.Request) (release func(), ok bool) {
	own := ownDownloads
	if s.gate.Single() {
		own = 0
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	release, err := s.downloads.Take(ctx, auth.CallerOf(ctx).Name, own)
	if err != nil {
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)) // it has waited
		w.Header().Set("Retry-After", "10")
		s.reject(w, r, http.StatusTooManyRequests, "downloads",
			"Too many downloads are running. Try again when one has ended.")
	}
	return release, err == nil
}

// downloadContext returns the context of a download. It ends with the request, and when the
// token of its caller is no longer valid. The caller must call end.
func (s *Server) downloadContext(r *http.Request) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	p := &piece{kind: serving, caller: auth.CallerOf(ctx), cancel: cancel}
	s.core.work.add(p)
	unwatch := s.watchToken(r, cancel)
	return ctx, func() {
		s.core.work.remove(p)
		unwatch()
		cancel(nil)
	}
}

// download writes to a client for as long as ctx lasts and the client reads.
type download struct {
	http.ResponseWriter
	ctx context.Context
}

func (d *download) Write(b []byte) (int, error) {
	if d.ctx.Err() != nil {
		return 0, context.Cause(d.ctx)
	}
	http.NewResponseController(d.ResponseWriter).SetWriteDeadline(time.Now().Add(idleDownload))
	return d.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (d *download) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// shownPath returns the path of a request for the log. Tickets are secrets.
func shownPath(r *http.Request) string {
	if before, _, ok := strings.Cut(r.URL.Path, filesRoute); ok {
		return before + filesRoute + "…"
	}
	return r.URL.Path
}
