package tools

import (
	"encoding/json"
	"fmt"
	"net/url"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/rows"
)

const (
	// manifestLimit is the most bytes of the text of a manifest; hosts cut or drop longer
	// ones. A larger manifest has pages.
	manifestLimit = 60_000
	// leastEntry is the fewest bytes that a file takes in a manifest.
	leastEntry = 150
	// partLimit is the most bytes of a part of the first page, such as the request.
	partLimit = 8_000
	// summaryReserve is the part of manifestLimit for the summary and the next address.
	summaryReserve = 4_000
	// windowLimit is the most windows that a list of the first page has.
	windowLimit = 40
)

// bulkManifest is the manifest of a bulk export, and the state of the bulk export.
type bulkManifest struct {
	archive.Manifest
	bulk exports.BulkSummary
}

// manifestPage is a part of a manifest that is too large for one text. The first page
// has what concerns all files. Entries of files have neither columns nor counts by hour.
type manifestPage struct {
	Summary string         `json:"summary"`
	Next    string         `json:"next,omitempty"` // the address of the next page
	Totals  manifestTotals `json:"totals"`
	Omitted []string       `json:"omitted"`
	archive.Manifest
}

// manifestTotals describes all files of a manifest.
type manifestTotals struct {
	Files        int             `json:"files"`
	Rows         int64           `json:"rows"`
	Bytes        int64           `json:"bytes"`
	Provisional  int             `json:"provisional_files"`
	WithWarnings int             `json:"files_with_warnings"`
	Unchecked    int             `json:"files_not_fully_checked"`
	Warnings     rows.Warnings   `json:"warnings,omitzero"` // of all files together
	Windows      *coveredWindows `json:"windows,omitempty"`
}

// coveredWindows counts the windows of a coverage.
type coveredWindows struct {
	Settled     int `json:"settled"`
	Provisional int `json:"provisional"`
	Missing     int `json:"missing"`
}

func (m bulkManifest) address() string { return bulkPrefix + url.PathEscape(m.BulkID) + manifestSuffix }

// paged returns the manifest if it is small enough, and otherwise its page that begins
// with the file from, 0 for the first.
func (m bulkManifest) paged(from int) (any, error) {
	if from == 0 && len(m.Files) < manifestLimit/leastEntry {
		whole, err := indented(m.Manifest)
		if err != nil || len(whole) <= manifestLimit {
			return json.RawMessage(whole), err
		}
	}
	page := manifestPage{Totals: m.totals(), Manifest: m.Manifest}
	page.Omitted = []string{"columns and rows_by_hour of files"}
	page.Files = []archive.File{}
	if from == 0 {
		page.shorten()
	} else {
		page.Coverage, page.Request, page.Notices, page.Columns = nil, nil, nil, nil
		page.Omitted = append(page.Omitted, "what the first page has")
	}
	head, err := indented(page)
	if err != nil {
		return nil, err
	}
	left := manifestLimit - len(head) - summaryReserve
	for _, f := range m.Files[min(from, len(m.Files)):] {
		f.Columns, f.RowsByHour = nil, nil
		entry, err := json.MarshalIndent(f, "    ", "  ")
		if err != nil {
			return nil, err
		}
		if left -= len(entry) + len(",\n    "); left < 0 && len(page.Files) > 0 {
			page.Next = fmt.Sprintf("%s?%s%d", m.address(), pageQuery, from+len(page.Files))
			break
		}
		page.Files = append(page.Files, f)
	}
	page.Summary = m.inWords(page, from)
	return page, nil
}

// shorten leaves out the parts of the first page that are too large.
func (p *manifestPage) shorten() {
	part := func(name string, value any, drop func()) {
		if encoded, err := indented(value); err != nil || len(encoded) > partLimit {
			drop()
			p.Omitted = append(p.Omitted, name)
		}
	}
	part("request", p.Request, func() { p.Request = nil })
	part("notices", p.Notices, func() { p.Notices = nil })
	part("columns", p.Columns, func() { p.Columns = nil })
	if p.Coverage == nil {
		return
	}
	short := *p.Coverage
	for name, list := range map[string]*[]archive.Window{
		"settled": &short.Settled, "provisional": &short.Provisional, "missing": &short.Missing,
	} {
		if n := len(*list); n > windowLimit {
			*list = (*list)[:windowLimit]
			p.Omitted = append(p.Omitted, fmt.Sprintf("%d of %d windows in coverage.%s", n-windowLimit, n, name))
		}
	}
	p.Coverage = &short
}

func (m bulkManifest) totals() manifestTotals {
	t := manifestTotals{Files: len(m.Files)}
	for _, f := range m.Files {
		t.Rows += f.Rows
		t.Bytes += f.Bytes
		t.Warnings = t.Warnings.Plus(f.Warnings)
		if f.Provisional {
			t.Provisional++
		}
		if f.Warnings != (rows.Warnings{}) {
			t.WithWarnings++
		}
		if len(f.NotChecked) > 0 {
			t.Unchecked++
		}
	}
	if c := m.Coverage; c != nil {
		t.Windows = &coveredWindows{len(c.Settled), len(c.Provisional), len(c.Missing)}
	}
	return t
}

// inWords says what a page has and where the rest is.
func (m bulkManifest) inWords(page manifestPage, from int) string {
	text := fmt.Sprintf("%s This manifest is too large for one answer; ", m.bulk.Summary)
	if len(page.Files) == 0 {
		text += fmt.Sprintf("it has %s, so none from %d on. ", exports.Counted(len(m.Files), "file"), from)
	} else {
		text += fmt.Sprintf("here are files %d to %d of %d. ", from+1, from+len(page.Files), len(m.Files))
	}
	if page.Next != "" {
		text += "Read the address in next for more. "
	}
	return text + fmt.Sprintf("The whole is %s in the folder %s.", archive.ManifestName, m.bulk.Folder)
}
