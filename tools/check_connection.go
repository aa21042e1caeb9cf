package tools

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fullstory-export-mcp/client"
)

type connectionIn struct{}

// Connection is how the account stands. It is exported because the doctor
// command prints it.
type Connection struct {
	Summary   string   `json:"summary"`
	OK        bool     `json:"ok" jsonschema_description:"Exports can be created and fetched."`
	OrgID     string   `json:"org_id"`
	Role      string   `json:"role"`
	CanExport bool     `json:"can_export" jsonschema_description:"The role is Architect or Admin."`
	APIURL    string   `json:"api_url"`
	Sandbox   bool     `json:"sandbox" jsonschema_description:"The API is the built-in simulation."`
	Skew      int      `json:"clock_skew_seconds" jsonschema_description:"This machine's clock minus the API's."`
	Dir       string   `json:"export_dir" jsonschema_description:"Folder of the files."`
	Problems  []string `json:"problems" jsonschema_description:"What stands in the way and who can mend it."`
	Next      string   `json:"next,omitempty"`
}

// skewLimit is how far the two clocks may differ before it is a problem: a
// signed link lives five minutes.
const skewLimit = 2 * time.Minute

func checkConnection(account func(context.Context) (*Account, error)) Tool[connectionIn, Connection] {
	return Tool[connectionIn, Connection]{
		Name:        "check_connection",
		Title:       "Check the Fullstory connection",
		Description: "Tells whether the Fullstory API answers, which organisation and role the API key has, whether the role can export, and where files are kept. Starts nothing. Use it first, and whenever another tool reports a refused key or a missing permission.",
		Effect:      Read,
		Call: func(ctx context.Context, _ connectionIn) (Connection, error) {
			a, err := account(ctx)
			if err != nil {
				return Connection{}, err
			}
			return a.Check(ctx), nil
		},
	}
}

// Check asks Fullstory who the key is, and looks at the clock and the folder.
// Whatever is wrong is among the problems of the answer.
func (a *Account) Check(ctx context.Context) Connection {
	out := Connection{APIURL: a.Client.BaseURL(), Sandbox: a.Sandbox, Dir: a.Archive.Dir(), Problems: []string{}}
	me, err := a.Client.Me(ctx)
	if err != nil {
		out.Problems = append(out.Problems, explain(err))
		out.Summary = "Fullstory cannot be used at the moment."
		out.Next = "Have the problem mended, then call check_connection again."
		return out
	}
	out.OrgID, out.Role, out.CanExport = clean(me.OrgID, 100), string(me.Role), me.Role.CanExport()
	out.Problems = append(out.Problems, connectionProblems(me, a.Now(), &out)...)
	if err := a.Archive.Writable(); err != nil {
		out.Problems = append(out.Problems, explain(err))
	}
	if err := a.ledgerProblem(ctx); err != nil {
		out.Problems = append(out.Problems, explain(err))
	}
	if err := a.checkMirror(ctx); err != nil {
		out.Problems = append(out.Problems, err.Error())
	}
	out.OK = len(out.Problems) == 0
	out.Summary = connectionSummary(out)
	if out.OK {
		out.Next = "Find a segment with list_segments, or use everyone."
	}
	return out
}

// mirrorTime bounds a look at the mirror.
const mirrorTime = 5 * time.Second

// checkMirror tells what is wrong with the mirror, if there is one.
func (a *Account) checkMirror(ctx context.Context) error {
	if a.Mirror == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorTime)
	defer cancel()
	err := a.Mirror.Check(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("The mirror " + a.Mirror.Address("") + " does not answer. A person looks at the store and at --mirror-endpoint.")
	}
	return err
}

// connectionProblems says what is wrong with the key's role and the clock, and
// fills in the clock's skew.
func connectionProblems(me client.Me, now time.Time, out *Connection) []string {
	var problems []string
	if !out.CanExport {
		problems = append(problems, fmt.Sprintf("The key's role is %s; exports need Architect or Admin. A Fullstory administrator can make a key of that role.", me.Role))
	}
	if me.Date.IsZero() {
		return problems
	}
	skew := now.Sub(me.Date)
	out.Skew = int(skew.Round(time.Second) / time.Second)
	if skew.Abs() > skewLimit {
		problems = append(problems, fmt.Sprintf("This machine's clock differs from the API's by %s: download links may look expired. Set the clock.", skew.Round(time.Second)))
	}
	return problems
}

func connectionSummary(out Connection) string {
	what := "Fullstory"
	if out.Sandbox {
		what = "the built-in sandbox (simulated data)"
	}
	if out.OK {
		return fmt.Sprintf("Connected to %s as organisation %s with the role %s; exports are possible.", what, out.OrgID, out.Role)
	}
	return fmt.Sprintf("Connected to %s as organisation %s with the role %s, but something stands in the way.", what, out.OrgID, out.Role)
}
