package download

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// Look is a store's answer to one request for a link.
type Look struct {
	Status int
	Header http.Header
	Body   []byte // of at most as many bytes as the request asks for
	Whole  bool   // Body is the whole body
}

// lookTimeout is the limit of a Look with its body.
const lookTimeout = 5 * time.Minute

// Look sends one request for a link and returns the answer, whatever its status is, with at
// most that many bytes of its body. It obeys the rules of downloads: no key is sent, and only
// public addresses are reached. Its errors do not contain the link.
func (s Source) Look(
	ctx context.Context, link, method string, header http.Header, most int64,
) (Look, error) {
	u, err := parseLink(link)
	if err == nil {
		err = s.checkLink(u)
	}
	if err != nil {
		return Look{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return Look{}, errors.New("the request for the file cannot be made")
	}
	r.Header = header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	r.Header.Set("Accept-Encoding", "identity")
	c := s.newClient()
	defer c.CloseIdleConnections()
	response, err := c.Do(r)
	if err != nil {
		return Look{}, withoutURL(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return Look{}, withoutURL(err)
	}
	whole := int64(len(body)) <= most
	return Look{response.StatusCode, response.Header, body[:min(int64(len(body)), most)], whole}, nil
}
