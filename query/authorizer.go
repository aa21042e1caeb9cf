package query

import (
	"fmt"
	"strings"

	"modernc.org/sqlite"
)

// functions are what SQL may call. None reads or writes anything but its arguments; the
// length of a result is limited.
const functions = `
abs ceil ceiling char coalesce concat concat_ws floor format glob hex ifnull iif if instr length like likelihood
likely unlikely lower ltrim max min mod nullif octet_length printf quote random randomblob replace round rtrim sign
soundex substr substring trim trunc typeof unhex unicode unistr unistr_quote upper zeroblob
acos acosh asin asinh atan atan2 atanh cos cosh degrees exp ln log log10 log2 pi pow power radians sin sinh
sqrt tan tanh
date time datetime julianday strftime unixepoch timediff current_date current_time current_timestamp
avg count group_concat string_agg sum total median percentile percentile_cont percentile_disc
row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
json json_array json_array_length json_error_position json_extract json_group_array json_group_object json_insert
json_object json_patch json_pretty json_quote json_remove json_replace json_set json_type json_valid -> ->>
jsonb jsonb_array jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object jsonb_patch
jsonb_remove jsonb_replace jsonb_set`

// listTables are the table-valued functions that SQL may use: they read their arguments.
const listTables = "json_each json_tree jsonb_each jsonb_tree"

// authorizer decides what a statement may do while SQLite compiles it.
type authorizer struct {
	functions map[string]bool
	lists     map[string]bool
	modules   map[string]bool // table-valued functions of SQLite and extensions, in lower case
	denied    string          // why the first action was
}

func newAuthorizer(modules []string) *authorizer {
	a := &authorizer{functions: set(functions), lists: set(listTables), modules: map[string]bool{}}
	for _, name := range modules {
		a.modules[strings.ToLower(name)] = true
	}
	return a
}

// set returns the words of a text.
func set(words string) map[string]bool {
	m := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		m[word] = true
	}
	return m
}

// allow is the authorizer of SQLite.
func (a *authorizer) allow(
	action sqlite.AuthorizerActionCode, arg1, arg2, database, _ string,
) sqlite.AuthorizerReturnCode {
	why := ""
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRecursive:
	case sqlite.AuthRead:
		why = a.read(strings.ToLower(arg1), strings.ToLower(arg2), database)
	case sqlite.AuthFunction:
		if name := strings.ToLower(arg2); !a.functions[name] && !a.lists[name] {
			why = fmt.Sprintf("The function %s is not available.", short(arg2))
		}
	case sqlite.AuthPragma:
		why = "PRAGMA is not available."
	default:
		why = "Rows can only be read."
	}
	if why == "" {
		return sqlite.AuthorizerOK
	}
	if a.denied == "" {
		a.denied = why
	}
	return sqlite.AuthorizerDeny
}

// read returns why a column may not be read; "" if it may. SQLite asks about a table of
// which no column is read, also about one that WITH defines, with an empty column.
func (a *authorizer) read(table, column, database string) string {
	switch {
	case table == tableName && column == "rowid":
		return "The column rowid is not available."
	case table == tableName && (database == "main" || database == ""), a.lists[table]:
		return ""
	case column == "" && !a.modules[table] && !strings.HasPrefix(table, "sqlite_") && !strings.HasPrefix(table, "pragma_"):
		return ""
	}
	return fmt.Sprintf("The table %s is not available: there is one table, rows.", short(table))
}
