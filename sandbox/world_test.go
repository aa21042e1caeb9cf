package sandbox

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var publishedEventTypes = []string{
	"abandon", "backgrounded", "change", "click", "click_error", "console_message", "copy", "crashed",
	"cumulative_layout_shift", "custom", "custom_error", "exception", "first_input_delay", "highlight",
	"keyboard_open", "keyboard_close", "load", "low_memory", "navigate", "pageview", "paste", "pinch_gesture",
	"request", "seen", "seen_error", "thrash",
}

// TestRowsFollowTheDictionary checks the rows of a day against the published
// dictionary.
func TestRowsFollowTheDictionary(t *testing.T) {
	t.Parallel()
	d := shop(t, 600)
	c := rowCheck{T: t, known: map[string]bool{}, pages: map[string]string{}, types: map[string]bool{}}
	day := file(t, d, everyone(t, d, window{from: clock.AddDate(0, 0, -1)}))
	for line := range strings.Lines(day) {
		var row map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &row); err != nil || !utf8.ValidString(line) {
			t.Fatalf("%v: %s", err, line)
		}
		c.names(row)
		c.ids(row)
		c.page(row)
		c.types[c.kind(row)] = true
	}
	if c.inexact == 0 {
		t.Error("every id survives a conversion to float64")
	}
	if len(c.types) < 18 {
		t.Errorf("only %d kinds of events: %v", len(c.types), c.types)
	}
	for _, hostile := range []string{`\n`, `\r\n`, `\"`, "🍅", "ב", "SYSTEM:", "\u202E"} {
		if !strings.Contains(day, hostile) {
			t.Errorf("no text with %q", hostile)
		}
	}
}

// rowCheck checks rows one by one, and fails the test at the first wrong one.
type rowCheck struct {
	*testing.T
	known   map[string]bool   // fields that the dictionary has
	pages   map[string]string // the constant columns of each page
	types   map[string]bool   // event types that occurred
	inexact int               // ids that float64 cannot represent
}

// names checks that the dictionary has every field of a row, that fields of one kind
// of event occur only there, and that flags are absent instead of 0.
func (c *rowCheck) names(row map[string]json.RawMessage) {
	for name := range row {
		if !c.known[name] && !knownField(name, eventRows) {
			c.Fatalf("the row has %q: %s", name, row)
		}
		c.known[name] = true
		for prefix, kind := range map[string]string{"Load": "load", "Req": "request", "EventCustomName": "custom"} {
			if strings.HasPrefix(name, prefix) && string(row["EventType"]) != strconv.Quote(kind) {
				c.Fatalf("%s in a row of %s", name, row["EventType"])
			}
		}
	}
	for _, name := range []string{"EventModFrustrated", "EventModDead", "EventModError", "EventModSuspicious"} {
		if string(row[name]) == "0" {
			c.Fatalf("%s is 0 and not absent: %s", name, row)
		}
	}
}

// ids checks that the ids of a row are positive 19-digit numbers.
func (c *rowCheck) ids(row map[string]json.RawMessage) {
	for _, name := range []string{"IndvId", "UserId", "SessionId", "PageId"} {
		n, err := strconv.ParseInt(string(row[name]), 10, 64)
		if err != nil || n <= 0 || len(row[name]) != 19 {
			c.Fatalf("%s is %s: %v", name, row[name], err)
		}
		if int64(float64(n)) != n {
			c.inexact++
		}
	}
}

// page checks that the columns of a page are the same in all of its rows.
func (c *rowCheck) page(row map[string]json.RawMessage) {
	page := string(row["UserId"]) + " " + string(row["SessionId"]) + " " + string(row["PageId"])
	constant := string(row["PageDuration"]) + string(row["PageActiveDuration"]) + string(row["PageUrl"]) +
		string(row["PageStart"]) + string(row["SessionStart"]) + string(row["IndvId"])
	if was := c.pages[page]; was != "" && was != constant {
		c.Fatalf("page %s has both %s and %s", page, was, constant)
	}
	c.pages[page] = constant
}

// kind returns the event type of a row, which must be a published one.
func (c *rowCheck) kind(row map[string]json.RawMessage) string {
	var kind string
	if err := json.Unmarshal(row["EventType"], &kind); err != nil || !slices.Contains(publishedEventTypes, kind) {
		c.Fatalf("event type %s: %v", row["EventType"], err)
	}
	return kind
}

// TestTextsOfTimes checks that about one time in a thousand is a whole second, without
// a fraction, as in Fullstory's own samples.
func TestTextsOfTimes(t *testing.T) {
	d := shop(t, 600)
	q := everyone(t, d, window{from: clock.AddDate(0, 0, -5)})
	q.fields = []string{"EventStart"}
	form := regexp.MustCompile(`^{"EventStart":"[0-9-]{10}T[0-9:]{8}(\.[0-9]{3})?Z"}\n$`)
	all, whole := 0, 0
	for _, line := range lines(t, d, q) {
		parts := form.FindStringSubmatch(line)
		if parts == nil || parts[1] == ".000" {
			t.Fatalf("a row is %s", line)
		}
		all++
		if parts[1] == "" {
			whole++
		}
	}
	if whole < all/2500 || whole > all/500 {
		t.Errorf("%d of %d times are whole seconds", whole, all)
	}
}

// TestTextsOfTargets checks that every event with a target has the target's text, and
// that some of them are empty, as in Fullstory's own samples.
func TestTextsOfTargets(t *testing.T) {
	t.Parallel()
	d := shop(t, 600)
	present, empty := 0, 0
	for _, line := range lines(t, d, everyone(t, d, window{from: clock.AddDate(0, 0, -1)})) {
		has := strings.Contains(line, `"EventTargetText":"`)
		if !has && strings.Contains(line, `"EventTargetSelector":`) {
			t.Fatalf("a target without a text: %s", line)
		}
		if has {
			present++
		}
		if strings.Contains(line, `"EventTargetText":""`) {
			empty++
		}
	}
	if empty < present/8 || empty > present/3 {
		t.Errorf("%d of %d texts are empty", empty, present)
	}
}

func TestSessionsAreBoundedAndInOrder(t *testing.T) {
	d := shop(t, 600)
	ids, crossing := map[int64]bool{}, 0
	err := d.source.sessions(t.Context(), span{clock.AddDate(0, 0, -14).UnixMilli(), clock.UnixMilli()},
		clock.UnixMilli(), nil, func(s *session) error {
			last := s.events[len(s.events)-1].at
			if last >= s.start+maxSession || last >= s.start+s.limit {
				t.Errorf("session %d lasts %v, its limit is %v", s.id, time.Duration(last-s.start)*time.Millisecond,
					time.Duration(s.limit)*time.Millisecond)
			}
			if s.userCreated > s.start {
				t.Errorf("session %d began before its UserId was created", s.id)
			}
			if ids[s.id] {
				t.Errorf("session %d occurs twice", s.id)
			}
			ids[s.id] = true
			if last/dayMs != s.start/dayMs {
				crossing++
			}
			if !slices.IsSortedFunc(s.events, func(a, b event) int { return int(a.at - b.at) }) {
				t.Errorf("the events of session %d are not in order of time", s.id)
			}
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if crossing == 0 {
		t.Error("no session crosses midnight")
	}
}

func TestDensity(t *testing.T) {
	for _, density := range []float64{10, 600, 1_000_000} {
		d := shop(t, density)
		weeks := span{clock.AddDate(0, 0, -70).UnixMilli(), clock.UnixMilli()}
		if density > 1000 { // a few seconds of a big shop are enough
			weeks.from = clock.Add(-10 * time.Second).UnixMilli()
		}
		events := 0
		err := d.source.sessions(t.Context(), weeks, clock.UnixMilli(), nil, func(s *session) error {
			for i := range s.events {
				if weeks.contains(s.events[i].at) {
					events++
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		hours := float64(weeks.to-weeks.from) / float64(hourMs)
		t.Logf("density %g: %g an hour", density, float64(events)/hours)
		if density < 1000 && math.Abs(float64(events)/hours/density-1) > 0.08 {
			t.Errorf("density %g gives %g events an hour", density, float64(events)/hours)
		}
		if events == 0 {
			t.Errorf("density %g gives nothing", density)
		}
	}
}

func TestVolumeProfile(t *testing.T) {
	week, sum := newVolumeProfile(), 0.0
	for _, weight := range week {
		sum += weight
	}
	if math.Abs(sum/168-1) > 1e-9 {
		t.Errorf("the weights average %g", sum/168)
	}
	at := func(day, hour int) float64 {
		return week.at(time.Date(2026, 9, day, hour, 0, 0, 0, time.UTC).UnixMilli() / hourMs)
	}
	if monday, sunday := at(28, 12), at(27, 12); monday <= sunday {
		t.Errorf("Monday noon %g, Sunday noon %g", monday, sunday)
	}
	if noon, night := at(28, 12), at(28, 3); noon < 10*night {
		t.Errorf("noon %g, night %g", noon, night)
	}
}

func TestPeopleComeBackOnSeveralDevices(t *testing.T) {
	d := shop(t, 600)
	users, days := map[int64]map[int64]bool{}, map[int64]map[int64]bool{}
	anonymous := 0
	err := d.source.sessions(t.Context(), span{clock.AddDate(0, 0, -20).UnixMilli(), clock.UnixMilli()},
		clock.UnixMilli(), nil, func(s *session) error {
			if !s.person.signedIn {
				anonymous++
				if s.person.id != s.userID || s.person.appKey != "" || s.person.email != "" {
					t.Errorf("anonymous %+v with UserId %d", s.person, s.userID)
				}
				return nil
			}
			if users[s.person.id] == nil {
				users[s.person.id], days[s.person.id] = map[int64]bool{}, map[int64]bool{}
			}
			users[s.person.id][s.userID], days[s.person.id][s.start/dayMs] = true, true
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	several, returning := 0, 0
	for id := range users {
		if len(users[id]) > 1 {
			several++
		}
		if len(days[id]) > 1 {
			returning++
		}
	}
	if several < 20 || returning < 100 || anonymous == 0 {
		t.Errorf("of %d signed-in people %d use several devices and %d return; %d anonymous sessions", len(users),
			several, returning, anonymous)
	}
}
