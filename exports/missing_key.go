package exports

import (
	"cmp"
	"fmt"
	"strings"
)

// MissingKey makes the errors of an account without a usable API key.
type MissingKey struct {
	Variable string // environment variable in which the key can be configured
	Account  string // name of the account; empty if it has none
	Program  string // path with which a user starts this program
	Form     bool   // the host shows a form with the key and a switch for simulated data
}

// Because is the error of an account for which no key is configured, or none that can be
// read. reason has no full stop.
func (m MissingKey) Because(reason string) error {
	if m.Form {
		return &Error{Explanation: Explanation{
			Kind: Setup, Cause: reason + ".", Operator: true,
			Remedy: fmt.Sprintf("Enter a key of the Architect role (in Fullstory: Settings, Integrations, API Keys) in the "+
				"settings of this extension, turn on \"Try without a key\" there for simulated data, or run `%s` in a terminal, "+
				"which keeps the key in the system's keychain.", m.login()),
		}}
	}
	remedy := func(login string) string {
		return fmt.Sprintf("Run `%s` in a terminal, which asks for a key of the Architect role (in Fullstory: Settings, "+
			"Integrations, API Keys), or set %s or %s_FILE and restart this program. To try it on simulated data without a "+
			"key, start it with --sandbox.", login, m.Variable, m.Variable)
	}
	return &Error{Explanation: Explanation{
		Kind: Setup, Cause: reason + ".", Operator: true,
		Remedy: remedy(m.login()), Terminal: remedy(m.shortLogin()),
	}}
}

// Locked is the error of an account for whose key the system's keychain did not give an
// answer that can be used.
func (m MissingKey) Locked(err error) error {
	remedy := func(login string) string {
		if m.Form {
			return "Unlock the keychain, or enter the key in the settings of this extension."
		}
		return fmt.Sprintf("Unlock the keychain, or keep the key in a file with `%s --no-keychain`, or set %s or %s_FILE.",
			login, m.Variable, m.Variable)
	}
	reason := err.Error()
	return &Error{Err: err, Explanation: Explanation{
		Kind: Setup, Cause: strings.ToUpper(reason[:1]) + reason[1:] + ".", Operator: true, Retry: RetryAfter,
		Remedy: remedy(m.login()), Terminal: remedy(m.shortLogin()),
	}}
}

// program is the name of this program where a user can start it by its name.
const program = "fullstory-export-mcp"

// login returns what a user types to log in; shortLogin does so for a user who has just
// typed the program's name.
func (m MissingKey) login() string      { return cmp.Or(m.Program, program) + " " + loginOf(m.Account) }
func (m MissingKey) shortLogin() string { return program + " " + loginOf(m.Account) }

// loginOf returns the command that logs in to an account.
func loginOf(account string) string {
	if account == "" {
		return "login"
	}
	return "login --account " + account
}

// SourceOfLogin describes the source of a key that login kept for an account in a place.
// Explanations of a rejected key understand it.
func SourceOfLogin(account, place string) string { return loginOf(account) + " (" + place + ")" }

// replaceOfLogin is replaceKey for a description by SourceOfLogin; "" for another one.
func replaceOfLogin(source string) string {
	login, place, ok := strings.Cut(strings.TrimSuffix(source, ")"), " (")
	if !ok || !strings.HasPrefix(login, "login") {
		return ""
	}
	order := fmt.Sprintf("replace the key with `%s %s`", program, login)
	if strings.HasPrefix(place, "the file ") {
		return order + ", after which no restart is needed"
	}
	return order + " and restart this program"
}
