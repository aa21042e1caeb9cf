package sandbox

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// The places where effects can happen, by group.
var (
	everyAnswer  = append(slices.Clone(requestPlaces), onDownload)
	createOnly   = []string{onCreate}
	resultsOnly  = []string{onResults}
	exportOnly   = []string{onOperation}
	downloadOnly = []string{onDownload}
	ofFile       = []string{onDownload, onOperation}
)

// effects lists every fault: where it can happen, and what it does, in Markdown. The
// first place of a fault of files is where a rate without a place applies.
var effects = map[string]struct {
	on   []string
	does string
}{
	"429":                {requestPlaces, "429 with Retry-After"},
	"429_date":           {requestPlaces, "429 with Retry-After as an HTTP date"},
	"429_no_retry_after": {requestPlaces, "429 without Retry-After"},
	"400":                {everyAnswer, "400; nothing is done"},
	"404":                {everyAnswer, "404; nothing is done"},
	"500":                {everyAnswer, "500; nothing is done"},
	"502_html":           {requestPlaces, "502 with an HTML page; nothing is done"},
	"503":                {everyAnswer, "503; nothing is done"},
	"200_error":          {requestPlaces, "200 with `{\"error\": message}`; nothing is done"},
	"200_empty_object":   {requestPlaces, "200 with `{}`; nothing is done"},
	"200_html":           {requestPlaces, "200 with an HTML page; nothing is done"},
	"204":                {requestPlaces, "204 without a body; nothing is done"},
	"307_path":           {everyAnswer, "307 to another path of this host, which answers 404"},
	"307_host":           {everyAnswer, "307 to another name of this host, with a path that answers 404"},
	"307_self":           {everyAnswer, "307 to the same address"},
	"307_no_location":    {everyAnswer, "307 without Location"},
	"reset":              {everyAnswer, "the connection is reset; nothing is done"},
	"hang":               {everyAnswer, "no answer; nothing is done"},
	"slow":               {everyAnswer, "the answer comes after `delay`"},
	"extra_keys":         {requestPlaces, "every object of the answer has undocumented keys"},
	"role":               {requestPlaces, "the key has another role from this request on"},

	"200_error_after_accept":        {createOnly, "200 with `{\"error\": message}`, though the export was accepted"},
	"200_empty_object_after_accept": {createOnly, "200 with `{}`, though the export was accepted"},
	"200_html_after_accept":         {createOnly, "200 with an HTML page, though the export was accepted"},
	"201_after_accept":              {createOnly, "201 with the operation's id; the export was accepted"},
	"202_after_accept":              {createOnly, "202 with the operation's id; the export was accepted"},
	"204_after_accept":              {createOnly, "204 without a body, though the export was accepted"},
	"500_after_accept":              {createOnly, "500, though the export was accepted"},
	"reset_after_accept":            {createOnly, "the connection is reset, though the export was accepted"},
	"hang_after_accept":             {createOnly, "no answer, though the export was accepted"},

	"failed":              {exportOnly, "the operation ends as FAILED with `message`; it stays failed after `for`"},
	"stuck":               {exportOnly, "the operation stays PENDING at `percent`"},
	"unknown_state":       {exportOnly, "the operation is in an undocumented state until it is complete"},
	"status_500":          {exportOnly, "reading the operation answers 500; the list contains it"},
	"status_500_unlisted": {exportOnly, "reading the operation answers 500, and the list omits it"},
	"unlisted":            {exportOnly, "the list omits the operation; reading it works"},
	"id_spaces":           {exportOnly, "the ids of operation and export contain spaces and end with one"},
	"id_accent":           {exportOnly, "the ids of operation and export contain `é`"},
	"id_newline":          {exportOnly, "the ids of operation and export contain a newline"},
	"id_long":             {exportOnly, "the ids of operation and export have 2048 bytes"},

	"link_relative": {resultsOnly, "the link is a path without a host"},
	"link_space":    {resultsOnly, "the link contains a raw space, and works once that is escaped"},
	"link_scheme":   {resultsOnly, "the scheme of the link is ftp"},
	"link_empty":    {resultsOnly, "the link is empty"},

	"truncate":            {ofFile, "only the first half of the file is served"},
	"corrupt":             {ofFile, "16 bytes in the middle of the file are changed"},
	"checksum":            {ofFile, "the checksum at the end of the file is wrong"},
	"empty":               {ofFile, "the file is empty (0 bytes)"},
	"html":                {ofFile, "an HTML page is served instead of the file"},
	"trailing_bytes":      {ofFile, "text follows the end of the gzip file"},
	"zero_padding":        {ofFile, "512 zero bytes follow the end of the gzip file"},
	"disposition_other":   {ofFile, "Content-Disposition names another segment"},
	"disposition_hostile": {ofFile, "Content-Disposition names a path of 10 kB with quotes and a newline"},
	"expired_link":        {downloadOnly, "the link has expired"},
	"changed":             {downloadOnly, "the object differs from that of the last request; its rows do not"},
	"ignore_range":        {downloadOnly, "the whole file is served, and Range is ignored"},
	"cut":                 {downloadOnly, "the connection breaks after `at` bytes of the answer"},
	"slow_body":           {downloadOnly, "the file is served at `rate` bytes a second"},

	"csv_semicolon":      {ofFile, "the separator of a CSV file is `;`"},
	"csv_tab":            {ofFile, "the separator of a CSV file is a tab"},
	"csv_cr":             {ofFile, "lines of a CSV file end with CR alone"},
	"csv_no_header":      {ofFile, "a CSV file has no header"},
	"csv_reordered":      {ofFile, "the columns of a CSV file are in reverse order"},
	"csv_missing_column": {ofFile, "the last column of a CSV file is missing"},
	"csv_no_time_column": {ofFile, "the column EventStart of a CSV file is missing"},
	"csv_extra_column":   {ofFile, "a CSV file has an extra column at the end"},
	"csv_one_column":     {ofFile, "a CSV file has only its first column, and every second value is empty"},
	"error_row":          {ofFile, "`{\"error\": message}` is the only row"},
	"other_window":       {ofFile, "the rows are those of the preceding window"},
	"row_outside":        {ofFile, "the time of a row is just outside the window"},
	"no_time":            {ofFile, "rows have no EventStart; in a CSV file its cells are empty"},
	"time_digits":        {ofFile, "the times of rows have `digits` fractional digits"},
	"time_space":         {ofFile, "the times of rows have a space instead of T"},
	"time_no_zone":       {ofFile, "the times of rows have no zone"},
	"invalid_utf8":       {ofFile, "a text in each row is not valid UTF-8"},
	"lone_surrogate":     {ofFile, "a text in each row contains half of a surrogate pair"},
	"duplicate_keys":     {ofFile, "each JSON row contains one key twice"},
}

// FaultsText returns Markdown tables of all faults and their options.
func FaultsText() string {
	var names []string
	for name := range effects {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("| `do` | `on` | effect |\n|---|---|---|\n")
	for _, name := range names {
		on := strings.Join(effects[name].on, ", ")
		on = strings.Replace(on, strings.Join(requestPlaces, ", "), "any request", 1)
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, on, effects[name].does)
	}
	b.WriteString("\n`any request` means `any` or one of `" + strings.Join(requestPlaces, "`, `") +
		"`. `operation` is an accepted export.\n\n| option | meaning |\n|---|---|\n")
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Fault]()) {
		if does, ok := field.Tag.Lookup("does"); ok {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, does)
		}
	}
	return b.String()
}
