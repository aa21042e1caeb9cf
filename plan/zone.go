package plan

import (
	"slices"
	"strings"
	"time"
)

// unfit are names that a zone database may know, with what to write instead:
// EST, MST and HST have no summer time, unlike the clocks that people mean by
// them; the others depend on the machine, or count leap seconds.
var unfit = map[string]string{
	"EST":        "it has no summer time; write America/New_York for the clock there, or America/Panama for 5 hours behind UTC all year",
	"MST":        "it has no summer time; write America/Denver for the clock there, or America/Phoenix for 7 hours behind UTC all year",
	"HST":        "write Pacific/Honolulu",
	"Factory":    needed,
	"localtime":  needed,
	"posixrules": needed,
}

const needed = "name a zone of the IANA database, such as UTC, Europe/Berlin or America/New_York"

// Zone returns the IANA time zone of that name, such as Europe/Berlin or UTC.
// It fails with an *Error, also for Local and other names that mean different
// clocks on different machines.
func Zone(name string) (*time.Location, error) {
	name = strings.TrimSpace(name)
	if name == "" || strings.EqualFold(name, "local") {
		return nil, refuse("timezone", name, needed)
	}
	if strings.EqualFold(name, "utc") || strings.EqualFold(name, "z") {
		return time.UTC, nil
	}
	if remedy := unfit[name]; remedy != "" {
		return nil, refuse("timezone", name, "%s", remedy)
	}
	zone, err := time.LoadLocation(name)
	if err == nil && !strings.HasPrefix(name, "right/") && !strings.HasPrefix(name, "posix/") {
		return zone, nil
	}
	if near := nearZones(name); len(near) > 0 {
		return nil, refuse("timezone", name, "no zone of the IANA database has this name; did you mean %s?", strings.Join(near, " or "))
	}
	return nil, refuse("timezone", name, "no zone of the IANA database has this name; write it like Europe/Berlin, without an abbreviation such as CEST or an offset such as +02:00")
}

// nearZones returns the zones of the same place in other letters, or with the
// area that was left out.
func nearZones(name string) []string {
	if len(name) > 40 {
		return nil
	}
	place := capitals(name[strings.LastIndex(name, "/")+1:])
	var near []string
	for _, candidate := range []string{
		capitals(name), "Europe/" + place, "America/" + place, "Asia/" + place, "Africa/" + place,
		"Australia/" + place, "Pacific/" + place, "Atlantic/" + place, "Indian/" + place,
	} {
		if _, err := time.LoadLocation(candidate); err == nil && !slices.Contains(near, candidate) {
			near = append(near, candidate)
		}
	}
	return near
}

// capitals writes each word of a name with a capital: America/New_York.
func capitals(name string) string {
	text := []byte(strings.ToLower(strings.ReplaceAll(name, " ", "_")))
	for i, c := range text {
		if 'a' <= c && c <= 'z' && (i == 0 || strings.IndexByte("/_-", text[i-1]) >= 0) {
			text[i] -= 'a' - 'A'
		}
	}
	return string(text)
}
