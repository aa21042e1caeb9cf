package transport

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Pages are web pages for people beside the routes of MCP. Their handler finds out who a request
// comes from; it need not check the Host.
type Pages struct {
	Handler http.Handler
	Routes  []string // patterns of http.ServeMux, without methods
}

// maxForm is the largest body of a request to a page, in bytes.
const maxForm = 64 << 10

// servePage passes a request on to the pages. Its context has the address of the server, and ends
// when the server stops. Answers have writeTime, unless the handler sets another deadline.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case !s.isHost(r):
		leave(w, r)
		w.Header().Set("Connection", "close")
		s.reject(w, r, http.StatusForbidden, "host", "This server does not accept requests for this host name. "+
			"To allow it, start the server with --allow-host NAME.")
		return
	case s.stopping.Load():
		w.Header().Set("Retry-After", "5")
		w.Header().Set("Connection", "close")
		s.reject(w, r, http.StatusServiceUnavailable, "stopping", "The server is restarting. Try again in a few seconds.")
		return
	case r.ContentLength > maxForm:
		s.reject(w, r, http.StatusRequestEntityTooLarge, "body", "The form is larger than 64 KiB.")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), addressKey{}, s.ownAddress(r)))
	defer cancel(nil)
	p := &piece{kind: listening, cancel: cancel}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.kind = calling // an action that has begun is completed
	}
	s.core.work.add(p)
	defer s.core.work.remove(p)
	s.o.Pages.Handler.ServeHTTP(w, r.WithContext(ctx))
}

// ownAddress returns the address of the server for the client of a request: the public one, if
// there is one.
func (s *Server) ownAddress(r *http.Request) string {
	if s.o.Files != nil && s.o.Files.Public != "" {
		return s.o.Files.Public
	}
	return s.address(r)
}

// AddressOf returns the address of the server as the client of a request to a page uses it, without
// a final slash. ctx must be the context of the request.
func AddressOf(ctx context.Context) string {
	address, _ := ctx.Value(addressKey{}).(string)
	return address
}

// Path returns the path of a new address of a file for the caller of ctx, relative to that of the
// server, and until when it is valid.
func (f *Files) Path(ctx context.Context, subject, name string) (path string, until time.Time) {
	address, until := (&Files{Tickets: f.Tickets}).URL(context.WithValue(ctx, addressKey{}, ""), subject, name)
	return strings.TrimPrefix(address, "/"), until
}
