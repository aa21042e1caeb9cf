package tools

import (
	"context"
	"errors"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"fullstory-export-mcp/exports"
)

// consentQuestion is the id of the question that a call asks, of which there is one.
const consentQuestion = "consent"

// consenting is a request that may need the user's consent.
type consenting interface{ SetConsent(exports.Consent) }

// asksUser reports whether the client of a call asks its user what a server wants to know. The
// library does not check that, and would wait for the answer of a client that never asks.
func asksUser(ctx context.Context) bool {
	session, ok := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo)
	if !ok {
		return false
	}
	e := session.GetClientCapabilities().Elicitation
	return e != nil && (e.Form != nil || e.URL == nil)
}

// consentOf returns whether the client of a call can ask its user, and what the user answered
// to the question of the call before.
func consentOf(ctx context.Context, r mcp.CallToolRequest) exports.Consent {
	c := exports.Consent{Asks: asksUser(ctx)}
	if _, answered := server.InputResponse(r.Params.InputResponses, consentQuestion); !answered {
		return c // it is asked, once more if need be
	}
	c.State = r.Params.RequestState
	if answer := server.ElicitationResponse(r.Params.InputResponses, consentQuestion); answer != nil {
		c.Answer = exports.Answer(answer.Action)
	}
	return c
}

// asked returns the result that has the client ask its user about a call that failed with err;
// nil if err has another cause, if the user was asked before, or if the client cannot ask. Then
// the call is made again with the answer: by the client, or for clients of a protocol version
// before 2026-07-28 by the library.
func asked(ctx context.Context, err error) *mcp.CallToolResult {
	needed, ok := errors.AsType[*exports.NeedsConsent](err)
	if !ok || needed.Answered() || !asksUser(ctx) {
		return nil
	}
	type form struct {
		Type       string   `json:"type"`
		Properties struct{} `json:"properties"` // none: the user agrees, or not
	}
	return server.NewInputRequestBuilder(needed.State).Elicit(consentQuestion, mcp.ElicitationParams{
		Message: needed.Question, RequestedSchema: form{Type: "object"},
	}).ToolResult()
}

// deadline returns when a call must have ended: callLimit after it began, whether or not it
// has asked the user since.
func deadline(ctx context.Context) time.Time {
	began := time.Now()
	if session, ok := server.ClientSessionFromContext(ctx).(interface{ Began() time.Time }); ok {
		if at := session.Began(); !at.IsZero() {
			began = at
		}
	}
	return began.Add(callLimit)
}
