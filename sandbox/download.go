package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// filePath is where files are served, in place of an object store.
const filePath = "/sandbox-search-export/"

// signer makes and checks links.
type signer struct{ secret []byte }

func (s signer) sign(id, expires string) string {
	h := hmac.New(sha256.New, s.secret)
	io.WriteString(h, id+"\n"+expires)
	return hex.EncodeToString(h.Sum(nil))
}

// results gives a link to the file of a completed export. That an unfinished
// one is 400 and an expired one 410 is assumed.
func (s *Sandbox) results(w http.ResponseWriter, r *http.Request, _ caller) {
	x, ok, err := s.journal.get(r.PathValue("id"))
	now := s.Now()
	switch {
	case err != nil:
		s.failWith(w, err)
		return
	case !ok || x.stopped() || x.does("failed"):
		fail(w, http.StatusNotFound, "resource_not_found", "There is no such export.")
		return
	case now.Before(x.ends) || !s.made(x):
		fail(w, http.StatusBadRequest, "export_not_ready", "The export is not complete.")
		return
	case !now.Before(s.expires(x)):
		fail(w, http.StatusGone, "export_expired", "The export has expired.")
		return
	}
	expires := now.Add(s.config.LinkLife)
	stamp := strconv.FormatInt(expires.UnixNano(), 10)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	reply(w, struct {
		Location string `json:"location"`
		Expires  string `json:"expires"`
	}{scheme + "://" + r.Host + filePath + x.id + "?exp=" + stamp + "&sig=" + s.links.sign(x.id, stamp), nanoseconds(expires)})
}

// download serves a file as an object store does: only for the method that the
// link was signed for, and without a key, whose presence would mean that a
// client gives it away.
func (s *Sandbox) download(w http.ResponseWriter, r *http.Request) {
	n := s.stats.downloads.Add(1)
	id, expires := r.PathValue("id"), r.URL.Query().Get("exp")
	at, err := strconv.ParseInt(expires, 10, 64)
	signed := hmac.Equal([]byte(s.links.sign(id, expires)), []byte(r.URL.Query().Get("sig")))
	method := r.Method == http.MethodGet || r.Method == http.MethodHead && s.config.has("head")
	switch {
	case r.Header.Get("Authorization") != "":
		storeError(w, http.StatusBadRequest, "InvalidArgument", "Only one form of authentication is allowed: the link is signed, and an Authorization header came with it.")
		return
	case !method || err != nil || !signed:
		storeError(w, http.StatusForbidden, "SignatureDoesNotMatch", "The signature does not match the request.")
		return
	case s.Now().UnixNano() >= at:
		storeError(w, http.StatusForbidden, "ExpiredToken", "The link has expired.")
		return
	}
	x, ok, err := s.journal.get(id)
	if err != nil || !ok || s.segment(x.request.Segment) == nil {
		storeError(w, http.StatusNotFound, "NoSuchKey", "There is no such object.")
		return
	}
	f := s.faults.at(onDownload)
	if f != nil {
		w.Header().Set("Sandbox-Fault", f.Do)
	}
	if f != nil && brokenOff(f, w, r) {
		return
	}
	s.serveFile(w, r, x, f, n)
}

// brokenOff answers a download with a fault that leaves nothing of it.
func brokenOff(f *Fault, w http.ResponseWriter, r *http.Request) bool {
	switch f.Do {
	case "500":
		storeError(w, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again. (injected)")
	case "expired_link":
		storeError(w, http.StatusForbidden, "ExpiredToken", "The link has expired. (injected)")
	case "reset":
		reset(w)
	case "hang":
		hang(r)
	case "slow":
		return !wait(r, f.delay())
	default:
		return false
	}
	return true
}

func (s *Sandbox) serveFile(w http.ResponseWriter, r *http.Request, x export, f *Fault, n int64) {
	file, err := s.files.open(x.id)
	if err != nil {
		storeError(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	defer file.Close()
	o, err := newObject(file, x.id)
	if err != nil {
		storeError(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	name := fmt.Sprintf("%s %s.%s.gz", s.segment(x.request.Segment).name, x.created.UTC().Format(time.DateOnly), suffixes[x.request.Format])
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", `attachment; filename="`+strings.NewReplacer(`"`, "'", `\`, "_").Replace(name)+`"`)
	o.spoil(x.fault, x.id, n).spoil(f, x.id, n).serveWith(f, w, r)
}

var suffixes = map[format]string{formatNDJSON: "ndjson", formatJSON: "json", formatCSV: "csv"}

// storeError answers as object stores do, in XML.
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
