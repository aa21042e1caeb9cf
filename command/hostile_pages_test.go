//go:build unix

package command

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/archive"
)

// hostilePages are manifests with pages whose cost adds up, although each is small.
var hostilePages = []struct {
	name, says string
	again      int // how often each page is listed besides
	pages      int
	write      func(number int) func(w *bufio.Writer)
}{
	{name: "one page of files 16 times", says: "lists a page twice", again: 15, pages: 1, write: manyFiles},
	{name: "one page of hours twice", says: "lists a page twice", again: 1, pages: 1, write: hours(249)},
	{name: "16 pages of files that have nothing but a name", says: "0 of 958400 files agree", pages: 16,
		write: manyFiles},
	{name: "20 pages of files that have nothing but a name", says: "more than 1000000 files", pages: 20,
		write: manyFiles},
	{name: "10 pages of hours", says: "0 of 2500 files agree", pages: 10, write: hours(249)},
	{name: "a page of hours of 16 MB", says: "too much memory", pages: 3, write: hours(850)},
	{name: "10 pages of windows", says: "too much memory", pages: 10,
		write: func(n int) func(w *bufio.Writer) {
			return around(fmt.Sprintf(`{"coverage":{"missing":[{"start":"%d"}`, n), `,{"start":"2026-01-01T00:00:00Z"}`,
				99_000, `]}}`)
		}},
	{name: "pages of columns that no file has", says: "0 of 0 files agree", pages: 3,
		write: func(n int) func(w *bufio.Writer) {
			return around(fmt.Sprintf(`{"columns":{"%d":[]`, n), `,"k":["aaaaaaaaaa"]`, 800_000, `}}`)
		}},
	{name: "1,001 pages", says: "more than 1000 pages", pages: 1001,
		write: func(n int) func(w *bufio.Writer) { return around(`{"files":[]`, " ", n, "}") }},
	{name: "500,000 files as this program writes them", says: "0 of 500000 files agree", pages: 50,
		write: func(n int) func(w *bufio.Writer) {
			const file = `{"name":"20260101T000000Z_20260102T000000Z.ndjson.gz","start":"2026-01-01T00:00:00Z",` +
				`"end":"2026-01-02T00:00:00Z","operation_id":"U0VBUkNIX0VYUE9SVDoxMjM0NTY3ODkw","bytes":1234567,` +
				`"sha256":"` + zeros + `","rows":98765,"first_event":"2026-01-01T00:00:00Z",` +
				`"last_event":"2026-01-01T23:59:59Z","columns_sha256":"` + zeros + `","exported_at":"2026-01-03T00:00:00Z",` +
				`"rows_by_hour":"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24"}`
			return around(fmt.Sprintf(`{"n":%d,"files":[`, n)+file, ","+file, 9_999, `]}`)
		}},
}

func manyFiles(n int) func(w *bufio.Writer) {
	return around(fmt.Sprintf(`{"files":[{"name":"%d"}`, n), `,{"name":"a"}   `, 59_899, "]}")
}

// hours returns a page of files with the rows of many hours.
func hours(files int) func(int) func(w *bufio.Writer) {
	item := `,{"rows_by_hour":"` + strings.Repeat("1 ", 9590) + `"}`
	return func(n int) func(w *bufio.Writer) {
		return around(fmt.Sprintf(`{"files":[{"name":"%d"}`, n), item, files, "]}")
	}
}

// TestHostilePages runs verify on manifests with pages. It ends, says the reason, and
// takes little memory.
func TestHostilePages(t *testing.T) {
	long(t)
	program := build(t)
	for _, h := range hostilePages {
		t.Run(h.name, func(t *testing.T) {
			folder, summary := t.TempDir(), filepath.Join(t.TempDir(), "summary")
			if err := os.Mkdir(filepath.Join(folder, archive.PagesFolder), 0o700); err != nil {
				t.Fatal(err)
			}
			var listed []archive.Page
			for i := range h.pages {
				p := writePage(t, folder, h.write(i))
				listed = append(listed, slices.Repeat([]archive.Page{p}, h.again+1)...)
			}
			writePages(t, folder, listed)
			out, memory := measured(t, "sh", "-c", `"$0" verify "$1" >"$2" 2>&1; tail -c 500 "$2"`, program, folder, summary)
			t.Logf("%-13s %4d MB  %s", "pages", memory/1_000_000, h.name)
			if memory > mostMemory || !strings.Contains(out, h.says) {
				t.Errorf("verify took %d bytes of memory and says\n%.1000s\nwant … %q", memory, out, h.says)
			}
		})
	}
}

// writePages writes the manifest that has pages.
func writePages(t *testing.T, folder string, pages []archive.Page) {
	t.Helper()
	raw, err := json.Marshal(archive.Manifest{Version: 3, Pages: pages, Files: []archive.File{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, archive.ManifestName), raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writePage writes a page into the folder of a manifest.
func writePage(t *testing.T, folder string, write func(w *bufio.Writer)) archive.Page {
	t.Helper()
	var content bytes.Buffer
	w := bufio.NewWriter(&content)
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	raw := sha256.Sum256(content.Bytes())
	sum := hex.EncodeToString(raw[:])
	p := archive.Page{Name: archive.PagesFolder + "/" + sum + ".json", SHA256: sum, Bytes: int64(content.Len())}
	if err := os.WriteFile(filepath.Join(folder, p.Name), content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}
