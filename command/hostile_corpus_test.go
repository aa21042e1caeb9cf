package command

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// hostileFile is a file that costs far more than its size if nothing bounds it.
type hostileFile struct {
	name, format string
	events       bool                    // of an export of events, whose rows have times; else of individuals
	says         string                  // in the output of verify; "": its rows are valid
	plain        func(w *bufio.Writer)   // writes the rows, or
	packed       func(w io.Writer) error // writes the gzip file
}

const (
	mega = 1 << 20
	// longest and header are the limits of rows/limits.go.
	longest, header = 16 * mega, mega
)

// repeat writes text n times, in large writes.
func repeat(w io.Writer, text string, n int) {
	block := strings.Repeat(text, max(1, 64<<10/len(text)))
	for each := len(block) / len(text); n > 0; n -= each {
		io.WriteString(w, block[:min(n, each)*len(text)])
	}
}

// around returns a plain that writes head, text n times, and tail.
func around(head, text string, n int, tail string) func(*bufio.Writer) {
	return func(w *bufio.Writer) {
		w.WriteString(head)
		repeat(w, text, n)
		w.WriteString(tail)
	}
}

// each returns a plain that writes the results of item for 0 to n-1.
func each(n int, item func(i int) string) func(*bufio.Writer) {
	return func(w *bufio.Writer) {
		for i := range n {
			w.WriteString(item(i))
		}
	}
}

// object returns a JSON object of n keys from the number first on.
func object(first, n int, suffix string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d%s":1`, first+i, suffix)
	}
	return "{" + b.String()[1:] + "}\n"
}

const (
	ndjson, array, csv = "FORMAT_NDJSON", "FORMAT_JSON", "FORMAT_CSV"
	event              = `{"EventStart":"2026-10-01T00:00:00Z"}` + "\n"
)

// write writes the gzip file.
func (h hostileFile) write(w io.Writer) error {
	if h.packed != nil {
		return h.packed(w)
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	plain := bufio.NewWriterSize(z, 256<<10)
	h.plain(plain)
	if err := plain.Flush(); err != nil {
		return err
	}
	return z.Close()
}

// hostileJSON are files of objects, as lines or in an array.
var hostileJSON = []hostileFile{
	{name: "row of 15 MB", format: ndjson, events: true,
		plain: around(`{"EventStart":"2026-10-01T00:00:00Z","a":"`, "x", 15*mega, `"}`)},
	{name: "row of 17 MB", format: ndjson, says: "longer than",
		plain: around(`{"a":"`, "x", 17*mega, `"}`)},
	{name: "endless text", format: ndjson, says: "longer than", plain: around(`{"a":"`, "x", 300*mega, ``)},
	{name: "endless number", format: ndjson, says: "longer than", plain: around(`{"a":`, "1", 100*mega, `}`)},
	{name: "endless space in a row", format: ndjson, says: "longer than", plain: around(`{`, " ", 100*mega, `}`)},
	{name: "key of 15 MB", format: ndjson, says: "name of a column",
		plain: around(`{"`, "k", 15*mega, `":1}`)},
	{name: "key of 30 MB", format: ndjson, says: "longer than", plain: around(`{"`, "k", 30*mega, `":1}`)},
	{name: "escaped key of 15 MB", format: ndjson, says: "name of a column",
		plain: around(`{"`, `\u006b`, 5*mega/2, `":1}`)},
	{name: "key of 501 bytes", format: ndjson, says: "500 bytes", plain: around(`{"`, "k", 501, `":1}`)},
	{name: "row of 1,000,000 keys", format: ndjson, says: "more than 5000 columns",
		plain: func(w *bufio.Writer) {
			w.WriteString(object(0, 1_000_000, ""))
		}},
	{name: "each row another column", format: ndjson, says: "more than 5000 columns",
		plain: each(1_000_000, func(i int) string {
			return object(i, 1, "")
		})},
	{name: "each row a long column", format: ndjson, says: "more than 1.05 MB",
		plain: each(100_000, func(i int) string {
			return object(i, 1, strings.Repeat("x", 480))
		})},
	{name: "columns in another order in each row", format: ndjson, plain: each(400, func(i int) string {
		return strings.Replace(object(1000, 4000, ""), "1000", fmt.Sprint(1000+i), 1)
	})},
	{name: "one key 2,000,000 times", format: ndjson, plain: around(`{"a":1`, `,"a":1`, 2_000_000, "}\n")},
	{name: "one key escaped in many ways", format: ndjson, plain: each(200_000, func(i int) string {
		var key strings.Builder
		for bit := range 17 {
			if key.WriteString("k"); i>>bit&1 == 1 {
				key.WriteString(`\u006b`)
			}
		}
		return `{"` + key.String() + `":1}` + "\n"
	})},
	{name: "nested 9,000 deep", format: ndjson, plain: around(strings.Repeat(`{"a":`, 9000)+"1", "}", 9000, "\n")},
	{name: "nested 5,000,000 deep", format: ndjson, says: "not valid JSON", plain: around(`{"a":`, "[", 5*mega, "")},
	{name: "20,000,000 empty objects", format: ndjson, plain: around("", "{}\n", 20_000_000, "")},
	{name: "list of 8 MB of empty objects", format: ndjson,
		plain: around(`{"a":[{}`, ",{}", 8*mega/3, "]}\n")},
	{name: "blank lines", format: ndjson, plain: around("", "\n", 250*mega, event)},
	{name: "time of 15 MB", format: ndjson, events: true, says: "not a time",
		plain: around(`{"EventStart":"`, "2", 15*mega, `"}`)},
	{name: "escaped time of 15 MB", format: ndjson, events: true, says: "not a time",
		plain: around(`{"EventStart":"`, `\u0032`, 5*mega/2, `"}`)},
	{name: "error object of 15 MB", format: ndjson, says: "error object",
		plain: around(`{"error":"`, "x", 15*mega, `"}`)},
	{name: "text that is not UTF-8", format: ndjson, plain: around(`{"a":"`, "\xff", 15*mega, `"}`)},
	{name: "rows without times, each with a large object", format: ndjson, plain: each(4, func(int) string {
		return `{"a":"` + strings.Repeat("x", 14*mega) + `"}` + "\n"
	})},
	{name: "array with a row of 15 MB", format: array, plain: around(`[{"a":"`, "x", 15*mega, `"}]`)},
	{name: "array that does not end", format: array, says: "does not end",
		plain: around(`[{}`, ",{}", 20_000_000, "")},
	{name: "array of arrays", format: array, says: "not a JSON object", plain: around("", "[", 50*mega, "")},
	{name: "array of commas", format: array, says: "not a JSON object", plain: around("[", ",", 50*mega, "]")},
	{name: "array and 250 MB of spaces", format: array, plain: around("[{}]", " ", 250*mega, "")},
	{name: "array and another", format: array, says: "followed by something else",
		plain: around("[{}]", "[]", 50*mega, "")},
	{name: "object with a key of 15 MB for an array", format: array, says: "name of a column",
		plain: around(`{"`, "k", 15*mega, `":1}`)},
}

// hostileCSV are CSV files.
var hostileCSV = []hostileFile{
	{name: "header of one name of 60 MB", format: csv, says: "header is longer",
		plain: around("", "h", 60*mega, "\n1\n")},
	{name: "header of 60 MB of commas", format: csv, says: "more than 5000 columns",
		plain: around("EventStart", ",", 60*mega, "\n")},
	{name: "header of 2,000,000 columns", format: csv, says: "more than 5000 columns",
		plain: each(2_000_000, func(i int) string {
			return fmt.Sprintf("column_%d,", i)
		})},
	{name: "quoted header that does not end", format: csv, says: "header is longer",
		plain: around(`"`, "h\n", 60*mega, "")},
	{name: "header of 60 MB of quotes", format: csv, says: "header is longer",
		plain: around(`"`, `""`, 30*mega, "\n")},
	{name: "header of 5,001 columns", format: csv, says: "more than 5000 columns",
		plain: around("c", ",c", 5000, "\n")},
	{name: "name of 501 bytes", format: csv, says: "500 bytes", plain: around("EventStart,", "h", 501, "\n")},
	{name: "header of 1 MB of semicolons", format: csv, says: "separated by semicolons",
		plain: around("EventStart", ";", header-20, "\n")},
	{name: "header of lone CRs", format: csv, says: "CR without LF",
		plain: around("EventStart", "\r", 60*mega, "\n")},
	{name: "row of one cell of 15 MB", format: csv, plain: around("a,b\n1,", "x", 15*mega, "\n")},
	{name: "row of one cell of 60 MB", format: csv, says: "longer than",
		plain: around("a,b\n1,", "x", 60*mega, "\n")},
	{name: "row of 15 MB of commas", format: csv, says: "more than 5000 cells",
		plain: around("a,b\n1", ",", 15*mega, "\n")},
	{name: "row of 15 MB of quotes", format: csv, plain: around("a\n\"", `""`, 15*mega/2, "\"\n")},
	{name: "row of 15 MB of quoted lines", format: csv, plain: around("a\n\"", "\n", 15*mega, "\"\n")},
	{name: "row of 15 MB of quoted commas", format: csv, plain: around("a\n\"", ",", 15*mega, "\"\n")},
	{name: "quote that does not end", format: csv, says: "longer than",
		plain: around("a,b\n1,\"", "x\n", 150*mega, "")},
	{name: "rows of 15 MB, one after another", format: csv, plain: func(w *bufio.Writer) {
		w.WriteString("a,b\n")
		for range 4 {
			around("1,", "x", 15*mega, "\n")(w)
		}
	}},
	{name: "200 MB of blank rows", format: csv, says: "1 of 1 files agree", plain: around("a\n", "\n", 200*mega, "")},
	{name: "rows of 5,000 empty cells", format: csv, plain: func(w *bufio.Writer) {
		around("c0", ",c", 4999, "\n")(w)
		repeat(w, strings.Repeat(",", 4999)+"\n", 10_000)
	}},
	{name: "one byte without end", format: csv, says: "header is longer", plain: around("", "\x00", 300*mega, "")},
}

// hostileGzip are files whose cost lies in how they are packed.
var hostileGzip = []hostileFile{
	{name: "name of 60 MB in the gzip header", format: ndjson, says: "header of the gzip file is wrong",
		packed: func(w io.Writer) error {
			w.Write([]byte{0x1f, 0x8b, 8, 1 << 3, 0, 0, 0, 0, 0, 255})
			repeat(w, "n", 60*mega)
			return nil
		}},
	{name: "comment of 60 MB in the gzip header", format: ndjson, says: "header of the gzip file is wrong",
		packed: func(w io.Writer) error {
			w.Write([]byte{0x1f, 0x8b, 8, 1 << 4, 0, 0, 0, 0, 0, 255})
			repeat(w, "c", 60*mega)
			return nil
		}},
	{name: "members with extra fields of 64 kB", format: ndjson, packed: func(w io.Writer) error {
		member := packed(gzip.Header{Extra: make([]byte, 65535)}, "{}\n")
		repeat(w, string(member), 1000)
		return nil
	}},
	{name: "2,000,000 empty members", format: ndjson, says: "1 of 1 files agree", packed: func(w io.Writer) error {
		repeat(w, string(packed(gzip.Header{}, "")), 2_000_000)
		return nil
	}},
	{name: "5,000,000 empty blocks", format: ndjson, says: "checksum", packed: func(w io.Writer) error {
		w.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255})
		repeat(w, "\x00\x00\x00\xff\xff", 5_000_000)
		w.Write([]byte{1, 0, 0, 0xff, 0xff})
		return binary.Write(w, binary.LittleEndian, [2]uint32{1, 0})
	}},
	{name: "400 MB of zeros after the end", format: ndjson, packed: func(w io.Writer) error {
		w.Write(packed(gzip.Header{}, event))
		repeat(w, "\x00", 400*mega)
		return nil
	}},
	{name: "400 MB of something after the end", format: ndjson, says: "follows the end",
		packed: func(w io.Writer) error {
			w.Write(packed(gzip.Header{}, event))
			repeat(w, "\x00x", 200*mega)
			return nil
		}},
	{name: "3 GB of spaces in 3 MB", format: ndjson, says: "200 times", packed: func(w io.Writer) error {
		repeat(w, string(packed(gzip.Header{}, strings.Repeat(" ", 16*mega))), 192)
		return nil
	}},
	{name: "cut off", format: ndjson, says: "cut off", packed: func(w io.Writer) error {
		whole := packed(gzip.Header{}, strings.Repeat(event, 100_000))
		_, err := w.Write(whole[:len(whole)/2])
		return err
	}},
}

// packed returns a gzip member.
func packed(h gzip.Header, plain string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Header = h
	io.WriteString(z, plain)
	z.Close()
	return b.Bytes()
}

// hostileManifests are manifests that need far more memory than their bytes if nothing
// bounds them.
var hostileManifests = []struct {
	name, says string
	write      func(w *bufio.Writer)
}{
	{"400 MB of spaces", "has 419 MB and the limit is 16.8 MB",
		around(`{"version":2,"files":[]`, " ", 400*mega, "}")},
	{"5,000,000 empty files", "too many values", around(`{"files":[{}`, ",{}", 5_000_000, "]}")},
	{"16 MB of files that have nothing but a name", "more than 59918 files",
		around(`{"files":[{"name":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`,
			`,{"name":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`, 330_000, "]}")},
	{"16 MB of files and hours", "too much memory", func(w *bufio.Writer) {
		hours := `{"rows_by_hour":"` + strings.Repeat("1 ", 9590) + `"}`
		around(`{"files":[`+hours, ","+hours, 779, "")(w)
		around("", `,{"name":"a"}   `, 59_100, "]}")(w)
	}},
	{"files 16 times", "too much memory", func(w *bufio.Writer) {
		w.WriteString(`{"version":2`)
		for range 16 {
			around(`,"files":[{}`, `,{"name":"a"}   `, 50_000, "]")(w)
		}
		w.WriteString("}")
	}},
	{"hour of 15 MB", "a text of more than", around(`{"files":[{"rows_by_hour":"`, "9", 15_000_000, `"}]}`)},
	{"name of 15 MB that is not UTF-8", "a text of more than",
		around(`{"files":[{"name":"`, "\xff", 15_000_000, `"}]}`)},
	{"time of 15 MB", "a text of more than", around(`{"files":[{"exported_at":"`, "é", 7_500_000, `"}]}`)},
	{"1,900,000 fields that were requested", "more than 500 fields",
		around(`{"files":[],"request":{"type":"TYPE_EVENT","fields":["a*"`, `,"a*"   `, 1_900_000, "]}}")},
	{"1,000,000 pages", "more than 1000 pages",
		around(`{"files":[],"pages":[{}`, `,{}             `, 999_999, "]}")},
	{"5,000,000 columns", "too many values", around(`{"columns":[""`, `,""`, 5_000_000, `],"files":[]}`)},
	{"1,500,000 columns", "more than 1000000 columns",
		around(`{"columns":["xxxxx"`, `,"xxxxx"`, 1_500_000, `],"files":[]}`)},
	{"5,000,000 windows", "too many values",
		around(`{"coverage":{"settled":[{}`, `,{}`, 5_000_000, `]},"files":[]}`)},
	{"800,000 windows", "0 of 0 files",
		around(`{"coverage":{"settled":[{"start":""}`, `,{"end":"xxxxxx"}`, 800_000, `]},"files":[]}`)},
	{"8,000,000 hours", "is damaged",
		around(`{"files":[{"name":"x","rows_by_hour":"0`, ` 0`, 8_000_000, `"}]}`)},
	{"nested 5,000,000 deep", "too many values", around(`{"request":`, `[`, 5_000_000, ``)},
	{"name of 15 MB", "a text of more than", around(`{"files":[{"name":"`, `../`, 5_000_000, `"}]}`)},
	{"number of 15 MB", "is damaged", around(`{"files":[{"bytes":`, `9`, 15_000_000, `}]}`)},
	{"1,000 times a page that is missing", "more than 1000 pages",
		around(`{"version":3,"pages":[`, `{"name":".manifest/`+zeros+`.json","sha256":"`+zeros+`"},`, 1000,
			`{}],"files":[]}`)},
}

// zeros is a checksum.
const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
