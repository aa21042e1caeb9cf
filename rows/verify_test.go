package rows

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

var (
	from  = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	until = from.AddDate(0, 0, 1)
)

// rowsOf returns n rows, one a second from the start of the window.
func rowsOf(n int) string {
	var b strings.Builder
	for i := range n {
		at := from.Add(time.Duration(i) * time.Second).Format(time.RFC3339Nano)
		fmt.Fprintf(&b, `{"UserId":%d,"EventStart":"%s","EventType":"click","Text":"%x"}`+"\n",
			9007199254740993+i, at, sha256.Sum256(fmt.Append(nil, i)))
	}
	return b.String()
}

func zip(t testing.TB, plain string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGzipEnds(t *testing.T) {
	rows := zip(t, rowsOf(3))
	for _, test := range []struct {
		name string
		tail []byte
		rows int64
		says string
	}{
		{"nothing", nil, 3, ""},
		{"another member", rows, 6, ""},
		{"an empty member", zip(t, ""), 3, ""},
		{"zeros", make([]byte, 70_000), 3, ""},
		{"zeros after two members", append(bytes.Clone(rows), 0, 0), 6, ""},
		{"HTML", []byte("<html>secret"), 0, "12 B, an HTML page"},
		{"zeros and JSON", append(make([]byte, 1000), `{"a":1}`...), 0, "1.01 kB, plain JSON"},
		{"one byte of a header", rows[:1], 0, "1 B, something that begins with the bytes 1f"},
		{"two bytes of a header", rows[:2], 0, "cut off"},
		{"half a member", rows[:len(rows)/2], 0, "cut off"},
	} {
		r := bytes.NewReader(append(bytes.Clone(rows), test.tail...))
		got, sum, damage, read := Verify(r, Rules{Format: NDJSON, TimeColumn: "EventStart"})
		var content *Error
		switch {
		case read != nil || len(sum) != 64:
			t.Errorf("%s: %v", test.name, read)
		case test.says != "":
			if !errors.As(damage, &content) || !strings.Contains(content.Reason, test.says) ||
				strings.Contains(content.Reason, "secret") {
				t.Errorf("%s: got %v, want: … %s", test.name, damage, test.says)
			}
		case damage != nil || got.Rows != test.rows:
			t.Errorf("%s: %d rows, %v", test.name, got.Rows, damage)
		}
	}
}

// TestPanicIsOfTheFile checks that a panic of the verification becomes an *Error
// that does not quote the panic.
func TestPanicIsOfTheFile(t *testing.T) {
	bug := Rules{Format: NDJSON, each: func([]byte, func(string) string) { panic("a bug") }}
	_, inRows := readRows(strings.NewReader(rowsOf(1)), bug)
	v := NewVerifier(bug)
	v.Write(zip(t, rowsOf(1)))
	_, _, inVerifier := v.Finish()
	_, _, inCheck, _ := Verify(bytes.NewReader(zip(t, rowsOf(1))), bug)
	for name, err := range map[string]error{"rows": inRows, "verifier": inVerifier, "check": inCheck} {
		var content *Error
		if !errors.As(err, &content) || content.Kind != KindVerification ||
			!strings.Contains(content.Reason, "internal error ") ||
			!strings.Contains(string(content.Stack), "TestPanicIsOfTheFile") || strings.Contains(err.Error(), "a bug") {
			t.Errorf("%s: got %v, %+v", name, err, content)
		}
	}
}
