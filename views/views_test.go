package views

import (
	"bytes"
	"compress/gzip"
	"regexp"
	"strings"
	"testing"
)

// mostBytes is the most bytes of the whole view, as hosts get it, and mostZipped of its
// compressed form.
const (
	mostBytes  = 22_750
	mostZipped = 8_600
)

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
	if len(app) > mostBytes || zipped.Len() > mostZipped {
		t.Errorf("the view has %d bytes, %d compressed; want at most %d and %d",
			len(app), zipped.Len(), mostBytes, mostZipped)
	}
	for _, part := range []string{Script(), Style(), squeezed(host)} {
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

// TestSqueezed keeps what is not indentation or a comment.
func TestSqueezed(t *testing.T) {
	t.Parallel()
	got := squeezed("// a\n  x = '// b'\n\n    y() // c\n")
	if want := "x = '// b'\ny() // c\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
