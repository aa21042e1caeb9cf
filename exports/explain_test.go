package exports

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fullstory-export-mcp/archive"
	"fullstory-export-mcp/client"
	"fullstory-export-mcp/download"
	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/mirror"
	"fullstory-export-mcp/plan"
	"fullstory-export-mcp/preflight"
	"fullstory-export-mcp/rows"
	"fullstory-export-mcp/schema"
)

// failures returns failures of every kind.
func failures() map[string]error {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	create := "create segment export"
	large := confirmation{
		large: "This is 5832 chunks.", question: "Start the bulk export all?", nothing: "Nothing was started.",
		terminal: "Add `confirm` to start it.", dryRun: true,
	}
	return map[string]error{
		"arguments":     &schema.Invalid{Problems: []schema.Problem{{Field: "limit", Got: "5", Want: "less"}}},
		"time":          &plan.Error{Field: "time_range.start", Got: "x", Message: "not understood"},
		"two arguments": errors.Join(wrong("time_range", "empty"), wrong("scope", "without `scope`")),
		"400":           &client.Error{Op: create, Status: 400, Message: "fields is bad"},
		"400 with a hint": withHints(&client.Error{Op: create, Status: 400, Message: "fields is bad"},
			[]preflight.Notice{{
				Code: "unknown_field", Message: "\"Page\" is not documented.", Fix: "Perhaps you mean PageUrl.",
			}}),
		"200 with an error":  &client.Error{Op: create, Status: 200, Message: "quota"},
		"401":                &client.Error{Status: 401, KeySource: "FULLSTORY_API_KEY_EMEA"},
		"401 of login":       &client.Error{Status: 401, KeySource: SourceOfLogin("", "the system's keychain")},
		"401 of login, file": &client.Error{Status: 401, KeySource: SourceOfLogin("emea", "the file /c/key-emea")},
		"401 of a form":      &client.Error{Status: 401, KeySource: "the settings of this extension"},
		"401 of a file":      &client.Error{Status: 401, KeySource: "FULLSTORY_API_KEY_FILE=/run/key"},
		"403":                &client.Error{Status: 403, Message: "not enabled"},
		"403 of a low role":  forbidden(&client.Error{Status: 403, Message: "no"}, "USER"),
		"403 of a good role": forbidden(&client.Error{Status: 403, Message: "not enabled"}, "ARCHITECT"),
		"low role": blocked([]preflight.Notice{{
			Code: preflight.RoleTooLow, Level: preflight.Blocker, Message: "The API key has the role USER.",
		}}),
		"403 of a proxy":   &client.Error{Status: 403, Code: client.CodeNotTheAPI, Message: "an HTML page"},
		"502 of a gateway": &client.Error{Status: 502, Code: client.CodeNotTheAPI, Message: "an HTML page"},
		"proxy that does not connect": &client.Error{Status: 403, Code: client.CodeNotTheAPI,
			Err: errors.New("the proxy p:3128 answered CONNECT with 403 Forbidden")},
		"redirect":    &client.Error{Status: 307, Code: client.CodeNotTheAPI, Message: "a redirect to https://x"},
		"certificate": &client.Error{Code: client.CodeCertificate, Err: errors.New("x509: unknown authority")},
		"another organisation": &client.Error{Code: client.CodeOtherOrganization, KeySource: "FULLSTORY_API_KEY_FILE=/k",
			Message: "the API key now belongs to the organisation B, and this server works for A"},
		"no key":                MissingKey{Variable: "K", Program: "/opt/program"}.Because("No key"),
		"no key in a form":      MissingKey{Variable: "K", Program: "/opt/program", Form: true}.Because("No key"),
		"no key of emea":        MissingKey{Variable: "K_EMEA", Account: "emea"}.Because("No key"),
		"locked keychain":       MissingKey{Variable: "K"}.Locked(errors.New("the keychain did not answer")),
		"locked keychain, form": MissingKey{Variable: "K", Form: true}.Locked(errors.New("the keychain did not answer")),
		"misconfigured":         Misconfigured(errors.New("the address is wrong")),
		"404":                   &client.Error{Op: "get operation", Status: 404, Message: "There is no such operation."},
		"404 of a segment":      &client.Error{Op: "get segment", Status: 404, Message: "None."},
		"expired export":        &client.Error{Op: "get export results", Status: 410},
		"429":                   &client.Error{Status: 429, RetryAfter: 7 * time.Second},
		"429 of a day":          &client.Error{Status: 429, RetryAfter: 24 * time.Hour},
		"500":                   &client.Error{Op: "list segments", Status: 500},
		"down":                  &client.Error{Op: "list segments", Err: dial},
		"slow":                  &client.Error{Op: "list segments", Err: context.DeadlineExceeded},
		"uncertain":             &client.Error{Op: create, Status: 502, Uncertain: true},
		"uncertain page": &client.Error{Op: create, Status: 200, Code: client.CodeNotTheAPI, Message: "an HTML page",
			Uncertain: true},
		"id that cannot be used": &client.Error{Op: create, Status: 200, Uncertain: true, Code: client.CodeUnusableID,
			Message: "the export was accepted, but its id of 501 bytes cannot be used"},
		"unrecorded":    unrecorded("op=", &archive.DiskError{Path: "/x", Err: syscall.ENOSPC}),
		"disk full":     &archive.DiskError{Path: "/x", Need: 5e6, Keep: 64e6, Free: 1e6},
		"no permission": &archive.DiskError{Path: "/x", Err: fs.ErrPermission},
		"open folder":   &archive.DiskError{Path: "/x", Err: &local.OpenError{Path: "/x", Mode: 0o777}},
		"pipe in place of a file": &archive.DiskError{
			Path: "/x", Err: &fs.PathError{Op: "open", Path: "manifest.json", Err: local.ErrNotRegular},
		},
		"ledger": &ledger.Error{Message: "The ledger l is damaged.", Remedy: "Move it away."},
		"ledger locked": &ledger.Error{Message: "The ledger l is locked.", Remedy: "Close the other program.",
			Busy: true},
		"mirror": &mirror.Error{Message: "There is no bucket b.", Remedy: "Create it."},
		"mirror down": &mirror.Error{Message: "The mirror m cannot be reached.", Remedy: "Check the store.",
			Temporary: true},
		"damaged file":         &rows.Error{Reason: "the gzip file is cut off"},
		"large file":           &rows.Error{Reason: "it has more than 5000 columns", TooLarge: true},
		"link rejected":        &download.LinkError{Status: 403},
		"link not followed":    &download.LinkError{Reason: "it leads to 10.0.0.1"},
		"link to another host": &download.LinkError{Reason: "its host x.example.com is not allowed", Unlisted: true},
		"interrupted download": &download.TransferError{Done: 5000, Err: errors.New("reset")},
		"fetched elsewhere":    &archive.BusyError{Name: "x"},
		"damaged manifest":     &archive.ManifestError{Path: "/x/manifest.json", Reason: "is damaged"},
		"conflict":             &archive.ConflictError{Path: "/x/y"},
		"not confirmed":        unconfirmed(large, &NeedsConsent{Question: large.asked(), token: "k.1"}),
		"not answered":         unconfirmed(large, &NeedsConsent{Question: large.asked(), token: "k.1", unanswered: true}),
		"wrong token":          wrongToken(large),
		"declined":             declined(large.nothing, Disagreed),
		"question closed":      declined("Nothing was cancelled.", Dismissed),
		"too many exports": &ledger.QuotaError{Quota: ledger.Quota{Exports: 1000, Chunks: 500_000},
			Open: ledger.Opened{Bulks: 990, Singles: 11, Chunks: 5000}, More: 1},
		"too many chunks": &ledger.QuotaError{Quota: ledger.Quota{Exports: 1000, Chunks: 500_000},
			Open: ledger.Opened{Bulks: 20, Singles: 1, Chunks: 499_000}, More: 8760},
		"name taken":   taken(ledger.Bulk{Name: "september", ID: "bulk_1", State: ledger.BulkRunning}),
		"wrong state":  wrongState(Resume, ledger.BulkCancelled),
		"unknown bulk": unknownBulk("x", ledger.ErrNotFound),
		"bug":          Bug("abc"),
		"stopping":     ErrStopping,
		"cancelled":    context.Canceled,
		"429 at a known time": &client.Error{Op: create, Status: 429, RetryAfter: 40 * time.Second,
			At: time.Date(2026, 11, 5, 14, 2, 40, 0, time.UTC)},
		"429 of a day at a known time": &client.Error{Op: create, Status: 429, RetryAfter: 24 * time.Hour,
			At: time.Date(2026, 11, 5, 14, 2, 40, 0, time.UTC)},
		"429 without a time": &client.Error{Op: create, Status: 429},
		"no turn":            &client.Error{Op: create, Code: client.CodeQueue, Err: context.DeadlineExceeded},
		"expired": withExpiry(&client.Error{Op: "get export results", Status: 404, Message: "gone"},
			time.Date(2026, 11, 5, 14, 2, 40, 0, time.UTC)),
		"too long": context.DeadlineExceeded,
		"unknown":  errors.New("odd"),
	}
}

var update = flag.Bool("update", false, "write the golden file")

// TestExplain compares the explanations of failures of every kind with a golden file: the
// kind, the text for a model (M), the text for a terminal (T), and the texts recorded for
// both (R), the cause and the operator's remedy. With -update it writes the file.
func TestExplain(t *testing.T) {
	const golden = "testdata/explanations.txt"
	var got strings.Builder
	kinds := map[Kind]bool{}
	all := failures()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		x := Explain(fmt.Errorf("wrapped: %w", all[name]))
		kinds[x.Kind] = true
		model, terminal := x.ForModel(), x.ForTerminal()
		if model == terminal {
			t.Errorf("%s: a model and a terminal have the same text %q", name, model)
		}
		checkTerminal(t, terminal)
		cause, remedy := x.Recorded()
		fmt.Fprintf(&got, "%s (%s)\n", name, x.Kind)
		for mark, text := range map[string]string{"M": model, "T": terminal} {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: the text %s is empty", name, mark)
			}
		}
		for _, text := range []string{"M " + model, "T " + terminal, "R " + cause + " | " + remedy} {
			fmt.Fprintf(&got, "  %s\n", strings.ReplaceAll(text, "\n", "\n    "))
		}
	}
	for _, k := range []Kind{Arguments, Uncertain, Ledger, Disk, Mirror, File, Fullstory, Setup, Ended, Internal} {
		if !kinds[k] {
			t.Errorf("no failure is of the kind %s", k)
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("explanations changed (-want +got):\n%s", diff)
	}
}

// TestForTerminal renders names in backticks, and leaves everything else as it is.
func TestForTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"done at about 2026-11-25T13:00:12+01:00 (2026-11-25T12:00:12Z).": "done at about 2026-11-25T13:00:12+01:00.",
		"Give `segment_time_range` \"range\", or `scope`.":                "Give --segment-window \"range\", or --scope.",
		"TYPE_INDIVIDUAL has no scope.":                                   "--type individuals has no scope.",
		"Use FORMAT_NDJSON.":                                              "Use --format ndjson.",
		"to 2026-10-02T00:00:00+02:00 (excluded), in UTC 2026-09-30T22:00:00Z to 2026-10-01T22:00:00Z, as a.": "to " +
			"2026-10-02T00:00:00+02:00 (excluded), as a.",
		"`check_connection` shows it.":       "doctor shows it.",
		"The API says `what` about `scope`.": "The API says `what` about --scope.",
		"`a` `b":                             "`a` `b",
		"one ` alone":                        "one ` alone",
		"`scope":                             "`scope",
		"":                                   "",
	} {
		if got := ForTerminal(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// jsonName is the name of a tool, or of an argument or value of more than one word.
var jsonName = regexp.MustCompile(`[a-z]+(_[a-z]+)+`)

// checkTerminal fails if a text for a terminal addresses a model or names a tool.
func checkTerminal(t *testing.T, text string) {
	t.Helper()
	for _, name := range jsonName.FindAllString(text, -1) {
		period := strings.HasPrefix(name, "last_") || strings.HasPrefix(name, "this_")
		if !period && name != "duplicate_fields" {
			t.Errorf("the name %s in a terminal: %s", name, text)
		}
	}
	for _, words := range []string{"sk the user", "all again", "A person", "omebody"} {
		if strings.Contains(text, words) {
			t.Errorf("%q in a terminal: %s", words, text)
		}
	}
	for name := range inTerminal {
		if strings.Contains(text, "`"+name+"`") {
			t.Errorf("`%s` in a terminal: %s", name, text)
		}
	}
}

// TestMessagesForTerminal reads every message in the code of these packages: the names of
// arguments and tools are in backticks, so that ForTerminal can replace them.
func TestMessagesForTerminal(t *testing.T) {
	messages := 0
	for _, dir := range []string{".", "../preflight", "../plan", "../bulk"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") }) {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Field: // its tag is for a schema
					return n.Tag == nil
				case *ast.FuncDecl:
					return n.Name.Name != "Codes" // is only in the documentation
				case *ast.BasicLit:
					text, err := strconv.Unquote(n.Value)
					if err == nil && n.Kind == token.STRING && strings.Contains(text, " ") {
						messages++
						checkTerminal(t, withoutModel(ForTerminal(text)))
					}
				}
				return true
			})
		}
	}
	if messages < 100 {
		t.Errorf("only %d messages were found", messages)
	}
}

// withoutModel removes words that only a model reads: remedies that have another text for
// a terminal.
func withoutModel(text string) string {
	for _, words := range []string{"sk the user", "all again"} {
		text = strings.ReplaceAll(text, words, "")
	}
	return text
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                          "plain",
		"a\nb\tc":                        "a b c",
		"\x1b[31mred\x1b[0m":             "[31mred[0m",
		"abc\u202edef\u2066\u200b\ufeff": "abcdef",
		"bad\xff":                        "bad�",
		"héllo wörld":                    "héllo …",
	} {
		limit := 100
		if strings.HasPrefix(in, "h") {
			limit = 6
		}
		if got := client.Clean(in, limit); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
