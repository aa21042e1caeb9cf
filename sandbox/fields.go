package sandbox

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// column is a field of an export, with the function that encodes it for a row R.
type column[R any] struct {
	name     string
	constant constancy
	// show appends the value as JSON, or nothing if the row lacks it. It is nil for
	// a field that no row has.
	show func(dst []byte, row R) []byte
}

// constancy says over which rows a column has the same value.
type constancy int

const (
	eachRow   constancy = iota
	samePage            // over all rows of a page: it is encoded once a page
	onRequest           // like eachRow, and not among the default columns
)

// customVariable matches the name of a custom variable: a prefix, the name with
// dots for nesting, and the type.
var customVariable = regexp.MustCompile(`^(user|evt|page)_.+_(str|int|real|bool|date)s?$`)

// customTokens are the entries of a list of fields that select every custom
// variable of a kind.
var customTokens = []string{"user_*", "evt_*", "page_*"}

// tokenizedSelector is a field of older exports. The service still accepts it in a
// list of fields.
const tokenizedSelector = "EventTargetSelectorTok"

// knownField reports whether a request for rows of this kind may name the field: one
// of the published dictionary, a custom variable with its type suffix, or one of
// the tokens user_*, evt_* and page_*.
func knownField(name string, rows rowKind) bool {
	if slices.Contains(customTokens, name) || customVariable.MatchString(name) {
		return true
	}
	if rows == individualRows {
		return name == userVars || hasColumn(individualColumns(), name)
	}
	return name == tokenizedSelector || slices.Contains(withdrawn, name) || formerNames[name] != "" ||
		hasColumn(apiEventColumns(), name)
}

// onlyOfEvents reports whether a request may name the field for events, and not for
// individuals.
func onlyOfEvents(name string) bool {
	if strings.HasPrefix(name, "evt_") || strings.HasPrefix(name, "page_") {
		return knownField(name, eventRows)
	}
	return knownField(name, eventRows) && !knownField(name, individualRows)
}

// withdrawn are columns that the service once had in beta. Older clients still
// request them; they are empty.
var withdrawn = []string{"EventInteractionToNextPaint", "EventTimeToInteractive", "EventTotalBlockingTime",
	"EventTimeToFirstByte"}

// formerNames maps the names that older clients use to the current ones.
var formerNames = map[string]string{"PageAgent": "PageUserAgent"}

func hasColumn[R any](columns []column[R], name string) bool {
	return slices.ContainsFunc(columns, func(c column[R]) bool { return c.name == name })
}

// columnsFor resolves the fields of a request against all columns. It returns the
// requested ones in their order, each once, with tokens expanded; without fields it
// returns the default columns. A field that no row has becomes an empty column.
func columnsFor[R any](all []column[R], fields []string) []column[R] {
	if len(fields) == 0 {
		return slices.DeleteFunc(slices.Clone(all), func(c column[R]) bool { return c.constant == onRequest })
	}
	var chosen []column[R]
	add := func(c column[R]) {
		if !hasColumn(chosen, c.name) {
			chosen = append(chosen, c)
		}
	}
	for _, field := range fields {
		if slices.Contains(customTokens, field) {
			for _, c := range all {
				if strings.HasPrefix(c.name, strings.TrimSuffix(field, "*")) {
					add(c)
				}
			}
			continue
		}
		i := slices.IndexFunc(all, func(c column[R]) bool { return c.name == field || c.name == formerNames[field] })
		if i >= 0 && all[i].name != field {
			c := all[i]
			c.name = field
			add(c)
			continue
		}
		if i < 0 {
			add(column[R]{name: field})
			continue
		}
		add(all[i])
	}
	return chosen
}

// number appends an integer that is present even when 0.
func number(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// nonZero appends an integer that is absent when 0.
func nonZero(dst []byte, n int64) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendInt(dst, n, 10)
}

// decimal appends n/10^places in its shortest form: a whole value has no decimal
// point. n must not be negative.
func decimal(dst []byte, n, places int64) []byte {
	scale := int64(1)
	for range places {
		scale *= 10
	}
	dst = strconv.AppendInt(dst, n/scale, 10)
	if rest := n % scale; rest != 0 {
		dst = append(dst, strconv.Itoa(int(scale+rest))...)
		dst[len(dst)-int(places)-1] = '.'
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
	}
	return dst
}

// instant appends a time, given in Unix milliseconds, in UTC; 0 is absent. A whole
// second has no fraction, as in Fullstory's own files: about one time in a thousand.
func instant(dst []byte, ms int64) []byte {
	if ms == 0 {
		return dst
	}
	if ms%1000 == 0 {
		return time.UnixMilli(ms).UTC().AppendFormat(dst, `"2006-01-02T15:04:05Z"`)
	}
	return time.UnixMilli(ms).UTC().AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`)
}

// optionalText appends a text that is absent when empty.
func optionalText(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	return quoted(dst, s)
}

// quoted appends a JSON string. The text must be valid UTF-8.
func quoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	plain := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[plain:i]...)
		plain = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	dst = append(dst, s[plain:]...)
	return append(dst, '"')
}

// quotedList appends a JSON array of strings.
func quotedList(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quoted(dst, s)
	}
	return append(dst, ']')
}

func boolean(dst []byte, b bool) []byte { return strconv.AppendBool(dst, b) }
