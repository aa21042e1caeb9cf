package exports

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fullstory-export-mcp/preflight"
)

// confirmLife is how long a token for confirm is accepted.
const confirmLife = 24 * time.Hour

// confirmation is the request that a token for confirm is bound to, as it was resolved
// at an instant, and how its range is cut.
type confirmation struct {
	at     time.Time // of the dry run, to which relative dates belong
	export preflight.Export
	chunk  string
	chunks int
	large  string // a sentence about its size; "": it needs no confirmation
}

// stamp is the first part of the token: the instant of the dry run in milliseconds.
func (c confirmation) stamp() string { return strconv.FormatInt(c.at.UnixMilli(), 36) }

// token returns the token that confirms c: its stamp and a MAC over the account, the
// request and the cut. The secret is in the ledger, so that every process with the same
// ledger can check it, and nobody else can make one.
func (c confirmation) token(ctx context.Context, a *Account) (string, error) {
	l, err := a.Ledger(ctx)
	if err != nil {
		return "", err
	}
	secret, err := l.Secret(ctx, "confirm", rand.Text)
	if err != nil {
		return "", err
	}
	id, err := a.ID(ctx)
	if err != nil {
		return "", err
	}
	request, err := json.Marshal(c.export.Request)
	if err != nil {
		return "", err
	}
	at := c.stamp()
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s\x00%s\x00%s\x00%s\x00%d", at, id, request, c.chunk, c.chunks)
	return at + "." + hex.EncodeToString(mac.Sum(nil)[:16]), nil
}

// confirmedAt returns the instant of the dry run that made the token. ok is false if the
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

// confirmed fails unless token is that of c.
func (a *Account) confirmed(ctx context.Context, c confirmation, token string) error {
	if token == "" {
		return unconfirmed(c.large, false)
	}
	want, err := c.token(ctx, a)
	if err == nil && !hmac.Equal([]byte(want), []byte(token)) {
		err = unconfirmed(c.large, true)
	}
	return err
}
