package ledger

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// mark begins every hostile text.
const mark = "hostile"

// hostileTexts are deliberately hostile strings, by what is wrong with them.
func hostileTexts(t *testing.T) map[string]string {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	noise := make([]byte, 768<<10)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	random.Read(noise)
	texts := map[string]string{
		"NUL":            mark + " a\x00b\x00",
		"invalid UTF-8":  mark + " \xff\xfe a\xc3",
		"lone surrogate": mark + " \xed\xa0\x80",
		"bidi controls":  mark + " \u202eevil\u2066\u200f",
		"1 MB":           mark + base64.StdEncoding.EncodeToString(noise), // incompressible
		"much NUL":       mark + strings.Repeat("\x00", 1<<18),            // six times as long in JSON
		"SQL":            mark + "'; DROP TABLE bulks; --",
		"not JSON":       mark + strings.Repeat("[", 5000),
	}
	for offset := range 4 {
		texts["a rune cut, "+string(rune('0'+offset))] = mark + strings.Repeat("x", offset) + strings.Repeat("😀", 2000)
	}
	return texts
}

// hostile returns a value of a type with text in all of its fields.
func hostile(of reflect.Type, text string) reflect.Value {
	v := reflect.New(of).Elem()
	switch {
	case of == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(noon))
	case of == reflect.TypeFor[*Lease]():
		v.Set(reflect.ValueOf(newLease(text)))
	case of == reflect.TypeFor[json.RawMessage]():
		v.SetBytes([]byte(`{"text":"` + text + `"}`))
	case of.Kind() == reflect.String:
		v.SetString(text)
	case of.Kind() == reflect.Slice:
		v.Set(reflect.Append(v, hostile(of.Elem(), text)))
	case of.Kind() == reflect.Func:
		v.Set(reflect.MakeFunc(of, func([]reflect.Value) (results []reflect.Value) {
			for i := range of.NumOut() {
				results = append(results, hostile(of.Out(i), text))
			}
			return results
		}))
	case of.Kind() == reflect.Struct:
		for i := range of.NumField() {
			if of.Field(i).IsExported() {
				v.Field(i).Set(hostile(of.Field(i).Type, text))
			}
		}
	case v.CanInt():
		v.SetInt(1)
	}
	return v
}

// call calls a method with first, and hostile arguments after it.
func call(method reflect.Value, text string, first ...reflect.Value) error {
	args := first
	for n := len(args); n < method.Type().NumIn(); n++ {
		args = append(args, hostile(method.Type().In(n), text))
	}
	var results []reflect.Value
	if method.Type().IsVariadic() {
		results = method.CallSlice(args)
	} else {
		results = method.Call(args)
	}
	err, _ := results[len(results)-1].Interface().(error)
	return err
}

// TestText calls every method that writes or reads with hostile text in every argument.
// A method fails only as it documents, and the text that is kept is clean and within
// its bound.
func TestText(t *testing.T) {
	t.Parallel()
	texts := hostileTexts(t)
	for kind, place := range places(t) {
		t.Run(kind, func(t *testing.T) {
			l := open(t, place)
			for what, text := range texts {
				attack(t, l, what, text)
			}
			checkColumns(t, l)
			checkLookup(t, l, texts)
			checkDocuments(t, l)
		})
	}
}

// attack calls all methods of Tx and Ledger.
func attack(t *testing.T, l *Ledger, what, text string) {
	check := func(name string, err error) {
		expected := errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotLeader)
		if err != nil && !expected {
			t.Errorf("%s: %s: %v", what, name, err)
		}
	}
	for i := range reflect.TypeFor[*Tx]().NumMethod() {
		check(reflect.TypeFor[*Tx]().Method(i).Name, l.Write(t.Context(), func(tx *Tx) error {
			return call(reflect.ValueOf(tx).Method(i), text)
		}))
	}
	for _, event := range []Event{Created, Fetched} { // added once for each operation
		check(string(event), l.Write(t.Context(), func(t *Tx) error {
			return t.Note(Entry{Account: text, Event: event, Operation: text, Caller: text})
		}))
	}
	check("AddSync", l.Write(t.Context(), func(t *Tx) error { // RemoveSync has removed it
		return t.AddSync(hostile(reflect.TypeFor[Sync](), text).Interface().(Sync))
	}))
	// These take no text, or keep none. Grant is for an operator, and fails without such a role.
	others := []string{"Grant", "Write", "Close", "Lead", "LeadError", "Place", "Changes", "SessionChanges"}
	for i := range reflect.TypeFor[*Ledger]().NumMethod() {
		if name := reflect.TypeFor[*Ledger]().Method(i).Name; !slices.Contains(others, name) {
			check(name, call(reflect.ValueOf(l).Method(i), text, reflect.ValueOf(t.Context())))
		}
	}
}

// unwritten lists the columns of text that no argument of a caller reaches.
var unwritten = []string{
	"audit.id", "audit.previous", "audit.hash", "audit_chains.hash", "keys.hash", "leases.account",
	"leases.holder", "processes.id", "processes.accounts",
}

// checkColumns reads every column of text in every table.
func checkColumns(t *testing.T, l *Ledger) {
	list := `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND c.type = 'TEXT'`
	if l.lock != "" {
		list = `SELECT table_name, column_name FROM information_schema.columns
			WHERE table_schema = 'public' AND data_type = 'text'`
	}
	rows, err := l.read.QueryContext(t.Context(), list)
	columns, err := all(rows, err, func(row scanner) (c [2]string, err error) {
		err = row.Scan(&c[0], &c[1])
		return c, err
	})
	if err != nil || len(columns) < 30 {
		t.Fatal(columns, err)
	}
	for _, c := range columns {
		rows, err := l.read.QueryContext(t.Context(), "SELECT coalesce("+c[1]+", '') FROM "+c[0])
		texts, err := all(rows, err, func(row scanner) (text string, err error) {
			err = row.Scan(&text)
			return text, err
		})
		if err != nil {
			t.Fatal(err)
		}
		marked := 0
		for _, text := range texts {
			document := strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[{")
			switch {
			case !utf8.ValidString(text) || strings.Contains(text, "\x00"):
				t.Errorf("%s.%s has %.50q", c[0], c[1], text)
			case document && !json.Valid([]byte(text)):
				t.Errorf("%s.%s has JSON that is not valid: %.50q", c[0], c[1], text)
			case !document && len(text) > maxSentence && c != [2]string{"sessions", "note"}: // it is for JSON
				t.Errorf("%s.%s has %d bytes", c[0], c[1], len(text))
			}
			if strings.Contains(text, mark) {
				marked++
			}
		}
		if name := c[0] + "." + c[1]; (marked > 0) == slices.Contains(unwritten, name) {
			t.Errorf("%s has hostile text in %d of %d rows: reach it, or list it as unwritten", name, marked, len(texts))
		}
	}
}

// checkLookup finds rows by the text with which they were written.
func checkLookup(t *testing.T, l *Ledger, texts map[string]string) {
	for what, text := range texts {
		for _, bound := range []int{maxKey, maxSentence} {
			kept, valid := cleanText(text, bound), validText(text)
			if len(kept) > bound || !strings.HasPrefix(valid, kept) || len(kept)+utf8.UTFMax <= min(bound, len(valid)) {
				t.Errorf("%s: %d bytes of %d were kept", what, len(kept), bound)
			}
			if cleanText(kept, bound) != kept {
				t.Errorf("%s: clean text was changed", what)
			}
		}
		got, err := l.Bulk(t.Context(), text, text)
		if kept := cleanText(text, maxKey); err != nil || got.Name != kept || got.Account != kept || got.ID != kept {
			t.Errorf("%s: found %.30q, %v", what, got.Name, err)
		}
	}
}

// checkDocuments writes JSON of the greatest length, and longer.
func checkDocuments(t *testing.T, l *Ledger) {
	request := func(size int) json.RawMessage {
		return json.RawMessage(`["` + strings.Repeat("x", size-4) + `"]`)
	}
	b := Bulk{ID: NewID("bulk"), Account: "documents", Name: "long", Request: request(maxDocument), State: BulkRunning}
	write(t, l, func(t *Tx) error { return t.AddBulk(b) })
	if got, err := l.Bulk(t.Context(), b.Account, b.Name); err != nil || string(got.Request) != string(b.Request) {
		t.Errorf("JSON of %d bytes came back as %d bytes, %v", len(b.Request), len(got.Request), err)
	}
	b.ID, b.Name, b.Request = NewID("bulk"), "longer", request(maxDocument+1)
	var long *tooLongError
	err := l.Write(t.Context(), func(t *Tx) error { return t.AddBulk(b) })
	if !errors.As(err, &long) || long.Bytes != maxDocument+1 {
		t.Errorf("JSON that is too long: %v", err)
	}
	if _, err := l.Bulk(t.Context(), b.Account, b.Name); !errors.Is(err, ErrNotFound) {
		t.Errorf("a bulk export whose request is too long was written: %v", err)
	}
}
