package exports

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/preflight"
)

// Connection is the state of the connection to Fullstory.
type Connection struct {
	Summary   string   `json:"summary"`
	OK        bool     `json:"ok" jsonschema_description:"Exports work."`
	OrgID     string   `json:"org_id"`
	Role      string   `json:"role"`
	CanExport bool     `json:"can_export" jsonschema_description:"The role is Architect or Admin."`
	APIURL    string   `json:"api_url"`
	Sandbox   bool     `json:"sandbox" jsonschema_description:"The API is the built-in simulation."`
	Skew      int      `json:"clock_skew_seconds" jsonschema_description:"This clock minus Fullstory's."`
	Dir       string   `json:"export_dir" jsonschema_description:"Folder of the files."`
	Problems  []string `json:"problems" jsonschema_description:"What prevents exports; who fixes it."`
	Next      string   `json:"next,omitempty"`
}

// Check asks Fullstory for the owner of the key, and checks the clock, the folder, the
// ledger and the mirror. out has its texts for a model; problems has the same problems
// for other readers.
func (a *Account) Check(ctx context.Context) (out Connection, problems []Explanation) {
	out = Connection{APIURL: a.Client.BaseURL(), Sandbox: a.Sandbox, Dir: a.Archive.Dir(), Problems: []string{}}
	me, err := a.askMe(ctx) // not from the cache: the role may just have been changed
	if err != nil {
		problems = []Explanation{Explain(err)}
		out.Problems = append(out.Problems, problems[0].ForModel())
		out.Summary = "Fullstory cannot be used at the moment."
		out.Next = "Once the problem is fixed, call `check_connection` again."
		return out, problems
	}
	out.OrgID, out.Role, out.CanExport = me.OrgID, string(me.Role), me.Role.CanExport()
	problems = connectionProblems(me, a.Now(), &out)
	for _, err := range []error{a.Archive.Writable(), a.ledgerProblem(ctx), a.checkMirror(ctx)} {
		if err != nil {
			problems = append(problems, Explain(err))
		}
	}
	for _, p := range problems {
		out.Problems = append(out.Problems, p.ForModel())
	}
	out.OK = len(problems) == 0
	out.Summary = connectionSummary(out)
	if out.OK {
		out.Next = "Find a segment with `list_segments`, or use everyone."
	}
	return out, problems
}

// mirrorTimeout bounds the check of the mirror.
const mirrorTimeout = 5 * time.Second

// checkMirror returns the error of using the mirror; nil without a mirror.
func (a *Account) checkMirror(ctx context.Context) error {
	if a.Mirror == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	err := a.Mirror.Check(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = &mirror.Error{
			Err: err, Temporary: true, Message: "The mirror " + a.Mirror.Address("") + " does not answer.",
			Remedy: "Check the store and --mirror-endpoint.",
		}
	}
	return err
}

// connectionProblems returns the problems of the key's role and of this machine's
// clock, and sets out.Skew.
func connectionProblems(me client.Me, now time.Time, out *Connection) (problems []Explanation) {
	if !out.CanExport {
		problems = append(problems, Explanation{
			Kind: Setup, Operator: true, Cause: fmt.Sprintf("The key's role is %s; exports need Architect or Admin.", me.Role),
			Remedy: "Get a key of the Architect role from a Fullstory administrator.",
		})
	}
	if me.Date.IsZero() {
		return problems
	}
	skew := now.Sub(me.Date)
	out.Skew = int(skew.Round(time.Second) / time.Second)
	if skew.Abs() > preflight.SkewLimit {
		problems = append(problems, Explanation{
			Kind: Setup, Notice: preflight.ClockSkew, Operator: true, Remedy: "Set this machine's clock.",
			Cause: "The clock of this machine is " + preflight.SkewText(skew) + " Fullstory's: schedules are off, and " +
				"download links may look expired. Relative dates follow Fullstory's clock.",
		})
	}
	return problems
}

func connectionSummary(out Connection) string {
	what := "Fullstory"
	if out.Sandbox {
		what = "the built-in sandbox (simulated data)"
	}
	end := ", but there are problems."
	if out.OK {
		end = "; exports are possible."
	}
	return fmt.Sprintf("Connected to %s as organisation %s with the role %s", what, out.OrgID, out.Role) + end
}
