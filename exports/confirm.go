package exports

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/ledger"
)

// confirmLife is how long a token for confirm, and the state of a question, are accepted.
const confirmLife = 15 * time.Minute

// longestQuestion is the most characters of a question.
const longestQuestion = 1000

// Answer is how the user answered a question; any other text is no answer.
type Answer string

// The answers, as MCP names them.
const (
	Agreed    Answer = "accept"
	Disagreed Answer = "decline"
	Dismissed Answer = "cancel"
)

// Consent says whether the client of a call can ask its user, and what the user answered. The
// zero value: nobody can be asked.
type Consent struct {
	Asks   bool   // the client can ask the user during a call
	State  string // of the question that was asked, see NeedsConsent; "": none was
	Answer Answer // to that question
}

// SetConsent sets what is known about the user's consent.
func (in *BulkRequest) SetConsent(c Consent) { in.Consent = c }

// SetConsent sets what is known about the user's consent.
func (in *SyncRequest) SetConsent(c Consent) { in.Consent = c }

// SetConsent sets what is known about the user's consent.
func (in *ControlRequest) SetConsent(c Consent) { in.Consent = c }

// How the user agreed, for the audit log.
const (
	byElicitation = "elicitation"
	byToken       = "token"
	byTerminal    = "terminal" // asked there, or --yes
	byPage        = "web page" // by the button below what would be lost
	notNeeded     = "not needed"
)

// confirmation is what the user has to agree to.
type confirmation struct {
	at       time.Time // of the request, to which relative dates belong
	of       any       // encodes as JSON with everything that the consent is bound to
	large    string    // why the user is asked, a sentence; "": no consent is needed
	question string    // what is done if the user agrees
	nothing  string    // what the call did without consent, such as "Nothing was started."
	terminal string    // what to do in a terminal
	dryRun   bool      // the caller can get an estimate with a dry run
	about    ledger.Entry
}

// stamp is the first part of the token: the instant of the request in milliseconds.
func (c confirmation) stamp() string { return strconv.FormatInt(c.at.UnixMilli(), 36) }

// What a token is for. One for a model does not prove that the user answered a question.
const (
	forModel  = "confirm"
	forClient = "question"
)

// token returns the token that confirms c: its stamp and a MAC over the account, the caller
// and what the consent is bound to. The secret is in the ledger, so that every process with
// the same ledger can check it, and nobody else can make one.
func (c confirmation) token(ctx context.Context, a *Account, use string) (string, error) {
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return "", err
	}
	secret, err := l.Secret(ctx, "confirm", rand.Text)
	if err != nil {
		return "", err
	}
	caller := ""
	if l.CallerOf != nil {
		caller = l.CallerOf(ctx)
	}
	bound, err := json.Marshal([]any{use, c.stamp(), id, caller, c.of})
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(bound)
	return c.stamp() + "." + hex.EncodeToString(mac.Sum(nil)[:16]), nil
}

// confirmedAt returns the instant of the request that made the token. ok is false if the
// text is not a token, or is older than confirmLife. It does not check the MAC. An
// instant up to a minute ahead is accepted, because clocks differ between machines.
func confirmedAt(token string, now time.Time) (at time.Time, ok bool) {
	stamp, _, _ := strings.Cut(token, ".")
	milli, err := strconv.ParseInt(stamp, 36, 64)
	if err != nil {
		return time.Time{}, false
	}
	at = time.UnixMilli(milli).UTC()
	age := now.Sub(at)
	return at, age >= -time.Minute && age <= confirmLife
}

// token returns the proof of consent that a call brings; "" without one.
func (s Consent) token(confirm string) string { return cmp.Or(s.State, confirm) }

// consent returns how the user agreed to c, and records it. It fails with an error whose cause
// is a NeedsConsent if the user has not been asked, and with another one if the user did not
// agree, or if the proof is wrong or was used before. confirm is the token that a model gave.
func (a *Account) consent(ctx context.Context, c confirmation, confirm string, given Consent) (how string, err error) {
	if c.large == "" {
		return notNeeded, nil
	}
	proof, use, how := confirm, forModel, byToken
	if given.State != "" {
		proof, use, how = given.State, forClient, byElicitation
	}
	if proof == "" {
		return "", a.needsConsent(ctx, c, false)
	}
	want, err := c.token(ctx, a, use)
	switch _, fresh := confirmedAt(proof, a.Clock()); {
	case err != nil:
		return "", err
	case !fresh || !hmac.Equal([]byte(want), []byte(proof)):
		return "", wrongToken(c)
	case how == byElicitation && given.Answer != Agreed && given.Answer != Disagreed && given.Answer != Dismissed:
		return "", a.needsConsent(ctx, c, true)
	}
	l, id, err := a.ownLedger(ctx)
	if err != nil {
		return "", err
	}
	event := ledger.Confirmed
	if how == byElicitation && given.Answer != Agreed {
		event, how = ledger.Declined, string(given.Answer)
	}
	used, err := l.Answer(ctx, c.entry(event, id, how), proof)
	switch {
	case err != nil:
		return "", err
	case used:
		return "", wrongToken(c)
	case event == ledger.Declined:
		return "", declined(c.nothing, given.Answer)
	}
	return how, nil
}

// agreed records that the user of a terminal or of the web page agreed to c, and returns how.
func (a *Account) agreed(ctx context.Context, c confirmation, by string) (how string, err error) {
	if c.large == "" {
		return notNeeded, nil
	}
	return by, a.addEntry(ctx, c.entry(ledger.Confirmed, "", by))
}

// entry returns an entry of the audit log about c.
func (c confirmation) entry(event ledger.Event, account, how string) ledger.Entry {
	e := c.about
	e.Event, e.Account = event, account
	if raw, err := json.Marshal(map[string]string{"consent": how, "of": c.asked()}); err == nil {
		e.Detail = raw
	}
	return e
}

// asked returns the question on one line, in which names cannot pass for something else.
func (c confirmation) asked() string {
	return client.Plain(sentences(c.question, c.large), longestQuestion)
}

// offer returns what a dry run says about c: the token, and what to do next. A client that asks
// the user gets no token, because the question of the call itself cannot be bypassed then.
func (a *Account) offer(ctx context.Context, c confirmation, given Consent) (token, next string, err error) {
	if given.Asks {
		return "", "Call again without `dry_run`: the user is then asked to agree.", nil
	}
	token, err = c.token(ctx, a, forModel)
	return token, "Show the user this plan. Only after they agree, call again without `dry_run` and with `confirm`.", err
}

// needsConsent returns the error of a call to which the user has to agree first.
func (a *Account) needsConsent(ctx context.Context, c confirmation, unanswered bool) error {
	n := &NeedsConsent{Question: c.asked(), unanswered: unanswered}
	var err error
	if n.State, err = c.token(ctx, a, forClient); err != nil {
		return err
	}
	if n.token, err = c.token(ctx, a, forModel); err != nil {
		return err
	}
	return unconfirmed(c, n)
}
