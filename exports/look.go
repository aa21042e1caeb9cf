package exports

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/profile"
)

// LookQuery says what a look at stored data shows.
type LookQuery struct {
	Columns []string         // names, or patterns with * and ?; empty: all
	Detail  LookDetail       // empty: LookSummary
	Range   client.TimeRange // only files whose windows lie in it; zero: all files
	Offset  int              // of the first column
	Limit   int              // most columns, or rows of a sample; 0: as many as a usual result has
	Mask    bool             // personal data is left out
	All     bool             // without the bounds of a result for a model
}

// LookDetail is how much a look shows besides the summary.
type LookDetail string

// The details.
const (
	LookSummary LookDetail = "summary" // names of columns alone
	LookColumns LookDetail = "columns" // how many values each column has, and their range
	LookValues  LookDetail = "values"  // likewise, with the most frequent values
	LookSample  LookDetail = "sample"  // the first rows
)

// Look describes stored data.
type Look struct {
	Summary     string          `json:"summary"`
	Source      string          `json:"source"`
	Files       int             `json:"files"`
	Rows        int64           `json:"rows"`
	Range       LookRange       `json:"range" schema:"brief" jsonschema_description:"first_event and last_event, as the rows spell them."`
	People      int64           `json:"people" jsonschema_description:"Distinct IndvId, else UserId, about."`
	Sessions    int64           `json:"sessions" jsonschema_description:"Distinct sessions, about."`
	Events      []LookEvent     `json:"events" schema:"brief" jsonschema_description:"type and rows, by EventType; only in a summary."`
	Frustration LookFrustration `json:"frustration" schema:"brief" jsonschema_description:"rage_clicks (bursts), dead_clicks, error_clicks, thrashed_cursor, abandoned_forms, exceptions, console_errors, crashes."`
	Days        []LookDay       `json:"days" schema:"brief" jsonschema_description:"day (UTC) and rows; the last 31 with rows, only in a summary."`
	ColumnCount int             `json:"column_count"`
	ColumnNames []string        `json:"column_names,omitempty"`
	Columns     []LookColumn    `json:"columns,omitempty" schema:"brief" jsonschema_description:"name, type, present, empty (of those), distinct (about), min, max, top (value, and at most so many rows), masked."`
	Sample      *LookRows       `json:"sample,omitempty" schema:"brief" jsonschema_description:"columns, rows, masked_columns."`
	HasMore     bool            `json:"has_more"`
	NextOffset  int             `json:"next_offset,omitempty"`
	Export      *Description    `json:"export,omitempty" schema:"brief"`
	Next        string          `json:"next,omitempty"`

	hours [24]int64 // rows by hour of the day, UTC
}

// LookRange has the times of the first and the last event; empty without times.
type LookRange struct {
	First string `json:"first_event"`
	Last  string `json:"last_event"`
}

// LookEvent counts the rows of a type of event.
type LookEvent struct {
	Type string `json:"type"`
	Rows int64  `json:"rows"`
}

// LookDay counts the rows of a day of UTC.
type LookDay struct {
	Day  string `json:"day"`
	Rows int64  `json:"rows"`
}

// LookFrustration counts signs of frustration and errors, as Fullstory defines them; see
// profile.Frustration and profile.Errors.
type LookFrustration struct {
	RageClicks    int64 `json:"rage_clicks"`
	DeadClicks    int64 `json:"dead_clicks"`
	ErrorClicks   int64 `json:"error_clicks"`
	Thrashes      int64 `json:"thrashed_cursor"`
	Abandoned     int64 `json:"abandoned_forms"`
	Exceptions    int64 `json:"exceptions"`
	ConsoleErrors int64 `json:"console_errors"`
	Crashes       int64 `json:"crashes"`
}

const (
	// mostLookEvents is how many types of events are listed.
	mostLookEvents = 30
	// mostLookDays is how many days are listed.
	mostLookDays = 31
	// mostLookNames is how many names of columns a summary lists.
	mostLookNames = 150
	// usualLook is how many columns a page has.
	usualLook = 40
)

// Look looks at stored data; see Stored for source, and LookAt.
func (a *Account) Look(ctx context.Context, source string, q LookQuery) (Look, error) {
	release, err := a.Hold(ctx)
	if err != nil {
		return Look{}, err
	}
	defer release()
	s, err := a.Stored(ctx, source)
	if err != nil {
		return Look{}, err
	}
	return LookAt(ctx, s, q, a.Clock())
}

// LookAt describes the rows of stored files by their profiles, and reads no rows except for
// a sample. Dates in q.Range are in the zone of the export, and relative to now. Files
// without a profile are left out of the counts of values, which the summary says.
func LookAt(ctx context.Context, s Stored, q LookQuery, now time.Time) (Look, error) {
	if err := s.restrict(q.Range, now); err != nil {
		return Look{}, err
	}
	sum, without, err := s.Archive.FolderProfile(ctx, s.Folder, s.Manifest.Files)
	if err != nil {
		return Look{}, err
	}
	out := Look{
		Source: s.Name, Files: len(s.Manifest.Files), Export: s.Export, Events: []LookEvent{}, Days: []LookDay{},
		ColumnCount: len(sum.Columns), Sessions: sum.Sessions.Estimate(), People: peopleOf(sum),
		Frustration: frustrationOf(sum),
	}
	out.count(s)
	out.events(sum)
	out.summarize(s, sum, without)
	chosen, err := chosenColumns(sum.Columns, q.Columns)
	if err != nil {
		return Look{}, err
	}
	if !q.All && q.Detail != LookSummary && q.Detail != "" { // the summary has them
		out.Events, out.Days = []LookEvent{}, []LookDay{}
	}
	switch q.Detail {
	case LookColumns, LookValues:
		out.page(chosen, q)
	case LookSample:
		err = out.sample(ctx, s, chosen, q)
	default:
		out.names(chosen)
	}
	return out, err
}

// restrict leaves only the files whose windows lie in a range.
func (s *Stored) restrict(r client.TimeRange, now time.Time) error {
	if r == (client.TimeRange{}) {
		return nil
	}
	calendar := plan.Calendar{Zone: zoneOf(s.Request), Week: time.Monday}
	w, err := preflight.ResolveRange("time_range", r, calendar, now)
	if err != nil {
		return err
	}
	all := len(s.Manifest.Files)
	cut := 0
	s.Manifest.Files = slices.Clone(s.Manifest.Files)
	s.Manifest.Files = slices.DeleteFunc(s.Manifest.Files, func(f archive.File) bool {
		window := f.Window()
		inside := !window.Start.Before(w.Start) && (w.End.IsZero() || !window.End.IsZero() && !window.End.After(w.End))
		apart := !window.End.IsZero() && !window.End.After(w.Start) || !w.End.IsZero() && !window.Start.Before(w.End)
		if !inside && !apart {
			cut++
		}
		return !inside
	})
	if all > 0 && len(s.Manifest.Files) == 0 {
		text := "no stored file lies in it as a whole"
		if cut > 0 {
			text += fmt.Sprintf("; %s it in part. Give a range that begins and ends where chunks do, or leave it out",
				Counted(cut, "file")+" overlap")
		}
		return &Error{Err: errNoFiles, Explanation: Explanation{
			Kind: Arguments, Wrong: []WrongArgument{{"time_range", text + "."}},
		}}
	}
	return nil
}

// chosenColumns returns the columns with the given names or patterns, in the order of all.
// It fails if one of them matches nothing.
func chosenColumns(all []profile.Column, wanted []string) ([]profile.Column, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	var chosen []profile.Column
	for _, pattern := range wanted {
		matches := func(name string) bool {
			ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
			return name == pattern || err == nil && ok
		}
		if !slices.ContainsFunc(names, matches) {
			return nil, unknownColumn(pattern, names)
		}
		for _, c := range all {
			if matches(c.Name) && !slices.ContainsFunc(chosen, func(o profile.Column) bool { return o.Name == c.Name }) {
				chosen = append(chosen, c)
			}
		}
	}
	return chosen, nil
}
