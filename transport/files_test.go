package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"fullstory-export-mcp/auth"
)

// zeros is a file of that many zeros.
type zeros struct{ *io.SectionReader }

type zero struct{}

func (zero) ReadAt(b []byte, _ int64) (int, error) {
	clear(b)
	return len(b), nil
}

func (zeros) Close() error { return nil }

func newZeros(size int64) zeros { return zeros{io.NewSectionReader(zero{}, 0, size)} }

// fileWorld is a server with a file, for anna and bert.
type fileWorld struct {
	*world
	files   *Files
	opened  chan string // the subjects that were opened
	callers *auth.Callers
	path    string            // of the file of callers
	tokens  map[string]string // by caller
}

// newFileWorld serves what open returns, or 1 TiB of zeros if it is nil.
func newFileWorld(t *testing.T, open func(subject string) (File, error)) *fileWorld {
	t.Helper()
	w := &fileWorld{opened: make(chan string, 100), tokens: map[string]string{}}
	w.path = filepath.Join(t.TempDir(), "callers.json")
	var err error
	for _, name := range []string{"anna", "bert"} {
		if w.tokens[name], _, err = auth.NewToken(w.path, auth.Caller{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if w.callers, err = auth.OpenCallers(w.path); err != nil {
		t.Fatal(err)
	}
	w.files = &Files{Tickets: auth.NewTickets([]byte("key"), auth.Gate{Callers: w.callers})}
	w.files.Open = func(_ context.Context, subject string, _ bool) (File, error) {
		w.opened <- subject
		if open != nil {
			return open(subject)
		}
		return File{newZeros(1 << 40), "zeros.gz", "application/gzip", "5e"}, nil
	}
	w.world = newWorld(t, func(o *Options) { o.Callers, o.Files = w.callers, w.files })
	return w
}

// url returns the address of a file for a caller.
func (w *fileWorld) url(t *testing.T, caller, name string) string {
	t.Helper()
	ctx := context.WithValue(t.Context(), addressKey{}, w.world.url)
	ctx = auth.WithCaller(ctx, auth.Caller{Name: caller, Token: hashOf(w.tokens[caller])})
	address, _ := w.files.URL(ctx, "subject", name)
	return address
}

// fetch makes a request, whose answer is closed at the end of the test.
func fetch(t *testing.T, method, address string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// TestHugeFile reads parts of a file of 1 TiB, several at once, and much of it, in little
// memory.
func TestHugeFile(t *testing.T) {
	w := newFileWorld(t, nil)
	address := w.url(t, "anna", "zeros.gz")
	if head := fetch(t, http.MethodHead, address); head.ContentLength != 1<<40 || head.StatusCode != http.StatusOK {
		t.Errorf("HEAD is answered %d with %d bytes", head.StatusCode, head.ContentLength)
	}
	for ranges, want := range map[string]int64{"bytes=1099511627770-": 6, "bytes=-5": 5, "bytes=0-0": 1} {
		part := fetch(t, http.MethodGet, address, "Range", ranges)
		if body, err := io.ReadAll(part.Body); part.StatusCode != http.StatusPartialContent || int64(len(body)) != want ||
			err != nil {
			t.Errorf("%s is answered %d with %d bytes, %v", ranges, part.StatusCode, len(body), err)
		}
	}
	many := fetch(t, http.MethodGet, address, "Range", "bytes=0-9,1000000000000-1000000000009")
	if kind, _, _ := mime.ParseMediaType(many.Header.Get("Content-Type")); kind != "multipart/byteranges" {
		t.Errorf("two parts have the type %s", kind)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	part := fetch(t, http.MethodGet, address, "Range", "bytes=500000000000-500268435455")
	n, err := io.Copy(io.Discard, part.Body)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; n != 268_435_456 || err != nil || grown > 8<<20 {
		t.Errorf("%d bytes arrived, %v, and took %d bytes of memory", n, err, grown)
	}
}

// TestDownloadsOfAGreedyCaller has anna hold all the downloads that one caller may have.
// bert is served meanwhile, and she once she has ended one.
func TestDownloadsOfAGreedyCaller(t *testing.T) {
	w := newFileWorld(t, nil)
	var held []*http.Response
	for range ownDownloads {
		held = append(held, fetch(t, http.MethodGet, w.url(t, "anna", "zeros.gz")))
		await(t, "a download", w.opened)
	}
	next := make(chan int, 1)
	address := w.url(t, "anna", "zeros.gz")
	go func() {
		answer, err := http.Get(address)
		if err != nil {
			next <- 0
			return
		}
		answer.Body.Close()
		next <- answer.StatusCode
	}()
	if answer := fetch(t, http.MethodGet, w.url(t, "bert", "zeros.gz")); answer.StatusCode != http.StatusOK {
		t.Errorf("bert is answered %d", answer.StatusCode)
	}
	await(t, "bert's download", w.opened)
	select {
	case status := <-next:
		t.Errorf("anna has one more, %d", status)
	default:
	}
	held[0].Body.Close()
	if status := await(t, "her next download", next); status != http.StatusOK {
		t.Errorf("her next download is answered %d", status)
	}
}

// TestDownloadIsRevoked gives anna a new token while she downloads.
func TestDownloadIsRevoked(t *testing.T) {
	w := newFileWorld(t, nil)
	address := w.url(t, "anna", "zeros.gz")
	answer := fetch(t, http.MethodGet, address)
	if _, _, err := auth.NewToken(w.path, auth.Caller{Name: "anna"}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Error("the download ends as if it were whole")
	}
	if again := fetch(t, http.MethodGet, address); again.StatusCode != http.StatusForbidden {
		t.Errorf("afterwards the address is answered %d", again.StatusCode)
	}
}

// broken is a file whose content cannot be read to the end.
type broken struct{ zeros }

func (b broken) Read(p []byte) (int, error) {
	if at, _ := b.Seek(0, io.SeekCurrent); at >= 100_000 {
		return 0, errors.New("the disk is broken")
	}
	return b.zeros.Read(p)
}

// TestFilesThatCannotBeServed has files that cannot be opened, have another name or end
// early, and names that are odd.
func TestFilesThatCannotBeServed(t *testing.T) {
	var file File
	var failure error
	w := newFileWorld(t, func(string) (File, error) { return file, failure })
	address := w.url(t, "anna", "a.gz")
	failure = &FileError{http.StatusConflict, "It is not here."}
	answer := fetch(t, http.MethodGet, address)
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusConflict || string(text) != "It is not here.\n" {
		t.Errorf("answered %d %s", answer.StatusCode, text)
	}
	failure = errors.New("secret details")
	answer = fetch(t, http.MethodGet, address)
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusInternalServerError ||
		bytes.Contains(text, []byte("secret")) {
		t.Errorf("answered %d %s", answer.StatusCode, text)
	}
	file, failure = File{newZeros(5), "b.gz", "application/gzip", "5e"}, nil
	if answer := fetch(t, http.MethodGet, address); answer.StatusCode != http.StatusGone {
		t.Errorf("another name is answered %d", answer.StatusCode)
	}
	file.Name, file.ReadSeekCloser = "a.gz", broken{newZeros(1 << 20)}
	if n, err := io.Copy(io.Discard, fetch(t, http.MethodGet, address).Body); err == nil {
		t.Errorf("%d bytes of a file that cannot be read look whole", n)
	}
	file.ReadSeekCloser = newZeros(5)
	for _, name := range []string{
		`quo"te\.gz`, "ünïcode \u202e.gz", "new\r\nline: x.gz", "a/../../b.gz", "semi;colon=x.gz", "%2e%2e.gz",
	} {
		file.Name = name
		answer := fetch(t, http.MethodGet, w.url(t, "anna", name))
		_, params, err := mime.ParseMediaType(answer.Header.Get("Content-Disposition"))
		if answer.StatusCode != http.StatusOK || params["filename"] != name || err != nil || len(answer.Header) > 12 {
			t.Errorf("%q is answered %d, %v, %v", name, answer.StatusCode, answer.Header, err)
		}
	}
	if strings.Contains(w.log.String(), strings.Split(address, "/")[4]) {
		t.Error("the log has a ticket")
	}
}

// TestFileRoutes makes requests that are no downloads: of folders, with other methods, of web
// pages, and for other hosts.
func TestFileRoutes(t *testing.T) {
	w := newFileWorld(t, nil)
	address := w.url(t, "anna", "zeros.gz")
	ticket := strings.Split(address, "/")[4]
	for _, test := range []struct {
		method, path string
		headers      []string
		status       int
	}{
		{"GET", "/files", nil, http.StatusNotFound},
		{"GET", "/files/", nil, http.StatusNotFound},
		{"GET", "/files/" + ticket, nil, http.StatusNotFound},
		{"GET", "/files/" + ticket + "/", nil, http.StatusNotFound},
		{"GET", "/files/" + ticket + "/other.gz", nil, http.StatusForbidden},
		{"GET", "/files/" + ticket + "/zeros.gz/x", nil, http.StatusNotFound},
		{"GET", "/files/" + ticket + "/..%2fzeros.gz", nil, http.StatusForbidden},
		{"GET", "/files/x/zeros.gz", nil, http.StatusForbidden},
		{"GET", "/files/x/zeros.gz?ticket=" + ticket, nil, http.StatusForbidden},
		{"POST", "/files/" + ticket + "/zeros.gz", nil, http.StatusMethodNotAllowed},
		{"DELETE", "/files/" + ticket + "/zeros.gz", nil, http.StatusMethodNotAllowed},
		{"GET", "/files/" + ticket + "/zeros.gz", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"GET", "/files/" + ticket + "/zeros.gz", []string{"Authorization", "Bearer x"}, http.StatusUnauthorized},
		{"HEAD", "/files/" + ticket + "/zeros.gz", nil, http.StatusOK},
	} {
		if answer := fetch(t, test.method, w.world.url+test.path, test.headers...); answer.StatusCode != test.status {
			t.Errorf("%s %s %v is answered %d, want %d", test.method, test.path, test.headers, answer.StatusCode, test.status)
		}
	}
	select {
	case subject := <-w.opened: // of HEAD
		if subject != "subject" || len(w.opened) > 0 {
			t.Errorf("more was opened than what HEAD asked for")
		}
	case <-time.After(time.Minute):
		t.Error("HEAD opened nothing")
	}
}

// TestStopWithADownload stops the server while a client downloads: it ends soon, and what has
// arrived does not look whole.
func TestStopWithADownload(t *testing.T) {
	w := newFileWorld(t, nil)
	answer := fetch(t, http.MethodGet, w.url(t, "anna", "zeros.gz"))
	await(t, "the download", w.opened)
	began := time.Now()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > callTime+endTime+closeTime {
		t.Errorf("the server stops after %v", took)
	}
	if n, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Errorf("%d bytes look whole", n)
	}
}
