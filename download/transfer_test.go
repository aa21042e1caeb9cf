package download

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/rows"
)

func TestDownload(t *testing.T) {
	content, other := blob(150_000), blob(110_000)
	half := len(content) / 2
	rest := fmt.Sprintf(`GET bytes=%d- "a"`, half)
	all, halfOfIt := whole(`"a"`, content), broken(`"a"`, content, half)
	cutEarly := broken(`"a"`, content, 10_000)
	busy := status(http.StatusServiceUnavailable)
	for _, test := range []struct {
		name  string
		serve handler
		asked []string
		want  []byte
	}{
		{"whole", all, []string{"GET"}, content},
		{
			"connection cut thrice", then(all, cutEarly, cutEarly, cutEarly),
			[]string{"GET", `GET bytes=10000- "a"`, `GET bytes=20000- "a"`, `GET bytes=30000- "a"`}, content,
		},
		{"object changed between attempts", then(whole(`"b"`, other), halfOfIt), []string{"GET", rest}, other},
		{"server ignores Range", then(ignoreRange(all), halfOfIt), []string{"GET", rest}, content},
		{
			"weak ETag is not resumed", then(whole(`W/"a"`, content), broken(`W/"a"`, content, half)),
			[]string{"GET", "GET"}, content,
		},
		{"part of another place", then(all, halfOfIt, part(`"a"`, content)), []string{"GET", rest, "GET"}, content},
		{"all of it as a part", part("", content), []string{"GET"}, content},
		{
			"416", then(all, halfOfIt, status(http.StatusRequestedRangeNotSatisfiable)),
			[]string{"GET", rest, "GET"}, content,
		},
		{"no length", func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.Write(content[:half])
			w.(http.Flusher).Flush()
			w.Write(content[half:])
		}, []string{"GET"}, content},
		{"busy at first", then(all, busy, busy, busy), []string{"GET", "GET", "GET", "GET"}, content},
		{"small", whole(`"a"`, content[:20]), []string{"GET"}, content[:20]},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStore(t, test.serve)
			got, result, err := get(t.Context(), s.source())
			if err != nil || !bytes.Equal(got, test.want) || result != (Result{}) {
				t.Errorf("got %d bytes of %d, or others, %+v, %v", len(got), len(test.want), result, err)
			}
			if strings.Join(s.requests(), "|") != strings.Join(test.asked, "|") {
				t.Errorf("asked %q, want %q", s.requests(), test.asked)
			}
		})
	}
}

// ignoreRange returns a handler like h that does not see the Range of requests.
func ignoreRange(h handler) handler {
	return func(n int, w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		h(n, w, r)
	}
}

// TestTriesOfTheCaller has a caller that retries on its own: with one try, a download
// fails at once and returns the delay that the store asked for.
func TestTriesOfTheCaller(t *testing.T) {
	s := newStore(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	f, slow := s.source(), quick()
	f.Tries, slow.wait = 1, time.Hour
	_, err := f.to(t.Context(), &memory{length: -1}, slow)
	var transfer *TransferError
	if !errors.As(err, &transfer) || transfer.Status != 503 || transfer.RetryAfter != time.Hour || len(s.requests()) != 1 {
		t.Errorf("got %v, %+v after %d requests", err, transfer, len(s.requests()))
	}
}

// TestLinkExpiresMidway has a link expire during a download of one try: asking for a
// fresh link is not counted as one.
func TestLinkExpiresMidway(t *testing.T) {
	content := blob(150_000)
	s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch {
		case n == 1:
			cut(w, r, `"a"`, content, 10_000)
		case r.URL.Query().Get("sig") == "1":
			w.WriteHeader(http.StatusForbidden)
		default:
			serveObject(w, r, `"a"`, content)
		}
	})
	f, links := s.source(), 0
	f.Tries = 1
	f.Link = func(context.Context) (string, error) {
		links++
		return fmt.Sprintf("%s/bucket/object?sig=%d", s.URL, links), nil
	}
	if got, _, err := get(t.Context(), f); err != nil || !bytes.Equal(got, content) || links != 2 {
		t.Errorf("got %d bytes with %d links, %v", len(got), links, err)
	}
}

func TestOddLinks(t *testing.T) {
	content := blob(300)
	var path, query string
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		path, query = r.URL.Path, r.URL.Query().Get("name")
		serveObject(w, r, `"a"`, content)
	})
	for link, want := range map[string]string{
		"/a b/c?name=d e":       "/a b/c d e",
		"/a%20b/c?name=d%20e":   "/a b/c d e",
		"/é?name=ü&x=1 2":       "/é ü",
		"/a%2Fb?name=x%2By ":    "/a/b x+y",
		"/a b/c?name=d e\r\n":   "/a b/c d e",
		"/redirected?name=a+b ": "/redirected a b",
	} {
		f := s.source()
		f.Link = func(context.Context) (string, error) { return " " + s.URL + link, nil }
		if _, _, err := get(t.Context(), f); err != nil || path+" "+query != want {
			t.Errorf("%q: asked for %q %q, %v", link, path, query, err)
		}
	}
	before := len(s.requests())
	for link, says := range map[string]string{
		"":                                "it is empty",
		"/bucket/object?sig=s3cr3t":       "relative",
		"bucket/object?sig=s3cr3t":        "relative",
		"//example.com/object?sig=s3cr3t": "relative",
		"https:/object?sig=s3cr3t":        "no host",
		"https://u:s3cr3t@example.com/":   "user name",
		"https://exa mple.com/?s3cr3t":    "not a URL",
		"https://[::1/?s3cr3t":            "not a URL",
		"https://example.com/%zz?s3cr3t":  "not a URL",
		"https://example.com/a\nb?s3cr3t": "control character",
		"javascript:s3cr3t":               "not https",
	} {
		f := s.source()
		f.Link = func(context.Context) (string, error) { return link, nil }
		_, _, err := get(t.Context(), f)
		var broken *LinkError
		if !errors.As(err, &broken) || !strings.Contains(broken.Reason, says) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: got %v", link, err)
		}
	}
	if len(s.requests()) != before {
		t.Errorf("asked %q", s.requests()[before:])
	}
}

func TestRedirectIsFollowed(t *testing.T) {
	content := blob(300)
	s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			http.Redirect(w, r, "/elsewhere?sig=2", http.StatusTemporaryRedirect)
			return
		}
		serveObject(w, r, `"a"`, content)
	})
	if got, _, err := get(t.Context(), s.source()); err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// TestEmptyObject has a store send 0 bytes. A second answer must confirm that.
func TestEmptyObject(t *testing.T) {
	content := blob(300)
	nothing := func(w http.ResponseWriter) { w.Header().Set("Content-Length", "0") }
	for name, test := range map[string]struct {
		serve handler
		asked int
		empty bool
		fails bool
	}{
		"confirmed": {func(_ int, w http.ResponseWriter, _ *http.Request) { nothing(w) }, 2, true, false},
		"unconfirmed": {func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				nothing(w)
				return
			}
			serveObject(w, r, `"a"`, content)
		}, 2, false, true},
		"then an error": {func(n int, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				nothing(w)
				return
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}, 2, false, true},
		"without a length": {func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
		}, 1, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, test.serve)
			f, links := s.source(), 0
			f.Tries = 1
			f.Link = func(context.Context) (string, error) {
				links++
				return s.URL + "/bucket/object", nil
			}
			got, result, err := get(t.Context(), f)
			var transfer *TransferError
			if errors.As(err, &transfer) != test.fails || result.Empty != test.empty || len(got) > 0 {
				t.Fatalf("got %d bytes, %+v, %v", len(got), result, err)
			}
			if len(s.requests()) != test.asked || links != test.asked {
				t.Errorf("asked %q with %d links", s.requests(), links)
			}
		})
	}
	t.Run("unconfirmed, then sound", func(t *testing.T) {
		s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				nothing(w)
				return
			}
			serveObject(w, r, `"a"`, content)
		})
		if got, _, err := get(t.Context(), s.source()); err != nil || !bytes.Equal(got, content) {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
	})
}

// TestUnevenCuts has a store without a strong ETag break the connection at changing
// places. A try that stores more than the one before it is not progress.
func TestUnevenCuts(t *testing.T) {
	content := blob(150_000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 40 {
			cancel()
		}
		cut(w, r, `W/"a"`, content, 10_000*(1+n%2))
	})
	_, _, err := get(ctx, s.source())
	var transfer *TransferError
	if !errors.As(err, &transfer) || len(s.requests()) > 10 {
		t.Errorf("got %v after %d requests", err, len(s.requests()))
	}
}

func TestStall(t *testing.T) {
	content := blob(350_000)
	s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n > 1 {
			serveObject(w, r, `"a"`, content)
			return
		}
		w.Header().Set("ETag", `"a"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	sink, impatient := &memory{length: -1}, quick()
	impatient.stall = 50 * time.Millisecond
	_, err := s.source().to(t.Context(), sink, impatient)
	if err != nil || !bytes.Equal(sink.content, content) || s.requests()[1] != `GET bytes=1000- "a"` {
		t.Errorf("got %d bytes, %v, asked %q", len(sink.content), err, s.requests())
	}
}

// TestResume cancels a download and resumes it.
func TestResume(t *testing.T) {
	content := blob(350_000)
	s := newStore(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n > 1 {
			serveObject(w, r, `"a"`, content)
			return
		}
		w.Header().Set("ETag", `"a"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Write(content[:40_000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	f, sink := s.source(), &memory{length: -1}
	f.Progress = func(done, total int64) {
		if done == 40_000 && total == int64(len(content)) {
			cancel()
		}
	}
	if _, err := f.to(ctx, sink, quick()); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	f.Progress = nil
	_, err := f.to(t.Context(), sink, quick())
	if err != nil || !bytes.Equal(sink.content, content) || s.requests()[1] != `GET bytes=40000- "a"` {
		t.Errorf("got %d bytes, %v, asked %q", len(sink.content), err, s.requests())
	}
	if _, err := f.to(t.Context(), sink, quick()); err != nil || len(s.requests()) != 2 {
		t.Errorf("with all bytes stored it asked %q, %v", s.requests(), err)
	}
}

// TestTooLarge downloads a file larger than accepted, with and without a length.
func TestTooLarge(t *testing.T) {
	content := blob(150_000)
	for name, serve := range map[string]func(int, http.ResponseWriter, *http.Request){
		"length":    func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, content) },
		"no length": func(_ int, w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.Write(content) },
	} {
		s, small := newStore(t, serve), quick()
		small.largest = 1000
		_, err := s.source().to(t.Context(), &memory{length: -1}, small)
		wrong, ok := errors.AsType[*rows.Error](err)
		if !ok || wrong.Kind != rows.KindSize || !wrong.TooLarge || len(s.requests()) != 1 {
			t.Errorf("%s: got %v after %d requests", name, err, len(s.requests()))
		}
	}
}

// TestSinkFails checks that an error of a Sink ends the download.
func TestSinkFails(t *testing.T) {
	content, fault := blob(5_000), errors.New("a fault of the sink")
	for name, sink := range map[string]*memory{"full": {full: fault}, "broken": {broken: fault}} {
		s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) { serveObject(w, r, `"a"`, content) })
		sink.length = -1
		if _, err := s.source().to(t.Context(), sink, quick()); !errors.Is(err, fault) || len(s.requests()) != 1 {
			t.Errorf("%s: got %v after %d requests", name, err, len(s.requests()))
		}
	}
}

// TestAttachment checks the name that the store gives the file.
func TestAttachment(t *testing.T) {
	s := newStore(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="Rage clickers_1.json.gz"`)
		serveObject(w, r, `"a"`, blob(100))
	})
	_, result, err := get(t.Context(), s.source())
	if err != nil || result.Attachment != "Rage clickers_1.json.gz" || !NamedAfter(result.Attachment, "Rage clickers") {
		t.Errorf("got %+v, %v", result, err)
	}
}
