// Package profile describes the rows of exported files column by column: how many values
// there are, of which kinds, the smallest and the largest, about how many different ones,
// and the most frequent. A Builder makes the profile of one file in the pass that verifies
// it; profiles of several files add up to one of all.
//
// Profiles hold values of the rows as they are. Whatever shows them to a model must mask
// personal columns first.
package profile

import "fullstory-export-mcp/rows"

// Version is the version of the profiles that this program writes and reads.
const Version = 1

const (
	// MostColumns is the most columns that a profile has. Those of a file beyond it are
	// counted in ColumnsLeftOut.
	MostColumns = 1000
	// LongestValue is the most bytes of a value in a profile. A longer text is cut at a
	// character; a longer number is in no range.
	LongestValue = 200
	// MostTop is the most values that Top of a column has; a profile of one file has at
	// most 32.
	MostTop = 256
	// mostEvents is the most types of events that are counted one by one.
	mostEvents = 256
)

// Profile describes the rows of one file, or of several together. The zero value
// describes no file.
type Profile struct {
	Version int `json:"version"`
	// Source is the file that the profile was made of; nil if it describes several.
	Source *Source `json:"source,omitempty"`
	Files  int64   `json:"files"`
	Rows   int64   `json:"rows"`
	// Events counts the rows of each EventType, the most frequent first. OtherEvents counts
	// the rows of types beyond the first 256, and of types with longer names than 200 bytes.
	Events      []EventCount `json:"events,omitempty"`
	OtherEvents int64        `json:"other_events,omitempty"`
	Frustration Frustration  `json:"frustration"`
	Errors      Errors       `json:"errors"`
	// Sessions estimates the distinct pairs of UserId and SessionId, of rows that have both.
	Sessions Distinct `json:"sessions"`
	Columns  []Column `json:"columns"` // in the order in which they were first seen
	// ColumnsLeftOut counts the columns beyond MostColumns, once for each file.
	ColumnsLeftOut int64 `json:"columns_left_out,omitempty"`
}

// Source identifies the file that a profile was made of. A file with another checksum has
// another profile.
type Source struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// EventCount is how many rows have a type of event.
type EventCount struct {
	Type string `json:"type"`
	Rows int64  `json:"rows"`
}

// Column describes the values of one column. Of the rows of the profile, Present have the
// column; of those, Null have null, and Empty have "", [], {} or an empty cell. The others
// have a value: Kinds counts them, and Distinct, Top and the ranges are about them.
type Column struct {
	Name    string    `json:"name"`
	Type    rows.Type `json:"type"` // by its name, see rows.TypeOf
	Present int64     `json:"present"`
	Null    int64     `json:"null,omitempty"`
	Empty   int64     `json:"empty,omitempty"`
	Kinds   Kinds     `json:"kinds"`
	// BeyondInt64 counts the integers, of those in Kinds, that do not fit into 64 bits with
	// a sign.
	BeyondInt64 int64 `json:"beyond_int64,omitempty"`
	// Numbers are the smallest and the largest number, exact and spelled as in the rows,
	// Texts those of the texts in the order of their bytes, and Times the first and the last
	// instant, spelled as in the rows. Each is nil without such values.
	Numbers *Range `json:"numbers,omitempty"`
	Texts   *Range `json:"texts,omitempty"`
	Times   *Range `json:"times,omitempty"`
	// TooLong counts the numbers of more than LongestValue bytes, which Numbers leaves out.
	TooLong  int64    `json:"too_long,omitempty"`
	Distinct Distinct `json:"distinct"`
	// Top are frequent values, the most frequent first. Each value that is not in it occurs
	// OthersAtMost times at most.
	Top          []Frequent `json:"top,omitempty"`
	OthersAtMost int64      `json:"others_at_most,omitempty"`
}

// Kinds counts values by how they are written. In a CSV, cells of a column whose type is
// not a text are of the kind that they would have in JSON, if they can be.
type Kinds struct {
	String  int64 `json:"string,omitempty"`
	Time    int64 `json:"time,omitempty"` // texts that are times, in columns whose type is time
	Integer int64 `json:"integer,omitempty"`
	Real    int64 `json:"real,omitempty"` // numbers with a point or an exponent
	Bool    int64 `json:"bool,omitempty"`
	List    int64 `json:"list,omitempty"`
	Object  int64 `json:"object,omitempty"`
}

// Range is a smallest and a largest value. Texts are cut to LongestValue bytes first, at a
// character, and are valid UTF-8. Of values that are equal but spelled differently, Min has
// the first spelling and Max the last, in the order of their bytes.
type Range struct {
	Min string `json:"min"`
	Max string `json:"max"`
}

// Frequent is a value that occurs often: at most Count times, and at least Count-Error
// times. Two spellings of a number, list or object are two values.
type Frequent struct {
	Value string `json:"value"`          // a text, or JSON as written
	JSON  bool   `json:"json,omitempty"` // it is not a text
	Count int64  `json:"count"`
	Error int64  `json:"error,omitempty"`
	// Cut identifies the whole value, in hex, if Value is only its first LongestValue bytes.
	Cut string `json:"cut,omitempty"`
}

// Values returns how many rows have a value in the column, neither null nor empty.
func (c *Column) Values() int64 { return c.Present - c.Null - c.Empty }

// Repeated returns the values of Top that are known to occur more than once; all of Top if
// the column has no others. It shares memory with Top.
func (c *Column) Repeated() []Frequent {
	if c.OthersAtMost == 0 {
		return c.Top
	}
	return c.Top[:repeated(c.Top)]
}

// Filled reports whether each of so many rows has a value of the type of the column.
func (c *Column) Filled(of int64) bool {
	k := c.Kinds
	switch c.Type {
	case rows.Text:
		return k.String == of
	case rows.Integer:
		return k.Integer-c.BeyondInt64 == of
	case rows.Real:
		return k.Real+k.Integer == of
	case rows.Bool:
		return k.Bool == of
	case rows.Time:
		return k.Time == of
	case rows.Object:
		return k.Object == of
	}
	return k.List == of
}

// Column returns the column of that name, or nil.
func (p *Profile) Column(name string) *Column {
	for i := range p.Columns {
		if p.Columns[i].Name == name {
			return &p.Columns[i]
		}
	}
	return nil
}
