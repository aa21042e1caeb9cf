package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// transfer brings one file into its part, over as many connections and links
// as it takes.
type transfer struct {
	http     *http.Client
	limits   limits
	link     func(context.Context) (string, error)
	loopback bool
	progress func(done, total int64)
	part     *part

	url        string // the present link; empty: ask for one
	attachment string // the name that the store gives the file
}

// refused is an answer after which another try may help: soon, or with a fresh
// link.
type refused struct {
	status int
	after  time.Duration
}

func (r *refused) Error() string {
	return fmt.Sprintf("the store of the files answered %d %s", r.status, http.StatusText(r.status))
}

// run returns once the part is complete. It gives up after a number of tries in
// a row that brought nothing.
func (t *transfer) run(ctx context.Context) error {
	waits := backoff.ExponentialBackOff{InitialInterval: t.limits.wait, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 20 * time.Second}
	waits.Reset()
	most := t.part.size // a part that is started anew makes progress only beyond it
	for tries := 1; ; tries++ {
		err := t.attempt(ctx)
		if err == nil || !repeatable(err) || ctx.Err() != nil {
			return err
		}
		if t.part.size > most {
			most, tries = t.part.size, 0
			waits.Reset()
		}
		if tries >= t.limits.tries {
			return t.gaveUp(err)
		}
		wait := waits.NextBackOff()
		var r *refused
		if errors.As(err, &r) {
			wait = max(wait, min(r.after, time.Minute))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// repeatable tells whether another try may bring what is missing.
func repeatable(err error) bool {
	var content *ContentError
	var link *LinkError
	var disk *DiskError
	var asked *linkFailed
	return !errors.As(err, &content) && !errors.As(err, &link) && !errors.As(err, &disk) && !errors.As(err, &asked)
}

// linkFailed is a failure to get a link; getting one has its own repeats.
type linkFailed struct{ err error }

func (l *linkFailed) Error() string { return l.err.Error() }
func (l *linkFailed) Unwrap() error { return l.err }

func (t *transfer) gaveUp(err error) error {
	var r *refused
	if errors.As(err, &r) && stale(r.status) {
		return &LinkError{Status: r.status, Reason: "a fresh link did not help"}
	}
	return &TransferError{Done: t.part.size, Total: t.part.Total, Err: err}
}

// attempt makes one request and takes what it brings.
func (t *transfer) attempt(ctx context.Context) error {
	if t.part.size > 0 && t.part.size == t.part.Total {
		return nil // all of it was there
	}
	if t.part.size > 0 && t.part.ETag == "" {
		if err := t.part.reset(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := t.request(ctx)
	if err != nil {
		return err
	}
	response, err := t.http.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer response.Body.Close()
	if _, params, err := mime.ParseMediaType(response.Header.Get("Content-Disposition")); err == nil {
		t.attachment = params["filename"]
	}
	switch response.StatusCode {
	case http.StatusOK:
		if t.part.size > 0 {
			// The object is another one than before, or the store does not send
			// parts: all of it follows.
			if err := t.part.reset(); err != nil {
				return err
			}
		}
		if err := t.part.begin(response.Header.Get("ETag"), response.ContentLength); err != nil {
			return err
		}
	case http.StatusPartialContent:
		if err := t.fits(response); err != nil {
			return errors.Join(err, t.part.reset())
		}
	case http.StatusRequestedRangeNotSatisfiable:
		return errors.Join(&refused{status: response.StatusCode}, t.part.reset())
	default:
		return t.refuse(response)
	}
	if err := t.room(); err != nil {
		return err
	}
	return t.copy(response, cancel)
}

func (t *transfer) request(ctx context.Context) (*http.Request, error) {
	if t.url == "" {
		link, err := t.link(ctx)
		if err != nil {
			return nil, &linkFailed{err}
		}
		t.url = link
	}
	u, err := url.Parse(t.url)
	if err != nil {
		return nil, &LinkError{Reason: "it is no URL"}
	}
	if err := checkLink(u, t.loopback); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url, nil)
	if err != nil {
		return nil, &LinkError{Reason: "it is no URL"}
	}
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("User-Agent", "fullstory-export-mcp")
	if t.part.size > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", t.part.size))
		r.Header.Set("If-Range", t.part.ETag)
	}
	return r, nil
}

// fits checks that a part that was sent continues the one that is here.
func (t *transfer) fits(r *http.Response) error {
	var from, to, total int64
	given := r.Header.Get("Content-Range")
	if n, err := fmt.Sscanf(given, "bytes %d-%d/%d", &from, &to, &total); err != nil || n != 3 {
		return fmt.Errorf("the store sent a part with the Content-Range %.60q", given)
	}
	etag := r.Header.Get("ETag")
	if from != t.part.size || to != total-1 || t.part.Total >= 0 && total != t.part.Total || etag != "" && etag != t.part.ETag {
		return errors.New("the store sent a part of another object")
	}
	return nil
}

// refuse makes an error of an answer without content. After one that a stale
// link explains the link is dropped.
func (t *transfer) refuse(r *http.Response) error {
	switch {
	case stale(r.StatusCode):
		t.url = ""
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusRequestTimeout, r.StatusCode >= 500:
	default:
		return &LinkError{Status: r.StatusCode, Reason: strings.ToLower(http.StatusText(r.StatusCode))}
	}
	after, _ := strconv.Atoi(r.Header.Get("Retry-After"))
	return &refused{status: r.StatusCode, after: time.Duration(min(max(after, 0), 3600)) * time.Second}
}

// stale tells whether a link that has expired explains status.
func stale(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}

// room checks that the rest of the file may and can be stored.
func (t *transfer) room() error {
	need := t.part.Total - t.part.size
	if t.part.Total < 0 {
		need = 0
	}
	if t.part.Total > t.limits.largest {
		large := bad("it has %s, more than the %s that are accepted", size(t.part.Total), size(t.limits.largest))
		large.TooLarge = true
		return large
	}
	available, ok := free(t.part.file)
	if ok && uint64(need)+t.limits.reserve > available {
		return &DiskError{Path: t.part.root.Name(), Need: need, Keep: int64(t.limits.reserve), Free: int64(min(available, 1<<62))}
	}
	return nil
}

var (
	errStalled = errors.New("no data arrived for too long")
	errCut     = errors.New("the connection ended early")
)

// copy takes the body. A connection that stalls is given up.
func (t *transfer) copy(r *http.Response, cancel context.CancelCauseFunc) error {
	stalled := time.AfterFunc(t.limits.stall, func() { cancel(errStalled) })
	defer stalled.Stop()
	buffer := make([]byte, 256<<10)
	for {
		stalled.Reset(t.limits.stall)
		n, err := r.Body.Read(buffer)
		stalled.Stop() // a slow disk is no stall
		if _, e := t.part.Write(buffer[:n]); e != nil {
			return e
		}
		if t.part.size > t.limits.largest || t.part.Total >= 0 && t.part.size > t.part.Total {
			long := bad("it is longer than the store said, or than the %s that are accepted", size(t.limits.largest))
			long.TooLarge = t.part.size > t.limits.largest
			return long
		}
		if t.progress != nil && n > 0 {
			t.progress(t.part.size, t.part.Total)
		}
		switch {
		case err == io.EOF && t.part.Total >= 0 && t.part.size < t.part.Total:
			return errCut
		case err == io.EOF:
			return nil
		case errors.Is(err, context.Canceled) && errors.Is(context.Cause(r.Request.Context()), errStalled):
			return errStalled
		case err != nil:
			return withoutURL(err)
		}
	}
}
