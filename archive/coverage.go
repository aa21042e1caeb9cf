package archive

import (
	"time"

	"fullstory-export-mcp/plan"
)

// CoverageOf returns which parts of a range the files cover, and which are missing.
func CoverageOf(whole plan.Range, files []File) *Coverage {
	var settled, early []plan.Range
	for _, f := range files {
		if f.Provisional {
			early = append(early, f.Window())
		} else {
			settled = append(settled, f.Window())
		}
	}
	final, provisional := plan.NewWindows(settled...), plan.NewWindows(early...)
	return &Coverage{
		Settled: listOf(final), Provisional: listOf(provisional),
		Missing: listOf(plan.NewWindows(whole).Without(final).Without(provisional)),
	}
}

func listOf(w plan.Windows) []Window {
	list := []Window{}
	for _, r := range w {
		start, end := r.Start.UTC().Format(time.RFC3339Nano), r.End.UTC().Format(time.RFC3339Nano)
		list = append(list, Window{Start: start, End: end})
	}
	return list
}
