package rows

// Observer receives the columns and values of a file while it is verified, in the one
// pass that there is. It sees only rows that were accepted so far; a later row may still
// show that the file is damaged. Its methods are called by one goroutine at a time and
// must not keep what they get, which changes after they return.
type Observer interface {
	// Column announces the next column; they are numbered from 0. A CSV may have a name
	// twice: the last column of the name counts.
	Column(name string)
	// Row gets the columns of a JSON object, each once; of a key that occurs twice the
	// last value counts. valid reports whether the row is UTF-8.
	Row(values []Value, valid bool)
	// Record gets the cells of a CSV row by the number of their column.
	Record(cells []string, valid bool)
}

// Value is one column of a JSON row.
type Value struct {
	Column int
	Raw    []byte // valid JSON, as written
}

// stage notes a value of the current row, of the column with that index in known. again
// says that the row had the column before. Nothing is passed on until the row is complete:
// one that is longer than what was read is scanned again from its start.
func (c *columnSet) stage(id int, value []byte, again bool) {
	at := &c.known[id]
	if again {
		c.values[at.place].Raw = value
		return
	}
	at.place = len(c.values)
	c.values = append(c.values, Value{id, value})
}

// observe passes on the current row, and the columns that are new with it.
func (rr *rowReader) observe(valid bool) {
	rr.announce()
	rr.Observer.Row(rr.values, valid)
}

// announce passes on the columns that are new.
func (rr *rowReader) announce() {
	for ; rr.announced < len(rr.Columns); rr.announced++ {
		rr.Observer.Column(rr.Columns[rr.announced])
	}
}
