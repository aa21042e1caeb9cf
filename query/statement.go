package query

import (
	"fmt"
	"strings"
)

// mostSQL is the longest SQL, in bytes.
const mostSQL = 64 << 10

// checkSQL reports what is wrong with SQL before SQLite sees it: it must be one SELECT. What
// it reads is for the authorizer to decide.
func checkSQL(sql string) error {
	switch {
	case len(sql) > mostSQL:
		return &Error{Invalid, fmt.Sprintf("The SQL has %d bytes, more than %d. Shorten it.", len(sql), mostSQL)}
	case strings.IndexByte(sql, 0) >= 0:
		return &Error{Invalid, "The SQL has a zero byte. Remove it."}
	}
	ended, first := false, true
	for s := (scanner{sql}); ; {
		t, ok := s.next()
		if !ok {
			return &Error{Invalid, "A quote or a comment in the SQL does not end. End it."}
		}
		switch {
		case t == "" && first:
			return &Error{Invalid, "The SQL is empty. Give a SELECT over the table rows."}
		case t == "":
			return nil
		case t == ";":
			ended = true
		case ended:
			return &Error{Denied, "The SQL has several statements. Give one SELECT."}
		case first && !strings.EqualFold(t, "select") && !strings.EqualFold(t, "with"):
			return &Error{Denied, "The SQL is not a SELECT. Begin it with SELECT or WITH: rows can only be read."}
		case strings.EqualFold(t, "collate"):
			return &Error{Denied, "COLLATE is not supported. Compare lower(x) to ignore case; " +
				"times compare as times, also with RFC 3339 literals."}
		case t[0] == '?', (t[0] == ':' || t[0] == '@' || t[0] == '$') && len(t) > 1:
			return &Error{Invalid, fmt.Sprintf("Parameters such as %s are not supported. Write the value.", short(t))}
		}
		first = false
	}
}

// short returns the start of a token.
func short(t string) string {
	if len(t) > 40 {
		return strings.ToValidUTF8(t[:40], "") + "…"
	}
	return t
}

// scanner splits SQL into tokens as SQLite does, as far as it matters here.
type scanner struct{ rest string }

// next returns the next token; "" at the end. ok is false if a quote or a comment does not
// end. Spaces and comments are no tokens.
func (s *scanner) next() (token string, ok bool) {
	for {
		s.rest = strings.TrimLeft(s.rest, " \t\n\r\f\ufeff")
		switch {
		case strings.HasPrefix(s.rest, "--"):
			_, s.rest, _ = strings.Cut(s.rest, "\n")
		case strings.HasPrefix(s.rest, "/*"):
			_, rest, ended := strings.Cut(s.rest[2:], "*/")
			if !ended {
				return "", false
			}
			s.rest = rest
		default:
			return s.token()
		}
	}
}

// token returns the token at the start of what is left.
func (s *scanner) token() (string, bool) {
	if s.rest == "" {
		return "", true
	}
	n := 1
	switch c := s.rest[0]; {
	case c == '\'' || c == '"' || c == '`':
		if n = quoted(s.rest, c); n < 0 {
			return "", false
		}
	case c == '[':
		end := strings.IndexByte(s.rest, ']')
		if end < 0 {
			return "", false
		}
		n = end + 1
	case word(c), c == '?', c == ':', c == '@', c == '#':
		for n < len(s.rest) && word(s.rest[n]) {
			n++
		}
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token, true
}

// quoted returns the length of the token in quotes at the start of s; -1 if it does not end.
func quoted(s string, quote byte) int {
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			continue
		}
		if i+1 == len(s) || s[i+1] != quote {
			return i + 1
		}
		i++
	}
	return -1
}

// word reports whether a byte is part of a word.
func word(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}
