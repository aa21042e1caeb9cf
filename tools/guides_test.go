package tools

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"fullstory-export-mcp/client"
)

// guideLimit is the most bytes of a guide or of a part of one.
const guideLimit = 1500

// guideAddress matches the addresses of guides in a text.
var guideAddress = regexp.MustCompile(guidePrefix + `[a-z_/-]*[a-z]`)

// readGuide returns the text of a guide or a part, which must be short and link to what
// exists.
func readGuide(t *testing.T, topic string) string {
	t.Helper()
	text, err := guideText(topic)
	starts := strings.HasPrefix(text, "# ") || strings.HasPrefix(text, "- `")
	if err != nil || !starts || len(text) > guideLimit {
		t.Errorf("%s has %d bytes, want at most %d: %v\n%.60s", topic, len(text), guideLimit, err, text)
	}
	for _, link := range guideAddress.FindAllString(text, -1) {
		if _, err := guideText(strings.TrimPrefix(link, guidePrefix)); err != nil {
			t.Errorf("%s links to %s, which does not exist", topic, link)
		}
	}
	return text
}

// TestGuides reads every guide, part and column. A guide names its parts.
func TestGuides(t *testing.T) {
	for _, g := range guides() {
		index := readGuide(t, g.topic)
		for _, part := range guideParts(g.topic) {
			readGuide(t, g.topic+"/"+part)
			if !strings.Contains(index, part) {
				t.Errorf("%s does not name its part %s", g.topic, part)
			}
		}
	}
	for _, f := range slices.Concat(client.EventFields(), client.IndividualFields()) {
		name := strings.ToLower(f.Name)
		if text := readGuide(t, "fields/"+name); !strings.Contains(text, "`"+f.Name+"`") {
			t.Errorf("fields/%s says %s", name, text)
		}
	}
	for _, none := range []string{
		"", "x", "fields/", "fields/zip", "fields/page/x", "notices/x", "../guides", "time-windows/",
		"time-windows/../fields", "troubleshooting/key.md", "beside-fullstory/x", "time-windows.md",
	} {
		if text, err := guideText(none); err == nil {
			t.Errorf("there is a guide %q: %.60s", none, text)
		}
	}
}

// TestGuideOfFields checks that the parts by prefix have every column of events, and the
// index the others.
func TestGuideOfFields(t *testing.T) {
	all := fieldsGuide("")
	for _, part := range fieldParts() {
		all += fieldsGuide(part)
	}
	for _, f := range slices.Concat(client.EventFields(), client.IndividualFields()) {
		if !strings.Contains(all, "- `"+f.Name+"`: "+f.About+"\n") {
			t.Errorf("no part has %s", f.Name)
		}
	}
	for part, names := range map[string]string{
		"session": "SessionId SessionStart", "last": "LastPage LastDevice", "indv": "IndvId", "createD": "Created",
	} {
		text := fieldsGuide(part)
		for _, name := range strings.Fields(names) {
			if !strings.Contains(text, "`"+name+"`") {
				t.Errorf("%s: %s", part, text)
			}
		}
	}
	for letter := 'a'; letter <= 'z'; letter++ { // as a beginning of names
		if n := len(fieldsGuide(string(letter))); n > guideLimit {
			t.Errorf("fields/%c has %d bytes", letter, n)
		}
	}
	if page := fieldsGuide("page"); strings.Contains(page, "`EventStart`") || !strings.Contains(page, "`PageUrl`") {
		t.Errorf("the columns of pages: %s", page)
	}
}

// TestInstructions bounds what a host gives a model in every conversation.
func TestInstructions(t *testing.T) {
	if len(instructions) >= 2000 {
		t.Errorf("the instructions have %d bytes, want under 2000", len(instructions))
	}
	for _, g := range guides() {
		if !strings.Contains(instructions, g.topic) {
			t.Errorf("the instructions do not name the guide %s", g.topic)
		}
	}
}
