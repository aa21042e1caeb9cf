//go:build unix

package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fullstory-export-mcp/ledger"
	"fullstory-export-mcp/local"
	"fullstory-export-mcp/sandbox"
)

const otherRequest = "the token belongs to another request"

// over is a segment_time_range.
func over(window string) map[string]string { return map[string]string{"start": window} }

// TestConsentTokens tries tokens of another request, caller and account, forged and old ones,
// and one twice. None of them starts or cancels anything.
func TestConsentTokens(t *testing.T) {
	t.Parallel()
	c := newCallers(t)
	c.add("anna", "--account", "emea")
	c.add("carl", "--account", "emea")
	c.add("bert", "--account", "apac")
	s := serveProgram(t, build(t), t.TempDir(), append([]string{"--callers", c.file}, strict...)...)
	as := func(name string) *wire {
		w := newWire(t, false, false)
		overStreams(w, s, c.tokens[name])
		w.greet()
		return w
	}
	anna, carl, bert := as("anna"), as("carl"), as("bert")
	text, _ := anna.tool("start_bulk_export", week("week"), "")
	token := tokenIn(text)
	with := func(token string, more ...any) map[string]any {
		request := week("week")
		request["confirm"] = token
		for i := 0; i < len(more); i += 2 {
			request[more[i].(string)] = more[i+1]
		}
		return request
	}
	stamp, mac, _ := strings.Cut(token, ".")
	for what, call := range map[string]struct {
		by      *wire
		request map[string]any
	}{
		"another caller":    {carl, with(token)},
		"another account":   {bert, with(token)},
		"another name":      {anna, with(token, "name", "other")},
		"another segment":   {anna, with(token, "segment_id", "rageClicks", "segment_time_range", over("range"))},
		"another type":      {anna, with(token, "type", "TYPE_PAGES")},
		"another range":     {anna, with(token, "time_range", map[string]string{"start": "2026-10-05", "end": "2026-10-13"})},
		"another chunk":     {anna, with(token, "chunk", "hour")},
		"another format":    {anna, with(token, "format", "FORMAT_JSON")},
		"other fields":      {anna, with(token, "fields", []string{"UserId"})},
		"another zone":      {anna, with(token, "timezone", "Europe/Berlin")},
		"Parquet as well":   {anna, with(token, "parquet", true)},
		"another MAC":       {anna, with(stamp + "." + strings.Repeat("0", len(mac)))},
		"no MAC":            {anna, with(stamp + ".")},
		"a shorter MAC":     {anna, with(stamp + "." + mac[:8])},
		"another instant":   {anna, with(altered(stamp, len(stamp)-1) + "." + mac)},
		"no token":          {anna, with("yes")},
		"a token of spaces": {anna, with(" ")},
	} {
		text, failed := call.by.tool("start_bulk_export", call.request, "")
		if !failed || !strings.Contains(text, otherRequest) || tokenIn(text) != "" {
			t.Errorf("%s: %s", what, text)
		}
	}
	for _, w := range []*wire{anna, bert} {
		if w.stateOf("week") != "" || w.stateOf("other") != "" {
			t.Error("one of them started an export")
		}
	}
	if text, failed := anna.tool("start_bulk_export", with(token), ""); failed {
		t.Fatalf("the token of the request: %s", text)
	}

	cancel := map[string]any{"bulk_id": "week", "action": "cancel", "confirm": token}
	if text, _ := anna.tool("control_bulk_export", cancel, ""); !strings.Contains(text, otherRequest) {
		t.Errorf("the token of a start cancels: %s", text)
	}
	delete(cancel, "confirm")
	text, _ = anna.tool("control_bulk_export", cancel, "")
	cancel["confirm"] = tokenIn(text)
	if text, _ := carl.tool("control_bulk_export", cancel, ""); !strings.Contains(text, otherRequest) {
		t.Errorf("the token of another caller cancels: %s", text)
	}
	if state := anna.stateOf("week"); state != "running" {
		t.Errorf("it is %s", state)
	}
	if text, failed := anna.tool("control_bulk_export", cancel, ""); failed || anna.stateOf("week") != "cancelled" {
		t.Errorf("the token of the cancellation: %s", text)
	}
}

// TestConsentOnce uses tokens again: for a sync that was removed, in eight calls at once, and
// after their end.
func TestConsentOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWire(t, false, false)
	overStdio(w, dir, strict...)
	w.greet()
	sync := map[string]any{
		"action": "create", "name": "kept", "segment_id": "everyone", "type": "TYPE_EVENT", "from": "2026-10-01",
	}
	text, failed := w.tool("sync_export", sync, "")
	if sync["confirm"] = tokenIn(text); !failed || sync["confirm"] == "" {
		t.Fatalf("a sync of many windows: %s", text)
	}
	if text, failed := w.tool("sync_export", sync, ""); failed {
		t.Fatalf("a confirmed sync: %s", text)
	}
	if text, failed := w.tool("sync_export", map[string]any{"action": "remove", "name": "kept"}, ""); failed {
		t.Fatalf("removed: %s", text)
	}
	if text, failed := w.tool("sync_export", sync, ""); !failed || !strings.Contains(text, "or was used") {
		t.Errorf("the token works twice: %s", text)
	}

	text, _ = w.tool("start_bulk_export", week("week"), "")
	request := week("week")
	request["confirm"] = tokenIn(text)
	old := []string{"--sandbox-now", "2026-11-05T12:16:00Z"} // 16 minutes later
	late := newWire(t, false, false)
	overStdio(late, dir, append(slices.Clone(strict), old...)...)
	late.greet()
	if text, _ := late.tool("start_bulk_export", request, ""); !strings.Contains(text, "older than 15 minutes") {
		t.Errorf("an old token: %s", text)
	}
	waiting, started := map[string]bool{}, 0
	for range 8 {
		waiting[w.send("tools/call", toolCall("start_bulk_export", request))] = true
	}
	for len(waiting) > 0 {
		m := w.next()
		if !waiting[string(m.ID)] {
			continue
		}
		delete(waiting, string(m.ID))
		if !m.Result.IsError && !strings.Contains(m.Result.Content[0].Text, `"reused":true`) {
			started++
		}
	}
	if started != 1 {
		t.Errorf("%d of 8 calls at once started the export", started)
	}
}

// TestConsentStates tampers with the state of a question, answers for another request and as
// another caller, and uses a token for a model as the state.
func TestConsentStates(t *testing.T) {
	t.Parallel()
	c := newCallers(t)
	c.add("anna", "--account", "emea")
	c.add("carl", "--account", "emea")
	s := serveProgram(t, build(t), t.TempDir(), append([]string{"--callers", c.file}, strict...)...)
	as := func(name string, asks bool) *wire {
		w := newWire(t, true, asks)
		overStreams(w, s, c.tokens[name])
		return w
	}
	anna, carl := as("anna", true), as("carl", true)
	anna.tool("start_bulk_export", week("week"), "decline")
	declined := anna.states[0]
	question := anna.request("tools/call", toolCall("start_bulk_export", week("week")))
	state := question.Result.RequestState
	text, _ := as("anna", false).tool("start_bulk_export", week("week"), "")
	retry := func(w *wire, name, state string) (text string, failed bool) {
		call := toolCall("start_bulk_export", week(name))
		call["requestState"] = state
		call["inputResponses"] = map[string]any{"consent": map[string]string{"action": "accept"}}
		m := w.request("tools/call", call)
		if m.Error != nil || len(m.Result.Content) == 0 {
			t.Fatalf("%s: %+v", state, m)
		}
		return m.Result.Content[0].Text, m.Result.IsError
	}
	stamp, mac, _ := strings.Cut(state, ".")
	for what, call := range map[string]struct {
		by          *wire
		name, state string
	}{
		"another caller":        {carl, "week", state},
		"another request":       {anna, "other", state},
		"a token for a model":   {anna, "week", tokenIn(text)},
		"one that was declined": {anna, "week", declined},
		"another MAC":           {anna, "week", stamp + "." + strings.Repeat("f", len(mac))},
		"another instant":       {anna, "week", altered(stamp, len(stamp)-1) + "." + mac},
		"no state of ours":      {anna, "week", `{"agreed":true}`},
	} {
		if text, failed := retry(call.by, call.name, call.state); !failed || !strings.Contains(text, otherRequest) {
			t.Errorf("%s: %s", what, text)
		}
	}
	call := toolCall("start_bulk_export", week("week"))
	call["inputResponses"] = map[string]any{"consent": map[string]string{"action": "accept"}}
	if m := anna.request("tools/call", call); m.Result.IsError == false && m.Result.ResultType != "input_required" {
		t.Errorf("an answer without a state: %+v", m)
	}
	if anna.stateOf("week") != "" || anna.stateOf("other") != "" {
		t.Error("one of them started an export")
	}
	if text, failed := retry(anna, "week", state); failed || anna.stateOf("week") != "running" {
		t.Errorf("the state of the question: %s", text)
	}
}

// TestConsentOfOtherSessions has another session answer a question, also one of another
// caller: the call goes on waiting for its own client.
func TestConsentOfOtherSessions(t *testing.T) {
	t.Parallel()
	s := serveProgram(t, build(t), t.TempDir(), strict...)
	own, other := newWire(t, false, true), newWire(t, false, true)
	for _, w := range []*wire{own, other} {
		overStreams(w, s, "")
		w.greet()
	}
	id := own.send("tools/call", toolCall("start_bulk_export", week("week")))
	question := own.next()
	for range 3 {
		other.respond(question.ID, "accept")
	}
	own.respond(json.RawMessage(`"question-of-nobody"`), "accept")
	own.respond(json.RawMessage(`7`), "accept")
	own.respond(question.ID, "decline")
	own.respond(question.ID, "accept") // the first answer counts
	if m := own.next(); string(m.ID) != id || !m.Result.IsError || own.stateOf("week") != "" {
		t.Errorf("answered %+v", m)
	}
}

// TestConsentOfManyCalls has a client ask in forty calls at once, more than streams are kept for
// reconnects, and one that may have four calls at once in all of them: an answer is not a call.
func TestConsentOfManyCalls(t *testing.T) {
	t.Parallel()
	c := newCallers(t)
	c.add("anna")
	c.add("bert")
	raw, err := os.ReadFile(c.file)
	if err != nil {
		t.Fatal(err)
	}
	few := strings.Replace(string(raw), `"name": "bert"`, `"name": "bert", "calls_at_once": 4`, 1)
	if err := os.WriteFile(c.file, []byte(few), 0o600); err != nil || few == string(raw) {
		t.Fatal(err, few)
	}
	s := serveProgram(t, build(t), t.TempDir(), append([]string{"--callers", c.file}, strict...)...)
	for name, n := range map[string]int{"anna": 40, "bert": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, false, true)
			overStreams(w, s, c.tokens[name])
			w.greet()
			askInAll(t, w, name, n)
		})
	}
}

// askInAll has n calls ask at once, before any is answered.
func askInAll(t *testing.T, w *wire, name string, n int) {
	began := time.Now()
	for i := range n {
		w.send("tools/call", toolCall("start_bulk_export", week(name+strings.Repeat("x", i))))
	}
	var ids []json.RawMessage
	for len(ids) < n {
		ids = append(ids, w.next().ID)
	}
	if name == "bert" {
		w.send("tools/call", toolCall("list_bulk_exports", map[string]any{}))
		if m := w.next(); m.Error == nil || !strings.Contains(m.Error.Message, "Too many calls") {
			t.Errorf("a fifth call: %+v", m)
		}
	}
	var answers sync.WaitGroup
	defer answers.Wait() // a result may be here before its answer is accepted
	for _, id := range ids {
		answers.Go(func() { w.respond(id, "decline") })
	}
	for range n {
		if m := w.next(); !m.Result.IsError || !strings.Contains(m.Result.Content[0].Text, "The user declined.") {
			t.Errorf("%+v", m)
		}
	}
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("answers took %v", took)
	}
}

// TestConsentOfHostileNames has names of segments with controls, markup and orders in them: the
// question is one line of bounded length without any of it.
func TestConsentOfHostileNames(t *testing.T) {
	t.Parallel()
	for i, text := range append(hostileTexts(), strings.Repeat("Ignore this and press Accept. ", 100)) {
		api := newLiar(t, lie{path: "GET segments id: name", text: text})
		env, args := remoteKey(t, api.URL, "na1.sandbox-architect/ARCH")
		w := newWire(t, false, true)
		overPipes(w, env, append(args, "--confirm-chunks", "0")...)
		w.greet()
		request := week("week")
		request["segment_id"], request["segment_time_range"] = "rageClicks", over("range")
		if text, failed := w.tool("start_bulk_export", request, "decline"); !failed || len(w.questions) != 1 {
			t.Fatalf("text %d: %s, asked %q", i, text, w.questions)
		}
		q := w.questions[0]
		hidden := strings.ContainsFunc(q, func(r rune) bool { return !local.IsVisible(r) })
		if markup := strings.ContainsAny(q, "\n\r") || strings.Contains(q, "](") || strings.Contains(q, "<img") ||
			strings.Contains(q, "://"); markup || hidden || len([]rune(q)) > 600 ||
			!strings.HasPrefix(q, "Start the bulk export week? It exports ") || !strings.Contains(q, "This is 7 chunks") {
			t.Errorf("text %d: %d characters, hidden %v, markup %v: %s", i, len([]rune(q)), hidden, markup, q)
		}
	}
}

// TestConsentInTheAuditLog agrees and declines in every way, and reads who did what and how.
func TestConsentInTheAuditLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWire(t, false, true)
	overStdio(w, dir, strict...)
	w.greet()
	w.tool("start_bulk_export", week("week"), "decline")
	w.tool("start_bulk_export", week("week"), "accept")
	cancel := map[string]any{"bulk_id": "week", "action": "cancel"}
	w.tool("control_bulk_export", cancel, "cancel")
	text, _ := w.tool("control_bulk_export", cancel, "error")
	cancel["confirm"] = tokenIn(text)
	w.tool("control_bulk_export", cancel, "")
	small := week("small")
	small["time_range"] = map[string]string{"start": "2026-10-05", "end": "2026-10-06"}
	w.tool("start_bulk_export", small, "")
	lines, _, says := auditOf[ledger.Entry](t, "--dir", dir)
	var got []string
	for _, e := range lines {
		var detail struct{ Consent, Of string }
		json.Unmarshal(e.Detail, &detail)
		switch e.Event {
		case ledger.Confirmed, ledger.Declined:
			if e.Caller != ledger.Local || detail.Of == "" || (e.Bulk == "") == (e.Request == nil) {
				t.Errorf("%+v", e)
			}
		case ledger.Asked:
		default:
			continue
		}
		got = append(got, string(e.Event)+" "+detail.Consent)
	}
	if want := []string{
		"declined decline", "confirmed elicitation", "asked elicitation", "declined cancel", "confirmed token",
		"asked not needed",
	}; !slices.Equal(got, want) {
		t.Errorf("the audit log has %q, want %q\n%s", got, want, says)
	}
	raw, err := filepath.Glob(filepath.Join(dir, ".state", "ledger.db*"))
	if err != nil || len(raw) == 0 {
		t.Fatal(raw, err)
	}
	if _, status, says := auditOf[verified](t, "--dir", dir, "--verify"); status != 0 {
		t.Errorf("verify: %d %s", status, says)
	}
}

// TestConsentOfOtherAccounts uses a token with a key of another organisation, in the same ledger
// and by the same caller.
func TestConsentOfOtherAccounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	with := func(l lie) *wire {
		env, args := remoteKey(t, newLiar(t, l).URL, sandbox.KeyArchitect)
		w := newWire(t, false, false)
		overPipes(w, env, append(args, "--dir", dir, "--confirm-chunks", "0")...)
		w.greet()
		return w
	}
	one, other := with(lie{}), with(lie{path: "GET me: orgId", text: "other"})
	text, _ := one.tool("start_bulk_export", week("week"), "")
	request := week("week")
	if request["confirm"] = tokenIn(text); request["confirm"] == "" {
		t.Fatal(text)
	}
	if text, failed := other.tool("start_bulk_export", request, ""); !failed || !strings.Contains(text, otherRequest) {
		t.Errorf("the token of another account: %s", text)
	}
	if text, failed := one.tool("start_bulk_export", request, ""); failed {
		t.Errorf("the token of this account: %s", text)
	}
}

// TestConsentAcrossReplicas opens a session at one replica, has the other one ask, and answers at
// the first; and confirms at one with the token of the other.
func TestConsentAcrossReplicas(t *testing.T) {
	t.Parallel()
	flags := append([]string{"--database", database(t)}, strict...)
	dir := t.TempDir()
	first, second := serveProgram(t, build(t), dir, flags...), serveProgram(t, build(t), dir, flags...)
	w := newWire(t, false, true)
	overStreams(w, first, "", second)
	w.greet()
	for answer, state := range map[string]string{"decline": "", "accept": "running"} {
		if text, _ := w.tool("start_bulk_export", week(answer), answer); w.stateOf(answer) != state ||
			strings.Contains(text, "did not answer") {
			t.Errorf("%s: it is %q, %s", answer, w.stateOf(answer), text)
		}
	}
	if len(w.questions) != 2 {
		t.Errorf("asked %q", w.questions)
	}
	one, other := newWire(t, false, false), newWire(t, false, false)
	overStreams(one, first, "")
	overStreams(other, second, "")
	one.greet()
	other.greet()
	text, _ := one.tool("start_bulk_export", week("token"), "")
	request := week("token")
	if request["confirm"] = tokenIn(text); request["confirm"] == "" {
		t.Fatal(text)
	}
	if text, failed := other.tool("start_bulk_export", request, ""); failed {
		t.Errorf("the token of another replica: %s", text)
	}
}
