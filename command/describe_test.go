//go:build unix

package command

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// looked is a result of describe_export.
type looked struct {
	Summary string
	Rows    int64
	People  int64
	Events  []struct {
		Type string
		Rows int64
	}
	Frustration map[string]int64
	ColumnNames []string `json:"column_names"`
	Columns     []struct {
		Name, Type, Min, Max string
		Present, Empty       int64
		Masked               bool
		Top                  []struct {
			Value string
			Rows  int64
		}
	}
	Sample *struct {
		Columns []string
		Rows    [][]string
	}
	HasMore    bool `json:"has_more"`
	NextOffset int  `json:"next_offset"`
}

// october is a folder with three days of events, exported in chunks of a day.
func october(t *testing.T, format string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "exports")
	r := commandLine(t, t.Context(), dir, "run", "--segment", "everyone", "--from", "2026-10-01", "--to", "2026-10-04",
		"--name", "october", "--format", format, "-q")
	if r.status != 0 {
		t.Fatalf("%d: %s", r.status, r.all)
	}
	return dir
}

// exportedRows returns the rows of an NDJSON export, with numbers as they are written.
func exportedRows(t *testing.T, folder string) (rows []map[string]any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.ndjson.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: no files in %s", err, folder)
	}
	for _, file := range files {
		packed, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer packed.Close()
		content, err := gzip.NewReader(packed)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(content)
		d.UseNumber()
		for d.More() {
			var row map[string]any
			if err := d.Decode(&row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// TestDescribe asks how many rage clicks there were on a day, and which columns there are. It
// counts the rows again.
func TestDescribe(t *testing.T) {
	t.Parallel()
	dir := october(t, "ndjson")
	c := converse(t, nil, "--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--dir", dir)
	var all, second looked
	c.call("describe_export", map[string]any{"source": "october"}, &all)
	c.call("describe_export", map[string]any{"source": "october", "time_range": "2026-10-02"}, &second)

	clicks, rows, types := 0, 0, map[string]int64{}
	whole := exportedRows(t, filepath.Join(dir, "october"))
	for _, row := range whole {
		if at := row["EventStart"].(string); !strings.HasPrefix(at, "2026-10-02") {
			continue
		}
		rows++
		types[row["EventType"].(string)]++
		if n, ok := row["EventModFrustrated"].(json.Number); ok && n == "1" {
			clicks++
		}
	}
	if second.Rows != int64(rows) || second.Frustration["rage_clicks"] != int64(clicks) || clicks == 0 {
		t.Errorf("described as %d rows, %v; counted are %d, %d rage clicks", second.Rows, second.Frustration, rows, clicks)
	}
	for _, e := range second.Events {
		if types[e.Type] != e.Rows {
			t.Errorf("%s: %d rows, counted are %d", e.Type, e.Rows, types[e.Type])
		}
	}
	if all.Rows != int64(len(whole)) || !slices.Contains(all.ColumnNames, "EventModFrustrated") {
		t.Errorf("described as %d rows with %v; counted are %d", all.Rows, all.ColumnNames, len(whole))
	}
	c.rejected("describe_export", map[string]any{"source": "october", "columns": []string{"EventTyp"}}, "EventType")
	c.rejected("describe_export", map[string]any{"source": "october", "time_range": "2026-11"}, "no stored file")
	for _, source := range []string{"november", "../etc", "/etc/passwd", "october/../../x", "october/.profile/x", "."} {
		c.rejected("describe_export", map[string]any{"source": source}, "no stored export")
	}
}

// TestDescribeMasks pages through everything that a model can see, and looks for values of
// people that the files have.
func TestDescribeMasks(t *testing.T) {
	t.Parallel()
	dir := october(t, "ndjson")
	personal := map[string]bool{}
	for _, row := range exportedRows(t, filepath.Join(dir, "october")) {
		for _, column := range []string{"UserEmail", "UserDisplayName", "UserAppKey", "PageIp", "PageLatLong"} {
			if s, _ := row[column].(string); len(s) > 5 {
				personal[s] = true
			}
		}
	}
	if len(personal) < 100 {
		t.Fatalf("the files have %d values of people", len(personal))
	}
	c := converse(t, nil, "--sandbox", "--sandbox-now", "2026-11-25T12:00:00Z", "--dir", dir)
	var seen strings.Builder
	look := func(args map[string]any) (l looked) {
		args["source"] = "october"
		c.call("describe_export", args, &l)
		raw, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > 8000 {
			t.Errorf("%v has %d bytes", args, len(raw))
		}
		seen.Write(raw)
		return l
	}
	look(map[string]any{})
	masked := eachColumn(t, look)
	for _, pattern := range []string{"User*", "Page*", "Event*", "evt_*", "user_*", "page_*"} {
		l := look(map[string]any{"detail": "sample", "limit": 20, "columns": []string{pattern}})
		if l.Sample == nil || len(l.Sample.Rows) == 0 {
			t.Errorf("no sample of %s", pattern)
		}
	}
	if masked < 10 {
		t.Errorf("%d columns are masked", masked)
	}
	for value := range personal {
		if strings.Contains(seen.String(), value) {
			t.Errorf("a model sees %q", value)
		}
	}
	if found := regexp.MustCompile(`[a-z0-9.]+@[a-z]+\.[a-z]+`).FindString(seen.String()); found != "" {
		t.Errorf("a model sees %q", found)
	}
}

// eachColumn pages through the columns in both details, and returns how many are masked.
func eachColumn(t *testing.T, look func(map[string]any) looked) (masked int) {
	t.Helper()
	for _, detail := range []string{"columns", "values"} {
		for offset, more := 0, true; more; {
			l := look(map[string]any{"detail": detail, "offset": offset})
			if more = l.HasMore; more && l.NextOffset <= offset {
				t.Fatalf("the page after %d begins at %d", offset, l.NextOffset)
			}
			offset = l.NextOffset
			for _, column := range l.Columns {
				if column.Masked {
					masked++
				}
			}
		}
	}
	return masked
}

// TestDescribeOffline describes a folder that no ledger knows, in every format and without
// its profiles, from a terminal.
func TestDescribeOffline(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"ndjson", "json", "csv"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			describeOffline(t, filepath.Join(october(t, format), "october"))
		})
	}
}

func describeOffline(t *testing.T, folder string) {
	t.Helper()
	r := commandAlone(t, "describe", folder, "--json")
	var l looked
	err := json.Unmarshal([]byte(r.stdout), &l)
	if err != nil || l.Frustration["rage_clicks"] == 0 || l.People == 0 {
		t.Errorf("%v: %s", err, r.all)
	}
	r = commandAlone(t, "describe", filepath.Base(folder), "--dir", filepath.Dir(folder), "--json")
	var named looked
	if err := json.Unmarshal([]byte(r.stdout), &named); err != nil || named.Rows != l.Rows {
		t.Errorf("by its name, %v: %s", err, r.all)
	}
	r = commandAlone(t, "describe", folder)
	if r.status != 0 || !strings.Contains(r.stdout, "2026-10-02") || !strings.Contains(r.stdout, "█") {
		t.Errorf("%d: %s", r.status, r.all)
	}
	files, err := filepath.Glob(filepath.Join(folder, "2026*.gz"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var one looked
	r = commandAlone(t, "describe", files[0], "--json")
	if err := json.Unmarshal([]byte(r.stdout), &one); err != nil || one.Rows == 0 || one.Rows >= l.Rows {
		t.Errorf("one file: %v, %d rows of %d: %s", err, one.Rows, l.Rows, r.all)
	}
	r = commandAlone(t, "head", folder, "-n", "2", "--columns", "EventStart,EventType")
	if lines := strings.Count(r.stdout, "EventStart"); r.status != 0 || lines != 2 {
		t.Errorf("%d: %s", r.status, r.all)
	}
	if err := os.RemoveAll(filepath.Join(folder, ".profile")); err != nil {
		t.Fatal(err)
	}
	if r := commandAlone(t, "describe", folder); !strings.Contains(r.stdout, "verify") {
		t.Errorf("without profiles: %s", r.all)
	}
	if r := commandAlone(t, "verify", folder); r.status != 0 {
		t.Errorf("%d: %s", r.status, r.all)
	}
	if r := commandAlone(t, "describe", folder); strings.Contains(r.stdout, "not described") {
		t.Errorf("after verify: %s", r.all)
	}
}

// commandAlone runs a command without key and sandbox.
func commandAlone(t *testing.T, args ...string) ran {
	t.Helper()
	var out, errs buffer
	err := Run(t.Context(), args, func(string) string { return "" }, strings.NewReader(""), &out, &errs)
	return ran{Status(err), out.String(), out.String() + errs.String()}
}
