package exports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/personal"
	"fullstory-export-mcp/profile"
	"fullstory-export-mcp/rows"
)

// errNoFiles is the error of a range in which no file lies.
var errNoFiles = errors.New("no stored file lies in the range")

const (
	// mostSample is the most rows of a sample, usualSample how many it usually has.
	mostSample, usualSample = 20, 5
	// mostSampleColumns is the most columns of a sample.
	mostSampleColumns = 40
	// longestShown is the most characters of a value that a look shows.
	longestShown = 120
)

// LookRows are rows of a file: the values of Columns, "" where a row has none.
type LookRows struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
	Masked  []string   `json:"masked_columns"`
}

// masked replaces the values of personal columns.
const masked = "[masked]"

// shownValue returns a value of a row as a look shows it: on one line, cut, and with mask
// without what looks like personal data.
func shownValue(text string, mask bool) string {
	if mask {
		text = personal.Redacted(text)
	}
	return client.Clean(text, longestShown)
}

// count adds the counts that manifests have: rows, the range of events, days and hours.
func (out *Look) count(s Stored) {
	days := map[string]int64{}
	var first, last time.Time
	for _, f := range s.Manifest.Files {
		out.Rows += f.Rows
		from, _, ok := rows.ParseTime(f.FirstEvent)
		if ok && (first.IsZero() || from.Before(first)) {
			first, out.Range.First = from, f.FirstEvent
		}
		to, _, ok := rows.ParseTime(f.LastEvent)
		if ok && to.After(last) {
			last, out.Range.Last = to, f.LastEvent
		}
		for i, n := range f.RowsByHour {
			hour := from.UTC().Truncate(time.Hour).Add(time.Duration(i) * time.Hour)
			days[hour.Format(time.DateOnly)] += n
			out.hours[hour.Hour()] += n
		}
	}
	for day, n := range days {
		out.Days = append(out.Days, LookDay{day, n})
	}
	slices.SortFunc(out.Days, func(a, b LookDay) int { return strings.Compare(a.Day, b.Day) })
}

// events adds the types of events.
func (out *Look) events(p profile.Profile) {
	others := p.OtherEvents
	for i, e := range p.Events {
		if i < mostLookEvents {
			out.Events = append(out.Events, LookEvent{client.Plain(e.Type, 60), e.Rows})
		} else {
			others += e.Rows
		}
	}
	if others > 0 {
		out.Events = append(out.Events, LookEvent{"all other types", others})
	}
}

// summarize writes the summary and the next step, and cuts the list of days.
func (out *Look) summarize(s Stored, p profile.Profile, without []string) {
	what := "rows"
	if s.Export != nil {
		what = string(s.Export.Rows)
	}
	out.Summary = fmt.Sprintf("%s has %d %s in %s, with %s.", s.Name, out.Rows, what,
		Counted(out.Files, "file"), Counted(out.ColumnCount, "column"))
	if s.Running {
		out.Summary += " The bulk export has not ended: more files follow."
	}
	if n := len(without); n > 0 {
		out.Summary += fmt.Sprintf(" The columns of %s are not described, because it has no profile yet; "+
			"`fullstory-export-mcp verify` of the folder makes it.", Counted(n, "file"))
	}
	if p.ColumnsLeftOut > 0 {
		out.Summary += " Columns beyond the first 1000 are left out."
	}
	if more := len(out.Days) - mostLookDays; more > 0 {
		out.Days = out.Days[more:]
		out.Summary += fmt.Sprintf(" days has the last %d.", mostLookDays)
	}
	out.Next = "For ranges and frequent values of columns call `describe_export` with `detail` columns or values and " +
		"the names in `columns`; with `time_range` for some of the files. `query_export` answers SQL."
}

// peopleOf estimates the distinct individuals, or users if those are not exported.
func peopleOf(p profile.Profile) int64 {
	for _, name := range []string{"IndvId", "UserId"} {
		if c := p.Column(name); c != nil {
			return c.Distinct.Estimate()
		}
	}
	return 0
}

func frustrationOf(p profile.Profile) LookFrustration {
	return LookFrustration{
		RageClicks: p.Frustration.RageClicks, DeadClicks: p.Frustration.DeadClicks,
		ErrorClicks: p.Frustration.ErrorClicks.All(), Thrashes: p.Frustration.Thrashes, Abandoned: p.Frustration.Abandoned,
		Exceptions: p.Errors.Exceptions, ConsoleErrors: p.Errors.ConsoleErrors, Crashes: p.Errors.Crashes,
	}
}

// errEnough ends the reading of a file whose first rows are known.
var errEnough = errors.New("enough rows were read")

// untilEnough reads until stop is set.
type untilEnough struct {
	io.Reader
	stop *bool
}

func (r untilEnough) Read(p []byte) (int, error) {
	if *r.stop {
		return 0, errEnough
	}
	return r.Reader.Read(p)
}

// sample adds the first rows of the first file that has rows.
func (out *Look) sample(ctx context.Context, s Stored, columns []profile.Column, q LookQuery) error {
	limit := q.Limit
	if limit == 0 {
		limit = usualSample
	}
	limit = min(limit, mostSample)
	shown := LookRows{Columns: []string{}, Rows: [][]string{}, Masked: []string{}}
	for _, c := range columns[:min(len(columns), mostSampleColumns)] {
		name := client.Clean(c.Name, longestShown)
		shown.Columns = append(shown.Columns, name)
		if q.Mask && personal.Column(c.Name) {
			shown.Masked = append(shown.Masked, name)
		}
	}
	columns = columns[:len(shown.Columns)]
	out.Sample = &shown
	for _, f := range s.Manifest.Files {
		if f.Rows == 0 {
			continue
		}
		content, err := s.Archive.Opener(s.Folder)(f)
		if err != nil {
			return err
		}
		defer content.Close()
		stop := false
		err = rows.Each(untilEnough{content, &stop}, func(_ []byte, value func(string) string) {
			if len(shown.Rows) == limit || ctx.Err() != nil {
				stop = true
				return
			}
			shown.Rows = append(shown.Rows, sampleRow(columns, value, q.Mask))
		})
		if !stop && err != nil {
			return err
		}
		break
	}
	if !q.All {
		shown.Rows = shown.Rows[:within(shown.Rows, usualBytes-1000-len(strings.Join(shown.Columns, `"",""`)))]
	}
	return ctx.Err()
}

// sampleRow returns the values of columns of one row.
func sampleRow(columns []profile.Column, value func(string) string, mask bool) []string {
	row := []string{}
	for _, c := range columns {
		raw := value(c.Name)
		var text string
		if json.Unmarshal([]byte(raw), &text) != nil {
			text = raw // a number, or the cell of a CSV
		}
		switch {
		case text == "" || raw == "null":
			text = ""
		case mask && personal.Column(c.Name):
			text = masked
		default:
			text = shownValue(text, mask)
		}
		row = append(row, text)
	}
	return row
}

// Hours returns the rows of each hour of the day, in UTC; nil without times.
func (out Look) Hours() []int64 {
	if out.Range.First == "" {
		return nil
	}
	return out.hours[:]
}
