package views

import (
	"bytes"
	"compress/gzip"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/js"
)

// The most bytes of the view; of the MCP App, which can also talk to its host; and of that in
// compressed form.
const (
	mostBytes  = 15_000
	mostOfApp  = 17_500
	mostZipped = 7_500
)

var update = flag.Bool("update", false, "write the files of made/")

// TestApp checks that the view is one small document that needs no network and sets no text as
// markup.
func TestApp(t *testing.T) {
	t.Parallel()
	app := App()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(app)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d compressed; script %d, style %d", len(app), zipped.Len(), len(Script()), len(Style()))
	view := len(page) + len(style) + len(script)
	if view > mostBytes || len(app) > mostOfApp || zipped.Len() > mostZipped {
		t.Errorf("the view has %d bytes, the app %d, %d compressed; want at most %d, %d and %d",
			view, len(app), zipped.Len(), mostBytes, mostOfApp, mostZipped)
	}
	for _, part := range []string{Script(), Style(), host} {
		if part == "" || !strings.Contains(app, part) {
			t.Error("a part of the view is empty or not in the document")
		}
	}
	if strings.Contains(app, "<!--") {
		t.Error("a place of the page is not filled")
	}
	withoutNamespace := strings.ReplaceAll(app, "http://www.w3.org/$", "")
	markup := regexp.MustCompile(`(?i)https?:|//[a-z]|url\(|@import|\bsrc=|fetch\(|XMLHttp|innerHTML|outerHTML|` +
		`insertAdjacent|document\.write|\beval\b|Function\(`)
	if found := markup.FindAllString(withoutNamespace, -1); found != nil {
		t.Errorf("the view has %q", found)
	}
}

// TestMade minifies the sources again. With -update it writes what is embedded.
func TestMade(t *testing.T) {
	t.Parallel()
	m := minify.New()
	m.AddFunc("js", js.Minify)
	m.AddFunc("css", css.Minify)
	for _, name := range []string{"view.js", "view.css", "host.js"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		made, err := m.Bytes(strings.TrimPrefix(filepath.Ext(name), "."), source)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("made", name)
		if *update {
			if err := os.WriteFile(path, made, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, made) {
			t.Errorf("%s is not what %s gives, %v; run: go test ./views -update", path, name, err)
		}
	}
}
