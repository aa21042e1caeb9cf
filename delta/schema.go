package delta

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is the type of the values of a column, as Spark calls it.
type Type string

// The types that the program writes. Date is for partition columns alone.
const (
	Long      Type = "long"
	Double    Type = "double"
	Boolean   Type = "boolean"
	String    Type = "string"
	Timestamp Type = "timestamp" // an instant, in microseconds
	Date      Type = "date"
)

// Column is a column of a table. Every column may be NULL.
type Column struct {
	Name string
	Type Type // of the elements, if List is set; empty: one that another program chose
	List bool
	// Partition says that the files do not have the column: it has one value a file.
	Partition bool
}

// Schema are the columns of a table, in order.
type Schema []Column

const (
	mostColumns = 10_000
	longestName = 1024 // bytes
)

// check returns ErrSchema unless a table can have the columns.
func (s Schema) check() error {
	if len(s) > mostColumns {
		return fmt.Errorf("%w: %d columns are more than %d", ErrSchema, len(s), mostColumns)
	}
	seen := map[string]bool{}
	for _, c := range s {
		key := strings.ToLower(c.Name)
		scalar := slices.Contains([]Type{Long, Double, Boolean, String, Timestamp}, c.Type)
		switch {
		case c.Name == "" || len(c.Name) > longestName || !utf8.ValidString(c.Name) ||
			strings.ContainsAny(c.Name, " ,;{}()\n\t=\x00"):
			return fmt.Errorf("%w: %.100q cannot be the name of a column", ErrSchema, c.Name)
		case seen[key]:
			return fmt.Errorf("%w: two columns are called %.100q, except for case", ErrSchema, c.Name)
		case c.Partition && (c.List || c.Type != Date && c.Type != String && c.Type != Long),
			!c.Partition && !scalar:
			return fmt.Errorf("%w: %.100q cannot have the type %.100q", ErrSchema, c.Name, c.Type)
		}
		seen[key] = true
	}
	return nil
}

// structType is a schema as metaData has it. A field stays as it is written, so that nothing
// is lost that another program noted.
type structType struct {
	Type   string            `json:"type"`
	Fields []json.RawMessage `json:"fields"`
}

// structField is one of its fields.
type structField struct {
	Name     string          `json:"name"`
	Type     json.RawMessage `json:"type"`
	Nullable bool            `json:"nullable"`
	Metadata json.RawMessage `json:"metadata"`
}

// arrayType is the type of a list.
type arrayType struct {
	Type         string          `json:"type"`
	ElementType  json.RawMessage `json:"elementType"`
	ContainsNull bool            `json:"containsNull"`
}

// field returns a column as a field.
func (c Column) field() (json.RawMessage, error) {
	of, err := json.Marshal(c.Type)
	if err == nil && c.List {
		of, err = json.Marshal(arrayType{"array", of, true})
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(structField{c.Name, of, true, json.RawMessage("{}")})
}

// parseSchema reads a schema. enforced reports whether a writer must check values of it.
func parseSchema(text string, partition []string) (s Schema, fields []json.RawMessage, enforced bool, err error) {
	var root structType
	if err := json.Unmarshal([]byte(text), &root); err != nil || root.Type != "struct" || len(root.Fields) > mostColumns {
		return nil, nil, false, fmt.Errorf("its schema is not one of columns, or of over %d", mostColumns)
	}
	for _, raw := range root.Fields {
		var f structField
		if err := json.Unmarshal(raw, &f); err != nil || f.Name == "" || len(f.Name) > longestName {
			return nil, nil, false, fmt.Errorf("its schema has a field that cannot be read")
		}
		c := Column{Name: f.Name, Partition: slices.Contains(partition, f.Name)}
		var list arrayType
		if json.Unmarshal(f.Type, &c.Type) != nil {
			c.Type = ""
			if json.Unmarshal(f.Type, &list) == nil && list.Type == "array" && json.Unmarshal(list.ElementType, &c.Type) == nil {
				c.List = true
			}
		}
		enforced = enforced || !f.Nullable || strings.Contains(string(f.Metadata), "delta.invariants")
		s = append(s, c)
	}
	for _, name := range partition {
		if !slices.ContainsFunc(s, func(c Column) bool { return c.Name == name }) {
			return nil, nil, false, fmt.Errorf("its schema lacks the partition column %.100q", name)
		}
	}
	return s, root.Fields, enforced, nil
}

// newMetaData returns the metadata of a new table.
func newMetaData(id, name string, s Schema, now time.Time) (*metaData, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	m := &metaData{
		ID: id, Name: name, CreatedTime: now.UnixMilli(), PartitionColumns: []string{},
		Format: format{Provider: "parquet", Options: map[string]string{}},
		Configuration: map[string]string{
			"delta.deletedFileRetentionDuration": "interval 1 days", "delta.logRetentionDuration": "interval 30 days",
		},
	}
	for _, c := range s {
		if c.Partition {
			m.PartitionColumns = append(m.PartitionColumns, c.Name)
		}
	}
	return m, m.setFields(nil, s)
}

// setFields sets the schema to fields and then columns.
func (m *metaData) setFields(fields []json.RawMessage, columns Schema) error {
	fields = slices.Clip(fields)
	for _, c := range columns {
		f, err := c.field()
		if err != nil {
			return err
		}
		fields = append(fields, f)
	}
	if fields == nil {
		fields = []json.RawMessage{}
	}
	text, err := json.Marshal(structType{"struct", fields})
	m.SchemaString = string(text)
	return err
}

// grown returns metadata with the columns of s that m lacks, at its end. It returns nil if there
// are none, and ErrSchema if a column has another type.
func (m *metaData) grown(s Schema) (*metaData, error) {
	if len(s) == 0 {
		return nil, nil
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	have, fields, _, err := parseSchema(m.SchemaString, m.PartitionColumns)
	if err != nil {
		return nil, err
	}
	there := map[string]Column{}
	for _, c := range have {
		there[strings.ToLower(c.Name)] = c
	}
	var more Schema
	for _, c := range s {
		old, ok := there[strings.ToLower(c.Name)]
		switch {
		case ok && old != c:
			return nil, fmt.Errorf("%w: %s is %s and was %s", ErrSchema, c.Name, c.describe(), old.describe())
		case !ok && c.Partition:
			return nil, fmt.Errorf("%w: %s cannot become a partition column later", ErrSchema, c.Name)
		case !ok:
			more = append(more, c)
		}
	}
	if len(more) == 0 {
		return nil, nil
	}
	next := *m
	return &next, next.setFields(fields, more)
}

// describe names a column and its type for a message.
func (c Column) describe() string {
	text := string(c.Type)
	if c.List {
		text = "a list of " + text
	}
	if c.Partition {
		text += " of a partition"
	}
	return fmt.Sprintf("%.100q %.100s", c.Name, text)
}
