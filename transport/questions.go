package transport

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

const (
	// questionTime is how long after the beginning of its call a question waits for the
	// user, so that the call can still do its work within the 20 s that hosts wait.
	questionTime = 15 * time.Second
	// questionID is what the ids of questions begin with; the rest is random.
	questionID = "question-"
	// firstElicitation is the first protocol version that has questions.
	firstElicitation = "2025-06-18"
)

// asksForms reports whether a client shows forms to its user: without modes it does.
func asksForms(c mcp.ClientCapabilities) bool {
	return c.Elicitation != nil && (c.Elicitation.Form != nil || c.Elicitation.URL == nil)
}

// SetClientCapabilities keeps whether the client can ask its user: for this call alone from
// protocol 2026-07-28 on, else for the conversation.
func (c *call) SetClientCapabilities(capabilities mcp.ClientCapabilities) {
	if mcp.IsModernProtocol(c.message.version) {
		c.asks = asksForms(capabilities)
		return
	}
	c.conversation.asks.Store(asksForms(capabilities))
}

// GetClientCapabilities returns what the client can do during this call: ask its user, or
// nothing. A client that cannot receive a question during the call cannot ask.
func (c *call) GetClientCapabilities() mcp.ClientCapabilities {
	asks := c.asks
	if !mcp.IsModernProtocol(c.message.version) {
		asks = c.conversation.asks.Load() && !c.mute && c.conversation.versionOr(firstElicitation) >= firstElicitation
	}
	if !asks {
		return mcp.ClientCapabilities{}
	}
	return mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapability{Form: &struct{}{}}}
}

// GetClientInfo and SetClientInfo are part of the library's interface and do nothing.
func (c *call) GetClientInfo() mcp.Implementation { return mcp.Implementation{} }

// SetClientInfo does nothing; see GetClientInfo.
func (c *call) SetClientInfo(mcp.Implementation) {}

// Began returns when the call began.
func (c *call) Began() time.Time { return c.began }

// RequestElicitation sends the client a question for its user, and waits for the answer until
// questionTime after the beginning of the call. Without an answer, or if the client cannot show
// the question, the result has no action. It fails if ctx ends. A question that nobody waits for
// any more is withdrawn.
func (c *call) RequestElicitation(ctx context.Context, r mcp.ElicitationRequest) (*mcp.ElicitationResult, error) {
	id := questionID + rand.Text()
	answer := c.conversation.expect(id)
	defer c.conversation.unexpect(id)
	if err := c.send(id, string(mcp.MethodElicitationCreate), r.Params); err != nil {
		return nil, err
	}
	late := time.NewTimer(time.Until(c.began.Add(questionTime)))
	defer late.Stop()
	select {
	case action := <-answer:
		return &mcp.ElicitationResult{ElicitationResponse: mcp.ElicitationResponse{Action: action}}, nil
	case <-late.C:
		return &mcp.ElicitationResult{}, c.withdraw(id)
	case <-ctx.Done():
		_ = c.withdraw(id)
		return nil, context.Cause(ctx)
	}
}

// withdraw tells the client that a question needs no answer any more.
func (c *call) withdraw(id string) error {
	return c.send("", methodCancelled, map[string]string{"requestId": id, "reason": "The call does not wait any longer."})
}

// send sends the client a request, or a notification without an id.
func (c *call) send(id, method string, params any) error {
	data, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      string `json:"id,omitempty"`
		Method  string `json:"method"`
		Params  any    `json:"params"`
	}{"2.0", id, method, params})
	if err == nil {
		c.out.add(data, false)
	}
	return err
}

// expect returns the channel that receives the answer to a question.
func (v *conversation) expect(id string) <-chan mcp.ElicitationResponseAction {
	answer := make(chan mcp.ElicitationResponseAction, 1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.questions == nil {
		v.questions = map[string]chan<- mcp.ElicitationResponseAction{}
	}
	v.questions[id] = answer
	return answer
}

func (v *conversation) unexpect(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.questions, id)
}

// answered passes on the answer to a question, the first one if there are several. It returns
// false if no call of this process waits for it.
func (v *conversation) answered(a sharedAnswer) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	waiting, ok := v.questions[a.ID]
	if ok {
		delete(v.questions, a.ID)
		waiting <- a.Action
	}
	return ok
}

// sharedAnswer is the answer to a question.
type sharedAnswer struct {
	ID     string                        `json:"id"`
	Action mcp.ElicitationResponseAction `json:"action,omitempty"` // empty: the client could not ask
}

// parseAnswer reads the answer to a question. ok is false if it answers no question.
func parseAnswer(raw json.RawMessage) (a sharedAnswer, ok bool) {
	var m struct {
		ID     any `json:"id"`
		Result struct {
			Action any `json:"action"`
		} `json:"result"`
	}
	_ = json.Unmarshal(raw, &m) // if the result has another type, the rest is still read
	a.ID, _ = m.ID.(string)
	action, _ := m.Result.Action.(string)
	switch action := mcp.ElicitationResponseAction(action); action {
	case mcp.ElicitationResponseActionAccept, mcp.ElicitationResponseActionDecline,
		mcp.ElicitationResponseActionCancel:
		a.Action = action
	}
	return a, strings.HasPrefix(a.ID, questionID) && len(a.ID) < longestSharedID
}

// respond passes on the answer to a question, here or at another replica.
func (s *Server) respond(ctx context.Context, session *session, raw json.RawMessage) {
	a, ok := parseAnswer(raw)
	if !ok || session.conversation.answered(a) {
		return
	}
	s.publish(ctx, session, func(n *sharedState) {
		n.Answers = append(n.Answers, a)
		n.Answers = n.Answers[max(0, len(n.Answers)-mostCancels):]
	})
}

var (
	_ server.SessionWithClientInfo  = (*call)(nil)
	_ server.SessionWithElicitation = (*call)(nil)
)
