package tools

import (
	"reflect"
	"strings"

	"fullstory-export-mcp/exports"
)

// ofTheSandbox ends the summary of each result of the built-in sandbox, so that nobody takes
// its rows for those of an organisation.
const ofTheSandbox = " Simulated data."

// markSimulated adds ofTheSandbox to the field Summary of *result, a struct, if the account
// is of the built-in sandbox, and if the summary does not say so already.
func markSimulated[Out any](a *exports.Account, result *Out) {
	if !a.Sandbox {
		return
	}
	summary := reflect.ValueOf(result).Elem().FieldByName("Summary")
	if summary.IsValid() && !strings.Contains(strings.ToLower(summary.String()), "simulated") {
		summary.SetString(strings.TrimSpace(summary.String() + ofTheSandbox))
	}
}
