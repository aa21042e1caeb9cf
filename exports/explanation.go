package exports

import (
	"strings"
	"time"
)

// Kind is what a failure is attributed to, in a word. Metrics and audit logs have it.
type Kind string

// The kinds of failures.
const (
	Arguments Kind = "arguments" // the caller corrects the call
	Uncertain Kind = "uncertain" // an export exists, or may exist, although its create failed
	Quota     Kind = "quota"     // the account has as much open as it may
	Ledger    Kind = "ledger"
	Disk      Kind = "disk"
	Mirror    Kind = "mirror"
	Table     Kind = "table"    // a Delta table
	Database  Kind = "database" // the destination of a sync
	File      Kind = "file"     // a file could not be fetched, or is damaged
	Fullstory Kind = "fullstory"
	Setup     Kind = "setup"    // this program is not configured correctly
	Declined  Kind = "declined" // the user did not agree to it
	Ended     Kind = "ended"    // the call was ended before its work was done
	Internal  Kind = "internal"
)

// Retry is what a retry of the failed call does.
type Retry int

// The values of Retry.
const (
	RetryUnknown   Retry = iota // the remedy says it, or it is not known
	RetryUseless                // fails again
	RetryAfter                  // fails again until the remedy is applied
	RetryWorks                  // works once the remedy is applied, and resumes where it failed
	RetrySafe                   // may succeed; the remedy is for a failure that lasts
	RetrySafeLater              // likewise, in a minute
)

// Explanation is a failure in words for its readers. Names of arguments and tools
// in its texts are in backticks; see ForTerminal.
type Explanation struct {
	Kind   Kind
	Notice string          // code of the notice about requests that says the same; may be empty
	Wrong  []WrongArgument // of Kind Arguments: what is to be corrected
	Cause  string          // what happened and why: sentences without advice

	// Remedy is what to do, in the imperative; it may be empty. With Operator set, it is
	// for the operator of this program, and a model passes it on; otherwise it is for
	// the caller.
	Remedy   string
	Operator bool
	Terminal string // the remedy for a terminal, if it differs from Remedy
	Retry    Retry
	After    time.Duration // when a retry may succeed; 0: not known, or see Retry
}

// WrongArgument is an argument that cannot be used.
type WrongArgument struct {
	Field string // its name, such as time_range.start; empty: Text says which
	Text  string // why, and what to give instead
}

const (
	correctThem = "Invalid arguments; correct them and call again."
	asTheUser   = "Ask the user to "
)

// ForModel returns the whole text for a model that called a tool.
func (e Explanation) ForModel() string {
	if e.Notice != "" {
		notice := e.Notice
		e.Notice = ""
		return notice + ": " + e.ForModel()
	}
	if len(e.Wrong) > 0 {
		return e.heading(correctThem) + lines(e.Wrong, func(field string) string { return field })
	}
	remedy := e.Remedy
	if e.Operator && remedy != "" {
		remedy = asTheUser + lowered(remedy)
	}
	lasting := e.lasting(remedy)
	switch e.Retry {
	case RetryUseless:
		return sentences(e.Cause, remedy, "A retry does not help.")
	case RetryAfter:
		return sentences(e.Cause, remedy, "A retry does not help before that.")
	case RetryWorks:
		return sentences(e.Cause, remedy, "Then the same call works; what was downloaded is kept.")
	case RetrySafe:
		return sentences(e.Cause, "The arguments may be fine, and a retry is safe.", lasting)
	case RetrySafeLater:
		return sentences(e.Cause, "The arguments may be fine, and a retry in a minute is safe.", lasting)
	}
	return sentences(e.Cause, remedy)
}

// ForTerminal returns the whole text for a terminal, with the names of flags and
// commands.
func (e Explanation) ForTerminal() string {
	if len(e.Wrong) > 0 && e.Terminal == "" {
		return ForTerminal(e.heading("") + lines(e.Wrong, flagOf))
	}
	remedy := e.Remedy
	if e.Terminal != "" {
		remedy = e.Terminal
	}
	switch e.Retry {
	case RetrySafe, RetrySafeLater:
		return ForTerminal(sentences(e.Cause, "Run the command again in a minute.", e.lasting(remedy)))
	}
	return ForTerminal(sentences(e.Cause, remedy))
}

// Recorded returns the texts that the ledger keeps, for a model and a terminal alike:
// the cause, and the remedy if it is one for the operator.
func (e Explanation) Recorded() (cause, remedy string) {
	if len(e.Wrong) > 0 {
		return lines(e.Wrong, func(field string) string { return field }), ""
	}
	switch {
	case !e.Operator:
		return e.Cause, ""
	case e.Retry == RetrySafe || e.Retry == RetrySafeLater:
		return e.Cause, e.lasting(e.Remedy)
	}
	return e.Cause, e.Remedy
}

// heading returns the line above wrong arguments: the cause, or text if there is none.
func (e Explanation) heading(text string) string {
	if e.Cause != "" {
		text = e.Cause
	}
	if text == "" {
		return ""
	}
	return text + "\n"
}

// lasting returns a remedy for a failure that does not pass.
func (e Explanation) lasting(remedy string) string {
	if remedy == "" {
		return ""
	}
	return "If it lasts, " + lowered(remedy)
}

// lines returns wrong arguments, one a line, each named by name.
func lines(wrong []WrongArgument, name func(string) string) string {
	var all []string
	for _, w := range wrong {
		field := name(w.Field)
		if field != "" {
			field += ": "
		}
		all = append(all, field+w.Text)
	}
	return strings.Join(all, "\n")
}

// sentences joins those that are not empty.
func sentences(parts ...string) string {
	text := ""
	for _, p := range parts {
		if text != "" && p != "" {
			text += " "
		}
		text += p
	}
	return text
}

// lowered returns a sentence with a lower-case first letter, to be used within another.
// A sentence that begins with a name in backticks stays as it is.
func lowered(sentence string) string {
	if sentence == "" || strings.HasPrefix(sentence, "`") {
		return sentence
	}
	return strings.ToLower(sentence[:1]) + sentence[1:]
}
