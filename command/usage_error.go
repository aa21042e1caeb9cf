package command

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/alecthomas/kong"
)

// usage is a command line that kong rejects.
type usage struct {
	model *kong.Application
	node  *kong.Node // the command that is named, or the program
	flags []*kong.Flag
	args  []string
}

// usageError returns an error of kong in words that its user can act on: what is wrong,
// what is allowed, and where to read more.
func usageError(model *kong.Application, err error) error {
	u := usage{model: model, node: model.Node, flags: model.Flags}
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		u.args = parse.Context.Args
		// stdio is the default, and is selected if no command is named.
		if node := parse.Context.Selected(); node != nil && (node.Name != "stdio" || slices.Contains(u.args, "stdio")) {
			u.node, u.flags = node, slices.Concat(node.Flags, model.Flags)
			if node.Hidden { // the default below a command, such as serve
				u.node = node.Parent
			}
		}
	}
	text := err.Error()
	for _, say := range []func(string) string{u.missing, u.noCommand, u.unexpected, u.unknownFlag, u.noValue, u.badValue} {
		if said := say(text); said != "" {
			return errors.New(said)
		}
	}
	return errors.New(text)
}

// flagExamples are values for flags that a command needs.
var flagExamples = map[string]string{"segment": "everyone", "from": "2026-09-01"}

// missing returns the words for an argument or flags that are missing; "" if none is.
func (u usage) missing(text string) string {
	if argument, ok := strings.CutPrefix(text, `expected "<`); ok {
		name, _, _ := strings.Cut(argument, ">")
		shown := strings.ToUpper(name)
		meaning, all := "", ""
		for _, p := range u.node.Positional {
			if p.Required {
				all += " " + strings.ToUpper(p.Name)
			}
			if p.Name == name && p.Enum != "" {
				meaning = ": it is one of " + alternatives(p.Enum)
			} else if p.Name == name {
				meaning = ": it is the " + strings.ToLower(p.Help[:1]) + strings.TrimSuffix(p.Help[1:], ".")
			}
		}
		return fmt.Sprintf("%s is missing%s; write %s%s", shown, meaning, u.node.FullPath(), all)
	}
	flags, ok := strings.CutPrefix(text, "missing flags: ")
	if !ok {
		return ""
	}
	var names, examples []string
	for flag := range strings.SplitSeq(flags, ", ") {
		name, placeholder, _ := strings.Cut(flag, "=")
		value := flagExamples[strings.TrimPrefix(name, "--")]
		if value == "" {
			value = placeholder
		}
		names, examples = append(names, name), append(examples, name+" "+value)
	}
	said := u.path() + " needs " + strings.Join(names, " and ") + ", such as " + strings.Join(examples, " ")
	if slices.Contains(names, "--segment") {
		return said + "; fullstory-export-mcp segments lists the segments"
	}
	return said + "; " + u.flagsListed()
}

// noCommand returns the words for a command such as sync that needs another one after it;
// "" if none is missing.
func (u usage) noCommand(text string) string {
	if !strings.HasPrefix(text, "expected one of ") {
		return ""
	}
	names := strings.Join(u.commands(), ",")
	return fmt.Sprintf("%s needs a command after it: %s; %s --help says what each does",
		u.path(), alternatives(names), u.node.FullPath())
}

// commands returns the names of the commands below the one that is named.
func (u usage) commands() (names []string) {
	for _, node := range u.node.Children {
		if !node.Hidden {
			names = append(names, node.Name)
		}
	}
	return names
}

// commandWords are words for a command that other programs use.
var commandWords = map[string]string{
	"export": "run", "start": "run", "create": "run", "download": "run", "fetch": "run", "exports": "list", "ls": "list",
	"show": "status", "get": "status", "watch": "status --watch", "stop": "cancel", "delete": "cancel", "rm": "cancel",
	"check": "verify", "config": "doctor config", "token": "serve token", "server": "serve", "http": "serve",
	"mcp": "stdio", "tools": "doctor", "log": "audit",
	"signin": "login", "auth": "login", "signout": "logout",
	"uninstall": "install --remove", "setup": "install", "parquet": "convert", "sql": "query",

	"sync rm": "sync remove", "sync delete": "sync remove", "sync cancel": "sync remove", "sync stop": "sync pause",
	"sync create": "sync add", "sync new": "sync add", "sync start": "sync run", "sync now": "sync run",
	"sync ls": "sync list", "sync status": "sync list", "sync show": "sync list", "sync edit": "sync change",
}

// unexpected returns the words for a word that is no command, or one argument too many;
// "" if there is none.
func (u usage) unexpected(text string) string {
	word, ok := strings.CutPrefix(text, "unexpected argument ")
	if !ok {
		return ""
	}
	word, _, _ = strings.Cut(word, ", did you mean ")
	if strings.HasPrefix(word, "-") && slices.Contains(u.args, "--") {
		return fmt.Sprintf("%s follows --, after which nothing counts as a flag; leave the -- out", word)
	}
	names, above := u.commands(), u.path()
	switch {
	case above == "login": // the word may be a key
		return "login takes no key as an argument, because others can see it there: it asks for the key, or reads it from " +
			"stdin; if this was a key, replace it at Fullstory"
	case len(names) > 0:
		command := strings.TrimSpace(above + " " + word)
		for i, name := range names {
			names[i] = strings.TrimSpace(above + " " + name)
		}
		if other := commandWords[strings.ToLower(command)]; other != "" {
			return fmt.Sprintf("unknown command %s, did you mean %q?", command, other)
		}
		if meant := meant(strings.ToLower(command), names); meant != "" {
			return "unknown command " + command + meant
		}
		if above != "" {
			return "unknown command " + command + "; " + u.node.FullPath() + " --help lists what it can do"
		}
		return "unknown command " + command + "; fullstory-export-mcp help lists the commands"
	case len(u.node.Positional) > 0:
		last := u.node.Positional[len(u.node.Positional)-1]
		return fmt.Sprintf("%q is one argument too many: %s takes one %s; put a name with spaces in quotes",
			word, above, strings.ToUpper(last.Name))
	}
	return fmt.Sprintf("%q is one argument too many: %s takes only flags; %s", word, above, u.flagsListed())
}

// path returns the command without the program's name; "" for the program.
func (u usage) path() string {
	return strings.TrimSpace(strings.TrimPrefix(u.node.FullPath(), u.model.Name))
}

// flagsListed says where the flags of the command are listed.
func (u usage) flagsListed() string { return u.node.FullPath() + " --help lists the flags" }

// askedFor says how to give the key instead of on the command line.
const askedFor = "a key on a command line is seen by others: fullstory-export-mcp login asks for it, or set " +
	"FULLSTORY_API_KEY"

// flagWords are words for flags that other programs use, with what to do instead.
var flagWords = map[string]string{
	"--port": "give --addr 127.0.0.1:PORT", "--host": "give --addr HOST:PORT", "--listen": "give --addr HOST:PORT",
	"--dry-run": "fullstory-export-mcp plan shows what run would do", "--out": "give --dir FOLDER",
	"--output": "give --dir FOLDER", "--folder": "give --dir FOLDER", "--start": "give --from TIME",
	"--end": "give --to TIME", "--since": "give --from TIME", "--until": "give --to TIME", "--tz": "give --timezone ZONE",
	"--api-key": askedFor, "--key": askedFor, "--token": askedFor,
	"--verbose": "give --log-level debug", "-v": "give --log-level debug",
	"-V": "give --version", "--columns": "give --fields NAME,...", "--compress": "files are always gzipped; leave it out",
	"--overwrite": "give another --name", "--force": "--yes confirms what run asks about",
}

// unknownFlag returns the words for an unknown flag; "" if the error is another one.
func (u usage) unknownFlag(text string) string {
	flag, ok := strings.CutPrefix(text, "unknown flag ")
	if !ok {
		return ""
	}
	flag, near, _ := strings.Cut(flag, ", did you mean ")
	for _, arg := range u.args {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if len(flag) == 2 && len(arg) > 2 && strings.HasPrefix(arg, flag) && u.flag(name) != nil {
			return fmt.Sprintf("unknown flag -%s: the long name of a flag has two dashes, --%s", name, name)
		}
	}
	said := "unknown flag " + flag
	switch {
	case near != "" && len(flag) > 2:
		return said + ", did you mean " + near
	case flagWords[flag] != "":
		return said + "; " + flagWords[flag]
	}
	return said + "; " + u.flagsListed()
}

// flag returns a flag of the command or of the program; nil if there is none.
func (u usage) flag(name string) *kong.Flag {
	for _, flag := range u.flags {
		if flag.Name == name {
			return flag
		}
	}
	return nil
}

var noValue = regexp.MustCompile(`^--([a-z0-9-]+): expected \w+ value but got "(.*?)" \((.*?)\)`)

// noValue returns the words for a flag without its value; "" if the error is another one.
func (u usage) noValue(text string) string {
	m := noValue.FindStringSubmatch(text)
	if flag, _, ok := strings.Cut(text, ": missing value, expecting "); ok { // a flag that takes a list
		m = []string{"", strings.TrimPrefix(flag, "--"), "", "<EOL>"}
	}
	if m == nil {
		return ""
	}
	name, next := m[1], m[2]
	if m[3] == "short flag" && len(next) > 1 && next[1] >= '0' && next[1] <= '9' {
		return fmt.Sprintf("--%s: got %q; give a number of 0 or more", name, next)
	}
	said := "--" + name + " needs a value"
	if flag := u.flag(name); flag != nil {
		said = fmt.Sprintf("%s: --%s %s", said, name, flag.FormatPlaceHolder())
	}
	if m[3] != "<EOL>" {
		said += "; it is followed by " + next
	}
	return said
}

var (
	badChoice = regexp.MustCompile(`^(\S+) must be one of (".*") but got (".*")$`)
	badBool   = regexp.MustCompile(`^(\S+): bool value must be .* but got (".*")$`)
	badTime   = regexp.MustCompile(`^(\S+): parsing time (".*?") as `)
	badNumber = regexp.MustCompile(`^(\S+): expected (?:an?|a valid \d+ bit)? ?(int|uint|float|duration) but got (".*?")`)
)

// kinds are what a value of a type is.
var kinds = map[string]string{
	"int": "a whole number, such as 10", "uint": "a whole number of 0 or more, such as 10",
	"float": "a number, such as 2.5", "duration": "a time with its unit, such as 90s, 15m or 2h",
}

// badValue returns the words for a value that its flag or argument cannot have. It names
// the variable of the environment that has the value.
func (u usage) badValue(text string) string {
	if m := badChoice.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s: got %s; give %s", u.source(m[1]), m[3], alternatives(strings.ReplaceAll(m[2], `"`, "")))
	}
	if m := badBool.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s: got %s; give true or false", u.source(m[1]), m[2])
	}
	if m := badTime.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s: got %s; give an instant with its offset, such as 2026-11-25T12:00:00Z", u.source(m[1]), m[2])
	}
	if m := badNumber.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s: got %s; give %s", u.source(m[1]), m[3], kinds[m[2]])
	}
	if flag, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(flag, "--") {
		return u.source(flag) + ": " + rest
	}
	return ""
}

var variables = regexp.MustCompile(`\(\$(\w+)`)

// source returns where the value of a flag is from: the flag as it is given, or the
// variable for it. An argument is in capitals, as in the help.
func (u usage) source(flag string) string {
	name, ok := strings.CutPrefix(flag, "--")
	if !ok {
		return strings.ToUpper(strings.Trim(flag, "[<>]"))
	}
	given := slices.ContainsFunc(u.args, func(arg string) bool {
		return arg == flag || strings.HasPrefix(arg, flag+"=") || len(arg) > 1 && arg[0] == '-' && arg[1] != '-'
	})
	if f := u.flag(name); f != nil && !given {
		if m := variables.FindStringSubmatch(f.Help); m != nil {
			return m[1]
		}
	}
	return flag
}

// alternatives returns words that commas separate as a list with "or". It leaves an empty
// one out.
func alternatives(words string) string {
	all := slices.DeleteFunc(strings.Split(words, ","), func(word string) bool { return word == "" })
	if len(all) < 2 {
		return words
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

// meant asks whether the name nearest to a word was meant; "" if none is near.
func meant(word string, names []string) string {
	distance := func(name string) int { return levenshtein.ComputeDistance(word, name) }
	nearest := slices.MinFunc(names, func(a, b string) int { return distance(a) - distance(b) })
	if distance(nearest) > 2 {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", nearest)
}
