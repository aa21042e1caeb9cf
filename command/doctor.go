package command

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
)

// doctorCommand is `doctor`: a check of the setup, and the configuration of hosts.
type doctorCommand struct {
	JSON bool `help:"Print the checks as one JSON object on stdout." name:"json"`

	Check  doctorCheck  `cmd:"" default:"1" hidden:"" help:"Check the setup. This is the default."`
	Config doctorConfig `cmd:"" help:"Print the configuration of a host for the flags and variables that are set."`
}

// doctorCheck is `doctor` without a command.
type doctorCheck struct{}

// Run checks everything that an export needs, and prints what it uses, then what is wrong
// and what to do. It fails if it finds a problem.
func (doctorCheck) Run(ctx context.Context, a *app, c *doctorCommand) error {
	d, err := newDeps(a)
	if err != nil {
		return err
	}
	defer d.close()
	if _, err := d.listTools(); err != nil {
		return err
	}
	var report exports.Connection
	var problems []exports.Explanation
	account, err := d.account(ctx)
	if err != nil {
		problem := exports.Explain(err)
		if problem.Kind == exports.Internal {
			problem = exports.Explanation{Cause: err.Error()}
		}
		problems = append(problems, problem)
	} else {
		report, problems = account.Check(ctx)
	}
	out := a.newView(a.stdout)
	if c.JSON {
		report.Problems, report.OK = []string{}, report.OK && len(problems) == 0
		for _, p := range problems {
			report.Problems = append(report.Problems, p.ForTerminal())
		}
		report.Summary, report.Next = exports.ForTerminal(report.Summary), exports.ForTerminal(report.Next)
		checked := struct {
			exports.Connection
			InstalledIn []string `json:"installed_in"`
		}{report, a.installedIn()}
		if err := (printableJSON{out.out}).print(checked); err != nil {
			return err
		}
		return counted(problems)
	}
	out.table(nil, a.inUse(report))
	out.line("")
	for _, p := range problems {
		out.bad(p.ForTerminal())
	}
	if len(problems) > 0 {
		return counted(problems)
	}
	out.good(exports.ForTerminal(report.Summary))
	out.line("Connect a host: fullstory-export-mcp install HOST, or doctor config HOST, which is one of " +
		strings.Join(hostNames(), ", ") + ".")
	return nil
}

// counted returns an error if there are problems, which were printed.
func counted(problems []exports.Explanation) error {
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%s; see above", exports.Counted(len(problems), "problem"))
}

// inUse returns what the program uses, as rows of a table.
func (a *app) inUse(report exports.Connection) (rows [][]string) {
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, oneLine(value)})
		}
	}
	add("API", report.APIURL)
	if !a.config.Sandbox {
		if source, _ := a.environment.keySource(""); source != nil { // its error is among the problems
			add("key", source.String())
			if key, err := source.key(); err == nil {
				add("region", regionOf(key))
			}
		}
	}
	add("organisation", report.OrgID)
	add("role", report.Role)
	if report.OrgID != "" {
		add("clock", fmt.Sprintf("%+d s from the API's", report.Skew))
	}
	dir, _ := a.config.folder(a.getenv) // its error is among the problems
	add("files", dir)
	if dir != "" {
		add("ledger", withoutPassword(a.config.database(dir)))
	}
	add("copies", a.config.Mirror)
	add("hosts", strings.Join(a.installedIn(), ", "))
	return rows
}

// withoutPassword returns the address of a database for people.
func withoutPassword(database string) string {
	if u, err := url.Parse(database); err == nil && u.User != nil {
		return u.Redacted()
	}
	return database
}

// regionOf returns the region of a key, and the address of the API there.
func regionOf(key client.Key) string {
	if strings.HasPrefix(string(key), "eu1.") {
		return "eu1, " + client.BaseURLFor(key)
	}
	return "na1, " + client.BaseURLFor(key)
}
