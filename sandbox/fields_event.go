package sandbox

import "strings"

// apiEventColumns returns the fields of event rows in the order of the published
// dictionary: https://developer.fullstory.com/server/v1/segments/export-fields/.
func apiEventColumns() []column[*event] {
	var t eventTable
	t.identity()
	t.itself()
	t.pages()
	t.loads()
	t.requests()
	t.app()
	return t
}

// eventTable is a list of columns under construction.
type eventTable []column[*event]

// add adds a column that show encodes.
func (t *eventTable) add(name string, constant constancy, show func([]byte, *event) []byte) {
	*t = append(*t, column[*event]{name, constant, show})
}

// text adds a text column that is absent when empty.
func (t *eventTable) text(name string, constant constancy, get func(*event) string) {
	t.add(name, constant, func(dst []byte, e *event) []byte { return optionalText(dst, get(e)) })
}

// whole adds an integer column that is absent when 0.
func (t *eventTable) whole(name string, constant constancy, get func(*event) int64) {
	t.add(name, constant, func(dst []byte, e *event) []byte { return nonZero(dst, get(e)) })
}

// app adds the columns of the mobile app, which rows of the web site lack.
func (t *eventTable) app() {
	for _, app := range []struct {
		name string
		get  func(*event) string
	}{
		{"AppName", func(*event) string { return "Shop" }},
		{"AppPackageName", func(*event) string { return "com.example.shop" }},
		{"AppDeviceModel", func(e *event) string { return e.session.platform.model }},
		{"AppDeviceVendor", func(e *event) string { return e.session.platform.vendor }},
		{"AppVersion", func(e *event) string { return e.session.platform.version }},
		{"AppOsVersion", func(e *event) string { return e.session.platform.osVersion }},
		{"AppViewName", func(e *event) string { return e.page.view }},
	} {
		t.text(app.name, samePage, func(e *event) string {
			if !e.session.platform.app {
				return ""
			}
			return app.get(e)
		})
	}
}

// identity adds the ids of person, session and page. Its texts are present even
// when empty.
func (t *eventTable) identity() {
	t.add("IndvId", samePage, func(dst []byte, e *event) []byte { return number(dst, e.session.person.id) })
	t.add("UserId", samePage, func(dst []byte, e *event) []byte { return number(dst, e.session.userID) })
	t.add("SessionId", samePage, func(dst []byte, e *event) []byte { return number(dst, e.session.id) })
	t.add("PageId", samePage, func(dst []byte, e *event) []byte { return number(dst, e.page.id) })
	t.add("UserCreated", samePage, func(dst []byte, e *event) []byte { return instant(dst, e.session.userCreated) })
	t.add("UserAppKey", samePage, func(dst []byte, e *event) []byte { return quoted(dst, e.session.person.appKey) })
	t.add("UserDisplayName", samePage, func(dst []byte, e *event) []byte { return quoted(dst, e.session.person.name) })
	t.add("UserEmail", samePage, func(dst []byte, e *event) []byte { return quoted(dst, e.session.person.email) })
	t.add("SessionStart", samePage, func(dst []byte, e *event) []byte { return instant(dst, e.session.start) })
}

// itself adds what describes the event itself.
func (t *eventTable) itself() {
	t.add("EventStart", eachRow, func(dst []byte, e *event) []byte { return instant(dst, e.at) })
	t.text("EventType", eachRow, func(e *event) string { return e.kind })
	t.text("EventSubType", eachRow, func(e *event) string { return e.subKind })
	t.text("EventCustomName", eachRow, func(e *event) string { return e.custom })
	t.add("EventTargetText", eachRow, func(dst []byte, e *event) []byte {
		if e.text == "" && e.selector == "" {
			return dst
		}
		return quoted(dst, e.text) // a target without text has an empty one
	})
	t.text("EventTargetSelector", eachRow, func(e *event) string { return e.selector })
	t.text(tokenizedSelector, onRequest, func(e *event) string { return strings.ReplaceAll(e.selector, "-", "%2D") })
	t.whole("EventDuration", eachRow, func(e *event) int64 { return e.duration })
	t.whole("EventSecondaryDuration", eachRow, func(e *event) int64 { return e.secondary })
	t.add("EventPageOffset", eachRow, func(dst []byte, e *event) []byte { return number(dst, e.at-e.page.start) })
	t.add("EventSessionOffset", eachRow, func(dst []byte, e *event) []byte { return number(dst, e.at-e.session.start) })
	t.whole("EventModFrustrated", eachRow, func(e *event) int64 { return e.frustrated })
	t.add("EventModDead", eachRow, func(dst []byte, e *event) []byte {
		if !e.dead {
			return dst
		}
		return number(dst, 1)
	})
	t.whole("EventModError", eachRow, func(e *event) int64 { return e.failed })
	t.whole("EventModSuspicious", eachRow, func(e *event) int64 { return e.suspicious })
	t.add("EventCumulativeLayoutShift", eachRow, func(dst []byte, e *event) []byte {
		if e.shift == 0 {
			return dst
		}
		return decimal(dst, e.shift, 3)
	})
	t.whole("EventFirstInputDelay", eachRow, func(e *event) int64 { return e.inputDelay })
	t.text("EventVarErrorKind", eachRow, func(e *event) string { return e.errorKind })
	t.text("EventVarFields", eachRow, func(e *event) string { return e.errorFields })
	t.text("EventWebSourceFileUrl", eachRow, func(e *event) string {
		if e.session.platform.app {
			return ""
		}
		return e.source
	})
	t.text("EventMobileSourceFile", eachRow, func(e *event) string {
		if e.source == "" || e.session.platform.os != "Android" || !e.session.platform.app {
			return ""
		}
		return "com/example/shop/Basket.kt"
	})
}

// pages adds what describes the page of the event, and the device it was shown on.
func (t *eventTable) pages() {
	t.text("PageName", samePage, func(e *event) string { return e.page.name })
	t.add("PageStart", samePage, func(dst []byte, e *event) []byte { return instant(dst, e.page.start) })
	t.add("PageDuration", samePage, func(dst []byte, e *event) []byte { return number(dst, e.page.duration) })
	t.add("PageActiveDuration", samePage, func(dst []byte, e *event) []byte { return number(dst, e.page.active) })
	t.text("PageUrl", samePage, func(e *event) string { return e.page.url })
	t.add("PageRefererUrl", samePage, func(dst []byte, e *event) []byte { return quoted(dst, e.page.refer) })
	t.add("PageIp", samePage, func(dst []byte, e *event) []byte { return quoted(dst, e.session.ip) })
	t.text("PageLatLong", samePage, func(e *event) string { return e.session.latLong })
	t.text("PageUserAgent", samePage, func(e *event) string { return e.session.platform.agent })
	t.text("PageBrowser", samePage, func(e *event) string { return e.session.platform.browser })
	t.text("PageBrowserVersion", samePage, func(e *event) string { return e.session.platform.version })
	t.text("PageDevice", samePage, func(e *event) string { return e.session.platform.device })
	t.text("PagePlatform", samePage, func(e *event) string { return e.session.platform.name })
	t.text("PageOperatingSystem", samePage, func(e *event) string { return e.session.platform.os })
	t.whole("PageScreenWidth", samePage, func(e *event) int64 { return e.session.platform.screenW })
	t.whole("PageScreenHeight", samePage, func(e *event) int64 { return e.session.platform.screenH })
	t.whole("PageViewportWidth", samePage, func(e *event) int64 { return e.session.platform.viewW })
	t.whole("PageViewportHeight", samePage, func(e *event) int64 { return e.session.platform.viewH })
	t.add("PageNumEvents", samePage, func(dst []byte, e *event) []byte { return number(dst, e.page.events) })
	t.add("PageNumDerivedEvents", samePage, func(dst []byte, e *event) []byte { return number(dst, e.page.derived) })
	t.add("PageNumInfos", eachRow, func(dst []byte, e *event) []byte { return number(dst, e.infos) })
	t.add("PageNumWarnings", eachRow, func(dst []byte, e *event) []byte { return number(dst, e.warnings) })
	t.add("PageNumErrors", eachRow, func(dst []byte, e *event) []byte { return number(dst, e.errors) })
	t.whole("PageClusterId", samePage, func(e *event) int64 { return e.page.cluster })
	t.whole("PageMaxScrollDepthPercent", eachRow, func(e *event) int64 { return e.scroll })
}

// loads adds the timings of load events, in milliseconds.
func (t *eventTable) loads() {
	for i, name := range []string{"LoadDomContentTime", "LoadEventTime", "LoadFirstPaintTime", "LoadLargestPaintTime"} {
		t.add(name, eachRow, func(dst []byte, e *event) []byte {
			if e.load == nil {
				return dst
			}
			return number(dst, e.load[i])
		})
	}
}

// requests adds the columns of request events.
func (t *eventTable) requests() {
	add := func(name string, show func([]byte, *apiCall) []byte) {
		t.add(name, eachRow, func(dst []byte, e *event) []byte {
			if e.request == nil {
				return dst
			}
			return show(dst, e.request)
		})
	}
	add("ReqUrl", func(dst []byte, c *apiCall) []byte { return quoted(dst, c.url) })
	add("ReqMethod", func(dst []byte, c *apiCall) []byte { return quoted(dst, c.method) })
	add("ReqStatus", func(dst []byte, c *apiCall) []byte { return number(dst, c.status) })
}
