package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// The quirks: ways in which the API may differ from what the sandbox assumes where
// the documentation is silent.
const (
	strictKeys        = "strict_keys"
	anyField          = "any_field"
	strictIndividuals = "strict_individuals"
	optionalRange     = "optional_range"
	bearer            = "bearer"
	head              = "head"
	oldestFirstList   = "oldest_first"
	jsonLineEnds      = "json_line_ends"
	jsonLines         = "json_lines"
	csvVars           = "csv_vars"
	cancelledState    = "cancelled_state"
	endIncluded       = "end_included"
	noRange           = "no_range"
)

// quirks lists every quirk and what it does, in Markdown.
var quirks = []struct{ name, does string }{
	{strictKeys, "a create with an unknown key is rejected. Default: the key is ignored"},
	{anyField, "a field that does not exist is an empty column. Default: it is rejected"},
	{strictIndividuals, "`eventDetails` or a field of events is rejected with `TYPE_INDIVIDUAL`. Default: ignored"},
	{optionalRange, "a create without `timeRange` exports the last 7 days. Default: it is rejected"},
	{bearer, "`Authorization: Bearer` is accepted, too"},
	{head, "`HEAD` works on a link. Default: only `GET`"},
	{oldestFirstList, "operations are listed oldest first. Default: newest first"},
	{jsonLineEnds, "a line ends after each comma of `FORMAT_JSON`: `[{…},⏎{…}]`. Default: one line, `[{…},{…}]`"},
	{jsonLines, "each object of `FORMAT_JSON` has a line of its own: `[⏎{…},⏎{…}⏎]`"},
	{csvVars, "custom variables of a CSV are JSON texts in the columns `EventVars`, `UserVars` and `PageVars`, " +
		"except those that `fields` names. Default: a column for each"},
	{cancelledState, "a cancelled export has the state `CANCELLED`. Default: `FAILED`"},
	{endIncluded, "a window contains its end, to the millisecond. Default: it does not"},
	{noRange, "the store of files ignores `Range`. Default: it serves the part that is asked for"},
}

// QuirksText returns a Markdown table of the quirks.
func QuirksText() string {
	var b strings.Builder
	b.WriteString("| quirk | effect |\n|---|---|\n")
	for _, q := range quirks {
		fmt.Fprintf(&b, "| `%s` | %s |\n", q.name, q.does)
	}
	return b.String()
}

// has reports whether the configuration names the quirk.
func (c Config) has(quirk string) bool { return slices.Contains(c.Quirks, quirk) }

// checkQuirks reports a quirk that does not exist, or two that exclude each other.
func (c Config) checkQuirks() error {
	var names []string
	for _, q := range quirks {
		names = append(names, q.name)
	}
	for _, q := range c.Quirks {
		if !slices.Contains(names, q) {
			return &ConfigError{fmt.Sprintf("unknown quirk %q; the quirks are %s", q, strings.Join(names, ", "))}
		}
	}
	if c.has(jsonLineEnds) && c.has(jsonLines) {
		return &ConfigError{fmt.Sprintf("the quirks %s and %s exclude each other", jsonLineEnds, jsonLines)}
	}
	return nil
}
