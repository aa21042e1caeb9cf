//go:build unix

package command

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// strict are flags with which a start of more than three chunks needs consent, and no export
// ends.
var strict = []string{"--confirm-chunks", "3", "--sandbox-op-time", "1h"}

// wires calls test with a client over each transport and of each protocol era that it has.
func wires(t *testing.T, asks bool, test func(t *testing.T, w *wire, name string)) {
	s := serveProgram(t, build(t), t.TempDir(), strict...)
	for name, modern := range map[string]bool{
		"stdio": false, "stdio, modern": true, "streams": false, "streams, modern": true, "sse": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, modern, asks)
			switch kind, _, _ := strings.Cut(name, ","); kind {
			case "stdio":
				overStdio(w, t.TempDir(), strict...)
			case "streams":
				overStreams(w, s, "")
			case "sse":
				overSSE(w, s)
			}
			w.greet()
			test(t, w, strings.ReplaceAll(strings.ReplaceAll(name, ",", ""), " ", "-"))
		})
	}
}

// week is a request of seven chunks.
func week(name string) map[string]any {
	return map[string]any{
		"segment_id": "everyone", "type": "TYPE_EVENT", "name": name,
		"time_range": map[string]string{"start": "2026-10-05", "end": "2026-10-12"},
	}
}

// stateOf returns the state of a bulk export, "" if there is none.
func (w *wire) stateOf(name string) string {
	w.t.Helper()
	text, failed := w.tool("get_bulk_export", map[string]any{"bulk_id": name}, "")
	var s struct{ State string }
	if !failed && json.Unmarshal([]byte(text), &s) != nil {
		w.t.Fatalf("%s", text)
	}
	return s.State
}

// TestConsentOfAskedUsers has clients ask their users: nothing is started or cancelled unless
// the user agrees, and the result of a client that fails to ask says how to continue.
func TestConsentOfAskedUsers(t *testing.T) {
	t.Parallel()
	wires(t, true, func(t *testing.T, w *wire, name string) {
		startOfAsked(t, w, name)
		cancelOfAsked(t, w, name)
	})
}

// startOfAsked starts an export once the user agrees.
func startOfAsked(t *testing.T, w *wire, name string) {
	for answer, says := range map[string]string{
		"decline": "Nothing was started. The user declined.", "cancel": "Nothing was started. The user closed the question",
		"error": "Nothing was started. The user was asked, and did not answer",
	} {
		text, failed := w.tool("start_bulk_export", week(name), answer)
		if !failed || !strings.HasPrefix(text, says) || w.stateOf(name) != "" {
			t.Errorf("%s: %s, it is %s", answer, text, w.stateOf(name))
		}
		if (tokenIn(text) != "") != (answer == "error") {
			t.Errorf("%s, and the token is %q", answer, tokenIn(text))
		}
	}
	dry := week(name)
	dry["dry_run"] = true
	if text, _ := w.tool("start_bulk_export", dry, ""); strings.Contains(text, `"confirm"`) ||
		!strings.Contains(text, "the user is then asked") {
		t.Errorf("a dry run gives a token that bypasses the user: %s", text)
	}
	starts := "Start the bulk export " + name + "? It exports 7 chunks"
	if n := len(w.questions); n != 3 || !strings.HasPrefix(w.questions[0], starts) ||
		!strings.Contains(w.questions[0], "This is 7 chunks") {
		t.Errorf("asked %q", w.questions)
	}
	if text, failed := w.tool("start_bulk_export", week(name), "accept"); failed || w.stateOf(name) != "running" {
		t.Fatalf("accepted: %s", text)
	}
}

// cancelOfAsked cancels it once the user agrees.
func cancelOfAsked(t *testing.T, w *wire, name string) {
	cancel := map[string]any{"bulk_id": name, "action": "cancel"}
	if text, failed := w.tool("control_bulk_export", cancel, "decline"); !failed || w.stateOf(name) != "running" ||
		!strings.HasPrefix(text, "Nothing was cancelled. The user declined.") {
		t.Errorf("not cancelled: %s, it is %s", text, w.stateOf(name))
	}
	if text, failed := w.tool("control_bulk_export", cancel, "accept"); failed || w.stateOf(name) != "cancelled" {
		t.Errorf("cancelled: %s", text)
	}
	cancels := "Cancel the bulk export " + name + "? 0 of its 7 chunks"
	if n := len(w.questions); n != 6 || !strings.HasPrefix(w.questions[5], cancels) {
		t.Errorf("asked %q", w.questions)
	}
	if text, failed := w.tool("control_bulk_export", cancel, "decline"); failed || len(w.questions) != 6 {
		t.Errorf("cancelled again: %s, asked %q", text, w.questions)
	}
}

// TestConsentWithoutQuestions has clients that cannot ask: they get no question, and a token.
func TestConsentWithoutQuestions(t *testing.T) {
	t.Parallel()
	wires(t, false, func(t *testing.T, w *wire, name string) {
		request := week(name)
		text, failed := w.tool("start_bulk_export", request, "accept")
		if token := tokenIn(text); !failed || token == "" || !strings.Contains(text, "Show the user the plan") {
			t.Fatalf("without consent: %s", text)
		}
		request["confirm"] = tokenIn(text)
		if text, failed := w.tool("start_bulk_export", request, ""); failed || w.stateOf(name) != "running" {
			t.Errorf("with the token: %s", text)
		}
		cancel := map[string]any{"bulk_id": name, "action": "cancel"}
		text, failed = w.tool("control_bulk_export", cancel, "accept")
		if !failed || w.stateOf(name) != "running" {
			t.Errorf("cancelled without consent: %s", text)
		}
		cancel["confirm"] = tokenIn(text)
		if text, failed := w.tool("control_bulk_export", cancel, ""); failed || w.stateOf(name) != "cancelled" {
			t.Errorf("cancelled with the token: %s", text)
		}
		if len(w.questions) > 0 {
			t.Errorf("a client that cannot ask is asked %q", w.questions)
		}
	})
}

// TestConsentOfAbsentUsers has clients that ask and never answer, four questions at once: the
// calls end in time, the questions are withdrawn, and the token continues.
func TestConsentOfAbsentUsers(t *testing.T) {
	t.Parallel()
	wires(t, true, func(t *testing.T, w *wire, name string) {
		if !w.modern { // there, no call waits for the answer
			continuesAfter(t, w, name, unanswered(t, w, name))
		}
	})
}

// unanswered starts four exports and answers none of the questions. It returns the text of the
// last result.
func unanswered(t *testing.T, w *wire, name string) (text string) {
	began, waiting := time.Now(), map[string]bool{}
	for _, n := range []string{"a", "b", "c", "d"} {
		waiting[w.send("tools/call", toolCall("start_bulk_export", week(name+n)))] = true
	}
	for len(waiting) > 0 {
		switch m := w.next(); {
		case m.Method == "elicitation/create":
			w.ids = append(w.ids, strings.Trim(string(m.ID), `"`))
		case m.Method == "notifications/cancelled":
			w.withdrawn = append(w.withdrawn, m.Params.RequestID)
		case waiting[string(m.ID)]:
			delete(waiting, string(m.ID))
			if text = m.Result.Content[0].Text; !m.Result.IsError || !strings.Contains(text, "did not answer in time") {
				t.Errorf("unanswered: %s", text)
			}
		}
	}
	if took := time.Since(began); took > 20*time.Second || took < 10*time.Second {
		t.Errorf("the calls took %v", took)
	}
	return text
}

// continuesAfter answers too late, which starts nothing, and continues with the token of text.
func continuesAfter(t *testing.T, w *wire, name, text string) {
	for _, id := range w.ids {
		if !strings.Contains(strings.Join(w.withdrawn, " "), id) {
			t.Errorf("the question %s of %q is not withdrawn: %q", id, w.ids, w.withdrawn)
		}
		w.respond(json.RawMessage(`"`+id+`"`), "accept") // too late
	}
	for _, n := range []string{"a", "b", "c", "d"} {
		request := maps.Clone(week(name + n))
		if w.stateOf(name+n) != "" {
			t.Errorf("%s%s was started by a late answer", name, n)
		}
		if !strings.Contains(text, name+n+"?") {
			continue
		}
		request["confirm"] = tokenIn(text)
		if text, failed := w.tool("start_bulk_export", request, ""); failed || w.stateOf(name+n) != "running" {
			t.Errorf("with the token: %s", text)
		}
	}
}

// TestConsentWithoutATerminal starts and cancels more chunks than are allowed without consent,
// as cron would: that needs --yes.
func TestConsentWithoutATerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	do := func(command string, args ...string) ran { return commandLine(t, t.Context(), dir, command, args...) }
	few := func(n string) []string { return append([]string{"--confirm-chunks", n}, fourChunks...) }
	do("run", few("3")...).says(t, "a large run", 2, "Nothing was started. This is 4 chunks", "Add --yes to start it")
	one := append(few("0"), "--chunk", "day", "--name", "one")
	do("run", one...).says(t, "any run", 2, "This is an export at Fullstory")
	do("run", few("-1")...).says(t, "a budget", 2, "--confirm-chunks: got \"-1\"; give a number of 0 or more")
	do("run", "--confirm-gigabytes", "NaN", "--segment", "everyone", "--from", "2026-09-01").
		says(t, "a budget", 2, "--confirm-gigabytes or FULLSTORY_EXPORT_CONFIRM_GIGABYTES: give 0 or more")
	if started := bulks(t, dir); len(started) > 0 {
		t.Fatalf("without consent: %v", started)
	}
	ctx, cancel := untilExists(t, filepath.Join(dir, "day"))
	defer cancel()
	slowly := append(few("3"), "--yes", "--max-in-flight", "1", "--sandbox-op-time", "1s")
	runs(t, ctx, dir, slowly...).says(t, "an interrupted run", 3, "day is paused")
	do("cancel", "day", "--confirm-chunks", "3").says(t, "a large cancellation", 2,
		"Nothing was cancelled. That cannot be undone. Add --yes to cancel it.")
	if state := bulks(t, dir)["day"]; state != "paused" {
		t.Errorf("it is %s", state)
	}
	do("cancel", "day", "--confirm-chunks", "3", "--yes").says(t, "with --yes", 0, "day was cancelled")

	ctx, cancel = untilExists(t, filepath.Join(dir, "again"))
	defer cancel()
	runs(t, ctx, dir, append(slowly, "--name", "again")...).says(t, "an interrupted run", 3, "again is paused")
	do("cancel", "again").says(t, "a small cancellation", 0, "again was cancelled")
}
