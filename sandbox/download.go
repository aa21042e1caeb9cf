package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filePath is the route of files. It simulates the object store that Fullstory's
// links lead to.
const filePath = "/sandbox-search-export/"

// signer signs links to files and checks them. Sandboxes with the same secret
// accept each other's links.
type signer struct{ secret []byte }

// sign returns the signature of a link to the results id until expires, in Unix
// nanoseconds.
func (s signer) sign(id, expires string) string {
	h := hmac.New(sha256.New, s.secret)
	io.WriteString(h, id+"\n"+expires)
	return hex.EncodeToString(h.Sum(nil))
}

// results answers with a link to the file of a completed export. Assumed: an
// unfinished export is 400, an expired one 410.
func (s *Sandbox) results(w http.ResponseWriter, r *http.Request, _ caller) {
	x, ok, err := s.journal.ofResults(r.PathValue("id"))
	now := s.Now()
	switch {
	case err != nil:
		s.failWith(w, err)
		return
	case !ok || x.isCancelled() || x.fails():
		fail(w, http.StatusNotFound, "resource_not_found", "There is no such export.")
		return
	case now.Before(x.ends) || !s.ensureFile(x):
		fail(w, http.StatusBadRequest, "export_not_ready", "The export is not complete.")
		return
	case !now.Before(s.expires(x)):
		fail(w, http.StatusGone, "export_expired", "The export has expired.")
		return
	}
	expires := now.Add(s.inClock(s.config.LinkLife))
	stamp := strconv.FormatInt(expires.UnixNano(), 10)
	link := origin(r) + filePath + url.PathEscape(x.search)
	reply(w, struct {
		Location string `json:"location"`
		Expires  string `json:"expires"`
	}{link + "?exp=" + stamp + "&sig=" + s.links.sign(x.search, stamp), nanoseconds(expires)})
}

// download serves a file as an object store does: only for the method that the
// link was signed for. It rejects a request that carries an API key, because a
// client must not send its key to the store.
func (s *Sandbox) download(w http.ResponseWriter, r *http.Request) {
	n := s.stats.downloads.Add(1)
	s.stats.ofSegment(s.segmentOf(onDownload, r)).downloads.Add(1)
	id, expires := r.PathValue("id"), r.URL.Query().Get("exp")
	at, err := strconv.ParseInt(expires, 10, 64)
	signed := hmac.Equal([]byte(s.links.sign(id, expires)), []byte(r.URL.Query().Get("sig")))
	method := r.Method == http.MethodGet || r.Method == http.MethodHead && s.config.has(head)
	switch {
	case r.Header.Get("Authorization") != "":
		storeError(w, http.StatusBadRequest, "InvalidArgument",
			"Only one form of authentication is allowed: the link is signed, "+
				"and the request has an Authorization header.")
		return
	case !method || err != nil || !signed:
		storeError(w, http.StatusForbidden, "SignatureDoesNotMatch", "The signature does not match the request.")
		return
	case s.Now().UnixNano() >= at:
		storeError(w, http.StatusForbidden, "ExpiredToken", "The link has expired.")
		return
	}
	x, ok, err := s.journal.ofResults(id)
	of := s.segmentOf(onDownload, r)
	if err != nil || !ok || of == nil {
		storeError(w, http.StatusNotFound, "NoSuchKey", "There is no such object.")
		return
	}
	f := s.faults.at(onDownload, of)
	if f != nil {
		w.Header().Set("Sandbox-Fault", f.Do)
	}
	if f != nil && s.failDownload(f, w, r) {
		return
	}
	s.serveFile(w, r, x, f, n)
}

// storeFailures are the faults of downloads that only answer with an error of the
// store.
var storeFailures = map[string]rejection{
	"400": {http.StatusBadRequest, "InvalidArgument", "The request is not valid. (injected)"},
	"404": {http.StatusNotFound, "NoSuchKey", "There is no such object. (injected)"},
	"500": {http.StatusInternalServerError, "InternalError",
		"We encountered an internal error. Please try again. (injected)"},
	"503":          {http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate. (injected)"},
	"expired_link": {http.StatusForbidden, "ExpiredToken", "The link has expired. (injected)"},
}

// failDownload applies a fault that replaces the download, and reports whether the
// request is finished. After slow it waits and lets the download continue, unless
// the client has gone.
func (s *Sandbox) failDownload(f *Fault, w http.ResponseWriter, r *http.Request) bool {
	s.setRetryAfter(f, f.Do, w)
	if failed, ok := storeFailures[f.Do]; ok {
		storeError(w, failed.status, failed.code, failed.message)
		return true
	}
	if f.Do == "slow" {
		return !wait(r, f.delay())
	}
	return breakOrRedirect(f.Do, w, r)
}

// serveFile serves the file of x under the fault of the export and then that of the
// download f. n is the number of this download.
func (s *Sandbox) serveFile(w http.ResponseWriter, r *http.Request, x export, f *Fault, n int64) {
	active := x.activeFault(s.Now())
	file, content, err := s.openContent(x, contentFault(f, active))
	if err != nil {
		storeError(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	defer file.Close()
	o, err := newObject(file, content)
	if err != nil {
		storeError(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	if s.config.has(noRange) {
		r.Header.Del("Range")
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", s.disposition(x, active, f))
	o.damage(active, content, n).damage(f, content, n).serveWith(f, w, r)
}

// disposition returns the Content-Disposition of an export's file under the given
// faults; nil ones are ignored.
func (s *Sandbox) disposition(x export, faults ...*Fault) string {
	of := s.segment(x.request.Segment)
	hostile := false
	for _, f := range faults {
		switch {
		case f == nil:
		case f.Do == "disposition_other":
			of = s.otherSegment(of)
		case f.Do == "disposition_hostile":
			hostile = true
		}
	}
	name := fmt.Sprintf("%s %s.%s.gz", of.name, x.created.UTC().Format(time.DateOnly), fileExtensions[x.request.Format])
	if hostile {
		name = "../../" + strings.Repeat("x", 10_000) + "\"quoted\"\n" + name
		return `attachment; filename="` + strings.NewReplacer(`"`, `\"`, "\n", " ").Replace(name) +
			`"; filename*=UTF-8''` + url.PathEscape(name)
	}
	return `attachment; filename="` + strings.NewReplacer(`"`, "'", `\`, "_").Replace(name) + `"`
}

// otherSegment returns the segment listed after this one, or the first after the
// last.
func (s *Sandbox) otherSegment(of *segment) *segment {
	all := s.data.segments()
	return all[(slices.Index(all, of)+1)%len(all)]
}

// fileExtensions are the extensions of file names in Content-Disposition.
var fileExtensions = map[format]string{formatNDJSON: "ndjson", formatJSON: "json", formatCSV: "csv"}

// storeError answers with an error in XML, as object stores do.
func storeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(status)
	io.WriteString(w, xml.Header)
	xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
		Message string
	}{Code: code, Message: message})
}
