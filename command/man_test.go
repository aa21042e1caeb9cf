//go:build unix

package command

import (
	"strings"
	"testing"
)

// TestMan checks that the manual page has every command and flag, and no date or path.
func TestMan(t *testing.T) {
	got := lineIn(t.Context(), map[string]string{"FULLSTORY_EXPORT_DIR": "/somewhere"}, []string{"man"})
	if got.status != 0 || strings.Contains(got.stdout, "somewhere") {
		t.Fatalf("man ended with %d: %s", got.status, got.all)
	}
	for _, want := range []string{
		`.SS "run \-\-segment=SEGMENT`, `\fB\-\-read\-only\fR`, `.SS "sync add `, `\fB\-q\fR, \fB\-\-quiet\fR`,
		"FULLSTORY_EXPORT_DIR", ".SH EXIT STATUS",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(got.stdout, "query\\-worker") {
		t.Error("the page shows a command that is hidden")
	}
}

// TestRoff writes texts that would be requests or escapes of roff.
func TestRoff(t *testing.T) {
	const text = ".SH X\n'a\n\\fB \"x\" a-b"
	if got, want := roff(text), `\&.SH X`+"\n"+`\&'a`+"\n"+`\efB \(dqx\(dq a\-b`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
