package command

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"fullstory-export-mcp/sandbox"
)

// mark is in every text of a liar, so that it can be found in what the program writes.
const mark = "zq7"

// hostileTexts are what a liar says in place of a value.
func hostileTexts() []string {
	key := base64.StdEncoding.EncodeToString([]byte("Basic " + sandbox.KeyArchitect))
	return []string{
		mark + "\n" + mark + "line\r\n\x00\x1b[31m\x1b]0;" + mark + "\a\u0085\u009b1m",
		mark + "\u202e\u2066\u200b\u200f\ufeff\u00ad\u2060\U000e0061\U000e007f\ue000\ufdd0",
		mark + "\ufe0f\U000e0101\u180b\u180f\u034f\u3164\u115f\u1160\uffa0\u17b4\u17b5\u2800\ufffc\u2028\u2029",
		mark + strings.Repeat("\u0301\u20dd", 300),
		mark + "![" + mark + "](https://" + mark + ".example/p.png?q=1) [" + mark + "](//" + mark + ".example)",
		mark + " <img src=" + mark + "> <a href=" + mark + ">x</a> <https://" + mark + ".example> www." + mark + ".example",
		mark + " [" + mark + "][1] [1]: http://" + mark + ".example &#x7a;q7 &lt;img src=" + mark + "&gt;",
		mark + strings.Repeat("A", 5000),
		mark + " " + sandbox.KeyArchitect + " " + url.QueryEscape(sandbox.KeyArchitect) + " " + key,
		mark + "\xff\xfe \"}],\"x\":[{\"",
		"javascript:" + mark, "https://user:" + mark + "@" + mark + ".example/", "../../" + mark,
		"9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "99999999999999999999", "-1", "NaN", "PAUSED " + mark,
	}
}

// liar is Fullstory, the sandbox, with one of its values replaced in every answer.
type liar struct {
	*httptest.Server
	lie   lie
	mu    sync.Mutex
	paths map[string]bool // of the values in all answers so far
}

// lie replaces the value at a path, such as "GET segments: segments.name". The path "*"
// is that of every value; "texts" leaves out those without which no export completes.
type lie struct {
	path, text string
	status     int  // of every answer; 0: that of the sandbox
	repeat     int  // how many times each item of a list is in it; 0: once
	failed     bool // every operation failed
}

// needed are the values without which no export completes.
var needed = []string{"orgId", "role", "state", "location", "expires", "results", "details"}

func newLiar(t *testing.T, l lie) *liar {
	s, err := sandbox.New(sandbox.Config{Rate: 1e6, Burst: 1e6, Density: 20})
	if err != nil {
		t.Fatal(err)
	}
	f := &liar{lie: l, paths: map[string]bool{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.answer(s, w, r) }))
	t.Cleanup(func() { f.Close(); s.Close() })
	return f
}

// answer answers a request with a lie. An id that is a lie is found again, because it is
// the true one with the text behind it.
func (f *liar) answer(api http.Handler, w http.ResponseWriter, r *http.Request) {
	r.URL.Path = strings.ReplaceAll(r.URL.Path, f.lie.text, "")
	r.URL.RawPath = ""
	query := r.URL.Query()
	if cursor := query.Get("paginationToken"); cursor != "" {
		query.Set("paginationToken", strings.ReplaceAll(cursor, f.lie.text, ""))
		r.URL.RawQuery = query.Encode()
	}
	recorded := httptest.NewRecorder()
	api.ServeHTTP(recorded, r)
	body := recorded.Body.Bytes()
	var answer map[string]any
	if json.Unmarshal(body, &answer) == nil {
		if _, isError := answer["code"]; f.lie.status != 0 && !isError {
			answer["code"], answer["message"], answer["error"] = "failed", "It failed.", map[string]any{"message": "It did."}
		}
		f.change(answer, r.Method+" "+routeOf(r.URL.Path)+": ")
		body, _ = json.Marshal(answer)
		if strings.Contains(f.lie.text, "\xff") { // Marshal replaced it
			body = []byte(strings.ReplaceAll(string(body), `\ufffd\ufffd`, "\xff\xfe"))
		}
	}
	maps.Copy(w.Header(), recorded.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(cmp.Or(f.lie.status, recorded.Code))
	w.Write(body)
}

// routeOf names the route of a path, without ids.
func routeOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) == 3 && parts[2] != "exports":
		return parts[0] + " id"
	case len(parts) > 3:
		return parts[0] + " " + parts[len(parts)-1]
	case len(parts) == 3:
		return "exports"
	}
	return parts[0]
}

// change replaces the strings of an object whose path is that of the lie; at is the path
// of the object.
func (f *liar) change(o map[string]any, at string) {
	for key, value := range o {
		path := at + key
		switch v := value.(type) {
		case map[string]any:
			f.change(v, path+".")
		case []any:
			if f.lie.repeat > 0 {
				o[key] = slices.Repeat(v, f.lie.repeat)
			}
			for _, each := range v {
				if item, ok := each.(map[string]any); ok {
					f.change(item, path+".")
				}
			}
		default:
			o[key] = f.said(path, key, v)
		}
	}
}

// said returns what is said in place of a value. The lie about an id keeps its beginning.
func (f *liar) said(path, key string, value any) any {
	f.mu.Lock()
	f.paths[path] = true
	f.mu.Unlock()
	text, _ := value.(string)
	switch {
	case key == "state" && f.lie.failed:
		return "FAILED"
	case path != f.lie.path && f.lie.path != "*" && (f.lie.path != "texts" || slices.Contains(needed, key)):
		return value
	case slices.Contains([]string{"id", "operationId", "searchExportId", "nextPaginationToken"}, key):
		return text + f.lie.text
	}
	return f.lie.text
}
