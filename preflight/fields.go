package preflight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"fullstory-export-mcp/client"
)

// unknownFields warns of names that are no documented column of such rows. It
// does not refuse them: Fullstory may add fields at any time.
func unknownFields(names []string, rows Rows) []Warning {
	known := client.EventFields()
	if rows == Individuals {
		known = client.IndividualFields()
	}
	var warnings []Warning
	for _, name := range names {
		if slices.ContainsFunc(known, func(f client.Field) bool { return f.Name == name }) || client.VariableField(name) {
			continue
		}
		fix := "Leave it out, or see the fields guide for the documented names."
		if like := nearFields(name, known); len(like) > 0 {
			fix = "Perhaps " + strings.Join(like, " or ") + " is meant."
		}
		warnings = append(warnings, Warning{"unknown_field",
			fmt.Sprintf("%q is no documented column of an export of %s; Fullstory may refuse the request.", name, rows), fix})
	}
	return warnings
}

// nearFields returns up to three known names that resemble name, nearest first.
func nearFields(name string, known []client.Field) []string {
	distance := func(f client.Field) int {
		return levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(f.Name))
	}
	close := slices.DeleteFunc(slices.Clone(known), func(f client.Field) bool { return distance(f) > max(2, len(name)/3) })
	slices.SortStableFunc(close, func(a, b client.Field) int { return distance(a) - distance(b) })
	var names []string
	for _, f := range close[:min(3, len(close))] {
		names = append(names, f.Name)
	}
	return names
}
