package delta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// checkProtocol checks a whole log against the rules of the protocol that is published with
// Delta Lake (PROTOCOL.md), with a replay of its own. It returns the active paths as the log has
// them. The log must not be written to meanwhile.
func checkProtocol(t testing.TB, s Store) map[string]bool {
	t.Helper()
	return checkLog(t, s, false)
}

// checkLog is checkProtocol. A log whose writer was killed may have a first checkpoint that no hint
// names yet: readers then list the checkpoints.
func checkLog(t testing.TB, s Store, killed bool) map[string]bool {
	t.Helper()
	c := &checker{t: t, active: map[string]map[string]any{}, removed: map[string]map[string]any{}, ids: map[string]int{}}
	var names []string
	err := s.list(t.Context(), "", func(name string, _ time.Time) { names = append(names, name) })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	checkpoints := map[int]string{}
	var commits []string
	for _, name := range names {
		var version int
		switch {
		case name == "_last_checkpoint":
		case strings.HasSuffix(name, ".checkpoint.parquet"):
			_, err = fmt.Sscanf(name, "%d", &version)
			checkpoints[version] = name
		case len(name) == 25 && strings.HasSuffix(name, ".json"):
			commits = append(commits, name)
		default:
			t.Errorf("the log has an unexpected file %s", name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte {
		content, err := s.read(t.Context(), name, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	last := -1
	for version, name := range commits {
		if name != fmt.Sprintf("%020d.json", version) {
			t.Fatalf("version %d is missing: the log has %s", version, name)
		}
		c.version = version
		c.commit(read(name))
		if checkpoint, ok := checkpoints[version]; ok {
			c.checkpoint(read(checkpoint))
			last = version
		}
	}
	if hinted := slices.Contains(names, "_last_checkpoint"); hinted || last >= 0 && !killed {
		c.hint(read("_last_checkpoint"), checkpoints)
	}
	active := map[string]bool{}
	for p := range c.active {
		active[p] = true
	}
	return active
}

// checker is the state of a replay. Actions are as JSON has them.
type checker struct {
	t               testing.TB
	version         int
	protocol        map[string]any
	meta            map[string]any
	columns         []any // of the schema
	partition       []any
	active, removed map[string]map[string]any
	ids             map[string]int // versions by the ids of their commits
	adds            map[string]bool
	removes         map[string]bool
}

func (c *checker) errorf(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("version %d: %s", c.version, fmt.Sprintf(format, args...))
}

// commit checks and replays a commit.
func (c *checker) commit(content []byte) {
	c.adds, c.removes = map[string]bool{}, map[string]bool{}
	counts := map[string]int{}
	if !bytes.HasSuffix(content, []byte("\n")) {
		c.errorf("it does not end with a line end")
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(content), "\n"), "\n") {
		var action map[string]map[string]any
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&action); err != nil || len(action) != 1 {
			c.errorf("line %d is not one action: %.200s", i+1, line)
			continue
		}
		for kind, a := range action {
			if counts[kind]++; i == 0 && kind != "commitInfo" {
				c.errorf("the first action is %s", kind)
			}
			c.action(kind, a)
		}
	}
	once := map[bool]int{true: 1}[c.version == 0]
	if counts["commitInfo"] != 1 || counts["protocol"] != once || counts["metaData"] > 1 || counts["metaData"] < once {
		c.errorf("its actions are %v", counts)
	}
}

func (c *checker) action(kind string, a map[string]any) {
	switch kind {
	case "commitInfo":
		id, _ := a["txnId"].(string)
		if other, used := c.ids[id]; used || id == "" {
			c.errorf("its id %q is that of version %d", id, other)
		}
		c.ids[id] = c.version
		c.fields(kind, a, "timestamp", "operation", "operationParameters")
	case "protocol":
		c.protocol = a
		if fmt.Sprintf("%v %v", a["minReaderVersion"], a["minWriterVersion"]) != "1 2" {
			c.errorf("protocol %v", a)
		}
	case "metaData":
		c.metaData(a)
	case "add":
		c.add(a)
	case "remove":
		c.remove(a)
	default:
		c.errorf("it has the action %s", kind)
	}
}

// fields checks that an action has fields.
func (c *checker) fields(kind string, a map[string]any, names ...string) {
	c.t.Helper()
	for _, name := range names {
		if a[name] == nil {
			c.errorf("%s lacks %s", kind, name)
		}
	}
}

// metaData checks the metadata: its schema may only grow.
func (c *checker) metaData(a map[string]any) {
	c.fields("metaData", a, "id", "format", "schemaString", "partitionColumns", "configuration")
	var schema struct {
		Type   string
		Fields []any
	}
	if err := json.Unmarshal([]byte(fmt.Sprint(a["schemaString"])), &schema); err != nil || schema.Type != "struct" {
		c.errorf("schema %v: %v", a["schemaString"], err)
	}
	names := map[string]bool{}
	for _, f := range schema.Fields {
		field := f.(map[string]any)
		name := field["name"].(string)
		if names[strings.ToLower(name)] || field["nullable"] != true || field["metadata"] == nil {
			c.errorf("the field %v", field)
		}
		names[strings.ToLower(name)] = true
		c.checkType(field["type"])
	}
	partition, _ := a["partitionColumns"].([]any)
	for _, name := range partition {
		if !names[strings.ToLower(name.(string))] {
			c.errorf("the schema lacks the partition column %v", name)
		}
	}
	if c.meta != nil && (a["id"] != c.meta["id"] || !reflect.DeepEqual(partition, c.partition) ||
		len(schema.Fields) < len(c.columns) || !reflect.DeepEqual(schema.Fields[:len(c.columns)], c.columns)) {
		c.errorf("the metadata has changed other than by columns at the end: %v", a)
	}
	c.meta, c.columns, c.partition = a, schema.Fields, partition
}

// checkType checks the type of a column.
func (c *checker) checkType(of any) {
	switch of := of.(type) {
	case string:
		if !slices.Contains([]string{"long", "double", "boolean", "string", "timestamp", "date"}, of) {
			c.errorf("the type %s", of)
		}
	case map[string]any:
		if of["type"] != "array" || of["containsNull"] != true || of["elementType"] == nil {
			c.errorf("the type %v", of)
		}
	default:
		c.errorf("the type %v", of)
	}
}

// path checks the path of an action.
func (c *checker) path(a map[string]any) string {
	p, _ := a["path"].(string)
	u, err := url.Parse(p)
	if err != nil || u.IsAbs() || u.Host != "" || p == "" || u.RawQuery != "" || u.Fragment != "" ||
		strings.ContainsAny(p, " %#?\"'<>\\^`{|}") && u.RawPath == "" && u.Path == p {
		c.errorf("the path %q is not a relative URI: %v", p, err)
		return p
	}
	if clean := path.Clean(u.Path); clean != u.Path || strings.HasPrefix(clean, "..") || path.IsAbs(clean) {
		c.errorf("the path %q leaves the folder", p)
	}
	return p
}

// values checks the values of partition columns.
func (c *checker) values(a map[string]any) {
	values, ok := a["partitionValues"].(map[string]any)
	if !ok || len(values) != len(c.partition) {
		c.errorf("partition values %v", a["partitionValues"])
	}
	for _, name := range c.partition {
		if v, there := values[name.(string)]; !there || v == "" {
			c.errorf("partition values %v", values)
		}
	}
}

func (c *checker) add(a map[string]any) {
	c.fields("add", a, "size", "modificationTime", "dataChange", "partitionValues")
	p := c.path(a)
	c.values(a)
	if c.active[p] != nil || c.adds[p] || c.removes[p] {
		c.errorf("%s is added twice, or added and removed at once", p)
	}
	if a["dataChange"] != true {
		c.errorf("%s is no change of data", p)
	}
	if text, ok := a["stats"].(string); ok {
		c.stats(p, text)
	}
	c.adds[p] = true
	c.active[p] = a
	delete(c.removed, p) // it is the same file again
}

// stats checks the statistics of a file.
func (c *checker) stats(p, text string) {
	var stats struct {
		NumRecords           *int64
		MinValues, MaxValues map[string]any
		NullCount            map[string]int64
	}
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&stats); err != nil || stats.NumRecords == nil || *stats.NumRecords < 0 {
		c.errorf("statistics of %s: %v %s", p, err, text)
		return
	}
	known := map[string]any{}
	for _, f := range c.columns {
		known[f.(map[string]any)["name"].(string)] = f.(map[string]any)["type"]
	}
	for _, values := range []map[string]any{stats.MinValues, stats.MaxValues} {
		for name := range values {
			if of, scalar := known[name].(string); !scalar || of == "boolean" || slices.Contains(c.partition, any(name)) {
				c.errorf("statistics of %s have bounds of %s", p, name)
			}
		}
	}
	for name, n := range stats.NullCount {
		if known[name] == nil || n < 0 || n > *stats.NumRecords {
			c.errorf("statistics of %s have %d NULL of %s", p, n, name)
		}
	}
}

func (c *checker) remove(a map[string]any) {
	c.fields("remove", a, "deletionTimestamp", "dataChange")
	p := c.path(a)
	if a["extendedFileMetadata"] == true {
		c.fields("remove", a, "size", "partitionValues")
		c.values(a)
	}
	if c.active[p] == nil || c.removes[p] {
		c.errorf("%s is removed and was not active", p)
	}
	c.removes[p] = true
	delete(c.active, p)
	c.removed[p] = a
}

// checkpoint checks that a checkpoint has what the replay has.
func (c *checker) checkpoint(content []byte) {
	r := parquet.NewGenericReader[checkpointRow](bytes.NewReader(content))
	defer r.Close()
	rows := make([]checkpointRow, r.NumRows())
	if n, err := r.Read(rows); n != len(rows) || err != nil && err != io.EOF {
		c.errorf("%d rows of the checkpoint: %v", n, err)
		return
	}
	counts := map[string]int{}
	for _, row := range rows {
		switch {
		case row.Protocol != nil:
			counts["protocol"]++
			if *row.Protocol != (protocolRow{1, 2}) {
				c.errorf("the checkpoint has protocol %v", row.Protocol)
			}
		case row.MetaData != nil:
			counts["metaData"]++
			if row.MetaData.ID != c.meta["id"] || row.MetaData.SchemaString != c.meta["schemaString"] {
				c.errorf("the checkpoint has metadata %v", row.MetaData)
			}
		case row.Add != nil:
			counts["add"]++
			c.compare(row.Add)
		case row.Remove != nil:
			counts["remove"]++
			a := c.removed[row.Remove.Path]
			if a == nil || fmt.Sprint(a["deletionTimestamp"]) != fmt.Sprint(*row.Remove.DeletionTimestamp) {
				c.errorf("the checkpoint has a removed %s", row.Remove.Path)
			}
		default:
			c.errorf("the checkpoint has an empty row")
		}
	}
	want := map[string]int{"protocol": 1, "metaData": 1, "add": len(c.active), "remove": len(c.removed)}
	maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
	if !maps.Equal(counts, want) {
		c.errorf("the checkpoint has %v, want %v", counts, want)
	}
}

// compare compares a file of a checkpoint with its action.
func (c *checker) compare(row *addRow) {
	a := c.active[row.Path]
	if a == nil {
		c.errorf("the checkpoint has %s, which is not active", row.Path)
		return
	}
	got, err := json.Marshal(addFile{
		row.Path, row.PartitionValues, row.Size, row.ModificationTime, true, value(row.Stats), row.Tags, nil,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	var all map[string]any
	d := json.NewDecoder(bytes.NewReader(got))
	d.UseNumber()
	if err := d.Decode(&all); err != nil || !reflect.DeepEqual(all, a) {
		c.errorf("the checkpoint has %s, want %v", got, a)
	}
}

// hint checks the file that names the last checkpoint.
func (c *checker) hint(content []byte, checkpoints map[int]string) {
	var hint struct{ Version, Size, SizeInBytes int }
	if err := json.Unmarshal(content, &hint); err != nil || checkpoints[hint.Version] == "" || hint.Size < 2 {
		c.t.Errorf("_last_checkpoint is %s: %v", content, err)
	}
}
