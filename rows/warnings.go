package rows

import (
	"fmt"
	"strings"
)

// Warnings counts rows that are accepted although something about them is unusual.
type Warnings struct {
	InvalidUTF8      int64 `json:"invalid_utf8,omitempty"`       // text that is not UTF-8
	LoneSurrogates   int64 `json:"lone_surrogates,omitempty"`    // half of a pair, such as \ud800
	DuplicateKeys    int64 `json:"duplicate_keys,omitempty"`     // a column given more than once
	MissingTime      int64 `json:"missing_time,omitempty"`       // no time, although other rows have one
	TimesWithoutZone int64 `json:"times_without_zone,omitempty"` // read as UTC
	// EmptyObject marks a file of 0 bytes, which is not even gzip, and whose length two
	// answers of the store confirmed. It is kept as an export without rows.
	EmptyObject bool `json:"empty_object,omitempty"`
}

// Plus returns the sum of both.
func (w Warnings) Plus(o Warnings) Warnings {
	return Warnings{
		InvalidUTF8:      w.InvalidUTF8 + o.InvalidUTF8,
		LoneSurrogates:   w.LoneSurrogates + o.LoneSurrogates,
		DuplicateKeys:    w.DuplicateKeys + o.DuplicateKeys,
		MissingTime:      w.MissingTime + o.MissingTime,
		TimesWithoutZone: w.TimesWithoutZone + o.TimesWithoutZone,
		EmptyObject:      w.EmptyObject || o.EmptyObject,
	}
}

// String describes the warnings in a sentence or two. Without warnings it is empty.
func (w Warnings) String() string {
	var parts []string
	for _, c := range []struct {
		rows int64
		what string
	}{
		{w.InvalidUTF8, "with text that is not UTF-8"}, {w.LoneSurrogates, "with half of a surrogate pair"},
		{w.DuplicateKeys, "with a column given more than once"}, {w.MissingTime, "without a time"},
		{w.TimesWithoutZone, "whose time has no zone (read as UTC)"},
	} {
		if c.rows > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.rows, c.what))
		}
	}
	text := ""
	if len(parts) > 0 {
		text = "Rows to look at: " + strings.Join(parts, ", ") + "."
	}
	if w.EmptyObject {
		text = strings.TrimSpace(text + " Fullstory's store gave a file of 0 bytes, which is kept as an export without rows.")
	}
	return text
}
