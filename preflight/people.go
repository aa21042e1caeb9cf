package preflight

import (
	"slices"
	"strings"

	"fullstory-export-mcp/client"
)

const (
	eventsOrPeople = "individuals_or_events" // code of the notices below
	onePerPerson   = "TYPE_INDIVIDUAL gives one row for each person"
)

// personal checks for an export of events with columns of the person only: it repeats
// them in each row, and is probably meant as a list of people.
func personal(s Subject) []Notice {
	fields := s.Request.Fields
	if s.Request.Type == client.TypeIndividual || len(fields) == 0 ||
		slices.ContainsFunc(fields, func(name string) bool { return !ofPerson(name) }) {
		return nil
	}
	return []Notice{notice(eventsOrPeople,
		"Each row is an event, and `fields` has only columns of the person: they repeat in every row of the person.",
		"If people are meant: "+onePerPerson+", with the columns Uid, DisplayName and Email in place of UserAppKey, "+
			"UserDisplayName and UserEmail.")}
}

// ofPerson reports whether a column of events is about the person.
func ofPerson(name string) bool {
	return name == "IndvId" || strings.HasPrefix(name, "User") || strings.HasPrefix(name, "user_")
}

// Asked returns notices with those that are only for a dry run, where the caller can
// still compare the request with the words of the user. "Export everyone" may mean
// people, and the events of everyone are much more; a day of them, and a request that
// names its columns or its scope, are taken as meant.
func (e Export) Asked(notices []Notice) []Notice {
	r := e.Request
	if r.SegmentID != Everyone || r.Type != client.TypeEvent || r.Scope != "" || len(r.Fields) > 0 || !overADay(e.Range) {
		return notices
	}
	return sorted(append(slices.Clone(notices), notice(eventsOrPeople,
		"Each row is an event: a click, a page, and so on, of everyone.",
		"For people (\"everyone\", \"all users\") and not what they did: "+onePerPerson+".")))
}
