package rows

import "strings"

// Type is what the values of a column mean. It follows from the name of the column alone,
// so that it is the same for every file; a value may still be of another kind.
type Type string

// The types of columns.
const (
	Text     Type = "string"
	Integer  Type = "integer" // 64 bits
	Real     Type = "real"
	Bool     Type = "bool"
	Time     Type = "time" // RFC 3339, see ParseTime
	Texts    Type = "strings"
	Integers Type = "integers"
	Reals    Type = "reals"
	Bools    Type = "bools"
	Times    Type = "times"
	Object   Type = "object" // a JSON object, in a CSV and for UserVars as its text
)

// suffixes are the types of custom variables by the end of their name.
var suffixes = map[string]Type{
	"str": Text, "int": Integer, "real": Real, "bool": Bool, "date": Time,
	"strs": Texts, "ints": Integers, "reals": Reals, "bools": Bools, "dates": Times,
}

// fieldTypes are the types of the documented columns that are not texts.
var fieldTypes = func() map[string]Type {
	types := map[string]Type{}
	for t, names := range map[Type]string{
		Integer: `IndvId UserId SessionId PageId EventDuration EventSecondaryDuration EventPageOffset EventSessionOffset
			EventModFrustrated EventModDead EventModError EventModSuspicious EventFirstInputDelay PageDuration
			PageActiveDuration PageScreenWidth PageScreenHeight PageViewportWidth PageViewportHeight PageNumEvents
			PageNumDerivedEvents PageNumInfos PageNumWarnings PageNumErrors PageClusterId PageMaxScrollDepthPercent
			LoadDomContentTime LoadEventTime LoadFirstPaintTime LoadLargestPaintTime ReqStatus
			NumSessions NumPages NumEvents LastSessionNumPages LastSessionNumEvents`,
		Real: `EventCumulativeLayoutShift TotalSec ActiveSec AvgSessionSec AvgSessionActiveSec MaxSessionSec
			LastSessionSec LastSessionActiveSec`,
		Time:   `UserCreated SessionStart EventStart PageStart Created LastSessionStart LastEventStart`,
		Object: `UserVars EventVars PageVars`,
	} {
		for _, name := range strings.Fields(names) {
			types[name] = t
		}
	}
	return types
}()

// TypeOf returns the type of a column: that of the documented field, or that which the
// suffix of a custom variable such as evt_order.total_real names. Any other column is
// Text.
func TypeOf(column string) Type {
	if t, ok := fieldTypes[column]; ok {
		return t
	}
	for _, prefix := range []string{"user_", "evt_", "page_"} {
		if rest, ok := strings.CutPrefix(column, prefix); ok {
			if i := strings.LastIndexByte(rest, '_'); i > 0 {
				if t, ok := suffixes[rest[i+1:]]; ok {
					return t
				}
			}
		}
	}
	return Text
}
