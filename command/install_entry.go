package command

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"fullstory-export-mcp/hosts"
	"fullstory-export-mcp/local"
)

// entry returns the entry to write, and what the user should know about the key.
func (c *installCommand) entry(a *app) (e hosts.Entry, notes []string, err error) {
	if c.HTTP != "" {
		if flags := serverSettings(a.flags); len(flags) > 0 {
			err := fmt.Errorf("--http connects to a server that has its own settings; leave out %s", strings.Join(flags, " "))
			return e, nil, &exitError{statusUsage, err}
		}
		if err := checkAddress(c.HTTP, c.TokenVariable); err != nil {
			return e, nil, &exitError{statusUsage, err}
		}
		return hosts.Entry{URL: c.HTTP, TokenVariable: c.TokenVariable}, nil, nil
	}
	program, err := programPath()
	if err != nil {
		return e, nil, err
	}
	l, err := a.installedLaunch()
	if err != nil {
		return e, nil, &exitError{statusUsage, err}
	}
	switch path := l.env[apiKey+"_FILE"]; {
	case path != "":
		if info, err := os.Stat(path); err != nil {
			notes = append(notes, fmt.Sprintf("%s_FILE names a file that cannot be read: %v.", apiKey, err))
		} else if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			notes = append(notes, "Other users of this machine may read the key: run chmod 600 "+local.Shown(path)+".")
		}
	case a.getenv(apiKey) != "" && !a.config.Sandbox:
		notes = append(notes, apiKey+" is set in this shell, and is not copied into the host's file. "+
			"Keep the key in a file for you alone, and install again:\n"+keepKey(c.Host))
	}
	return hosts.Entry{Command: program, Args: l.flags, Env: l.env}, notes, nil
}

// keepKey returns the commands that keep the key in a file for its owner alone.
func keepKey(host string) string {
	if runtime.GOOS == "windows" { // a home is for its owner alone there
		return "  [IO.File]::WriteAllText(\"$HOME\\fullstory-api-key\", $env:" + apiKey + ")\n" +
			"  $env:" + apiKey + " = ''; $env:" + apiKey + "_FILE = \"$HOME\\fullstory-api-key\"\n" +
			"  fullstory-export-mcp install " + host
	}
	return `  (umask 077 && printf %s "$` + apiKey + `" > ~/.fullstory-api-key)` + "\n" +
		"  " + apiKey + "= " + apiKey + "_FILE=~/.fullstory-api-key fullstory-export-mcp install " + host
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkAddress returns an error if a host cannot connect to an address, or would send a
// token to everybody on the way.
func checkAddress(address, variable string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("--http: got %q; give an address such as https://exports.example.com/mcp", address)
	}
	if u.User != nil {
		return errors.New("--http: the address has a password; leave it out, " +
			"and name the variable that has the token with --token-variable")
	}
	if variable == "" {
		return nil
	}
	if !variableName.MatchString(variable) {
		return errors.New("--token-variable: give the name of a variable, such as FULLSTORY_EXPORT_TOKEN, not the token")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("--http: a token would be sent unencrypted; give an https address")
	}
	return nil
}

// plainKey reports whether the entry in a file has the API key itself.
func plainKey(host hosts.Host, content []byte) bool {
	entry, _, _ := host.Find(content)
	for _, name := range []string{"env", "envs"} {
		env, _ := entry[name].(map[string]any)
		if key, _ := env[apiKey].(string); key != "" && !isUnfilled(key) {
			return true
		}
	}
	return false
}

// display are flags that matter only in a terminal.
var display = []string{"--quiet", "--color"}

// serverSettings returns the flags that say how a server works.
func serverSettings(flags []string) []string {
	return slices.DeleteFunc(slices.Clone(flags), func(flag string) bool {
		name, _, _ := strings.Cut(flag, "=")
		return slices.Contains(display, name)
	})
}

// paths are settings that name files, by flag and by variable. A host starts the program
// in any folder.
var paths = []string{
	"--dir", "--database", "--sandbox-data",
	"FULLSTORY_EXPORT_DIR", "FULLSTORY_EXPORT_DATABASE", "FULLSTORY_SANDBOX_DATA",
	apiKey + "_FILE",
}

// installedLaunch returns how the host starts the program: with the flags and variables
// of this process, and absolute paths. It returns an error if one of them has a password.
func (a *app) installedLaunch() (launch, error) {
	l := launch{env: a.environment.settings()}
	if file := a.getenv(apiKey + "_FILE"); file != "" {
		l.env[apiKey+"_FILE"] = file
	}
	for name, value := range l.env {
		lasting, err := lastingValue(name, value)
		if err != nil {
			return l, err
		}
		l.env[name] = lasting
	}
	for _, flag := range serverSettings(a.flags) {
		name, value, valued := strings.Cut(flag, "=")
		lasting, err := lastingValue(name, value)
		if err != nil {
			return l, err
		}
		if valued {
			flag = name + "=" + lasting
		}
		l.flags = append(l.flags, flag)
	}
	return l, nil
}

// lastingValue returns the value of a setting as a host can use it later.
func lastingValue(name, value string) (string, error) {
	if withoutPassword(value) != value {
		return "", fmt.Errorf("%s has a password, which is not written into the file of a host; "+
			"leave it out, and keep it in ~/.pgpass, which PostgreSQL's clients read", name)
	}
	if !slices.Contains(paths, name) || value == "" || value[0] == '~' || strings.Contains(value, "://") {
		return value, nil
	}
	if isDescriptor(value) {
		return "", fmt.Errorf("%s names %s, which only this shell has; give a file that stays", name, value)
	}
	return filepath.Abs(value)
}

// programPath returns the path at which a host finds this program. It prefers the name
// under which a shell finds it, because that stays the same when a package is updated. It
// returns an error if the program is in the cache of go run.
func programPath() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("the path of this program is unknown: %w", err)
	}
	if inBuildCache(path) {
		return "", errors.New("this program was built for one run, and is gone when it ends; " +
			"build it with go build, and run the install of that program")
	}
	found, err := exec.LookPath(filepath.Base(path))
	if err != nil || !filepath.IsAbs(found) {
		return path, nil
	}
	one, err := os.Stat(path)
	other, errOther := os.Stat(found)
	if err == nil && errOther == nil && os.SameFile(one, other) {
		return found, nil
	}
	return path, nil
}

// inBuildCache reports whether go run made the program at path, which is removed later.
func inBuildCache(path string) bool {
	cache := os.Getenv("GOCACHE")
	inside := cache != "" && strings.HasPrefix(path, filepath.Clean(cache)+string(filepath.Separator))
	return inside || strings.Contains(path, "go-build")
}

// system returns where the files of this user are.
func (a *app) system() (hosts.System, error) {
	s := hosts.System{OS: runtime.GOOS, Home: a.getenv("HOME"), Getenv: a.getenv}
	if s.OS == "windows" {
		s.Home = a.getenv("USERPROFILE")
	}
	if s.Home == "" {
		account, err := user.Current()
		if err != nil || account.HomeDir == "" {
			return s, errors.New("the home of this user is unknown")
		}
		s.Home = account.HomeDir
	}
	return s, nil
}

// hostHere is a host of this machine.
type hostHere struct {
	Host      string `json:"host"`
	Name      string `json:"name"`
	File      string `json:"file"`
	Installed bool   `json:"installed"`
	Problem   string `json:"problem,omitempty"`
}

// hostsHere returns the hosts that were used on this machine: the folder of their file
// exists, or for Claude Code, whose file is in the home, the file.
func (a *app) hostsHere() (found []hostHere, err error) {
	system, err := a.system()
	if err != nil {
		return nil, err
	}
	for _, h := range hosts.All() {
		here := hostHere{Host: h.ID, Name: h.Name, File: h.File(system)}
		place := filepath.Dir(here.File)
		if place == filepath.Clean(system.Home) {
			place = here.File
		}
		if _, err := os.Stat(place); err != nil {
			continue
		}
		file, err := hosts.ReadFile(here.File)
		if err == nil {
			_, here.Installed, err = h.Find(file.Content)
		}
		if err != nil {
			here.Problem = err.Error()
		}
		found = append(found, here)
	}
	return found, nil
}

// installedIn returns the names of the hosts in which the server is installed.
func (a *app) installedIn() []string {
	found, _ := a.hostsHere() // without a home there are none
	names := []string{}
	for _, h := range found {
		if h.Installed {
			names = append(names, h.Name)
		}
	}
	return names
}
