package plan

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agnivade/levenshtein"
)

// unfit are names that a zone database may know, with what to write instead:
// EST, MST and HST have no summer time, unlike the clocks that people mean by
// them; the others depend on the machine, or count leap seconds.
var unfit = map[string]string{
	"EST":     "it has no summer time; write America/New_York for the clock there, or America/Panama for 5 hours behind UTC all year",
	"MST":     "it has no summer time; write America/Denver for the clock there, or America/Phoenix for 7 hours behind UTC all year",
	"HST":     "write Pacific/Honolulu",
	"Factory": needed,
}

const needed = "name a zone of the IANA database, such as UTC, Europe/Berlin or America/New_York"

// zoneNames are the zones of the Go distribution, a name a line.
//
//go:embed zones.txt
var zoneNames string

// zones finds the name of a zone by its letters in lower case.
var zones = sync.OnceValue(func() map[string]string {
	byLetters := map[string]string{}
	for name := range strings.Lines(zoneNames) {
		name = strings.TrimSpace(name)
		byLetters[strings.ToLower(name)] = name
	}
	return byLetters
})

// Zone returns the IANA time zone of that name, in any case and with spaces or
// underscores, such as Europe/Berlin or UTC. It fails with an *Error, also for
// Local and other names that mean different clocks on different machines.
func Zone(name string) (*time.Location, error) {
	given := name
	name = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), " ", "_"))
	switch {
	case name == "" || name == "local" || name == "localtime" || len(name) > 64:
		return nil, refuse("timezone", given, needed)
	case name == "utc" || name == "z":
		return time.UTC, nil
	}
	known := zones()[name]
	if remedy := unfit[known]; remedy != "" {
		return nil, refuse("timezone", given, "%s", remedy)
	}
	if zone, err := time.LoadLocation(known); known != "" && err == nil {
		return zone, nil
	}
	if near := nearZones(name); len(near) > 0 {
		return nil, refuse("timezone", given, "no zone of the IANA database has this name; did you mean %s?", strings.Join(near, " or "))
	}
	return nil, refuse("timezone", given, "no zone of the IANA database has this name; write it like Europe/Berlin, without an abbreviation such as CEST or an offset such as +02:00")
}

// nearZones returns up to three zones of the same place, or else of nearly the
// same letters. The zones of Etc are left out: the sign in their names is the
// other way round.
func nearZones(name string) []string {
	place := name[strings.LastIndex(name, "/")+1:]
	var same, near []string
	for letters, known := range zones() {
		switch {
		case strings.HasPrefix(letters, "etc/") || !strings.Contains(letters, "/"):
		case letters[strings.LastIndex(letters, "/")+1:] == place:
			same = append(same, known)
		case levenshtein.ComputeDistance(letters, name) <= 2, len(place) > 4 && levenshtein.ComputeDistance(letters[strings.LastIndex(letters, "/")+1:], place) == 1:
			near = append(near, known)
		}
	}
	if len(same) > 0 {
		near = same
	}
	slices.Sort(near)
	return near[:min(3, len(near))]
}
