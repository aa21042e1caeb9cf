package exports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/preflight"
)

// comparable fails unless the older export has the same rows as the sync would export, by its
// request. A difference that may leave the rows the same is a warning.
func (d *adoption) comparable() error {
	m, r := d.from.Manifest, d.from.Request
	if err := json.Unmarshal(d.sync.Request, &d.request); err != nil {
		return err
	}
	folder := local.Shown(d.out.Folder)
	switch {
	case m.BulkID != "" && m.BulkID == d.bulk.ID, d.out.Folder == d.out.Into:
		return rejected("%s is the folder of the sync %s itself.", folder, d.sync.Name)
	case r.SegmentID == "" || m.Account == "":
		return rejected("the manifest in %s does not say what was exported, so its rows cannot be told from others.", folder)
	case m.Account != d.engine.o.Account:
		return rejected("%s was exported from another Fullstory account (%s) than that of this sync (%s).", folder,
			client.Clean(m.Account, 100), d.engine.o.Account)
	}
	if differs := differences(d.request, r); len(differs) > 0 {
		return rejected("%s has other rows than the sync %s: %s.", folder, d.sync.Name, strings.Join(differs, "; "))
	}
	if text := d.otherFilters(); text != "" {
		d.out.Warnings = append(d.out.Warnings, text)
	}
	return nil
}

// differences says how the rows of the request of an older export differ from those of a sync.
func differences(of, older client.ExportRequest) (list []string) {
	differ := func(what, now, before string) {
		if now != before {
			list = append(list, fmt.Sprintf("its %s is %s, and that of the sync %s", what, given(before), given(now)))
		}
	}
	flag := func(now, before string) { // a terminal shows the value with its flag
		if now != before {
			list = append(list, fmt.Sprintf("it was exported with %s, and the sync exports with %s", given(before), given(now)))
		}
	}
	differ("segment", of.SegmentID, older.SegmentID)
	flag(string(of.Type), string(older.Type))
	differ("scope", string(of.Scope), string(older.Scope))
	flag(string(cmp.Or(of.Format, client.FormatNDJSON)), string(cmp.Or(older.Format, client.FormatNDJSON)))
	now, before := of.Fields, older.Fields
	switch {
	case slices.Equal(now, before):
	case len(now) == 0:
		list = append(list, "it has chosen columns, and the sync the default set")
	case len(before) == 0:
		list = append(list, "it has the default set of columns, and the sync chosen ones")
	case !slices.Equal(slices.Sorted(slices.Values(now)), slices.Sorted(slices.Values(before))):
		list = append(list, columnsDiffer(now, before))
	case of.Format == client.FormatCSV:
		list = append(list, "its columns are in another order")
	}
	return list
}

func given(value string) string { return cmp.Or(client.Clean(value, 100), "not given") }

// columnsDiffer names columns that only one of two requests has.
func columnsDiffer(now, before []string) string {
	only := func(some, others []string) string {
		var names []string
		for _, name := range some {
			if !slices.Contains(others, name) {
				names = append(names, client.Clean(name, 60))
			}
		}
		if len(names) > 3 {
			names = append(names[:3], fmt.Sprintf("%d more", len(names)-3))
		}
		return strings.Join(names, ", ")
	}
	lacks, has := only(now, before), only(before, now)
	switch {
	case has == "":
		return "it lacks the columns " + lacks
	case lacks == "":
		return "it has the columns " + has + ", and the sync does not"
	}
	return "it lacks the columns " + lacks + " and has " + has
}

// otherFilters warns if the filters of the segment were evaluated over another period: then the
// older export may have rows of other people.
func (d *adoption) otherFilters() string {
	older := d.from.Request
	now, err := askedBefore(ledger.Sync{Request: d.sync.Request})
	before, alsoErr := askedBefore(ledger.Sync{Request: d.from.Manifest.Request})
	if err != nil || alsoErr != nil {
		return ""
	}
	same := *now.SegmentTimeRange == *before.SegmentTimeRange
	// own and range follow each window of a sync, whose manifest has no instant to which
	// relative dates were pinned, and of everyone.
	follows := older.SegmentID == preflight.Everyone || d.from.Manifest.BulkID != "" && older.Now == ""
	fixed := before.SegmentTimeRange.End != "" || *before.SegmentTimeRange == client.TimeRange{Start: "all"}
	if same && (follows || fixed) {
		return ""
	}
	return fmt.Sprintf("The filters of the segment were evaluated over another period in the older export (%s) than in "+
		"the sync (%s), so its windows may have rows of other people.", filterPeriod(*before.SegmentTimeRange),
		filterPeriod(*now.SegmentTimeRange))
}

// filterPeriod returns a segment_time_range in words of the command line.
func filterPeriod(r client.TimeRange) string {
	if r.End == "" {
		return r.Start
	}
	return client.Clean(r.Start+"/"+r.End, 100)
}
