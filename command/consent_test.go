package command

import (
	"encoding/json"
	"maps"
	"regexp"
)

// tokenFor matches the token that a call without consent returns.
var tokenFor = regexp.MustCompile("`confirm` \"([0-9a-z]+\\.[0-9a-f]{32})\"")

// tokenOf calls a tool that needs the user's consent, and returns the token that it offers.
func (c *conversation) tokenOf(tool string, args map[string]any) string {
	c.t.Helper()
	text, failed := c.try(tool, args)
	token := tokenIn(text)
	if !failed || token == "" {
		c.t.Fatalf("%s of %v needs no consent: %s", tool, args, text)
	}
	return token
}

// tokenIn returns the token in the text of a failed call; "" if there is none.
func tokenIn(text string) string {
	if found := tokenFor.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}

// consented calls a tool that needs the user's consent, once without it and once with it, and
// decodes the result into out.
func (c *conversation) consented(tool string, args map[string]any, out any) {
	c.t.Helper()
	confirmed := maps.Clone(args)
	confirmed["confirm"] = c.tokenOf(tool, args)
	text, failed := c.try(tool, confirmed)
	if err := json.Unmarshal([]byte(text), out); failed || err != nil {
		c.t.Fatalf("%s of %v: %s", tool, confirmed, text)
	}
}
