package client

import (
	"context"
	"time"
)

// Role is the permission level of a key, or Unknown.
type Role string

// roles are those of the documentation of /me. USER is Standard.
var roles = []string{"ADMIN", "ARCHITECT", "USER", "VIEW_ONLY", "UMBRELLA_MANAGER"}

// CanExport reports whether the role may create exports and fetch their results.
func (r Role) CanExport() bool { return r == "ARCHITECT" || r == "ADMIN" }

// TooLow reports whether the role is documented as one that may not create exports. Of a
// role that neither TooLow nor CanExport knows, the documentation says nothing.
func (r Role) TooLow() bool { return r == "USER" || r == "VIEW_ONLY" }

// Me describes a key: its owner and its role.
type Me struct {
	OrgID   string
	Email   string    // of the owner; empty for a key that belongs to the organisation
	Role    Role      // one of roles; empty if not given
	Date    time.Time // the time of the answer by the API's clock; zero if not given
	KeyHash string    // hash of the key described; see Client.KeyHash
}

// Me asks the API for the owner and the role of the key.
func (c *Client) Me(ctx context.Context) (Me, error) {
	as, err := c.credential(ctx, meOp)
	if err != nil {
		return Me{}, err
	}
	return c.me(ctx, as)
}

const meOp = "check the key"

// me is Me for the key of as, which may not be allowed for other calls yet.
func (c *Client) me(ctx context.Context, as *credential) (Me, error) {
	k := read(meOp, "me")
	k.needs, k.as = "orgId", as
	a, err := c.do(ctx, k)
	if err != nil {
		return Me{}, err
	}
	me := Me{
		OrgID: a.orgID("orgId"), Email: a.name("email"), Role: Role(c.enum(ctx, a.object, "role", roles...)),
		Date: dateOf(a.header), KeyHash: as.hash,
	}
	if me.OrgID == "" {
		return Me{}, &Error{
			Op: meOp, Status: a.status, Code: CodeIncomplete, Message: "the id of the organisation is not usable",
		}
	}
	c.keys.setOrg(as.hash, me.OrgID)
	return me, nil
}
