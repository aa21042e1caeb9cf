package sandbox

// userVars is the column that holds all custom user variables as the text of a
// JSON object, {} if there are none.
const userVars = "UserVars"

// individualColumns returns the fields of individual rows in the order of the
// published dictionary, without UserVars.
func individualColumns() []column[*individual] {
	var all []column[*individual]
	text := func(name string, get func(*individual) string) {
		all = append(all, column[*individual]{name, eachRow, func(dst []byte, i *individual) []byte {
			return quoted(dst, get(i))
		}})
	}
	whole := func(name string, get func(*individual) int64) {
		all = append(all, column[*individual]{name, eachRow, func(dst []byte, i *individual) []byte {
			return number(dst, get(i))
		}})
	}
	seconds := func(name string, millis func(*individual) int64) {
		all = append(all, column[*individual]{name, eachRow, func(dst []byte, i *individual) []byte {
			return decimal(dst, millis(i), 3)
		}})
	}
	time := func(name string, get func(*individual) int64) {
		all = append(all, column[*individual]{name, eachRow, func(dst []byte, i *individual) []byte {
			return instant(dst, get(i))
		}})
	}
	whole("IndvId", func(i *individual) int64 { return i.person.id })
	time("Created", func(i *individual) int64 { return i.created })
	text("Uid", func(i *individual) string { return i.person.appKey })
	text("DisplayName", func(i *individual) string { return i.person.name })
	text("Email", func(i *individual) string { return i.person.email })
	whole("NumSessions", func(i *individual) int64 { return i.sessions })
	whole("NumPages", func(i *individual) int64 { return i.pages })
	whole("NumEvents", func(i *individual) int64 { return i.events })
	seconds("TotalSec", func(i *individual) int64 { return i.millis })
	seconds("ActiveSec", func(i *individual) int64 { return i.activeMillis })
	seconds("AvgSessionSec", func(i *individual) int64 { return i.millis / i.sessions })
	seconds("AvgSessionActiveSec", func(i *individual) int64 { return i.activeMillis / i.sessions })
	seconds("MaxSessionSec", func(i *individual) int64 { return i.longest })
	time("LastSessionStart", func(i *individual) int64 { return i.last.start })
	whole("LastSessionNumPages", func(i *individual) int64 { return i.last.pages })
	whole("LastSessionNumEvents", func(i *individual) int64 { return i.last.events })
	seconds("LastSessionSec", func(i *individual) int64 { return i.last.millis })
	seconds("LastSessionActiveSec", func(i *individual) int64 { return i.last.active })
	time("LastEventStart", func(i *individual) int64 { return i.last.end })
	text("LastPage", func(i *individual) string { return i.url })
	text("LastIp", func(i *individual) string { return i.ip })
	text("LastLatLong", func(i *individual) string { return i.latLong })
	text("LastBrowser", func(i *individual) string { return i.browser })
	text("LastDevice", func(i *individual) string { return i.device })
	text("LastPlatform", func(i *individual) string { return i.platform })
	text("LastOperatingSystem", func(i *individual) string { return i.operatingSystem })
	return all
}

// individualColumns returns the fields of individual rows with the custom user
// variables: as the column UserVars and, if the request lists fields, also each by
// its name.
func (d *data) individualColumns(fields bool) []column[*individual] {
	all, vars := individualColumns(), d.source.userColumns()
	enc := newEncoder(vars, formatNDJSON)
	all = append(all, column[*individual]{userVars, eachRow, func(dst []byte, i *individual) []byte {
		return quoted(dst, string(enc.append(nil, &i.person, 0)))
	}})
	if !fields {
		return all
	}
	for _, c := range vars {
		all = append(all, column[*individual]{c.name, eachRow, func(dst []byte, i *individual) []byte {
			return c.show(dst, &i.person)
		}})
	}
	return all
}
