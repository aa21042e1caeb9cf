package client

import (
	"context"
	"net/http"
	"time"
)

// Role is the permission level of a key.
type Role string

// CanExport tells whether the role may create exports and fetch their results.
func (r Role) CanExport() bool { return r == "ARCHITECT" || r == "ADMIN" }

// Me is whom a key belongs to.
type Me struct {
	OrgID string
	Email string    // empty for a key of the organisation
	Role  Role      // ADMIN, ARCHITECT, USER (Standard), VIEW_ONLY, ...
	Date  time.Time // the API's clock as it answered; zero when it did not say
}

// Me asks whom the key belongs to.
func (c *Client) Me(ctx context.Context) (Me, error) {
	o, header, err := c.do(ctx, read("check the key", "me"))
	if err != nil {
		return Me{}, err
	}
	date, _ := http.ParseTime(header.Get("Date"))
	return Me{OrgID: token(o.text("orgId")), Email: o.text("email"), Role: Role(o.text("role")), Date: date}, nil
}
