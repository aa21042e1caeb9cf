package exports

import (
	"testing"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
)

// TestCut checks the text by which a ledger keeps each kind of cut, that it is read as the
// same cut again, and how many rows a chunk gets.
func TestCut(t *testing.T) {
	profile := &plan.Profile{RowSize: 100}
	for _, test := range []struct {
		chunk     string
		rows      int
		megabytes float64
		want      string
		target    float64
	}{
		{"", 0, 0, "day", 0},
		{"PT6H", 0, 0, "PT6H", 0},
		{"", 500000, 0, "500000 rows", 500000},
		{"", 0, 0.25, "0.25 MB", 2500},
		{"three rows", 0, 0, "three rows", 0},
		{"-1 MB", 0, 0, "-1 MB", 0},
	} {
		c, err := readCut(test.chunk, test.rows, test.megabytes, client.TypeEvent)
		if err != nil {
			t.Fatal(err)
		}
		again, err := readCut(c.String(), 0, 0, client.TypeEvent)
		if err != nil || again != c || c.String() != test.want {
			t.Errorf("%+v is %q, which is read as %+v, %v; want %q", c, c, again, err, test.want)
		}
		target := 0.0
		if c.sized() {
			if target = c.target(profile); c.target(nil) != 0 {
				t.Errorf("%s has a target of %v rows without a profile", c, c.target(nil))
			}
		}
		if target != test.target {
			t.Errorf("%s has %v rows a chunk, want %v", c, target, test.target)
		}
	}
	if _, err := readCut("5 rows", 0, 0, client.TypeIndividual); err == nil {
		t.Error("individuals are cut by size")
	}
}

// TestSizeOfOtherColumns measures files of all columns for an export of two: the size of a
// row is only a guess, until there is a file of the same columns.
func TestSizeOfOtherColumns(t *testing.T) {
	day := func(n int, bytes int64, fields ...string) storedFile {
		f := storedFile{request: client.ExportRequest{SegmentID: "everyone", Fields: fields}}
		f.window = plan.Range{Start: september.AddDate(0, 0, n), End: september.AddDate(0, 0, n+1)}
		f.file.Rows, f.file.Bytes, f.file.ExportedAt = 1000, bytes, september.AddDate(0, 1, 0)
		return f
	}
	request := client.ExportRequest{SegmentID: "everyone", Type: client.TypeEvent, Fields: []string{"UserId"}}
	files := []storedFile{day(0, 100_000)}
	now := september.AddDate(0, 2, 0)
	if m := measure(files, request, september.Location(), now); !m.foreign || m.profile.RowSize != 100 {
		t.Errorf("of all columns: %+v", m)
	}
	files = append(files, day(1, 10_000, "UserId"))
	m := measure(files, request, september.Location(), now)
	if m.foreign || m.profile.RowSize != 10 || m.profile.Hours != 48 {
		t.Errorf("of the same columns: %+v", m)
	}
}
