package probe

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// Verdict says whether an assumption holds.
type Verdict string

// The verdicts.
const (
	Holds      Verdict = "holds"
	Differs    Verdict = "differs"
	NotChecked Verdict = "not_checked"
)

// Finding is the verdict on one assumption. Found has no text of rows, segments or people.
type Finding struct {
	ID         string  `json:"id"`
	Assumption string  `json:"assumption"`
	Verdict    Verdict `json:"verdict"`
	Found      string  `json:"found,omitempty"` // what was seen, or why it was not checked
}

// Report has a finding for each assumption, in a fixed order.
type Report struct {
	Creates  int       `json:"creates"` // creates that were sent, the rejected ones included
	Findings []Finding `json:"findings"`

	// CancelledState is the state of a cancelled operation; empty if it is not known.
	CancelledState string `json:"cancelled_state,omitempty"`
}

// Count returns how many assumptions have a verdict.
func (r Report) Count(v Verdict) (n int) {
	for _, f := range r.Findings {
		if f.Verdict == v {
			n++
		}
	}
	return n
}

// Verdict returns the verdict on an assumption; NotChecked if there is no such assumption.
func (r Report) Verdict(id string) Verdict {
	for _, f := range r.Findings {
		if f.ID == id {
			return f.Verdict
		}
	}
	return NotChecked
}

// Markdown returns the report as a text that can be pasted into an issue. about are lines on
// the program and the account, such as "version 1.0".
func (r Report) Markdown(about ...string) string {
	var b strings.Builder
	b.WriteString("# What a probe of Fullstory's API found\n\n")
	for _, line := range about {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprintf(&b, "- %d creates were sent\n", r.Creates)
	for _, part := range []struct {
		verdict Verdict
		title   string
	}{{Differs, "Differs from what is assumed"}, {Holds, "Holds"}, {NotChecked, "Not checked"}} {
		fmt.Fprintf(&b, "\n## %s: %d\n", part.title, r.Count(part.verdict))
		if r.Count(part.verdict) == 0 {
			continue
		}
		b.WriteString("\n| assumption | | found |\n|---|---|---|\n")
		for _, f := range r.Findings {
			if f.Verdict == part.verdict {
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.ID, f.Assumption, cmp.Or(f.Found, "as assumed"))
			}
		}
	}
	return b.String()
}

// word returns a text of the API if it is a bare word, such as a state or an error code.
// Anything else could be personal, and becomes "another text".
func word(text string) string {
	if bareWord.MatchString(text) {
		return text
	}
	return "another text"
}

var bareWord = regexp.MustCompile(`^[A-Za-z_]{1,40}$`)
