package exports

import (
	"strings"
	"testing"

	"fullstory-export-mcp/preflight"
)

// TestFolderName names folders that every system can have.
func TestFolderName(t *testing.T) {
	for given, want := range map[string]string{
		"September": "september", "a/b": "a-b", `..\x`: "export..-x", "..": "export", "a b:c": "a-b-c", "dots...": "dots",
		"con": "export-con", "NUL.2026": "export-nul.2026", "Lpt1": "export-lpt1", "console": "console", "com10": "com10",
		".hidden": "export.hidden", "a.": "a", strings.Repeat("x", 63) + ".y": strings.Repeat("x", 63),
		"aux." + strings.Repeat("y", 90): "export-aux." + strings.Repeat("y", 53),
		" ":                              "everyone--00010101t0000-00010101t0000-day",
	} {
		e := preflight.Export{}
		e.Request.SegmentID = "everyone"
		if got := folderName(given, e, "day"); got != want || len(got) > nameLimit {
			t.Errorf("%q is the folder %q, want %q", given, got, want)
		}
	}
}
