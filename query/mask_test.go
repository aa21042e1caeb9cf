package query

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// maskedFiles are files whose people have the e-mail addresses person0@example.com and so on,
// in the order of their ids, with everything where a personal value can be.
func maskedFiles(t testing.TB) []File {
	f := testFile{
		day: "2026-10-03", bulk: "m", page: 400, dict: 1 << 20, groups: 70,
		columns: []testColumn{
			{"UserId", whole, false}, {"EventType", text, false}, {"UserEmail", text, false}, {"Email", text, false},
			{"user_age_int", whole, false}, {"user_rate_real", decimal, false}, {"user_vip_bool", truth, false},
			{"user_seen_date", instant, false}, {"user_tags_strs", text, true}, {"UserVars", text, false},
			{"_rest", text, false}, {"PageUrl", text, false}, {"evt_notes_strs", text, true},
		},
	}
	for i := range 200 {
		email := any(fmt.Sprintf("person%03d@example.com", i/4))
		switch i % 10 {
		case 8:
			email = ""
		case 9:
			email = nil
		}
		f.rows = append(f.rows, []any{
			int64(i), []string{"click", "load"}[i%2], email, email, int64(40 + i/4), float64(i) / 8, i%3 == 0,
			int64(worldStart + i*1_000_000), []any{fmt.Sprintf("secret%d", i)},
			fmt.Sprintf(`{"secret":"secret%d","email":"person%03d@example.com"}`, i, i/4),
			fmt.Sprintf(`{"UserEmail":["secret%d"]}`, i),
			fmt.Sprintf("https://x.example.com/%d?mail=person%03d@example.com&tel=+49301234%03d", i%3, i/4, i),
			[]any{fmt.Sprintf("call +49301234%03d, or person%03d@example.com", i, i/4)},
		})
	}
	return []File{f.write(t, t.TempDir())}
}

func withMask(o *Options) {
	o.MaskKey = []byte("0123456789abcdef0123456789abcdef")
}

// TestMask counts and joins masked columns.
func TestMask(t *testing.T) {
	files := maskedFiles(t)
	for _, c := range []struct {
		sql  string
		want any
	}{
		{"SELECT count(DISTINCT UserEmail) FROM rows WHERE UserEmail <> ''", int64(50)},
		{"SELECT count(*) FROM rows WHERE UserEmail = ''", int64(20)},
		{"SELECT count(*) FROM rows WHERE UserEmail IS NULL", int64(20)},
		{"SELECT count(*) FROM rows WHERE UserEmail = Email", int64(180)},
		{"SELECT count(*) FROM rows a JOIN rows b ON a.UserEmail = b.Email WHERE a.UserEmail <> ''", int64(560)},
		{"SELECT count(DISTINCT user_age_int) FROM rows", int64(50)},
		{"SELECT count(DISTINCT user_vip_bool) FROM rows", int64(2)},
		{"SELECT count(DISTINCT user_tags_strs) FROM rows", int64(200)},
		{"SELECT typeof(user_age_int) || typeof(user_rate_real) FROM rows LIMIT 1", "texttext"},
		{"SELECT count(*) FROM rows WHERE UserEmail LIKE '~%' AND length(UserEmail) = 17", int64(160)},
		{"SELECT count(*) FROM (SELECT UserEmail FROM rows GROUP BY UserEmail)", int64(52)},
		{"SELECT count(*) FROM rows WHERE UserId < 10 AND EventType = 'click'", int64(5)},
		{"SELECT count(*) FROM rows a WHERE EXISTS (SELECT 1 FROM rows b WHERE b.Email = a.UserEmail)", int64(180)},
		{"SELECT count(*) FROM (SELECT EventType, UserEmail FROM rows ORDER BY EventType) WHERE UserEmail LIKE " +
			"'%person%'", int64(0)},
	} {
		for _, off := range []bool{false, true} {
			got := one(t, files, c.sql, func(o *Options) { withMask(o); o.noPushDown = off })
			if got != c.want {
				t.Errorf("%s (push-down off: %v) is %v, want %v", c.sql, off, got, c.want)
			}
		}
	}
}

// TestUnmask tries to learn masked values. The answers must not have any, and conditions on
// them must not hold.
func TestUnmask(t *testing.T) {
	files := maskedFiles(t)
	const email = "person007@example.com"
	for _, a := range []struct{ name, sql, want string }{
		{"all", "SELECT * FROM rows", "-"},
		{"equality", "SELECT count(*) FROM rows WHERE UserEmail = '" + email + "'", "0"},
		{"equality, the other way", "SELECT count(*) FROM rows WHERE '" + email + "' = UserEmail", "0"},
		{"IS", "SELECT count(*) FROM rows WHERE UserEmail IS '" + email + "'", "0"},
		{"IN", "SELECT count(*) FROM rows WHERE UserEmail IN ('" + email + "', 'b')", "0"},
		{"LIKE", "SELECT count(*) FROM rows WHERE UserEmail LIKE 'person%'", "0"},
		{"GLOB", "SELECT count(*) FROM rows WHERE UserEmail GLOB '*example*'", "0"},
		{"instr", "SELECT count(*) FROM rows WHERE instr(UserEmail, '@')", "0"},
		{"between", "SELECT count(*) FROM rows WHERE UserEmail BETWEEN 'p' AND 'q'", "0"},
		{"less than", "SELECT count(*) FROM rows WHERE UserEmail < 'person1' AND UserEmail > ''", "0"},
		{"join with literals", "SELECT count(*) FROM rows JOIN (SELECT '" + email + "' AS e UNION ALL SELECT 'x') ON " +
			"UserEmail = e", "0"},
		{"join with literals many times", "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 60), " +
			"g(e) AS MATERIALIZED (SELECT printf('person%03d@example.com', i) FROM n) SELECT count(*) FROM g JOIN rows " +
			"ON UserEmail = e", "0"},
		{"integers", "SELECT count(*) FROM rows WHERE user_age_int BETWEEN 0 AND 100", "0"},
		{"integers, equal", "SELECT count(*) FROM rows WHERE user_age_int = 47", "0"},
		{"integers, as text", "SELECT count(*) FROM rows WHERE user_age_int = '47'", "0"},
		{"integers, cast", "SELECT count(*) FROM rows WHERE CAST(user_age_int AS INTEGER) = 47", "0"},
		{"integers, sum", "SELECT sum(user_age_int) FROM rows", "0"},
		{"doubles", "SELECT count(*) FROM rows WHERE user_rate_real < 100.0", "0"},
		{"doubles, equal", "SELECT count(*) FROM rows WHERE user_rate_real = 0.125", "0"},
		{"booleans", "SELECT count(*) FROM rows WHERE user_vip_bool = 1 OR user_vip_bool", "0"},
		{"times", "SELECT count(*) FROM rows WHERE user_seen_date >= '2026-10-03' AND user_seen_date < '2026-10-04'", "0"},
		{"times, parts", "SELECT count(*) FROM rows WHERE strftime('%Y', user_seen_date) = '2026'", "0"},
		{"lists", "SELECT count(*) FROM rows WHERE json_valid(user_tags_strs)", "0"},
		{"lists, elements", "SELECT count(*) FROM rows WHERE user_tags_strs LIKE '%secret%'", "0"},
		{"documents", "SELECT count(*) FROM rows WHERE UserVars LIKE '%secret%' OR json_valid(UserVars)", "0"},
		{"documents, a member", "SELECT UserVars ->> '$.email' FROM rows", "!malformed JSON"},
		{"the rest", "SELECT count(*) FROM rows WHERE _rest LIKE '%secret%'", "0"},
		{"substr", "SELECT count(*) FROM rows WHERE substr(UserEmail, 1, 6) = 'person'", "0"},
		{"length", "SELECT count(DISTINCT length(UserEmail)) FROM rows WHERE UserEmail <> ''", "1"},
		{"hex", "SELECT count(*) FROM rows WHERE hex(UserEmail) LIKE '706572736F6E%'", "0"},
		{"min", "SELECT min(UserEmail) FROM rows WHERE UserEmail <> ''", "~"},
		{"max", "SELECT max(UserEmail) FROM rows", "~"},
		{"group by", "SELECT UserEmail, count(*) FROM rows WHERE UserEmail <> '' GROUP BY UserEmail", "~"},
		{"group by with others", "SELECT EventType, UserEmail FROM rows WHERE UserEmail <> '' ORDER BY EventType", "-"},
		{"group_concat", "SELECT group_concat(UserEmail) FROM rows", "-"},
		{"order of an aggregate", "SELECT group_concat(UserEmail ORDER BY UserEmail) FROM rows", "-"},
		{"concatenation", "SELECT UserEmail || '' FROM rows WHERE UserEmail <> ''", "~"},
		{"cast", "SELECT CAST(UserEmail AS BLOB) FROM rows WHERE UserEmail <> ''", "x'7e"},
		{"unary plus", "SELECT count(*) FROM rows WHERE +UserEmail = '" + email + "'", "0"},
		{"coalesce", "SELECT coalesce(NULL, UserEmail) FROM rows WHERE UserEmail <> ''", "~"},
		{"quotes", `SELECT "UserEmail" FROM rows WHERE [UserEmail] <> ''`, "~"},
		{"another case", "SELECT USEREMAIL FROM rows WHERE useremail <> ''", "~"},
		{"an alias", "WITH r(e) AS (SELECT UserEmail FROM rows) SELECT e FROM r WHERE e <> ''", "~"},
		{"a view of all", "SELECT Email FROM (SELECT * FROM rows) WHERE Email <> ''", "~"},
		{"json_object", "SELECT json_object('e', UserEmail) FROM rows", "-"},
		{"json_each", "SELECT value FROM rows, json_each(json_array(UserEmail)) WHERE value <> ''", "~"},
		{"an error of JSON", "SELECT json_extract('{}', UserEmail) FROM rows WHERE UserEmail <> ''", "!bad JSON path: '~"},
		{"an error of a path", "SELECT json_extract(UserEmail, '$') FROM rows WHERE UserEmail <> ''", "!malformed JSON"},
		{"an error of a table-valued function", "SELECT * FROM rows, json_each(UserEmail) WHERE UserEmail <> " +
			"''", "!malformed JSON"},
		{"an error of a guess", "SELECT CASE WHEN UserEmail = '" + email + "' THEN json('x') ELSE 0 END FROM rows " +
			"WHERE UserId = 28", "0"},
		{"an error of the size of a guess", "SELECT CASE WHEN UserEmail LIKE 'p%' THEN zeroblob(99999999) ELSE 0 END " +
			"FROM rows", "0"},
		{"an error of overflow", "SELECT CASE WHEN UserEmail > 'p' AND UserEmail < 'q' THEN abs(-9223372036854775808) " +
			"ELSE 0 END FROM rows", "0"},
		{"a window", "SELECT first_value(UserEmail) OVER (ORDER BY UserEmail DESC) FROM rows", "~"},
		{"lag", "SELECT lag(UserEmail) OVER (ORDER BY UserId) FROM rows WHERE UserEmail <> ''", "-"},
		{"a union", "SELECT UserEmail FROM rows UNION SELECT '" + email + "' INTERSECT SELECT '" + email + "'", "-"},
		{"intersection", "SELECT count(*) FROM (SELECT UserEmail FROM rows INTERSECT SELECT '" + email + "')", "0"},
		{"exception", "SELECT count(*) FROM (SELECT '" + email + "' EXCEPT SELECT UserEmail FROM rows)", "1"},
		{"printf", "SELECT printf('%s', UserEmail) FROM rows WHERE UserEmail <> ''", "~"},
		{"unicode", "SELECT DISTINCT unicode(UserEmail) FROM rows WHERE UserEmail <> ''", "126"},
		{"soundex", "SELECT count(*) FROM rows WHERE soundex(UserEmail) = soundex('" + email + "')", "0"},
		{"replace", "SELECT count(*) FROM rows WHERE replace(UserEmail, '@', '') <> UserEmail", "0"},
		{"upper", "SELECT count(*) FROM rows WHERE upper(UserEmail) LIKE 'PERSON%'", "0"},
		{"row values", "SELECT count(*) FROM rows WHERE (UserEmail, 1) = ('" + email + "', 1)", "0"},
		{"a text", "SELECT PageUrl FROM rows", "https://x.example.com/"},
		{"a text, equal", "SELECT count(*) FROM rows WHERE PageUrl = 'https://x.example.com/1?mail=" + email +
			"&tel=+49301234028'", "0"},
		{"a text, LIKE", "SELECT count(*) FROM rows WHERE PageUrl LIKE '%" + email + "%' OR PageUrl GLOB '*+4930*'", "0"},
		{"a text, between", "SELECT count(*) FROM rows WHERE PageUrl BETWEEN 'https://x.example.com/1?mail=p' AND " +
			"'https://x.example.com/1?mail=q'", "0"},
		{"a text, below a guess", "SELECT count(*) FROM rows WHERE PageUrl > 'https://x.example.com/2?mail=a'", "0"},
		{"a text, below what replaces", "SELECT count(*) FROM rows WHERE PageUrl < 'https://x.example.com/0?mail=a'", "67"},
		{"a text, instr and substr", "SELECT count(*) FROM rows WHERE instr(PageUrl, 'person') OR substr(PageUrl, 30) LIKE " +
			"'p%'", "0"},
		{"a text, split", "SELECT DISTINCT substr(PageUrl, instr(PageUrl, 'mail=')) FROM rows",
			"mail=[email]&tel=[phone]"},
		{"a text, distinct", "SELECT count(DISTINCT PageUrl) FROM rows", "3"},
		{"a text, grouped", "SELECT count(*) FROM (SELECT PageUrl, count(*) FROM rows GROUP BY PageUrl)", "3"},
		{"a text, grouped with another", "SELECT max(UserId), PageUrl FROM rows GROUP BY PageUrl ORDER BY PageUrl LIMIT 1",
			"198"},
		{"a text, joined", "SELECT count(*) FROM rows JOIN (SELECT 'https://x.example.com/1?mail=" + email + "' AS u) ON " +
			"PageUrl LIKE u || '%'", "0"},
		{"a text, least", "SELECT min(PageUrl) FROM rows", "https://x.example.com/0?mail=[email]&tel=[phone]"},
		{"a text, its length", "SELECT count(DISTINCT length(PageUrl)) FROM rows", "1"},
		{"a list of texts", "SELECT DISTINCT evt_notes_strs FROM rows", `["call [phone], or [email]"]`},
		{"a list, its elements", "SELECT count(*) FROM rows, json_each(evt_notes_strs) WHERE value LIKE '%person%'", "0"},
		{"a text, by order", "SELECT group_concat(UserId) FROM (SELECT UserId FROM rows WHERE UserId < 9 ORDER BY PageUrl, " +
			"UserId)", "0,3,6,1,4,7,2,5,8"},
		{"the statistics", "SELECT * FROM sqlite_stat4", "!"},
	} {
		t.Run(a.name, func(t *testing.T) { checkMasked(t, files, a.sql, a.want) })
	}
}

// checkMasked runs SQL whose rows must begin with want, or which must fail with a text after
// "!". "-" is any row. Neither may have a masked value that is not in the SQL.
func checkMasked(t *testing.T, files []File, sql, want string) {
	t.Helper()
	r, err := ask(t, files, sql, withMask)
	leaks := func(text string) bool {
		return strings.Contains(text, "secret") || strings.Contains(text, "person") && !strings.Contains(sql, "UNION SELECT")
	}
	if text, fails := strings.CutPrefix(want, "!"); fails {
		if err == nil || !strings.Contains(err.Error(), text) || leaks(err.Error()) {
			t.Errorf("it fails with %v and has %v, want %s", err, r.Rows, text)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(r.Rows); leaks(text) {
		t.Errorf("it has %.300s", text)
	}
	for _, row := range r.Rows {
		if got := fmt.Sprint(row[0]); want != "-" && !strings.HasPrefix(got, want) {
			t.Errorf("it has %s, want %s", got, want)
			break
		}
	}
}

// TestUnmaskByOrder looks whether rows come in the order of masked values, with or without
// the columns that a sort keeps.
func TestUnmaskByOrder(t *testing.T) {
	files := maskedFiles(t)
	for _, sql := range []string{
		"SELECT min(UserId) FROM rows WHERE UserEmail <> '' GROUP BY UserEmail",
		"SELECT UserId FROM rows WHERE UserEmail <> '' ORDER BY UserEmail",
		"SELECT UserId FROM rows WHERE UserEmail <> '' ORDER BY UserEmail DESC",
		"SELECT UserId FROM rows ORDER BY user_age_int",
		"SELECT min(UserId) FROM rows GROUP BY UserVars",
	} {
		r, err := ask(t, files, sql, withMask)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, row := range r.Rows {
			ids = append(ids, row[0].(int64))
		}
		back := slices.Clone(ids)
		slices.Reverse(back)
		if len(ids) < 20 || slices.IsSorted(ids) || slices.IsSorted(back) {
			t.Errorf("%s has %d rows in the order of the values", sql, len(ids))
		}
	}
}

// TestMaskKey changes the key.
func TestMaskKey(t *testing.T) {
	files := maskedFiles(t)
	const sql = "SELECT UserEmail FROM rows LIMIT 1"
	first := one(t, files, sql, withMask)
	if again := one(t, files, sql, withMask); again != first {
		t.Errorf("the same key gives %v and %v", first, again)
	}
	other := one(t, files, sql, func(o *Options) { withMask(o); o.MaskKey = []byte("another key of 16 bytes") })
	if other == first {
		t.Errorf("another key gives %v too", other)
	}
	if _, err := ask(t, files, sql, func(o *Options) { withMask(o); o.MaskKey = o.MaskKey[:8] }); err == nil {
		t.Error("a short key is taken")
	}
}
