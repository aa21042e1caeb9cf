package preflight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"fullstory-export-mcp/client"
)

// FieldRule is what Fullstory does with a field that does not exist, as a probe found.
type FieldRule string

// The rules. The zero value means that it is not known.
const (
	FieldRejected FieldRule = "rejected" // the create fails
	FieldEmpty    FieldRule = "empty"    // it is a column without values
)

// outcome says what follows from a field that is not documented.
func (r FieldRule) outcome() string {
	switch r {
	case FieldRejected:
		return "Fullstory rejects requests with a field that does not exist"
	case FieldEmpty:
		return "Fullstory makes an empty column of a field that does not exist"
	}
	return "Fullstory may reject the request"
}

// unknownFields returns a notice for each name that is not a documented column of
// an export of rows. Such names are not rejected, because Fullstory may add fields
// at any time.
func unknownFields(names []string, rows Rows, rule FieldRule) []Notice {
	known := client.EventFields()
	if rows == Individuals {
		known = client.IndividualFields()
	}
	var notices []Notice
	for _, name := range names {
		if slices.ContainsFunc(known, func(f client.Field) bool { return f.Name == name }) || client.VariableField(name) {
			continue
		}
		fix := "Leave it out, or use a documented name; the guide to fields lists them."
		if other := counterpart(name, rows); other != "" {
			fix = fmt.Sprintf("In an export of %s it is %s.", rows, other)
		} else if like := nearFields(name, known); len(like) > 0 {
			fix = "Did you mean " + strings.Join(like, " or ") + "?"
		}
		notices = append(notices, notice(UnknownField,
			fmt.Sprintf("%q is not a documented column of an export of %s; %s.", name, rows, rule.outcome()), fix))
	}
	return notices
}

// counterpart returns the column that has the meaning of name, a column of the other
// kind of rows, in an export of rows; "" if there is none.
func counterpart(name string, rows Rows) string {
	for _, pair := range [][2]string{ // of events, of individuals
		{"UserAppKey", "Uid"}, {"UserDisplayName", "DisplayName"}, {"UserEmail", "Email"}, {"UserCreated", "Created"},
		{"SessionStart", "LastSessionStart"}, {"EventStart", "LastEventStart"}, {"PageUrl", "LastPage"},
		{"PageIp", "LastIp"}, {"PageLatLong", "LastLatLong"}, {"PageBrowser", "LastBrowser"},
		{"PageDevice", "LastDevice"}, {"PagePlatform", "LastPlatform"}, {"PageOperatingSystem", "LastOperatingSystem"},
	} {
		switch {
		case rows == Individuals && pair[0] == name:
			return pair[1]
		case rows == Events && pair[1] == name:
			return pair[0]
		}
	}
	return ""
}

// nearFields returns up to three known names that are similar to name, the most
// similar first.
func nearFields(name string, known []client.Field) []string {
	distance := func(f client.Field) int {
		return levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(f.Name))
	}
	close := slices.DeleteFunc(slices.Clone(known), func(f client.Field) bool { return distance(f) > max(2, len(name)/3) })
	slices.SortStableFunc(close, func(a, b client.Field) int { return distance(a) - distance(b) })
	if len(close) == 0 {
		close = alikeFields(name, known)
	}
	var names []string
	for _, f := range close[:min(3, len(close))] {
		names = append(names, f.Name)
	}
	return names
}

// alikeFields returns the known fields whose names end with name, such as PageUrl for url, or
// the one of the time for a word for it.
func alikeFields(name string, known []client.Field) []client.Field {
	name = strings.ToLower(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(name))
	if slices.Contains([]string{"time", "timestamp", "date", "datetime", "when"}, name) {
		name = "eventstart"
	}
	if len(name) < 3 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(known), func(f client.Field) bool {
		return !strings.HasSuffix(strings.ToLower(f.Name), name)
	})
}
