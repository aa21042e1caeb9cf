package client

import (
	"slices"
	"strings"
)

// Field is a column of an export: its name in the API, and a description, both
// from the list of export fields in Fullstory's documentation. Fullstory may add
// fields at any time; within one API version it does not rename or remove any.
type Field struct{ Name, About string }

// EventFields returns the columns of an event export, except the custom variables;
// see VariableField.
func EventFields() []Field { return slices.Clone(eventFields) }

// IndividualFields returns the columns of an individual export.
func IndividualFields() []Field { return slices.Clone(individualFields) }

// VariableField reports whether name is a custom variable such as
// evt_order.total_real, or one of user_*, evt_* and page_*, which select all
// variables with that prefix.
func VariableField(name string) bool {
	prefix, rest, ok := strings.Cut(name, "_")
	if !ok || prefix != "user" && prefix != "evt" && prefix != "page" {
		return false
	}
	if rest == "*" {
		return true
	}
	i := strings.LastIndexByte(rest, '_')
	return i > 0 && slices.Contains(variableTypes, rest[i+1:])
}

var variableTypes = []string{"str", "int", "real", "bool", "date", "strs", "ints", "reals", "bools", "dates"}

var eventFields = []Field{
	{"IndvId", "individual: all users with one application user id, across devices"},
	{"UserId", "one cookie or device"},
	{"SessionId", "session, unique within UserId"},
	{"PageId", "page load, unique within UserId and SessionId"},
	{"UserCreated", "first sight of that cookie"},
	{"UserAppKey", "the site's own user id"},
	{"UserDisplayName", "display name set by the site; a generated one for anonymous people"},
	{"UserEmail", "email set by the site"},
	{"SessionStart", "start of the session"},
	{"EventStart", "time of the event; time_range filters on it"},
	{"EventType", "kind of the event, such as click, navigate, load, custom, request"},
	{"EventSubType", "refinement of the kind"},
	{"EventCustomName", "name of a custom event"},
	{"EventTargetText", "text of the target; long text may be cut"},
	{"EventTargetSelector", "CSS selector of the target"},
	{"EventDuration", "duration in ms; for seen: ms rendered"},
	{"EventSecondaryDuration", "for seen: ms visible"},
	{"EventPageOffset", "ms since the page loaded"},
	{"EventSessionOffset", "ms since the session started"},
	{"EventModFrustrated", "running count within a rage click, else 0"},
	{"EventModDead", "1: dead click"},
	{"EventModError", "0 none, 1 error of unknown kind, 2 console error, 3 uncaught exception"},
	{"EventModSuspicious", "0 none, 1 possible SQL injection, 2 possible XSS"},
	{"EventCumulativeLayoutShift", "on cumulative_layout_shift"},
	{"EventFirstInputDelay", "ms, on first_input_delay"},
	{"EventVarErrorKind", "kind of an error, on types that end in _error"},
	{"EventVarFields", "properties involved in that error"},
	{"EventWebSourceFileUrl", "script of an exception"},
	{"EventMobileSourceFile", "source file of an exception (Android)"},
	{"PageName", "name set through page properties"},
	{"PageStart", "start of the page"},
	{"PageDuration", "ms on the page, the same on every row of it"},
	{"PageActiveDuration", "active ms on the page"},
	{"PageUrl", "full URL"},
	{"PageRefererUrl", "referrer (spelled with one r); may be empty"},
	{"PageIp", "IP of the session; empty if it is not captured"},
	{"PageLatLong", "latitude,longitude by IP"},
	{"PageUserAgent", "user agent"},
	{"PageBrowser", "browser"},
	{"PageBrowserVersion", "its version"},
	{"PageDevice", "Desktop, Mobile, Tablet, ..."},
	{"PagePlatform", "web or native mobile"},
	{"PageOperatingSystem", "operating system"},
	{"PageScreenWidth", "screen width in CSS px"},
	{"PageScreenHeight", "screen height in CSS px"},
	{"PageViewportWidth", "viewport width in px"},
	{"PageViewportHeight", "viewport height in px"},
	{"PageNumEvents", "events on the page"},
	{"PageNumDerivedEvents", "events derived by Fullstory"},
	{"PageNumInfos", "running count of console.log and console.info"},
	{"PageNumWarnings", "running count of console.warn"},
	{"PageNumErrors", "running count of console.error and script errors"},
	{"PageClusterId", "internal grouping of pages"},
	{"PageMaxScrollDepthPercent", "on navigate"},
	{"LoadDomContentTime", "ms, on load"},
	{"LoadEventTime", "ms, on load"},
	{"LoadFirstPaintTime", "first contentful paint in ms, on load"},
	{"LoadLargestPaintTime", "largest contentful paint in ms, on load"},
	{"ReqUrl", "URL of a request"},
	{"ReqMethod", "its method"},
	{"ReqStatus", "its HTTP status"},
	{"AppName", "mobile app"},
	{"AppPackageName", "its package"},
	{"AppDeviceModel", "device model"},
	{"AppDeviceVendor", "device vendor"},
	{"AppVersion", "app version"},
	{"AppOsVersion", "version of the mobile system"},
	{"AppViewName", "view in the app"},
	{"EventTargetSelectorTok", "older spelling of EventTargetSelector, still accepted"},
}

var individualFields = []Field{
	{"IndvId", "individual: all users with one application user id, across devices"},
	{"Created", "first session seen"},
	{"Uid", "the site's own user id"},
	{"DisplayName", "display name set by the site"},
	{"Email", "email set by the site"},
	{"NumSessions", "sessions of the person"},
	{"NumPages", "pages of the person"},
	{"NumEvents", "events of the person"},
	{"TotalSec", "seconds of all sessions"},
	{"ActiveSec", "active seconds of all sessions"},
	{"AvgSessionSec", "seconds of a session on average"},
	{"AvgSessionActiveSec", "active seconds of a session on average"},
	{"MaxSessionSec", "seconds of the longest session"},
	{"LastSessionStart", "start of the latest session"},
	{"LastSessionNumPages", "its pages"},
	{"LastSessionNumEvents", "its events"},
	{"LastSessionSec", "its seconds"},
	{"LastSessionActiveSec", "its active seconds"},
	{"LastEventStart", "last event of the latest session"},
	{"LastPage", "last URL"},
	{"LastIp", "last IP"},
	{"LastLatLong", "last latitude,longitude"},
	{"LastBrowser", "browser of the latest session"},
	{"LastDevice", "device of the latest session"},
	{"LastPlatform", "platform of the latest session"},
	{"LastOperatingSystem", "operating system of the latest session"},
	{"UserVars", "all custom user variables, as JSON text in a CSV"},
}
