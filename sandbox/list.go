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

// savedSegment is a segment as the segments routes tell of it.
type savedSegment struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Creator string `json:"creator,omitempty"`
	Created string `json:"created,omitempty"` // absent for built-in segments
	URL     string `json:"url"`
}

func (s *Sandbox) describeSegment(saved *segment) savedSegment {
	d := savedSegment{ID: saved.id, Name: saved.name, Creator: saved.creator, URL: "https://app.fullstory.com/ui/" + s.config.Org + "/segments/" + url.PathEscape(saved.id)}
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

// listOperations lists newest first (assumed). A page goes on where the last
// one ended, whatever was added meanwhile.
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
	oldestFirst := s.config.has("oldest_first")
	if oldestFirst {
		slices.Reverse(newest)
	}
	for i, x := range newest {
		number, before := len(newest)-i, len(newest)-i > p.from && p.from > 0 // from the oldest, so that it stays
		if oldestFirst {
			number, before = i, i < p.from
		}
		if before {
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

// listPage is a request for a part of a list.
type listPage struct {
	query url.Values // by name in lower case without underscores
	limit int
	from  int // of the token; 0: the beginning
	next  int // for the next token; 0: none
}

// readPage reads limit and token. A limit out of bounds is brought into them
// (assumed).
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

func (p *listPage) value(key string) string { return p.query.Get(plainName(key)) }

func (p *listPage) token() string {
	if p.next == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte("page:" + strconv.Itoa(p.next)))
}

func wholeSeconds(s float64) string { return strconv.Itoa(max(1, int(math.Ceil(s)))) }

// nanoseconds is the precision of the expiry of links.
func nanoseconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }
