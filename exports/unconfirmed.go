package exports

import (
	"fmt"

	"fullstory-export-mcp/client"
)

// NeedsConsent is the cause of the error of a call that costs or ends much, to which the user
// has to agree first. Nothing was done.
type NeedsConsent struct {
	Question string // for the user, on one line of at most longestQuestion characters
	State    string // proves which question was asked; see Consent

	token      string // for confirm, if the client cannot ask
	unanswered bool   // the client asked, and the user did not answer in time
}

// Error returns the question.
func (n *NeedsConsent) Error() string { return n.Question }

// Answered reports whether the client has asked already.
func (n *NeedsConsent) Answered() bool { return n.unanswered }

// unconfirmed is the error of a call without the user's consent to c.
func unconfirmed(c confirmation, n *NeedsConsent) error {
	text := fmt.Sprintf("%s Show the user the plan: %s Only after they agree, call again with the same arguments and "+
		"`confirm` %q, which is valid for %d minutes.",
		c.large, client.Plain(c.question, longestQuestion), n.token, int(confirmLife.Minutes()))
	if c.dryRun {
		text += " `dry_run` gives the estimate."
	}
	cause := c.nothing
	if n.unanswered {
		cause += " The user was asked, and did not answer in time."
	}
	return &Error{Err: n, Explanation: Explanation{
		Kind: Arguments, Cause: cause, Wrong: []WrongArgument{{"confirm", text}},
		Terminal: sentences(c.large, c.terminal),
	}}
}

// wrongToken is the error of a call with a token that does not confirm c.
func wrongToken(c confirmation) error {
	text := fmt.Sprintf("the token belongs to another request, is older than %d minutes, or was used. Call with the same "+
		"arguments and without `confirm` for a new one.", int(confirmLife.Minutes()))
	return &Error{Explanation: Explanation{
		Kind: Arguments, Cause: c.nothing, Wrong: []WrongArgument{{"confirm", text}},
		Terminal: sentences(c.large, c.terminal),
	}}
}

// declined is the error of a call to which the user did not agree.
func declined(nothing string, answer Answer) error {
	cause, remedy := "The user declined.", "Do not call again unless the user asks for it."
	if answer == Dismissed {
		cause = "The user closed the question without an answer."
	}
	return &Error{Explanation: Explanation{
		Kind: Declined, Cause: sentences(nothing, cause), Remedy: remedy, Terminal: "Nothing else was changed.",
	}}
}
