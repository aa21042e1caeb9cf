package exports

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/personal"
	"fullstory-export-mcp/profile"
)

// LookColumn describes the values of a column.
type LookColumn struct {
	Name     string      `json:"name"`
	Type     string      `json:"type"`
	Present  int64       `json:"present"`
	Empty    int64       `json:"empty"`
	Distinct int64       `json:"distinct"`
	Min      string      `json:"min,omitempty"`
	Max      string      `json:"max,omitempty"`
	Top      []LookValue `json:"top,omitempty"`
	Masked   bool        `json:"masked,omitempty"`
}

// LookValue is a frequent value and how many rows have it, at most.
type LookValue struct {
	Value string `json:"value"`
	Rows  int64  `json:"rows"`
}

// mostLookValues is how many frequent values of a column are shown.
const mostLookValues = 10

// page adds one page of columns.
func (out *Look) page(columns []profile.Column, q LookQuery) {
	limit := q.Limit
	if limit == 0 {
		limit = usualLook
	}
	columns = columns[min(q.Offset, len(columns)):]
	out.Columns = []LookColumn{}
	for _, c := range columns[:min(limit, len(columns))] {
		out.Columns = append(out.Columns, lookColumn(c, q))
	}
	if !q.All {
		out.Columns = out.Columns[:FittingPage(out.Columns, limit, usualLook)]
	}
	if len(out.Columns) < len(columns) {
		out.HasMore, out.NextOffset = true, q.Offset+len(out.Columns)
	}
}

func lookColumn(c profile.Column, q LookQuery) LookColumn {
	out := LookColumn{
		Name: client.Clean(c.Name, longestShown), Type: string(c.Type), Present: c.Present, Empty: c.Null + c.Empty,
		Distinct: c.Distinct.Estimate(), Masked: q.Mask && personal.Column(c.Name),
	}
	if out.Masked {
		return out
	}
	for _, r := range []*profile.Range{c.Times, c.Numbers, c.Texts} {
		if r != nil {
			out.Min, out.Max = shownValue(r.Min, q.Mask), shownValue(r.Max, q.Mask)
			break
		}
	}
	if q.Detail == LookValues {
		top := c.Repeated()
		for _, v := range top[:min(len(top), mostLookValues)] {
			out.Top = append(out.Top, LookValue{shownValue(v.Value, q.Mask), v.Count})
		}
	}
	return out
}

// names adds the names of the columns.
func (out *Look) names(columns []profile.Column) {
	out.ColumnNames = []string{}
	for _, c := range columns[:min(len(columns), mostLookNames)] {
		out.ColumnNames = append(out.ColumnNames, client.Clean(c.Name, longestShown))
	}
	out.ColumnNames = out.ColumnNames[:within(out.ColumnNames, usualBytes/2)]
	out.HasMore = len(out.ColumnNames) < len(columns)
}

// unknownColumn is the error of a name or pattern that no column matches.
func unknownColumn(pattern string, names []string) error {
	text := fmt.Sprintf("no column matches %q", client.Clean(pattern, longestShown))
	if near := nearestNames(pattern, names); len(near) > 0 {
		text += "; did you mean " + client.Clean(strings.Join(near, " or "), 3*longestShown) + "?"
	} else {
		text += "; call without `columns` for the names."
	}
	return &Error{Err: fs.ErrNotExist, Explanation: Explanation{
		Kind: Arguments, Wrong: []WrongArgument{{"columns", text}},
	}}
}

// nearestNames returns up to three names that are similar to a word, the most similar first.
func nearestNames(word string, names []string) []string {
	distance := func(name string) int {
		return levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(name))
	}
	near := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		contained := len(word) > 2 && strings.Contains(strings.ToLower(name), strings.ToLower(word))
		return !contained && distance(name) > max(2, len(word)/3)
	})
	slices.SortStableFunc(near, func(a, b string) int { return distance(a) - distance(b) })
	return near[:min(3, len(near))]
}
