package landing

import (
	"reflect"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// schema returns the Parquet schema of a set of columns and restColumn, all of them
// optional. dictionary says which columns have their values in one.
func (s columnSet) schema(dictionary []bool) *parquet.Schema {
	root := ordered{}
	for i, c := range s.columns {
		node := c.kind.node()
		if dictionary[i] {
			node = parquet.Encoded(node, &parquet.RLEDictionary)
		}
		if c.list {
			node = parquet.List(parquet.Optional(node))
		}
		root.add(c.name, node)
	}
	root.add(restColumn, document.node())
	return parquet.NewSchema("rows", root)
}

// node returns a value of a kind.
func (k kind) node() parquet.Node {
	switch k {
	case whole:
		return parquet.Int(64)
	case decimal:
		return parquet.Leaf(parquet.DoubleType)
	case truth:
		return parquet.Leaf(parquet.BooleanType)
	case instant:
		return parquet.Timestamp(parquet.Microsecond)
	case document:
		return unbounded{parquet.String()}
	}
	return parquet.String()
}

// ordered is the root of a schema. Its fields keep their order; those of parquet.Group
// are sorted by name.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (o *ordered) add(name string, node parquet.Node) {
	o.fields = append(o.fields, parquetField{parquet.Optional(node), name})
}

// Fields implements parquet.Node.
func (o ordered) Fields() []parquet.Field { return o.fields }

// GoType implements parquet.Node. Rows are written by column, so that no Go type has them.
func (ordered) GoType() reflect.Type { return reflect.TypeFor[struct{}]() }

type parquetField struct {
	parquet.Node
	name string
}

// Name implements parquet.Field.
func (f parquetField) Name() string { return f.name }

// Value implements parquet.Field; see ordered.GoType.
func (parquetField) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// unbounded is a leaf of JSON texts. Statistics have whole values, and these can be long,
// so it has bounds that are true of every JSON text.
type unbounded struct{ parquet.Node }

// Type implements parquet.Node.
func (u unbounded) Type() parquet.Type { return unboundedType{u.Node.Type()} }

type unboundedType struct{ parquet.Type }

// NewColumnIndexer implements parquet.Type.
func (t unboundedType) NewColumnIndexer(int) parquet.ColumnIndexer { return &unboundedIndexer{} }

// unboundedIndexer makes the index of the pages of an unbounded column. Without it the
// library would write an empty text as the largest value of a page.
type unboundedIndexer struct{ index format.ColumnIndex }

// Reset implements parquet.ColumnIndexer.
func (i *unboundedIndexer) Reset() { i.index = format.ColumnIndex{} }

// IndexPage implements parquet.ColumnIndexer.
func (i *unboundedIndexer) IndexPage(values, nulls int64, _, _ parquet.Value) {
	least, most := []byte{}, []byte{}
	if values > nulls {
		most = []byte("\U0010FFFF")
	}
	i.index.NullPages = append(i.index.NullPages, values == nulls)
	i.index.NullCounts = append(i.index.NullCounts, nulls)
	i.index.MinValues = append(i.index.MinValues, least)
	i.index.MaxValues = append(i.index.MaxValues, most)
}

// ColumnIndex implements parquet.ColumnIndexer. The zero order of pages is that they have
// none.
func (i *unboundedIndexer) ColumnIndex() format.ColumnIndex { return i.index }
