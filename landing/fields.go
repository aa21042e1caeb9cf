package landing

import "strings"

// kind is how the values of a column are stored.
type kind int

const (
	anything kind = iota // STRING: texts, and numbers and booleans as they are written
	text                 // STRING: texts
	whole                // INT64
	decimal              // DOUBLE
	truth                // BOOLEAN
	instant              // TIMESTAMP(MICROS, UTC)
	document             // STRING: an object as JSON
)

// field is a field that Fullstory documents.
type field struct {
	name string
	kind kind
}

// of returns fields of a kind.
func of(k kind, names string) (fields []field) {
	for name := range strings.FieldsSeq(names) {
		fields = append(fields, field{name, k})
	}
	return fields
}

// fields are the documented fields of rows of events and then of those of individuals, in
// the order in which their columns are stored.
func fields() (all []field) {
	for _, group := range [][]field{
		of(whole, "IndvId UserId SessionId PageId"),
		of(instant, "EventStart"),
		of(text, "EventType EventSubType EventCustomName EventTargetText EventTargetSelector EventTargetSelectorTok"),
		of(whole, "EventDuration EventSecondaryDuration EventPageOffset EventSessionOffset"),
		of(whole, "EventModFrustrated EventModDead EventModError EventModSuspicious"),
		of(decimal, "EventCumulativeLayoutShift"),
		of(whole, "EventFirstInputDelay"),
		of(text, "EventVarErrorKind EventVarFields EventWebSourceFileUrl EventMobileSourceFile"),
		of(instant, "UserCreated"),
		of(text, "UserAppKey UserDisplayName UserEmail"),
		of(instant, "SessionStart"),
		of(text, "PageName"),
		of(instant, "PageStart"),
		of(whole, "PageDuration PageActiveDuration"),
		of(text, "PageUrl PageRefererUrl PageIp PageLatLong PageUserAgent PageAgent PageBrowser PageBrowserVersion"),
		of(text, "PageDevice PagePlatform PageOperatingSystem"),
		of(whole, "PageScreenWidth PageScreenHeight PageViewportWidth PageViewportHeight"),
		of(whole, "PageNumEvents PageNumDerivedEvents PageNumInfos PageNumWarnings PageNumErrors"),
		of(whole, "PageClusterId PageMaxScrollDepthPercent"),
		of(whole, "LoadDomContentTime LoadEventTime LoadFirstPaintTime LoadLargestPaintTime"),
		of(text, "ReqUrl ReqMethod"),
		of(whole, "ReqStatus"),
		of(text, "AppName AppPackageName AppDeviceModel AppDeviceVendor AppVersion AppOsVersion AppViewName"),
		of(instant, "Created"),
		of(text, "Uid DisplayName Email"),
		of(whole, "NumSessions NumPages NumEvents"),
		of(decimal, "TotalSec ActiveSec AvgSessionSec AvgSessionActiveSec MaxSessionSec"),
		of(instant, "LastSessionStart"),
		of(whole, "LastSessionNumPages LastSessionNumEvents"),
		of(decimal, "LastSessionSec LastSessionActiveSec"),
		of(instant, "LastEventStart"),
		of(text, "LastPage LastIp LastLatLong LastBrowser LastDevice LastPlatform LastOperatingSystem"),
		of(document, "UserVars EventVars PageVars"),
	} {
		all = append(all, group...)
	}
	return all
}

// suffixes are the types of custom variables, by the end of their names. A list has the
// suffix with an s.
var suffixes = map[string]kind{
	"str": text, "int": whole, "real": decimal, "bool": truth, "date": instant,
}

// custom returns the type of a custom variable, such as user_tags_strs. ok is false for
// any other name.
func custom(name string) (k kind, list, ok bool) {
	prefix, rest, _ := strings.Cut(name, "_")
	at := strings.LastIndexByte(rest, '_')
	if at < 1 || prefix != "user" && prefix != "evt" && prefix != "page" {
		return 0, false, false
	}
	suffix := rest[at+1:]
	if k, ok = suffixes[suffix]; ok {
		return k, false, true
	}
	one, plural := strings.CutSuffix(suffix, "s")
	k, ok = suffixes[one]
	return k, true, plural && ok
}
