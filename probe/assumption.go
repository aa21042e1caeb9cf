// Package probe finds out which assumptions about Fullstory's API hold for an account. It
// makes the smallest exports that show it, looks at the answers and files as they are sent,
// and reports what holds, without personal data.
package probe

// assumption is something that this program or its sandbox takes for granted where the
// documentation is silent, old or contradicts itself. Its id is stable. An assumption that a
// quirk of the sandbox reverses has the name of the quirk.
type assumption struct{ id, text string }

// assumptions lists all of them in the order of the report. In the sandbox without quirks
// each one holds.
var assumptions = []assumption{
	{"role", "the key has a known role and an organisation"},
	{"camel_case", "answers use lower camel case, such as orgId"},
	{"date_header", "answers have a Date, by which this program sets its clock"},
	{"bearer", "the key is accepted as Basic, and not as Bearer"},
	{"wrong_key", "a wrong key is answered 401"},
	{"error_body", "an error is an object with the texts code and message"},
	{"unknown_operation", "an operation that does not exist is answered 404"},
	{"unknown_export", "the results of an export that does not exist are answered 404"},
	{"unknown_segment", "a segment that does not exist is answered 404"},
	{"everyone", "everyone can be read as a segment, and has no time of creation"},
	{"everyone_listed", "everyone is in the list of segments"},
	{"segments_order", "the newest segments are listed first"},
	{"page_limit", "a limit above 100 is treated as 100"},
	{"create_answer", "an accepted create is answered 200 with an operationId alone"},
	{"operation_id", "the id of an operation is base64"},
	{"listed_at_once", "a new operation is in the list of operations at once"},
	{"oldest_first", "the newest operations are listed first"},
	{"operation_type", "the type of an export's operation is SEARCH_EXPORT"},
	{"states", "an operation is PENDING until it is COMPLETED or FAILED"},
	{"percent", "estimatePctComplete is a number from 0 to 100"},
	{"operation_times", "times of operations are RFC 3339 in UTC"},
	{"strict_keys", "an unknown key of a create is ignored"},
	{"any_field", "a create with an unknown field is rejected"},
	{"optional_range", "a create without timeRange is rejected"},
	{"strict_individuals", "eventDetails is ignored in a create of individuals"},
	{"cancel", "a cancel is answered 200 with an empty object"},
	{"cancelled_state", "a cancelled operation becomes FAILED"},
	{"cancel_finished", "cancelling a finished operation is answered 400"},
	{"export_life", "a file can be fetched for 1 to 30 days"},
	{"link_life", "a link to a file lives for 1 to 15 minutes"},
	{"fresh_link", "each request for results gives another link"},
	{"link_address", "links are https and lead to a public host"},
	{"head", "HEAD does not work on a link"},
	{"no_range", "a part of a file can be fetched with Range"},
	{"etag", "a file has a strong ETag"},
	{"if_range", "If-Range with another ETag gives the whole file"},
	{"content_encoding", "gzip is the content of a file, not its Content-Encoding"},
	{"content_type", "the type of a file is application/gzip"},
	{"disposition", "Content-Disposition names a file that ends in .ndjson.gz"},
	{"ndjson_rows", "FORMAT_NDJSON has one object on each line"},
	{"json_line_ends", "FORMAT_JSON has no line ends after commas"},
	{"json_lines", "FORMAT_JSON has no line for each object"},
	{"csv_order", "the header of a CSV is the requested fields in their order"},
	{"csv_line_ends", "lines of a CSV end with CR LF"},
	{"csv_vars", "a CSV without fields has a column for each custom variable"},
	{"empty_file", "a FORMAT_JSON without rows is []"},
	{"event_times", "times in rows end in Z and have 0 or 3 digits of a second's fraction"},
	{"window_start", "a window contains its start, and no row from before it"},
	{"end_included", "a window does not contain its end"},
	{"same_rows", "two exports of the same settled window have the same rows"},
	{"ids", "ids in rows are whole numbers, not texts"},
	{"absent_values", "a missing value is left out or empty, and not null"},
	{"user_vars", "custom variables of individuals are the text of an object in UserVars"},
	{"retry_after", "a 429 has a Retry-After in whole seconds"},
}
