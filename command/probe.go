package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"fullstory-export-mcp/client"
	"fullstory-export-mcp/exports"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/probe"
)

// probeCommand is `probe`: which assumptions about the API hold for an account.
type probeCommand struct {
	Hour     string `help:"Hour of everyone that is exported, by its start; its rows should have settled. Default: one of three days ago." placeholder:"TIME"`
	Yes      bool   `help:"Make the exports without a question." short:"y"`
	Throttle bool   `help:"Send 60 requests at once as well, to see how the API throttles."`
	Report   string `help:"File for the report. Default: probe-TIME.md in the folder of files." placeholder:"FILE"`
	JSON     bool   `help:"Print the findings as one JSON object on stdout." name:"json"`
}

// Help is the text that --help prints above the flags.
func (*probeCommand) Help() string {
	return "The report has no names, ids, addresses or rows of your account, so you can paste it into an issue.\n" +
		"What the program can follow, it follows from then on for this account; restart servers that run."
}

// probed is what --json prints.
type probed struct {
	probe.Report
	Holds      int    `json:"holds"`
	Differs    int    `json:"differs"`
	NotChecked int    `json:"not_checked"`
	File       string `json:"report"`
}

// Run probes the API and writes the report.
func (c *probeCommand) Run(ctx context.Context, a *app) error {
	if a.config.ReadOnly {
		return &exitError{statusUsage, errors.New("probe exports, which --read-only forbids")}
	}
	return a.observe(ctx, func(account *exports.Account) error {
		hour, err := c.hour(a.config.Timezone, account.Clock())
		if err != nil {
			return &exitError{statusUsage, err}
		}
		if err := c.confirm(ctx, a); err != nil {
			return err
		}
		progress := a.newView(a.told(true))
		found, err := account.Probe(ctx, exports.ProbeOptions{
			Hour: hour, Throttle: c.Throttle, Progress: func(text string) { progress.line(text) },
		})
		if err != nil && len(found.Findings) == 0 {
			return err
		}
		file, writeErr := c.write(account, found)
		if c.JSON {
			out := probed{found, found.Count(probe.Holds), found.Count(probe.Differs), found.Count(probe.NotChecked), file}
			writeErr = errors.Join(writeErr, printableJSON{a.newView(a.stdout).out}.print(out))
		} else {
			c.show(a.newView(a.stdout), found, file)
		}
		return errors.Join(err, writeErr)
	})
}

// hour returns the start of the exported hour; the zero time if it is not given.
func (c *probeCommand) hour(zone string, now time.Time) (time.Time, error) {
	if c.Hour == "" {
		return time.Time{}, nil
	}
	location, err := plan.Zone(zone)
	if err != nil {
		return time.Time{}, err
	}
	r, err := plan.Resolve(c.Hour, "", plan.Calendar{Zone: location, Week: time.Monday}, now)
	var wrong *plan.Error
	switch {
	case errors.As(err, &wrong):
		return time.Time{}, errors.New("--hour: " + wrong.Text())
	case err != nil:
		return time.Time{}, err
	case r.Start.Add(time.Hour).After(now):
		return time.Time{}, fmt.Errorf("--hour: the hour from %s is not over; give an earlier one", plan.Stamp(r.Start))
	}
	return r.Start, nil
}

// confirm asks whether the exports may be made, unless --yes is given.
func (c *probeCommand) confirm(ctx context.Context, a *app) error {
	if c.Yes {
		return nil
	}
	v := a.newView(a.stderr)
	v.line(fmt.Sprintf("This makes up to %d exports of an hour of everyone at Fullstory, looks at their files, and keeps "+
		"none of them.", probe.MaxCreates))
	if !isTerminal(a.stderr) {
		return &exitError{statusUsage, errors.New("nothing was exported: add --yes to allow it without a question")}
	}
	if yes, err := a.ask(ctx, "Continue?"); err != nil || yes {
		return err
	}
	return &exitError{statusFailed, errors.New("nothing was exported")}
}

// write writes the report, and returns its path.
func (c *probeCommand) write(account *exports.Account, found probe.Report) (string, error) {
	path := c.Report
	if path == "" {
		path = filepath.Join(account.Archive.Dir(), "probe-"+account.Clock().UTC().Format("20060102T150405Z")+".md")
	}
	about := []string{"fullstory-export-mcp " + version(), apiOf(account), account.Clock().UTC().Format(time.DateOnly)}
	f, err := local.Create(path, os.O_TRUNC)
	if err == nil {
		_, err = f.WriteString(found.Markdown(about...))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return "", fmt.Errorf("the report cannot be written: %w; --report gives another file", err)
	}
	return path, nil
}

// apiOf says which API was probed. The address of another server than Fullstory's may be
// that of a company.
func apiOf(account *exports.Account) string {
	url := account.Client.BaseURL()
	switch {
	case account.Sandbox:
		return "the built-in sandbox"
	case url == client.BaseURLFor(""), url == client.BaseURLFor("eu1."):
		return url
	}
	return "another address than Fullstory's"
}

// show prints what is not as assumed, what was not checked, and where the report is.
func (c *probeCommand) show(v view, found probe.Report, file string) {
	for _, f := range found.Findings {
		if f.Verdict == probe.Differs {
			v.bad(f.ID + ": it is assumed that " + f.Assumption + ". Found: " + cmp.Or(f.Found, "otherwise") + ".")
		}
	}
	for _, f := range found.Findings {
		if f.Verdict == probe.NotChecked {
			v.warn(f.ID + " was not checked: " + f.Found + ".")
		}
	}
	v.good(fmt.Sprintf("%d of %d assumptions hold; different: %d; not checked: %d.", found.Count(probe.Holds),
		len(found.Findings), found.Count(probe.Differs), found.Count(probe.NotChecked)))
	if file != "" {
		v.line("The report has no personal data: " + file)
	}
}
