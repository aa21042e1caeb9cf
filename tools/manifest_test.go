package tools

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/rows"
)

// TestPagedManifest reads manifests of every size to the end. No page is longer than
// manifestLimit, and the pages together have every file once.
func TestPagedManifest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ files, columns, windows, request int }{
		{0, 0, 0, 10}, {1, 10, 1, 10}, {1, 0, 0, 100_000}, {3, 5000, 3, 10}, {70, 40, 1, 1000},
		{50, 3000, 2500, 50_000}, {2000, 3, 500, 10},
	} {
		m := largeManifest(test.files, test.columns, test.windows, test.request)
		var names []string
		for next := m.address(); next != ""; {
			page := readPage(t, m, next)
			for _, f := range page.Files {
				names = append(names, f.Name)
			}
			next = page.Next
		}
		if len(names) != test.files || len(slices.Compact(slices.Sorted(slices.Values(names)))) != test.files {
			t.Errorf("%+v: the pages have %d files", test, len(names))
		}
	}
}

// readPage returns the page of m at an address, and checks it.
func readPage(t *testing.T, m bulkManifest, address string) (page manifestPage) {
	t.Helper()
	at, err := parseAddress(address)
	if err != nil {
		t.Fatal(address, err)
	}
	content, err := m.paged(at.from)
	if err != nil {
		t.Fatal(err)
	}
	text, err := indented(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &page); err != nil {
		t.Fatal(err)
	}
	if len(text) > manifestLimit || page.State != "running" {
		t.Errorf("%s has %d bytes and the state %q", address, len(text), page.State)
	}
	if page.Summary != "" {
		checkPage(t, m, page, at.from)
	}
	return page
}

// checkPage checks what a page says of the whole manifest.
func checkPage(t *testing.T, m bulkManifest, page manifestPage, from int) {
	t.Helper()
	if page.Totals.Files != len(m.Files) || page.Totals.Rows != int64(len(m.Files)) ||
		page.Totals.Warnings.DuplicateKeys != int64(len(m.Files)) || page.Totals.WithWarnings != len(m.Files) ||
		page.Totals.Windows.Missing != len(m.Coverage.Missing) {
		t.Errorf("the totals are %+v", page.Totals)
	}
	if from == 0 && (page.Coverage == nil || len(m.Coverage.Missing) > 0 && len(page.Coverage.Missing) == 0) {
		t.Errorf("the coverage is %+v", page.Coverage)
	}
	if !strings.Contains(page.Summary, "manifest.json in the folder /exports/large") ||
		(page.Next != "") != strings.Contains(page.Summary, "Read the address in next") {
		t.Errorf("the summary is %s", page.Summary)
	}
}

func largeManifest(files, columns, windows, request int) bulkManifest {
	m := bulkManifest{bulk: exports.BulkSummary{Summary: "It is under way.", Folder: "/exports/large"}}
	m.Version, m.BulkID, m.State, m.Files = 2, "bulk_x", "running", []archive.File{}
	m.Request = json.RawMessage(`"` + strings.Repeat("x", request) + `"`)
	m.Coverage = &archive.Coverage{Settled: []archive.Window{}, Provisional: []archive.Window{}}
	for i := range windows {
		w := archive.Window{Start: fmt.Sprintf("2026-09-01T00:00:%02d.123456789Z", i%60), End: "2026-09-02T00:00:00Z"}
		m.Coverage.Settled, m.Coverage.Missing = append(m.Coverage.Settled, w), append(m.Coverage.Missing, w)
		m.Coverage.Provisional = append(m.Coverage.Provisional, w)
	}
	for i := range columns {
		m.Columns = append(m.Columns, fmt.Sprintf("evt_column_%d_str", i))
	}
	for i := range files {
		m.Files = append(m.Files, archive.File{
			Name: fmt.Sprintf("file-%d", i), Start: "2026-09-01T00:00:00Z", End: "2026-09-02T00:00:00Z", Bytes: 1, Rows: 1,
			SHA256: strings.Repeat("0", 64), Columns: m.Columns, RowsByHour: make(rows.Counts, 1000),
			Warnings: rows.Warnings{DuplicateKeys: 1}, NotChecked: []string{"the order of the rows"},
		})
	}
	return m
}

// TestAddresses compares texts of addresses.
func TestAddresses(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"fullstory-export://operations/a=b", "FULLSTORY-EXPORT://OPERATIONS/a%3db", true},
		{"fullstory-export://operations/a b/c:d", " fullstory-export://operations/a%20b%2Fc%3Ad\n", true},
		{"fullstory-export://operations/a+b", "fullstory-export://operations/a%2Bb", true},
		{"fullstory-export://operations/a+b", "fullstory-export://operations/a%20b", false},
		{"fullstory-export://operations/100%", "fullstory-export://operations/100%25", true},
		{"fullstory-export://operations/a", "fullstory-export://operations/A", false},
		{"fullstory-export://operations/a/manifest", "fullstory-export://bulk/a/manifest", false},
		{"fullstory-export://bulk/März", "fullstory-export://bulk/M%C3%A4rz/", true},
		{"fullstory-export://bulk/a/manifest", "fullstory-export://bulk/a%2Fmanifest", true},
		{"fullstory-export://bulk/a/manifest?from=7", "fullstory-export://bulk/a/manifest%3Ffrom%3D7", true},
		{"fullstory-export://bulk/a/manifest?from=7", "fullstory-export://bulk/a/manifest", false},
		{"fullstory-export://bulk/a", "fullstory-export://bulk/a/manifest", false},
		{"fullstory-export://guide/fields", "fullstory-export://Guide/Fields/", true},
		{"", "", true}, {"", "x", false}, {"x", "y", false},
	} {
		if sameAddress(test.a, test.b) != test.same || sameAddress(test.b, test.a) != test.same {
			t.Errorf("%s and %s: the same %v, want %v", test.a, test.b, !test.same, test.same)
		}
		if got := requested(routed(test.a)); got != test.a {
			t.Errorf("%q is routed as %q", test.a, got)
		}
	}
}
