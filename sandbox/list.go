package sandbox

import (
	"encoding/base64"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// savedSegment is the JSON of a segment in the answers of the segments routes.
type savedSegment struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Creator string `json:"creator,omitempty"`
	Created string `json:"created,omitempty"` // absent for built-in segments
	URL     string `json:"url"`
}

func (s *Sandbox) describeSegment(saved *segment) savedSegment {
	d := savedSegment{ID: saved.id, Name: saved.name, Creator: saved.creator}
	d.URL = "https://app.fullstory.com/ui/" + s.config.Org + "/segments/" + url.PathEscape(saved.id)
	if !saved.created.IsZero() {
		d.Created = saved.created.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return d
}

func (s *Sandbox) getSegment(w http.ResponseWriter, r *http.Request, _ caller) {
	found := s.segment(r.PathValue("id"))
	if found == nil {
		fail(w, http.StatusNotFound, "resource_not_found", "There is no such segment.")
		return
	}
	reply(w, s.describeSegment(found))
}

// listSegments lists the segments, newest first, 20 a page by default.
func (s *Sandbox) listSegments(w http.ResponseWriter, r *http.Request, _ caller) {
	p, err := readPage(r, 20, 100)
	if err != nil {
		s.failWith(w, err)
		return
	}
	creator := p.value("creator")
	listed := []savedSegment{}
	for i, each := range s.data.segments() {
		if creator != "" && each.creator != creator || i < p.from {
			continue
		}
		if len(listed) == p.limit {
			p.next = i
			break
		}
		listed = append(listed, s.describeSegment(each))
	}
	reply(w, struct {
		Segments []savedSegment `json:"segments"`
		Next     string         `json:"nextPaginationToken,omitempty"`
	}{listed, p.token()})
}

// listOperations lists the newest operations first (assumed). A page continues where
// the last one ended, even if operations were added in the meantime: tokens count
// from the oldest.
func (s *Sandbox) listOperations(w http.ResponseWriter, r *http.Request, _ caller) {
	p, err := readPage(r, 100, 100)
	if err != nil {
		s.failWith(w, err)
		return
	}
	state, kind := p.value("state"), p.value("type")
	if state != "" && !slices.Contains([]string{"PENDING", "COMPLETED", "FAILED"}, state) {
		fail(w, http.StatusBadRequest, "invalid_state", "state is not one of PENDING, COMPLETED, FAILED.")
		return
	}
	newest, _, err := s.journal.all()
	if err != nil {
		s.failWith(w, err)
		return
	}
	now := s.Now()
	listed := []operation{}
	oldestFirst := s.config.has(oldestFirstList)
	if oldestFirst {
		slices.Reverse(newest)
	}
	for i, x := range newest {
		number, before := len(newest)-i, len(newest)-i > p.from && p.from > 0 // counted from the oldest
		if oldestFirst {
			number, before = i, i < p.from
		}
		if before || !x.listed(now) {
			continue
		}
		o := s.describe(x, now)
		if state != "" && o.State != state || kind != "" && o.Type != kind {
			continue
		}
		if len(listed) == p.limit {
			p.next = number
			break
		}
		listed = append(listed, o)
	}
	reply(w, struct {
		Operations []operation `json:"operations"`
		Next       string      `json:"nextPaginationToken,omitempty"`
	}{listed, p.token()})
}

// listPage is a request for one page of a list.
type listPage struct {
	query url.Values // by plainName
	limit int
	from  int // position in the token; 0: the beginning
	next  int // position for the next token; 0: this is the last page
}

// readPage reads limit and token. A limit above most becomes most, and one below 1
// the usual one (both assumed).
func readPage(r *http.Request, usual, most int) (*listPage, error) {
	p := &listPage{query: url.Values{}, limit: usual}
	for key, values := range r.URL.Query() {
		p.query[plainName(key)] = values
	}
	if text := p.value("limit"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return nil, invalid("invalid_limit", "limit is not an integer.")
		}
		if n > 0 {
			p.limit = int(min(n, int64(most)))
		}
	}
	token := p.value("paginationToken")
	if token == "" {
		return p, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	text, ok := strings.CutPrefix(string(raw), "page:")
	from, err2 := strconv.Atoi(text)
	if err != nil || !ok || err2 != nil || from <= 0 {
		return nil, invalid("invalid_pagination_token", "The pagination token is not valid.")
	}
	p.from = from
	return p, nil
}

// value returns a parameter of the query in either spelling, or "".
func (p *listPage) value(key string) string { return p.query.Get(plainName(key)) }

// token returns the token of the next page, or "" after the last.
func (p *listPage) token() string {
	if p.next == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte("page:" + strconv.Itoa(p.next)))
}

// wholeSeconds rounds up to whole seconds, at least 1, as Retry-After needs.
func wholeSeconds(s float64) string { return strconv.Itoa(max(1, int(math.Ceil(s)))) }

// nanoseconds formats a time with nine digits, as the API does for the expiry of
// links.
func nanoseconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }
