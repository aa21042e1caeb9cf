package download

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/rows"
)

// transfer downloads one file, over as many connections and links as it takes.
type transfer struct {
	Source
	Result
	limits
	http *http.Client
	sink guarded

	url   string // the current link; empty: ask for one
	fresh bool   // the current request is the first of the link
}

func (s Source) to(ctx context.Context, sink Sink, l limits) (Result, error) {
	l.tries = cmp.Or(s.Tries, l.tries)
	t := &transfer{Source: s, limits: l, http: s.newClient(), sink: guarded{sink}}
	defer t.http.CloseIdleConnections()
	err := t.run(ctx)
	return t.Result, err
}

// stored returns how many bytes the sink has, and how many the file has; length is -1 if
// that is not known.
func (t *transfer) stored() (size, length int64) {
	size, _, length = t.sink.Has()
	return size, length
}

// failedAnswer reports an answer without the file, after which a retry may help: later,
// or with a fresh link.
type failedAnswer struct {
	status  int
	after   time.Duration // Retry-After, at most an hour
	expired bool          // a link that worked before has expired, which is not a failure
}

func (r *failedAnswer) Error() string {
	return fmt.Sprintf("the store of the files answered %d %s", r.status, http.StatusText(r.status))
}

// A download may have freeTries tries, and one more for each bytesPerTry that are stored,
// so that a store which sends a byte before it breaks off is given up.
const (
	freeTries   = 20
	bytesPerTry = 64 << 10
)

// run returns once the file is complete. It fails after t.tries tries in a row without
// progress, and after many with too little. The waits between them double up to 20 s;
// Retry-After makes one longer, up to a minute.
func (t *transfer) run(ctx context.Context) error {
	waits := backoff.ExponentialBackOff{
		InitialInterval: t.wait, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: 20 * time.Second,
	}
	waits.Reset()
	furthest, _ := t.stored() // bytes that were there twice are not progress
	for tries, all := 1, 1; ; tries, all = tries+1, all+1 {
		err := t.attempt(ctx)
		if err == nil || !retryable(err) || ctx.Err() != nil {
			return err
		}
		size, _ := t.stored()
		if size > furthest && !errors.Is(err, errSlow) {
			furthest, tries = size, 0
			waits.Reset()
		}
		if int64(all) >= freeTries+size/bytesPerTry {
			return t.giveUp(err)
		}
		var r *failedAnswer
		if errors.As(err, &r) && r.expired {
			tries-- // ask for a fresh link at once
			continue
		}
		if tries >= t.tries {
			return t.giveUp(err)
		}
		wait := waits.NextBackOff()
		if r != nil {
			wait = max(wait, min(r.after, time.Minute))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// giveUp turns the error of the last try into that of the download.
func (t *transfer) giveUp(err error) error {
	size, length := t.stored()
	failed := &TransferError{Done: size, Total: length, Err: err}
	var r *failedAnswer
	if errors.As(err, &r) {
		if stale(r.status) {
			return &LinkError{Status: r.status, Reason: "a fresh link did not help"}
		}
		failed.Status, failed.RetryAfter = r.status, r.after
	}
	return failed
}

// attempt makes one request and stores the answer. An answer that is not the rest of the
// stored object empties the sink, so that the next attempt gets the whole file.
func (t *transfer) attempt(ctx context.Context) error {
	size, etag, length := t.sink.Has()
	if size > 0 && size == length {
		return nil // an earlier download stored all of it
	}
	if size > 0 && etag == "" {
		if err := t.sink.Reset(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	response, err := t.ask(ctx, cancel)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	t.noteAttachment(response)
	switch response.StatusCode {
	case http.StatusOK:
		if err := t.beginWhole(response); err != nil {
			return err
		}
		if emptyObject(response) {
			return t.confirmEmpty(ctx, cancel)
		}
	case http.StatusPartialContent:
		if err := t.fits(response); err != nil {
			return errors.Join(err, t.sink.Reset())
		}
	case http.StatusRequestedRangeNotSatisfiable:
		return errors.Join(&failedAnswer{status: response.StatusCode}, t.sink.Reset())
	default:
		return t.failure(response)
	}
	if err := t.room(); err != nil {
		return err
	}
	return t.copy(response, cancel)
}

// noteAttachment records the name that the store gives the file, if any.
func (t *transfer) noteAttachment(r *http.Response) {
	if _, params, err := mime.ParseMediaType(r.Header.Get("Content-Disposition")); err == nil {
		t.Attachment = params["filename"]
	}
}

// beginWhole makes the sink ready for the whole file. If the sink has a part, the object
// has changed, or the store does not send parts.
func (t *transfer) beginWhole(r *http.Response) error {
	if size, _ := t.stored(); size > 0 {
		if err := t.sink.Reset(); err != nil {
			return err
		}
	}
	return t.sink.Begin(strong(r.Header.Get("ETag")), r.ContentLength)
}

// ask requests the bytes that the sink lacks and returns the answer. It fails with
// errNoAnswer if the header of the answer has not arrived after t.answer.
func (t *transfer) ask(ctx context.Context, cancel context.CancelCauseFunc) (*http.Response, error) {
	request, err := t.request(ctx)
	if err != nil {
		return nil, err
	}
	late := time.AfterFunc(t.answer, func() { cancel(errNoAnswer) })
	defer late.Stop()
	response, err := t.http.Do(request)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, withoutURL(err)
	}
	return response, nil
}

// confirmEmpty makes a second request, with a fresh link, to confirm that the file has 0
// bytes.
func (t *transfer) confirmEmpty(ctx context.Context, cancel context.CancelCauseFunc) error {
	t.url = ""
	response, err := t.ask(ctx, cancel)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode != http.StatusOK:
		return t.failure(response)
	case !emptyObject(response):
		return errUnconfirmed
	}
	t.Empty = true
	return nil
}

// emptyObject reports whether the store says that the file has 0 bytes.
func emptyObject(r *http.Response) bool { return r.Header.Get("Content-Length") == "0" }

// request returns a request for the bytes that the sink lacks. It asks for a link if
// there is none.
func (t *transfer) request(ctx context.Context) (*http.Request, error) {
	t.fresh = t.url == ""
	if t.fresh {
		link, err := t.Link(ctx)
		if err != nil {
			return nil, finally(err)
		}
		t.url = link
	}
	u, err := parseLink(t.url)
	if err != nil {
		return nil, err
	}
	if err := t.checkLink(u); err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &LinkError{Reason: "it is not a URL"}
	}
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("User-Agent", "fullstory-export-mcp")
	if size, etag, _ := t.sink.Has(); size > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", size))
		r.Header.Set("If-Range", etag)
	}
	return r, nil
}

// maxETag is the size in bytes of an ETag that is kept with the stored bytes.
const maxETag = 1 << 10

// strong returns etag if it is strong, and "" if not: only a strong one differs between
// any two contents. It treats one that is too long as if it were weak.
func strong(etag string) string {
	if !strings.HasPrefix(etag, `"`) || len(etag) > maxETag {
		return ""
	}
	return etag
}

// fits checks that a part of the file continues the stored one, up to the end of the
// same object. If nothing is stored, the part must be the whole file.
func (t *transfer) fits(r *http.Response) error {
	var from, to, total int64
	given := r.Header.Get("Content-Range")
	if n, err := fmt.Sscanf(given, "bytes %d-%d/%d", &from, &to, &total); err != nil || n != 3 || total < 1 {
		return fmt.Errorf("the store sent a part with the Content-Range %.60q", given)
	}
	etag := r.Header.Get("ETag")
	size, present, length := t.sink.Has()
	other := size > 0 && (length >= 0 && total != length || etag != "" && etag != present)
	switch {
	case other:
		return errors.New("the store sent a part of another object")
	case from != size || to != total-1:
		return fmt.Errorf("the store sent bytes %d to %d of %d, and not all from byte %d on", from, to, total, size)
	case size == 0: // the whole file, although the request had no Range
		return t.sink.Begin(strong(etag), total)
	}
	return nil
}

// failure returns the error of an answer without the file. It drops the link if the
// answer may mean that the link has expired.
func (t *transfer) failure(r *http.Response) error {
	switch {
	case stale(r.StatusCode):
		t.url = ""
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusRequestTimeout, r.StatusCode >= 500:
	default:
		return &LinkError{Status: r.StatusCode, Reason: strings.ToLower(http.StatusText(r.StatusCode))}
	}
	return &failedAnswer{
		status:  r.StatusCode,
		after:   min(client.ParseRetryAfter(r.Header), time.Hour),
		expired: stale(r.StatusCode) && !t.fresh,
	}
}

// stale reports whether a store may answer with status because a link has expired.
func stale(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return true
	}
	return false
}

// room checks that the file is not too large and that the rest fits into the sink.
func (t *transfer) room() error {
	size, length := t.stored()
	if length > t.largest {
		return tooLong(true, "it has %s, more than the %s that are accepted",
			rows.FormatBytes(length), rows.FormatBytes(t.largest))
	}
	return t.sink.Reserve(max(0, length-size))
}

var (
	errNoAnswer = errors.New("no answer arrived for too long")
	errStalled  = errors.New("no data arrived for too long")
	errSlow     = errors.New("the data arrived too slowly")
	errCut      = errors.New("the connection ended early")

	errUnconfirmed = errors.New("the store sent 0 bytes, and then another answer for the same file")
)

// copy stores the body of an answer. It fails with errStalled if no data arrives for
// t.stall, with errSlow if too little does, and with errCut if the body is shorter than
// announced.
func (t *transfer) copy(r *http.Response, cancel context.CancelCauseFunc) error {
	stalled := time.AfterFunc(t.stall, func() { cancel(errStalled) })
	defer stalled.Stop()
	buffer := make([]byte, 256<<10)
	pace := pace{limits: t.limits}
	for {
		stalled.Reset(t.stall)
		asked := time.Now()
		n, err := r.Body.Read(buffer)
		wait := time.Since(asked)
		stalled.Stop() // a slow disk is not a stall
		if _, e := t.sink.Write(buffer[:n]); e != nil {
			return e
		}
		size, length := t.stored()
		if size > t.largest || length >= 0 && size > length {
			return tooLong(size > t.largest, "it is longer than the store announced, or than the %s that are accepted",
				rows.FormatBytes(t.largest))
		}
		if t.Progress != nil && n > 0 {
			t.Progress(size, length)
		}
		switch {
		case err == io.EOF && size < max(length, 1): // without a length, 0 bytes prove nothing
			return errCut
		case err == io.EOF:
			return nil
		case err != nil && r.Request.Context().Err() != nil:
			return context.Cause(r.Request.Context())
		case err != nil:
			return withoutURL(err)
		case pace.slow(wait, n, length):
			return errSlow
		}
	}
}
