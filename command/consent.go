package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"fullstory-export-mcp/exports"
)

// withConsent calls do, which carries out a request. If the user has to agree first and there
// is a terminal, withConsent asks, and calls do once more with the answer. Without a terminal it
// returns the error, which names --yes.
func withConsent[Out any](
	ctx context.Context, a *app, yes bool, do func(confirmed bool, c exports.Consent) (Out, error),
) (Out, error) {
	out, err := do(yes, exports.Consent{})
	needed, ok := errors.AsType[*exports.NeedsConsent](err)
	if !ok || !isTerminal(a.stdin) || !isTerminal(a.stderr) {
		return out, err
	}
	agreed, failed := a.ask(ctx, exports.ForTerminal(needed.Question)+" Continue?")
	if failed != nil {
		return out, failed
	}
	c := exports.Consent{State: needed.State, Answer: exports.Disagreed}
	if agreed {
		c.Answer = exports.Agreed
	}
	return do(agreed, c)
}

// ask asks the user of a terminal a question. It returns false for every answer but yes, and
// fails if ctx ends first.
func (a *app) ask(ctx context.Context, question string) (yes bool, err error) {
	fmt.Fprint(a.newView(a.stderr).out, question+" [y/N] ")
	answer := make(chan string, 1)
	go func() { // reading cannot be interrupted; the goroutine ends with the program
		line, _ := bufio.NewReader(a.stdin).ReadString('\n')
		answer <- line
	}()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case line := <-answer:
		word := strings.ToLower(strings.TrimSpace(line))
		return word == "y" || word == "yes", nil
	}
}
