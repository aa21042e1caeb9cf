package main

import (
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// others are variables that the program or its libraries read and --help does not name.
var others = map[string]bool{
	"FULLSTORY_API_KEY_FILE": true, "GOMEMLIMIT": true, "AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true,
}

// checkProgram fails if a container is given a command, flag or variable that the program
// does not have, or an address of a database that is not trusted by its certificate.
func (m *manifests) checkProgram(program string) error {
	var wrong []error
	for _, c := range all[*corev1.ConfigMap](m) {
		address, err := url.Parse(c.Data["FULLSTORY_EXPORT_DATABASE"])
		if err != nil {
			return err
		}
		_, password := address.User.Password()
		q := address.Query()
		if q.Get("sslmode") != "verify-full" || q.Get("sslrootcert") == "" || q.Get("passfile") == "" || password {
			wrong = append(wrong, fmt.Errorf("the settings %s have the address %s", c.Name, address))
		}
	}
	for _, p := range m.pods() {
		for _, c := range p.containers() {
			if err := m.checkCommand(program, c); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: container %s: %w", p.file, c.Name, err))
			}
		}
	}
	return errors.Join(wrong...)
}

var (
	usage    = regexp.MustCompile(`^Usage: fullstory-export-mcp ([a-z ]*[a-z])`)
	flag     = regexp.MustCompile(`--(\[no-\])?([a-z-]+)`)
	variable = regexp.MustCompile(`\$([A-Z0-9_]+)`)
)

// checkCommand compares a container with what the program says about its command.
func (m *manifests) checkCommand(program string, c corev1.Container) error {
	args := c.Args
	if len(args) == 0 {
		args = []string{"serve"} // of the image
	}
	if len(c.Command) > 0 {
		return errors.New("it replaces the program of the image")
	}
	out, err := exec.Command(program, append(args[:len(args):len(args)], "--help")...).Output()
	if err != nil {
		return fmt.Errorf("%s --help: %w", strings.Join(args, " "), err)
	}
	help := string(out)
	if u := usage.FindStringSubmatch(help); u == nil || !strings.HasPrefix(strings.Join(args, " ")+" ", u[1]+" ") {
		return fmt.Errorf("%s: the program knows no such command", strings.Join(args, " "))
	}
	flags, variables := map[string]bool{}, map[string]bool{}
	for _, found := range flag.FindAllStringSubmatch(help, -1) {
		flags["--"+found[2]] = true
	}
	for _, found := range variable.FindAllStringSubmatch(help, -1) {
		variables[found[1]] = true
	}
	for _, a := range args {
		if name, _, _ := strings.Cut(a, "="); strings.HasPrefix(name, "-") && !flags[name] {
			return fmt.Errorf("the program has no flag %s", name)
		}
	}
	set, err := m.variables(c)
	if err != nil {
		return err
	}
	for name := range set {
		if !variables[name] && !others[name] {
			return fmt.Errorf("the program does not read %s", name)
		}
	}
	return nil
}
