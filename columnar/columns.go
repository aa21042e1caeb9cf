// Package columnar describes the Parquet files that package landing writes, and reads their
// rows. It knows what their columns are and which rows a file was made of, and nothing of
// where they go. Anybody may have put a file into the folder, so nothing in one is trusted.
package columnar

import (
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// Kind is what the values of a column are.
type Kind uint8

// The kinds of values, with their types in Parquet.
const (
	Whole   Kind = iota // INT64
	Decimal             // DOUBLE
	Truth               // BOOLEAN
	Instant             // TIMESTAMP(MICROS, UTC)
	Text                // STRING
)

// RestColumn is the column of the values that fit no other: a JSON object by name, or NULL.
const RestColumn = "_rest"

// Column is a column of a file.
type Column struct {
	Name string
	Kind Kind
	List bool // of values of the kind
}

// Leaf is a column with its place among the leaves of a file.
type Leaf struct {
	Column
	Index int
}

// Leaves returns the columns of a file, in their order. It leaves out those that package
// landing does not write.
func Leaves(root *parquet.Column) []Leaf {
	var found []Leaf
	for _, c := range root.Columns() {
		l := Leaf{Column: Column{Name: c.Name()}}
		if !c.Leaf() { // optional group LIST { repeated group list { optional element } }
			for len(c.Columns()) == 1 && !c.Leaf() {
				c = c.Columns()[0]
			}
			l.List = true
		}
		levels := c.MaxRepetitionLevel() == 0 && c.MaxDefinitionLevel() <= 1
		if l.List {
			levels = c.MaxRepetitionLevel() == 1 && c.MaxDefinitionLevel() == 3
		}
		if !c.Leaf() || !levels {
			continue
		}
		var ok bool
		if l.Kind, ok = kindOf(c.Type()); ok {
			l.Index = c.Index()
			found = append(found, l)
		}
	}
	return found
}

// kindOf returns the kind of a type of Parquet.
func kindOf(t parquet.Type) (k Kind, ok bool) {
	logical := t.LogicalType()
	switch t.Kind() {
	case parquet.Int64:
		if logical == nil {
			return Whole, true
		}
		switch v := logical.Value.(type) {
		case *format.TimestampType:
			_, micros := v.Unit.Value.(*format.MicroSeconds)
			return Instant, micros
		case *format.IntType:
			return Whole, v.IsSigned
		}
		return Whole, false
	case parquet.Double:
		return Decimal, true
	case parquet.Boolean:
		return Truth, true
	case parquet.ByteArray:
		return Text, true
	}
	return 0, false
}
