package rows

// These limits bound the memory and the time that a file may cost, whatever it holds.
// A file beyond one of them is damaged; the Reason of its *Error says the limit.
const (
	// longestRow is the most bytes of one row. The longest that was seen in real exports
	// has 1.25 MB.
	longestRow = 16 << 20
	// longestHeader is the most bytes of the header of a CSV file, and of all names of
	// columns of a JSON file together.
	longestHeader = 1 << 20
	// maxColumns is the most columns of a file.
	maxColumns = 5000
	// longestName is the most bytes of the name of a column.
	longestName = 500

	// freeUnpacked and maxRatio bound the work that few bytes can cause: a file may unpack
	// to freeUnpacked bytes in any case, and beyond that to maxRatio times its size. Real
	// exports unpack to 5 to 30 times their size; the most that gzip allows is 1,032.
	// Free space needs no limit: rows are verified as a stream, and only packed bytes are
	// stored.
	freeUnpacked = 256 << 20
	maxRatio     = 200
)

// tooMany returns the *Error of a file with more columns, or longer names, than
// accepted. A smaller window may have fewer.
func tooMany() *Error {
	e := bad(KindColumns, "it has more than %d columns, or their names have more than %s, which are the limits: "+
		"request only the fields that you need, or a smaller window", maxColumns, FormatBytes(longestHeader))
	e.TooLarge = true
	return e
}

// longName returns the *Error of a name of a column of n bytes.
func longName(n int) *Error {
	return bad(KindColumns, "the name of a column has %s and the limit is %d bytes: request only the fields that you need",
		FormatBytes(int64(n)), longestName)
}
