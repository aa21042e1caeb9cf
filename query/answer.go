package query

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// answer is what the child writes.
type answer struct {
	Columns []string            `json:"columns,omitempty"`
	Rows    [][]json.RawMessage `json:"rows,omitempty"`
	Cut     []string            `json:"cut,omitempty"`
	Error   *Error              `json:"error,omitempty"`
	Memory  int64               `json:"memory,omitempty"` // at the peak, in bytes
	CPU     time.Duration       `json:"cpu,omitempty"`
}

// run runs SQL and collects the answer up to its limits.
func (d *database) run(ctx context.Context, sql string, limits Limits) (a answer, err error) {
	rows, err := d.conn.QueryContext(ctx, sql)
	if err != nil {
		return a, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return a, err
	}
	c := collector{limits: limits, left: limits.Bytes}
	c.head(names)
	values := make([]any, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if len(c.Rows) == limits.Rows {
			c.cut(CutRows)
			break
		}
		if err := rows.Scan(into...); err != nil {
			return a, err
		}
		if !c.add(values) {
			c.cut(CutRows)
			break
		}
	}
	return c.answer, rows.Err()
}

// collector is an answer that grows.
type collector struct {
	answer
	limits Limits
	left   int // bytes
}

func (c *collector) cut(what string) {
	if !slices.Contains(c.Cut, what) {
		c.Cut = append(c.Cut, what)
	}
}

// longestName is the most bytes of the name of a column: without AS it is its SQL.
const longestName = 300

// head sets the columns.
func (c *collector) head(names []string) {
	if len(names) > c.limits.Columns {
		names = names[:c.limits.Columns]
		c.cut(CutColumns)
	}
	for _, name := range names {
		if len(name) > longestName {
			name = name[:longestName] + "…"
		}
		c.Columns = append(c.Columns, strings.ToValidUTF8(name, "\ufffd"))
	}
}

// add adds a row. It returns false if there is no space left. The first row has space: its
// texts are cut.
func (c *collector) add(values []any) bool {
	row, size := make([]json.RawMessage, len(c.Columns)), len(c.Columns)+2
	cell := c.limits.Cell
	if len(c.Rows) == 0 {
		cell = max(16, min(cell, c.limits.Bytes/len(c.Columns)/2))
	}
	for i := range row {
		row[i] = c.value(values[i], cell)
		size += len(row[i])
	}
	if size > c.left && len(c.Rows) > 0 {
		return false
	}
	c.left -= size
	c.Rows = append(c.Rows, row)
	return true
}

// value returns a value as JSON. Doubles have a point or an exponent.
func (c *collector) value(v any, longest int) json.RawMessage {
	switch v := v.(type) {
	case nil:
		return json.RawMessage("null")
	case float64:
		if math.IsInf(v, 0) {
			return json.RawMessage(`"` + map[bool]string{true: "Infinity", false: "-Infinity"}[v > 0] + `"`)
		}
		return appendReal(nil, v)
	case string:
		return appendText(nil, c.text(v, longest))
	case []byte:
		if most := longest / 2; len(v) > most {
			v = v[:most]
			c.cut(CutCells)
		}
		return appendText(nil, "x'"+hex.EncodeToString(v)+"'")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

// text returns a text, with … in place of what is too long.
func (c *collector) text(s string, longest int) string {
	if len(s) <= longest {
		return s
	}
	c.cut(CutCells)
	for longest > 0 && !utf8.RuneStart(s[longest]) {
		longest--
	}
	return s[:longest] + "…"
}
