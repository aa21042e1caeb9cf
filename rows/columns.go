package rows

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// longestKey is the most bytes of a key as written that is remembered: a name of
// longestName bytes of which some are escaped. Longer ones are decoded in each row.
const longestKey = 2 * longestName

// columnSet collects the columns of JSON rows. Rows mostly have the same keys in
// the same order, so a key is first compared with the one that an earlier row had
// at the same position, which needs neither decoding nor a map.
type columnSet struct {
	wanted []string // names that may occur; empty: all
	known  []column // by number
	byName map[string]int
	raw    map[string]int // by key as written, which may be escaped
	order  []position
	names  []string // decoded, in the order in which they were first seen
	bytes  int      // of names

	// Of the current row:
	scan   int64  // counts rows; one that is read again after more input counts again
	at     int    // index into order of the next key
	twice  bool   // a column occurs twice
	excess *Error // a limit of columns that it exceeds
	extra  string // a column of it that was not requested
	values []Value
	staged bool // values is wanted
}

type column struct {
	name  string
	scan  int64 // columnSet.scan when it last occurred
	extra bool  // it was not requested
	place int   // in columnSet.values, if it occurs in the current row
}

// position is a key as written, with the number of its column.
type position struct {
	key []byte
	id  int
}

func newColumnSet(fields []string) columnSet {
	return columnSet{wanted: fields, byName: map[string]int{}, raw: map[string]int{}}
}

// begin starts a row, or starts the current one again.
func (c *columnSet) begin() {
	c.scan++
	c.at, c.twice, c.excess, c.extra, c.values = 0, false, nil, "", c.values[:0]
}

// see records that the current row has key with value, as written. It returns the index
// of the column in known, or -1 if the row exceeds a limit.
func (c *columnSet) see(key, value []byte) int {
	id := -1
	if c.excess != nil {
		return id
	}
	if c.at < len(c.order) && bytes.Equal(c.order[c.at].key, key) {
		id = c.order[c.at].id
	} else if id = c.find(key); id >= 0 {
		c.remember(key, id)
	}
	c.at++
	if id < 0 {
		return id
	}
	at := &c.known[id]
	again := at.scan == c.scan
	c.twice = c.twice || again
	at.scan = c.scan
	if c.staged {
		c.stage(id, value, again)
	}
	if at.extra {
		c.extra = at.name
	}
	return id
}

// find returns the index in known of the column that key names, and adds the column
// if it is new. It returns -1 and sets excess if the column exceeds a limit.
func (c *columnSet) find(key []byte) int {
	if id, ok := c.raw[string(key)]; ok {
		return id
	}
	// A byte of a name takes up to six as written: \u0061.
	if len(key) > 6*longestName+len(`""`) {
		c.excess = longName(len(key))
		return -1
	}
	name := validName(text(key))
	id, ok := c.byName[name]
	if !ok {
		if id = c.add(name); id < 0 {
			return id
		}
	}
	if len(c.raw) < 2*maxColumns && len(key) <= longestKey { // one column can be escaped in many ways
		c.raw[string(key)] = id
	}
	return id
}

// validName returns the name of a column with U+FFFD for each byte that is not UTF-8: names
// that differ only in such bytes are one column, as they are in every manifest.
func validName(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return string([]rune(name))
}

// add adds a column to known and returns its index, or -1 if it exceeds a limit.
func (c *columnSet) add(name string) int {
	switch {
	case len(name) > longestName:
		c.excess = longName(len(name))
		return -1
	case len(c.known) == maxColumns, c.bytes+len(name) > longestHeader:
		c.excess = tooMany()
		return -1
	}
	id := len(c.known)
	c.known = append(c.known, column{name: name, extra: len(c.wanted) > 0 && !allows(c.wanted, name)})
	c.byName[name] = id
	c.names = append(c.names, name)
	c.bytes += len(name)
	return id
}

// remember expects key at the current position of the next row.
func (c *columnSet) remember(key []byte, id int) {
	switch {
	case len(key) > longestKey:
	case c.at < len(c.order):
		p := &c.order[c.at]
		p.key, p.id = append(p.key[:0], key...), id
	case len(c.order) < maxColumns:
		c.order = append(c.order, position{bytes.Clone(key), id})
	}
}

// wildcard returns the prefix of the columns that a field such as evt_* requests.
// ok reports whether field is one of these.
func wildcard(field string) (prefix string, ok bool) { return strings.CutSuffix(field, "*") }

// spelling returns the name that Fullstory gives a field now. Requests may still use
// an older one.
func spelling(field string) string {
	if field == "EventTargetSelectorTok" {
		return "EventTargetSelector"
	}
	return field
}

// groupOf returns the field, such as user_*, whose variables a column of that name
// may hold together as one JSON text; "" for any other column.
func groupOf(name string) string {
	switch name {
	case "UserVars":
		return "user_*"
	case "EventVars":
		return "evt_*"
	case "PageVars":
		return "page_*"
	}
	return ""
}

// allows reports whether an export of these fields may have a column of that name.
func allows(fields []string, name string) bool {
	group := groupOf(name)
	return slices.ContainsFunc(fields, func(f string) bool {
		prefix, ok := wildcard(f)
		return spelling(f) == spelling(name) || f == group || ok && strings.HasPrefix(name, prefix)
	})
}

// errorNames are the keys of error objects of APIs and object stores, in lower case
// and without punctuation. No column of an export has such a name.
var errorNames = []string{
	"error", "errors", "errorcode", "errordetails", "errormessage", "code", "detail", "details", "message", "msg",
	"path", "reason", "requestid", "status", "statuscode", "success", "timestamp", "title", "traceid", "type",
}

// errorMarks are those of errorNames of which an error has at least one, beside
// names that begin with "error".
var errorMarks = []string{"message", "code", "detail", "msg"}

// errorObject reports whether an object with these keys is an error and not a row.
func errorObject(keys []string) bool {
	namesError := false
	for _, key := range keys {
		key = strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(key))
		if !slices.Contains(errorNames, key) {
			return false
		}
		namesError = namesError || strings.HasPrefix(key, "error") || slices.Contains(errorMarks, key)
	}
	return namesError
}
