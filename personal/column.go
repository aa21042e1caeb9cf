// Package personal recognizes data that identify people, by the names of columns and in texts.
package personal

import (
	"slices"
	"strings"
)

// columns are the documented columns that identify a person. Columns of custom user
// variables do, too; see Column.
var columns = []string{
	"UserEmail", "UserDisplayName", "UserAppKey", "PageIp", "PageLatLong",
	"Email", "DisplayName", "Uid", "LastIp", "LastLatLong", "UserVars", "EventVars", "PageVars",
}

// words are parts of the names of custom variables whose values identify a person.
var words = []string{
	"email", "mail", "phone", "mobile", "tel", "firstname", "lastname", "fullname", "surname", "address", "street",
	"zip", "postcode", "birthday", "birthdate", "dob", "ssn", "passport", "iban", "card", "ip", "lat", "lng", "lon",
	"latlong", "latitude", "longitude", "location", "password", "token", "secret", "uid", "userid", "username",
	"login",
}

// Column reports whether the values of a column identify people, by its name. A model sees
// none of them. Names are compared without case, since a CSV may have them in another, and may
// be those of Parquet columns, with two underscores for a dot.
func Column(column string) bool {
	if slices.ContainsFunc(columns, func(p string) bool { return strings.EqualFold(p, column) }) {
		return true
	}
	prefix, rest, ok := strings.Cut(strings.ToLower(column), "_")
	if !ok || prefix != "user" && prefix != "evt" && prefix != "page" {
		return false
	}
	parts := wordsOf(rest)
	for i, w := range parts {
		ofPerson := i > 0 && w == "name" && slices.Contains(nameOf, parts[i-1])
		if ofPerson || slices.Contains(words, w) {
			return true
		}
	}
	return prefix == "user"
}

// nameOf are words before "name" in the name of a variable that has the name of a person.
var nameOf = []string{
	"first", "last", "full", "given", "family", "middle", "user", "customer", "contact", "display", "account", "person",
}

// wordsOf returns the words in the name of a custom variable, in lower case.
func wordsOf(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r == '_' || r == '.' || r == '-' })
}
