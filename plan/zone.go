package plan

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agnivade/levenshtein"
)

// unfit maps names that a zone database knows but that are rejected to the
// advice for each. EST, MST and HST have no daylight saving time, unlike the
// clocks that people mean by them; Factory is a placeholder.
var unfit = map[string]string{
	"EST": "it has no daylight saving time; write America/New_York for the clock there, or America/Panama for " +
		"UTC-5 all year",
	"MST": "it has no daylight saving time; write America/Denver for the clock there, or America/Phoenix for " +
		"UTC-7 all year",
	"HST":     "write Pacific/Honolulu",
	"Factory": needed,
}

const needed = "name a zone of the IANA database, such as UTC, Europe/Berlin or America/New_York"

// zoneNames lists the zones of the Go distribution, one name a line. A zone
// database on disk cannot be listed portably.
//
//go:embed zones.txt
var zoneNames string

// zones returns the map from a zone's name in lower case to its proper spelling.
var zones = sync.OnceValue(func() map[string]string {
	byLetters := map[string]string{}
	for name := range strings.Lines(zoneNames) {
		name = strings.TrimSpace(name)
		byLetters[strings.ToLower(name)] = name
	}
	return byLetters
})

// Zone returns the IANA time zone with the given name, such as Europe/Berlin or
// UTC. It ignores case and treats spaces as underscores. It fails with an *Error
// if there is no such zone, and for Local and other names whose meaning depends
// on the machine.
func Zone(name string) (*time.Location, error) {
	given := name
	name = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), " ", "_"))
	switch {
	case name == "" || name == "local" || name == "localtime" || len(name) > 64:
		return nil, reject("timezone", given, needed)
	case name == "utc" || name == "z":
		return time.UTC, nil
	}
	known := zones()[name]
	if remedy := unfit[known]; remedy != "" {
		return nil, reject("timezone", given, "%s", remedy)
	}
	if zone, err := time.LoadLocation(known); known != "" && err == nil {
		return zone, nil
	}
	if near := nearZones(name); len(near) > 0 {
		return nil, reject("timezone", given, "no zone of the IANA database has this name; did you mean %s?",
			strings.Join(near, " or "))
	}
	return nil, reject("timezone", given, "no zone of the IANA database has this name; write it like Europe/Berlin, "+
		"without an abbreviation such as CEST or an offset such as +02:00")
}

// nearZones returns up to three zones of the same place as name, which is in
// lower case, or else with a similar name. It leaves out the zones of Etc,
// because the sign in their names is reversed: Etc/GMT+5 is UTC-5.
func nearZones(name string) []string {
	place := placeOf(name)
	var same, near []string
	for letters, known := range zones() {
		switch {
		case strings.HasPrefix(letters, "etc/") || !strings.Contains(letters, "/"):
		case placeOf(letters) == place:
			same = append(same, known)
		case levenshtein.ComputeDistance(letters, name) <= 2,
			len(place) > 4 && levenshtein.ComputeDistance(placeOf(letters), place) == 1:
			near = append(near, known)
		}
	}
	if len(same) > 0 {
		near = same
	}
	slices.Sort(near)
	return near[:min(3, len(near))]
}

// placeOf returns the last part of a zone's name: berlin of europe/berlin.
func placeOf(name string) string { return name[strings.LastIndex(name, "/")+1:] }
